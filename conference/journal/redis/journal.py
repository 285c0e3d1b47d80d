"""The journal for many machines: `conference.journal.contract.Journal` on Redis.

All records stand in one stream in the order of their append; the writer's epoch is checked in the script that appends
them, so that a leader that was overtaken writes nothing, however late its words arrive. What a snapshot contains is
cut off the stream beyond `keep_records`, so that memory stays bounded.

Appends go over one connection, everything else over another: a read never waits for a confirmation of a replica. After
a failover the other may still lead to the former master; a writer takes no answer from a server that does not know its
epoch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

import msgspec

from conference.errors import (
    CorruptJournalError,
    JournalError,
    NotEmptyJournalError,
    RewoundJournalError,
    StaleEpochError,
)
from conference.journal.contract import Entry, Record, Snapshot, Writer
from conference.journal.redis import scripts
from conference.journal.redis.address import RedisAddress
from conference.journal.redis.appends import AppendQueue
from conference.journal.redis.entries import EntryCodec, Place
from conference.journal.redis.link import Durability, Link, Trust

DEFAULT_NAME = "diemcau"
DEFAULT_KEEP_RECORDS = 100_000
# Longer than a stall that heals by itself, shorter than anybody waits for an answer.
DEFAULT_TIMEOUT_S = 4.0
_PAGE_RECORDS = 2_000
_EMPTY = Place(sequence=0, epoch=0)


class RedisJournal:
    """`conference.journal.contract.Journal` on Redis.

    Nothing is connected before the first call. A failed call leaves the journal usable.

    Args:
        address: where the master is.
        holder: who this is, for people who look who writes; it is made unique.
        name: of the journal, if several share a Redis; the hash tag of its keys.
        trust: passwords and certificates.
        durability: what an acknowledgement promises.
        keep_records: how many records are kept at least although a snapshot contains them, for audit.
        timeout_s: how long a call may take before it fails.
    """

    def __init__(
        self,
        address: RedisAddress,
        *,
        holder: str = "",
        name: str = DEFAULT_NAME,
        trust: Trust | None = None,
        durability: Durability | None = None,
        keep_records: int = DEFAULT_KEEP_RECORDS,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self._address = address
        self._holder = f"{holder}#{uuid4().hex[:12]}"
        self._keys = scripts.keys_of(name)
        self._keep_records = keep_records
        links = [
            Link(
                address,
                self._keys.journal,
                trust=trust or Trust(),
                durability=durability or Durability(),
                timeout_s=timeout_s,
            )
            for _ in range(2)
        ]
        self._appending, self._asking = links
        self._codec = EntryCodec()
        self._json = msgspec.json.Encoder(order="sorted")
        self._appends = AppendQueue(self._write)
        self._opening = asyncio.Lock()
        self._epoch = 0
        self._sequence = 0
        self._append_count = 0
        self._read_up_to: tuple[dict[str, int], Place] = ({}, _EMPTY)
        self._closed = False

    async def writer(self) -> Writer:
        """Who writes now: see `Journal.writer`."""
        wanted = ("HMGET", self._keys.journal, "epoch", "holder", "pulse", "filling")
        epoch, holder, pulse, filling = await self._ask(wanted)
        if filling is not None:
            raise self._unfinished()
        return Writer(epoch=int(epoch or 0), holder=(holder or b"").decode(errors="replace"), pulse=int(pulse or 0))

    async def open_writer(self, *, after: int | None = None) -> int:
        """Take over writing: see `Journal.open_writer`."""
        async with self._opening:
            before = (await self.writer()).epoch if after is None else after
            command = scripts.open_command(self._keys, after=before, holder=self._holder)
            answer = await self._ask(command, link=self._appending)
            kind, epoch = answer[0], int(answer[1] or 0)
            if kind == b"stale":
                raise _stale(before, epoch)
            if kind == b"schema":
                raise JournalError(
                    f"{self._address}: the journal has schema {epoch}; this program reads {scripts.SCHEMA_VERSION}"
                )
            if kind == b"filling":
                raise self._unfinished()
            self._sequence, self._epoch = int(answer[2]), epoch
            return epoch

    async def append(self, epoch: int, entries: Sequence[Entry]) -> None:
        """Append entries durably, all or none: see `Journal.append`."""
        if not entries:
            return
        self._check_open()
        await self._appends.append(epoch, self._codec.encode(entries))

    async def renew(self, epoch: int) -> None:
        """Give a sign of life: see `Journal.renew`."""
        answer = await self._ask(scripts.renew_command(self._keys, epoch=epoch), durable=False)
        if answer[0] == b"stale":
            raise _stale(epoch, int(answer[1]))

    async def release(self, epoch: int) -> None:
        """Give writing back: see `Journal.release`."""
        await self._ask(scripts.release_command(self._keys, epoch=epoch))

    async def read(self, after: dict[str, int]) -> AsyncIterator[Record]:
        """Records past the positions given, in order of append: see `Journal.read`.

        Reading on from where this journal has read to costs nothing for what lies before.
        """
        await self._check_kept(after)
        read_to, place = self._read_up_to
        if read_to != after:
            place = _EMPTY
        elif place.epoch:
            await self._check_same(place)
        positions = dict(after)
        while True:
            page = await self._ask(
                ("XRANGE", self._keys.records, f"({place.sequence}-0", "+", "COUNT", _PAGE_RECORDS), durable=False
            )
            for entry_id, fields in page:
                place, record = self._codec.decode(entry_id, fields)
                if record.position <= after.get(record.stream, 0):
                    continue
                expected = positions.get(record.stream, 0) + 1
                if record.position != expected:
                    raise CorruptJournalError(f"{self._address}: {record.stream}: position {expected} is missing")
                positions[record.stream] = record.position
                yield record
            if not page:
                self._read_up_to = (positions, place)
                return

    async def kept_after(self) -> dict[str, int]:
        """Where the stream was cut off: see `Journal.kept_after`."""
        base = await self._ask(("HGET", self._keys.journal, "base"), durable=False)
        return {} if base is None else self._decode_positions(base)

    async def save_snapshot(self, epoch: int, snapshot: Snapshot) -> None:
        """Keep a snapshot and cut the stream off behind it: see `Journal.save_snapshot`."""
        command = scripts.snapshot_command(
            self._keys,
            epoch=epoch,
            positions=self._json.encode(snapshot.positions),
            sequence=sum(snapshot.positions.values()),
            state=snapshot.state,
            keep_records=self._keep_records,
        )
        answer = await self._ask(command)
        if answer[0] == b"stale":
            raise _stale(epoch, int(answer[1]))
        if answer[0] == b"rewound":
            raise RewoundJournalError(f"{self._address}: the snapshot contains records that the store has not")

    async def latest_snapshot(self) -> Snapshot | None:
        """The newest snapshot, or None: see `Journal.latest_snapshot`."""
        positions, state = await self._ask(("HMGET", self._keys.snapshot, "positions", "state"), durable=False)
        if positions is None or state is None:
            return None
        snapshot = Snapshot(positions=self._decode_positions(positions), state=state)
        # Whoever folds it reads on from there next.
        self._read_up_to = (snapshot.positions, Place(sequence=sum(snapshot.positions.values()), epoch=0))
        return snapshot

    async def begin_fill(self, after: dict[str, int]) -> None:
        """Begin a copy: see `Journal.begin_fill`."""
        self._sequence = sum(after.values())
        command = scripts.begin_fill_command(self._keys, positions=self._json.encode(after), sequence=self._sequence)
        if (await self._ask(command))[0] != b"filling":
            raise NotEmptyJournalError(f"{self._address}: the target holds a journal already; nothing was changed")

    async def fill(self, records: Sequence[Record]) -> None:
        """Write records as they are: see `Journal.fill`."""
        fields = self._codec.encode_records(records)
        answer = await self._ask(scripts.fill_command(self._keys, sequence=self._sequence, fields=fields))
        if answer[0] != b"filled":
            raise JournalError(f"{self._address}: the copy cannot go on: {answer[0].decode()}")
        self._sequence = int(answer[1])

    async def finish_fill(self, epoch: int, snapshot: Snapshot | None) -> None:
        """End a copy: see `Journal.finish_fill`."""
        command = scripts.finish_fill_command(
            self._keys,
            epoch=epoch,
            positions=b"" if snapshot is None else self._json.encode(snapshot.positions),
            sequence=0 if snapshot is None else sum(snapshot.positions.values()),
            state=b"" if snapshot is None else snapshot.state,
        )
        if (await self._ask(command))[0] != b"whole":
            raise JournalError(f"{self._address}: no copy into this journal was begun")

    async def close(self) -> None:
        """Write what waits and close the connections; a second call does nothing."""
        self._closed = True
        await self._appends.drained()
        await self._appending.close()
        await self._asking.close()

    def _unfinished(self) -> JournalError:
        return JournalError(f"{self._address}: a copy into this journal was not finished; remove its keys, copy again")

    def _check_open(self) -> None:
        if self._closed:
            raise JournalError(f"{self._address}: the journal is closed")

    async def _ask(self, command: scripts.Command, *, durable: bool = True, link: Link | None = None) -> Any:
        self._check_open()
        return await (link or self._asking).ask(command, durable=durable, at_least=self._epoch)

    async def _write(self, epoch: int, fields: list[scripts.Argument]) -> None:
        """Write one group; see `AppendQueue`."""
        self._append_count += 1
        command = scripts.append_command(
            self._keys,
            epoch=epoch,
            append_id=f"{self._holder}:{self._append_count}",
            sequence=self._sequence,
            fields=fields,
        )
        answer = await self._appending.ask(command, durable=True)
        newest = int(answer[1])
        if answer[0] == b"stale":
            raise _stale(epoch, newest)
        if answer[0] == b"rewound":
            raise RewoundJournalError(
                f"{self._address}: it holds {newest} records where {self._sequence} were known: an append that had "
                "failed arrived late, or the store has lost some"
            )
        self._sequence = newest

    async def _check_kept(self, after: Mapping[str, int]) -> None:
        for stream, position in (await self.kept_after()).items():
            first = after.get(stream, 0) + 1
            if first <= position:
                raise CorruptJournalError(
                    f"{self._address}: {stream}: position {first} is missing: records up to {position} were cut off"
                )

    async def _check_same(self, place: Place) -> None:
        """Check that the last record that was read is still the same: then all before it are."""
        entry_id = f"{place.sequence}-0"
        found = await self._ask(("XRANGE", self._keys.records, entry_id, entry_id), durable=False)
        if found and self._codec.decode(*found[0])[0] == place:
            return
        raise RewoundJournalError(
            f"{self._address}: record {place.sequence} of epoch {place.epoch} is not there any more"
        )

    def _decode_positions(self, data: bytes) -> dict[str, int]:
        try:
            return msgspec.json.decode(data, type=dict[str, int])
        except msgspec.MsgspecError as error:
            raise CorruptJournalError(f"{self._address}: the snapshot's positions do not decode: {error}") from error


def _stale(epoch: int, newest: int) -> StaleEpochError:
    return StaleEpochError(f"epoch {epoch} was replaced by {newest}: another writer took over")
