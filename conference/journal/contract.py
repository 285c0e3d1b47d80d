"""What every journal promises; `tests/contract` holds each backend to it.

An append is acknowledged only when it is durable (survives kill -9 and loss of power as far as the backend can).
Each writer opens a stream with a fencing epoch; an append with a smaller epoch than the newest is refused.
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
        actor: who caused it, for the audit: `user:…`, `hall:…`, `relay:…` or `coordinator`.
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


class Journal(Protocol):
    """An append-only journal of several streams."""

    async def open_writer(self) -> int:
        """Take over writing. Returns a fencing epoch greater than every one before.

        Raises:
            JournalError: the store cannot be reached or written.
        """
        ...

    async def append(self, epoch: int, entries: Sequence[Entry]) -> None:
        """Append entries, each to the stream of its event (`events.stream_of`); all or none; return once durable.

        Raises:
            StaleEpochError: a newer writer exists; nothing was written.
            JournalError: the store failed (full, read-only, gone); nothing of these entries was written.
        """
        ...

    def read(self, after: dict[str, int]) -> AsyncIterator[Record]:
        """Records of all streams past the positions given, in order of each stream and in order of append.

        Raises:
            CorruptJournalError: a record does not decode; names stream and position.
        """
        ...

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot; the newest is returned by `latest_snapshot`."""
        ...

    async def latest_snapshot(self) -> Snapshot | None:
        """The newest snapshot that was saved, or None."""
        ...

    async def close(self) -> None:
        """Flush what waits and release the store."""
        ...
