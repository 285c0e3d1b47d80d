"""When snapshots are taken: so many events after the last, and not while that one is still paid for."""

from __future__ import annotations

import asyncio

from conference.journal.contract import Snapshot
from conference.journal.sqlite import SqliteJournal
from conference.snapshotting import PAUSE, Snapshots
from conference.state import State


class SlowJournal(SqliteJournal):
    """Keeps snapshots for nobody, each in a twentieth of a second; nothing else is asked of it."""

    def __init__(self) -> None:
        super().__init__("nowhere")
        self.saved = 0

    async def save_snapshot(self, epoch: int, snapshot: Snapshot) -> None:
        """Count it."""
        del epoch, snapshot
        await asyncio.sleep(0.05)
        self.saved += 1


async def test_a_snapshot_that_took_long_is_not_taken_again_soon() -> None:
    """However many events come meanwhile; afterwards it is."""
    journal = SlowJournal()
    snapshots, clock = Snapshots(journal, every=10), asyncio.get_running_loop().time
    begun_s = clock()
    while journal.saved < 2:
        snapshots.since += 10
        snapshots.take_if_due(1, State(), {}, None)
        await asyncio.sleep(0.01)
        assert journal.saved < 2 or clock() - begun_s > PAUSE * 0.05
    await snapshots.finished()


async def test_a_quick_one_is_taken_after_so_many_events() -> None:
    """And not before."""
    journal = SlowJournal()
    snapshots = Snapshots(journal, every=10)
    snapshots.since = 9
    snapshots.take_if_due(1, State(), {}, None)
    await snapshots.finished()
    assert journal.saved == 0
    snapshots.since += 1
    snapshots.take_if_due(1, State(), {}, None)
    await snapshots.finished()
    assert (journal.saved, snapshots.since) == (1, 0)
