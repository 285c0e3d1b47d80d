"""Folds a journal in a process of its own, and compares it with what was acknowledged; prints one JSON object.

`python -m benchmarks.support.attendance_fold JOURNAL CONFERENCE [--sent FILE] [--without-snapshot] [--save]`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from pathlib import Path

import numpy as np

from conference.demo.measuring import peak_rss_mb
from conference.journal.contract import Snapshot
from conference.journal.sqlite import SqliteJournal
from conference.journal_fold import fold_journal
from conference.policy import Policy
from conference.snapshot import encode_state, fingerprint
from conference.state import State


class _WithoutSnapshot(SqliteJournal):
    async def latest_snapshot(self) -> Snapshot | None:
        """As if none had ever been taken."""
        return None


async def fold(given: argparse.Namespace) -> dict[str, object]:
    """Fold, compare, and take a snapshot where that is asked for."""
    journal = (_WithoutSnapshot if given.without_snapshot else SqliteJournal)(given.journal)
    started, cpu = time.perf_counter(), time.process_time()
    folded = await fold_journal(journal, Policy())
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    figures: dict[str, object] = {
        "seconds": round(seconds, 2),
        "cpu_s": round(cpu_s, 2),
        "events": folded.since_snapshot,
        "rss_mb": peak_rss_mb(os.getpid()),
    }
    if given.sent:
        figures |= compare(folded.state, given.conference, given.sent)
    if given.save:
        figures["fingerprint"] = fingerprint(folded.state)
        epoch = await journal.open_writer()
        started = time.perf_counter()
        encoded = encode_state(folded.state)
        await journal.save_snapshot(epoch, Snapshot(positions=folded.positions, state=encoded))
        figures["snapshot_mb"] = round(len(encoded) / 1e6, 1)
        figures["snapshot_seconds"] = round(time.perf_counter() - started, 2)
    await journal.close()
    return figures


def compare(state: State, conference_id: str, sent_file: Path) -> dict[str, object]:
    """What was acknowledged and is not there, and what was counted more than once."""
    checkins = state.checkins[conference_id]
    with np.load(sent_file) as said:
        acknowledged, sent = said["acknowledged"], said["sent"]
    present = np.zeros_like(sent)
    for number in range(1, len(present)):
        known = checkins.delegate(number)
        present[number] = known is not None and known.by != ""
    total = sum(totals.present for hall_id in state.halls if (totals := checkins.totals(hall_id)) is not None)
    root = state.rollups[conference_id].total()
    return {
        "present": total,
        "present_of_root": root.real.individual.present + root.virtual.individual.present,
        "acknowledged": int(acknowledged.sum()),
        "lost_acknowledged": int((acknowledged & ~present).sum()),
        "double_counted": total - int(present.sum()) + int((present & ~sent).sum()),
        "counts_equal_a_recount": checkins.counts() == checkins.recount(),
    }


def main() -> None:
    """Run it; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("journal", type=Path)
    parser.add_argument("conference")
    parser.add_argument("--sent", type=Path)
    parser.add_argument("--without-snapshot", action="store_true")
    parser.add_argument("--save", action="store_true")
    print(json.dumps(asyncio.run(fold(parser.parse_args()))))


if __name__ == "__main__":
    main()
