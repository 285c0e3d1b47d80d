"""The modelled store: a journal in memory that takes its time, and fails when it is told to.

It keeps the promise of `conference.journal.contract`: an append is whole or not at all, in order, and refused to an
older writer. It keeps every record, so that the run can be folded again from the beginning.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence

from conference.errors import JournalError, StaleEpochError
from conference.events import stream_of
from conference.journal.contract import Entry, Record, Snapshot, Writer


class ModelStore:
    """A journal (`conference.journal.contract.Journal`) that outlives the coordinators which open it.

    Args:
        append_s: what an append takes, whatever its size: the sync.
        rng: whether what was under way when the store went away had been written.
        on_written: called with the records of each append, once they are durable.

    Attributes:
        append_s: may be changed at any time: a disk that is slow.
        is_down: true while every call fails.
        records: everything that was written, in order.
        appends: how many appends were made.
    """

    def __init__(
        self,
        append_s: float,
        rng: random.Random,
        on_written: Callable[[Sequence[Record]], None] = lambda _records: None,
    ) -> None:
        self.append_s = append_s
        self.is_down = False
        self.records: list[Record] = []
        self.appends = 0
        self._rng = rng
        self._on_written = on_written
        self._epoch = 0
        self._positions: dict[str, int] = {}
        self._snapshot: Snapshot | None = None
        self._outages = 0

    async def writer(self) -> Writer:
        """Who writes; nobody holds it, as there is one coordinator at a time."""
        self._check()
        return Writer(epoch=self._epoch, holder="", pulse=0)

    async def open_writer(self, *, after: int | None = None) -> int:
        """Take over writing."""
        self._check()
        if after is not None and after != self._epoch:
            raise StaleEpochError("another coordinator took over")
        self._epoch += 1
        return self._epoch

    async def renew(self, epoch: int) -> None:
        """Give a sign of life."""
        self._check()
        self._fence(epoch)

    async def release(self, epoch: int) -> None:
        """Nobody holds it."""

    async def announce(self, epoch: int, address: str) -> None:
        """Nobody else opens it."""

    async def append(self, epoch: int, entries: Sequence[Entry]) -> None:
        """Write after the delay of the moment; an outage meanwhile leaves open whether it was written."""
        self._check()
        outages = self._outages
        await asyncio.sleep(self.append_s)
        answer_lost = self.is_down or outages != self._outages
        if answer_lost and self._rng.random() < 0.5:
            raise JournalError("the store did not answer")
        self._fence(epoch)
        self._write(epoch, entries)
        if answer_lost:
            raise JournalError("the store did not answer")

    def _write(self, epoch: int, entries: Sequence[Entry]) -> None:
        written = []
        for entry in entries:
            stream = stream_of(entry.event)
            position = self._positions[stream] = self._positions.get(stream, 0) + 1
            written.append(
                Record(
                    stream=stream,
                    position=position,
                    epoch=epoch,
                    at_ms=entry.at_ms,
                    actor=entry.actor,
                    event=entry.event,
                )
            )
        self.records += written
        self.appends += 1
        self._on_written(written)

    async def read(self, after: dict[str, int]) -> AsyncIterator[Record]:
        """Every record behind these positions."""
        self._check()
        for record in list(self.records):
            if record.position > after.get(record.stream, 0):
                yield record

    async def read_partitions(self, after: dict[str, int]) -> AsyncIterator[Record]:  # noqa: ARG002 - there are none
        """No other process writes."""
        nothing: tuple[Record, ...] = ()
        for record in nothing:
            yield record

    async def kept_after(self) -> dict[str, int]:
        """Everything is kept."""
        return {}

    async def save_snapshot(self, epoch: int, snapshot: Snapshot) -> None:
        """Keep the newest."""
        self._check()
        self._fence(epoch)
        self._snapshot = snapshot

    async def latest_snapshot(self) -> Snapshot | None:
        """The newest."""
        self._check()
        return self._snapshot

    async def begin_fill(self, after: dict[str, int]) -> None:
        """Nobody copies a simulated journal."""
        raise NotImplementedError

    async def fill(self, records: Sequence[Record]) -> None:
        """Nobody copies a simulated journal."""
        raise NotImplementedError

    async def finish_fill(self, epoch: int, snapshot: Snapshot | None) -> None:
        """Nobody copies a simulated journal."""
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing waits."""

    def go_down(self) -> None:
        """From now on nothing is written and nothing read."""
        self.is_down = True
        self._outages += 1

    def come_back(self) -> None:
        """Everything that was written is there."""
        self.is_down = False

    def _check(self) -> None:
        if self.is_down:
            raise JournalError("the store is away")

    def _fence(self, epoch: int) -> None:
        if epoch != self._epoch:
            raise StaleEpochError("another coordinator took over")
