"""What a national report costs: seconds, memory of the process that writes it, size, and how long the loop stood still.

A state of so many halls in Việt Nam's units, each with presence and a headcount, is folded from events; then the
coordinator's own way is gone: halls and units leave the state in turns, a process writes the form, the key signs it. A
ticker on the same loop tells the longest time for which nobody else had a turn.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import time
from typing import get_args

from benchmarks.support.processes import machine
from bridges.synthetic import synthetic_halls
from bridges.vietnam import load_vietnam_units
from conference.access import KeyRing
from conference.api.reports import report_frames
from conference.events import (
    ConferenceCreated,
    HallsImported,
    HeadcountReported,
    PhaseChanged,
    PresenceObserved,
    UnitsImported,
)
from conference.reporting.making import ReportMaker
from conference.reporting.sources import heading_of
from conference.reporting.wire import ReportRequest
from conference.reports.model import ReportKind
from conference.reports.rendering import ReportFormat
from conference.state import State, apply
from relay.messages import SessionClosed, SessionOpened

CONFERENCE = "hn-2026"
MINUTE_MS = 60_000
START_MS = 1_770_685_200_000
TICK_S = 0.002


def country(halls: int, seed: int) -> State:
    """A conference of so many halls that ended: all were present, one in ten lost its line for some minutes."""
    state = State()
    units = load_vietnam_units()
    made = synthetic_halls(units, halls, seed=seed)
    apply(state, UnitsImported(units=units), START_MS - 90 * MINUTE_MS)
    apply(state, HallsImported(halls=made), START_MS - 80 * MINUTE_MS)
    created = ConferenceCreated(conference_id=CONFERENCE, title="Hội nghị toàn quốc", feeds=["program"])
    apply(state, created, START_MS - 70 * MINUTE_MS)
    apply(state, PhaseChanged(conference_id=CONFERENCE, phase="open"), START_MS - 60 * MINUTE_MS)
    apply(state, PhaseChanged(conference_id=CONFERENCE, phase="live"), START_MS)
    for number, hall in enumerate(made):
        deltas: list[SessionOpened | SessionClosed] = [_opened(hall.hall_id, 1, START_MS - MINUTE_MS)]
        if number % 10 == 0:
            lost_ms = START_MS + (number % 100) * MINUTE_MS
            back_ms = lost_ms + (1 + number % 7) * MINUTE_MS
            deltas += [_closed(hall.hall_id, 1, lost_ms), _opened(hall.hall_id, 2, back_ms)]
        apply(state, PresenceObserved(relay_id="edge", deltas=deltas), START_MS)
        counted = HeadcountReported(
            conference_id=CONFERENCE,
            hall_id=hall.hall_id,
            summoned=hall.seats,
            present=hall.seats - number % 5,
            excused=number % 5,
            unexcused=0,
            exempt=0,
            note="",
        )
        apply(state, counted, START_MS + 30 * MINUTE_MS)
    return state


def _opened(hall_id: str, session: int, at_ms: int) -> SessionOpened:
    return SessionOpened(
        session_id=f"{hall_id}-{session}", conference=CONFERENCE, feed="program", subject=hall_id, at_ms=at_ms
    )


def _closed(hall_id: str, session: int, at_ms: int) -> SessionClosed:
    return SessionClosed(
        session_id=f"{hall_id}-{session}",
        conference=CONFERENCE,
        feed="program",
        subject=hall_id,
        at_ms=at_ms,
        reason="transport",
    )


async def longest_stall_s(until: asyncio.Event) -> float:
    """The longest time beyond a tick for which this task had no turn."""
    worst = 0.0
    while not until.is_set():
        before = time.perf_counter()
        await asyncio.sleep(TICK_S)
        worst = max(worst, time.perf_counter() - before - TICK_S)
    return worst


async def measure(halls: int, kind: ReportKind, forms: list[ReportFormat], seed: int) -> dict[str, object]:
    """Have one report written in each of these forms, one after the other."""
    state = country(halls, seed)
    gc.collect()
    gc.freeze()  # as the coordinator does with what it folded
    conference = state.conferences[CONFERENCE]
    rows: list[dict[str, object]] = []
    for form in forms:
        maker = ReportMaker(KeyRing.generate())
        now_ms = START_MS + 200 * MINUTE_MS
        heading = heading_of(state, conference, now_ms, kind=kind, tree="territory", unit="")
        request = ReportRequest(heading=heading, report_format=form, language="vi", public_key=maker.public_key)
        done = asyncio.Event()
        ticker = asyncio.create_task(longest_stall_s(done))
        before_mb = _peak_mb(resource.RUSAGE_SELF)
        before_cpu_s = _cpu_s(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        written = await maker.make(request, report_frames(state, conference, heading))
        seconds = time.perf_counter() - started
        done.set()
        rows.append(
            {
                "format": form,
                "seconds": round(seconds, 2),
                "process_cpu_s": round(_cpu_s(resource.RUSAGE_CHILDREN) - before_cpu_s, 2),
                "size_mb": round(len(written.payload) / 1e6, 2),
                # Of the largest child so far: forms are given in the order of what they need.
                "process_peak_mb": round(_peak_mb(resource.RUSAGE_CHILDREN), 1),
                "coordinator_growth_mb": round(_peak_mb(resource.RUSAGE_SELF) - before_mb, 1),
                "longest_stall_ms": round(await ticker * 1000, 1),
            }
        )
    return {"benchmark": "report", "machine": machine(), "halls": halls, "kind": kind, "seed": seed, "rows": rows}


def _cpu_s(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def _peak_mb(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024


def main() -> None:
    """Run the benchmark; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--halls", type=int, default=40_000)
    parser.add_argument("--kind", choices=get_args(ReportKind), default="summary")
    parser.add_argument("--format", nargs="+", choices=get_args(ReportFormat), default=["xlsx"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    if not 1 <= options.halls <= 100_000:
        parser.error("between 1 and 100,000 halls")
    figures = asyncio.run(measure(options.halls, options.kind, options.format, options.seed))
    print(json.dumps(figures, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
