"""What every journal promises; `tests/contract` holds each backend to it.

An append is acknowledged only when it is durable (survives kill -9 and loss of power as far as the backend can).
There is one writer at a time. Whoever takes over gets a greater fencing epoch, and everything that an older writer
still sends is refused in the same atomic step in which it would have been written.

A store for many machines has *partitions* beside: streams of attendance, each with one writer of its own and an epoch
of its own (`events.partition_of`). A journal that was opened for a partition writes that stream and reads nothing else;
every other journal reads all partitions and writes none of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec

from conference.events import Event


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An event to append.

    Attributes:
        at_ms: milliseconds since the epoch.
        actor: who caused it, for the audit: `user:…`, `hall:…`, `poster:…`, `relay:…` or `coordinator`.
        event: what happened.
    """

    at_ms: int
    actor: str
    event: Event


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """An entry in the journal; `position` grows strictly within a stream, from 1."""

    stream: str
    position: int
    epoch: int
    at_ms: int
    actor: str
    event: Event


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The folded state after `positions[stream]` of each stream; `state` is msgspec-encoded."""

    positions: dict[str, int]
    state: bytes


class Writer(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes, as far as the store knows.

    Attributes:
        epoch: the newest; 0 before the first writer.
        holder: whose it is, for people and for the holder itself; "" where nobody holds it: never taken, given back, or
            a store for one process alone, whose lock is elsewhere (`conference.state_lock`).
        pulse: changes with every sign of the holder's life.
        address: where gateways reach the holder (`Journal.announce`); "" where it has not said so.
    """

    epoch: int
    holder: str
    pulse: int
    address: str = ""


class Journal(Protocol):
    """An append-only journal of several streams."""

    async def writer(self) -> Writer:
        """Who writes now.

        Raises:
            JournalError: the store cannot be read.
        """
        ...

    async def open_writer(self, *, after: int | None = None) -> int:
        """Take over writing. Returns a fencing epoch greater than every one before.

        What was appended with an earlier epoch and is still under way is never written from then on.

        Args:
            after: only if this is still the newest epoch; by default whatever the newest is.

        Raises:
            StaleEpochError: somebody else took over since `after`.
            JournalError: the store cannot be reached or written.
        """
        ...

    async def renew(self, epoch: int) -> None:
        """Give a sign of life; return once it is as durable as an append, so that whoever leads next has seen it.

        Raises:
            StaleEpochError: a newer writer exists.
            JournalError: the store cannot be reached.
        """
        ...

    async def release(self, epoch: int) -> None:
        """Give writing back, so that a successor need not wait; does nothing for an epoch that is not the newest.

        Raises:
            JournalError: the store cannot be reached.
        """
        ...

    async def announce(self, epoch: int, address: str) -> None:
        """Say where the writer takes what gateways bring; `Writer.address` from now on, until somebody else writes.

        A store for one process alone has nobody to tell and does nothing.

        Raises:
            StaleEpochError: a newer writer exists.
            JournalError: the store cannot be reached.
        """
        ...

    async def append(self, epoch: int, entries: Sequence[Entry]) -> None:
        """Append entries, each to the stream of its event (`events.stream_of`); all or none; return once durable.

        Raises:
            StaleEpochError: a newer writer exists; nothing was written.
            JournalError: the store failed (full, read-only, gone); nothing was acknowledged. Whether the entries are
                there is for `open_writer(after=epoch)` and a read after it to tell: a store on another machine may have
                written them and lost the answer.
        """
        ...

    def read(self, after: dict[str, int]) -> AsyncIterator[Record]:
        """Records of all streams past the positions given, in order of each stream.

        Those of the writer's own streams come in the order of their append, and before those of partitions.

        Raises:
            CorruptJournalError: a record does not decode or is missing; names stream and position.
            RewoundJournalError: what this journal has read up to `after` is not there any more: the store lost
                records that nobody had acknowledged. Whoever folded them must fold anew.
        """
        ...

    def read_partitions(self, after: dict[str, int]) -> AsyncIterator[Record]:
        """Records of partitions alone, past the positions given: what a writer follows while it writes.

        To the one who writes this journal only durable records are given, also by `read`: what it folds goes into
        snapshots, and must not be lost by a failover any more.

        Raises:
            CorruptJournalError: as `read`.
            RewoundJournalError: as `read`.
            JournalError: the store cannot be read.
        """
        ...

    async def kept_after(self) -> dict[str, int]:
        """The positions behind which all records are kept; {} where none was ever removed.

        Raises:
            JournalError: the store cannot be read.
        """
        ...

    async def save_snapshot(self, epoch: int, snapshot: Snapshot) -> None:
        """Keep a snapshot of durable records; the newest is returned by `latest_snapshot`.

        A store in memory may remove records that the snapshot contains.

        Raises:
            StaleEpochError: a newer writer exists; nothing was kept or removed.
            JournalError: the store failed.
        """
        ...

    async def latest_snapshot(self) -> Snapshot | None:
        """The newest snapshot that was saved, or None."""
        ...

    async def begin_fill(self, after: dict[str, int]) -> None:
        """Begin to copy another journal into this one; until `finish_fill` nobody can write here.

        Args:
            after: the positions behind which the records are that come (`kept_after` of the other).

        Raises:
            NotEmptyJournalError: there is something here already, or a copy that was not finished.
            JournalError: the store failed.
        """
        ...

    async def fill(self, records: Sequence[Record]) -> None:
        """Write the next records as they are: positions, epochs and times kept.

        Raises:
            JournalError: the store failed, or `begin_fill` was not called.
        """
        ...

    async def finish_fill(self, epoch: int, snapshot: Snapshot | None) -> None:
        """End the copy: the journal is one like any other, free to be taken over with an epoch greater than `epoch`.

        Raises:
            JournalError: the store failed, or `begin_fill` was not called.
        """
        ...

    async def close(self) -> None:
        """Flush what waits and release the store."""
        ...
