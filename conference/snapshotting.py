"""When the coordinator takes snapshots of its state, and how they are kept without stopping anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping

from conference.batch import Batch
from conference.errors import JournalError
from conference.journal.contract import Journal, Snapshot
from conference.snapshot import encode_in_steps, encode_state
from conference.state import State
from monitoring.log_config import get_logger

# After one that took a second nobody is held up by another for so many: with the rows of millions of delegates it is
# 100 MB that appends wait for, and each check-in is an event.
PAUSE = 30


class Snapshots:
    """Snapshots of one journal, one at a time.

    Args:
        journal: keeps them.
        every: events between two.

    Attributes:
        since: events since the newest.
    """

    def __init__(self, journal: Journal, every: int) -> None:
        self._journal = journal
        self._every = every
        self._log = get_logger("conference.snapshotting")
        self._task: asyncio.Task[None] | None = None
        self._not_before_s = 0.0
        self.since = 0

    def take_if_due(self, epoch: int, state: State, positions: Mapping[str, int], batch: Batch | None) -> None:
        """Take one of this moment; what it holds of the open batch is not durable yet."""
        if self.since < self._every or (self._task is not None and not self._task.done()):
            return
        if asyncio.get_running_loop().time() < self._not_before_s:
            return
        steps = encode_in_steps(state)
        next(steps)
        self.since = 0
        work = self._save(epoch, steps, dict(positions), batch if batch is not None and batch.entries else None)
        self._task = asyncio.create_task(work, name="coordinator-snapshot")

    async def take_last(self, epoch: int, state: State, positions: Mapping[str, int]) -> None:
        """Take one of a state that is durable and will not change any more, if there is anything new.

        Raises:
            JournalError: it could not be kept.
        """
        await self.finished()
        if self.since:
            await self._journal.save_snapshot(epoch, Snapshot(positions=dict(positions), state=encode_state(state)))

    async def finished(self) -> None:
        """Return once none is under way."""
        if self._task is not None:
            await self._task
            self._task = None

    async def _save(
        self, epoch: int, steps: Generator[None, None, bytes], positions: dict[str, int], batch: Batch | None
    ) -> None:
        """Encode the rest with turns for everybody else, and save it once all of it is durable."""
        clock, encoded = asyncio.get_running_loop().time, b""
        begun_s = clock()
        while not encoded:
            await asyncio.sleep(0)
            try:
                next(steps)
            except StopIteration as end:
                encoded = end.value
        try:
            if batch is not None:
                await asyncio.shield(batch.done)
            await self._journal.save_snapshot(epoch, Snapshot(positions=positions, state=encoded))
        except JournalError as error:
            # Only the next start is slower for it; the events themselves are durable.
            self._log.warning("snapshot not saved", error=str(error))
        self._not_before_s = clock() + PAUSE * (clock() - begun_s)
