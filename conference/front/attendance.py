"""A gateway's own partition: what commutes is written here, without the leader, and acknowledged when it is durable.

The partition has one writer. A process that is started under the name of another waits until that one has been silent
for a lease, as coordinators do; the other then has a stale epoch, and what it still sends is refused. A gateway that
learns that it was overtaken is of no more use: whoever started it starts it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

from conference.ending import end
from conference.errors import JournalError, StaleEpochError
from conference.journal.contract import Entry, Journal
from conference.leadership import CHECKS_PER_LEASE, SIGNS_PER_LEASE, WriterWatch
from monitoring.log_config import get_logger


class AttendanceWriter:
    """The writer of one partition.

    Args:
        journal: opened for the partition.
        lease_s: as in `conference.leadership`.
        observe_append: called with the seconds that each append took and the entries that it wrote.
        observe_failure: called with the code of the error when an append was not acknowledged.

    Attributes:
        deposed: set once another process writes this partition.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        lease_s: float,
        observe_append: Callable[[float, Sequence[Entry]], None] = lambda _seconds, _entries: None,
        observe_failure: Callable[[str], None] = lambda _code: None,
    ) -> None:
        self._journal = journal
        self._lease_s = lease_s
        self._observe_append = observe_append
        self._observe_failure = observe_failure
        self._log = get_logger("conference.front.attendance")
        self.deposed = asyncio.Event()
        self._epoch = 0
        self._is_sound = False  # nothing is under way that failed and may still arrive
        self._mending = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_held(self) -> bool:
        """True once this process writes the partition."""
        return self._epoch > 0 and not self.deposed.is_set()

    def start(self) -> None:
        """Begin to take the partition over."""
        self._task = asyncio.create_task(self._hold(), name="gateway-partition")

    async def stop(self) -> None:
        """Give it back, so that a successor need not wait."""
        await end(self._task)
        if self.is_held:
            with contextlib.suppress(JournalError):
                await self._journal.release(self._epoch)

    async def append(self, entries: Sequence[Entry]) -> None:
        """Write events of attendance; return once they are durable.

        Raises:
            JournalError: they are not; any of them may be written all the same.
        """
        started = time.perf_counter()
        epoch = 0
        try:
            epoch = await self._sound_epoch()
            await self._journal.append(epoch, entries)
        except JournalError as error:
            self._observe_failure(error.code)
            self._handle_failure(error, epoch)
            raise
        self._observe_append(time.perf_counter() - started, entries)

    async def _sound_epoch(self) -> int:
        """The epoch to write with; a new one where something failed, behind which that can no longer arrive."""
        if not self.is_held:
            raise JournalError("this gateway does not hold its partition")
        async with self._mending:
            if not self._is_sound:
                try:
                    self._epoch = await self._journal.open_writer(after=self._epoch)
                except StaleEpochError as error:
                    self._depose(error)
                    raise
                self._is_sound = True
        return self._epoch

    def _handle_failure(self, error: JournalError, epoch: int) -> None:
        """What was done with `epoch` failed."""
        if epoch != self._epoch or self._mending.locked() or not self._is_sound:
            return  # behind an earlier failure, and a newer epoch is on its way or there: that one tells who writes
        self._is_sound = False
        if isinstance(error, StaleEpochError):
            self._depose(error)

    async def _hold(self) -> None:
        await self._take_over()
        while not self.deposed.is_set():
            await asyncio.sleep(self._lease_s / SIGNS_PER_LEASE)
            epoch = 0
            try:
                epoch = await self._sound_epoch()
                await self._journal.renew(epoch)
            except JournalError as error:
                self._log.warning("no sign of life could be given", error=str(error))
                if isinstance(error, StaleEpochError):
                    self._handle_failure(error, epoch)

    async def _take_over(self) -> None:
        watch = WriterWatch(self._lease_s)
        while True:
            try:
                writer = await self._journal.writer()
                if watch.handle_writer(writer, time.monotonic()):
                    self._epoch = await self._journal.open_writer(after=writer.epoch)
                    self._is_sound = True
                    self._log.info("partition taken over", epoch=self._epoch, before=writer.holder)
                    return
            except JournalError as error:
                self._log.warning("the partition cannot be taken over yet", error=str(error))
            await asyncio.sleep(self._lease_s / CHECKS_PER_LEASE)

    def _depose(self, error: StaleEpochError) -> None:
        self._log.critical("another process writes this partition", error=str(error))
        self.deposed.set()
