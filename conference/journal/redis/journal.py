"""The journal for many machines: `conference.journal.contract.Journal` on Redis.

All records stand in one stream in the order of their append; the writer's epoch is checked in the script that appends
them, so that a leader that was overtaken writes nothing, however late its words arrive. What a snapshot contains is
cut off the stream beyond `keep_records`, so that memory stays bounded.

A partition is the same once more under keys of its own: another stream, another writer, another epoch. A journal that
is not for a partition reads all of them behind its own stream.

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
    JournalError,
    NotEmptyJournalError,
    RewoundJournalError,
    StaleEpochError,
)
from conference.events import is_partition
from conference.journal.contract import Entry, Record, Snapshot, Writer
from conference.journal.redis import scripts
from conference.journal.redis.address import RedisAddress
from conference.journal.redis.appends import AppendQueue
from conference.journal.redis.entries import EntryCodec, Place
from conference.journal.redis.link import Durability, Link, Trust
from conference.journal.redis.reading import RecordReader, decode_positions

DEFAULT_NAME = "diemcau"
DEFAULT_KEEP_RECORDS = 100_000
# Longer than a stall that heals by itself, shorter than anybody waits for an answer.
DEFAULT_TIMEOUT_S = 4.0
_EMPTY = Place(sequence=0, epoch=0)


class RedisJournal:
    """`conference.journal.contract.Journal` on Redis.

    Nothing is connected before the first call. A failed call leaves the journal usable.

    Args:
        address: where the master is.
        holder: who this is, for people who look who writes; it is made unique.
        name: of the journal, if several share a Redis; the hash tag of its keys.
        partition: stream of attendance that this journal is for (`events.partition_of`); "" for the journal itself.
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
        partition: str = "",
        trust: Trust | None = None,
        durability: Durability | None = None,
        keep_records: int = DEFAULT_KEEP_RECORDS,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self._address = address
        self._holder = f"{holder}#{uuid4().hex[:12]}"
        self._name = name
        self._keys = scripts.keys_of(name, partition)
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
        self._codec = EntryCodec(partition)
        self._reader = self._reader_of(self._keys)
        self._partitions: dict[str, RecordReader] = {}
        self._json = msgspec.json.Encoder(order="sorted")
        self._appends = AppendQueue(self._write)
        self._opening = asyncio.Lock()
        self._epoch = 0
        self._sequence = 0
        self._append_count = 0
        self._filled: dict[str, Place] = {}  # how far a copy into this journal is, by partition ("": its own streams)
        self._closed = False

    async def writer(self) -> Writer:
        """Who writes now: see `Journal.writer`."""
        wanted = ("HMGET", self._keys.journal, "epoch", "holder", "pulse", "address", "filling")
        epoch, holder, pulse, address, filling = await self._ask(wanted)
        if filling is not None:
            raise self._unfinished()
        return Writer(
            epoch=int(epoch or 0),
            holder=(holder or b"").decode(errors="replace"),
            pulse=int(pulse or 0),
            address=(address or b"").decode(errors="replace"),
        )

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
        """Give a sign of life: see `Journal.renew`. A master that was cut off from its replicas confirms none."""
        answer = await self._ask(scripts.renew_command(self._keys, epoch=epoch))
        if answer[0] == b"stale":
            raise _stale(epoch, int(answer[1]))

    async def release(self, epoch: int) -> None:
        """Give writing back: see `Journal.release`."""
        await self._ask(scripts.release_command(self._keys, epoch=epoch))

    async def announce(self, epoch: int, address: str) -> None:
        """Say where the writer is reached: see `Journal.announce`."""
        answer = await self._ask(scripts.announce_command(self._keys, epoch=epoch, address=address))
        if answer[0] == b"stale":
            raise _stale(epoch, int(answer[1]))

    async def read(self, after: dict[str, int]) -> AsyncIterator[Record]:
        """Records past the positions given: see `Journal.read`.

        Reading on from where this journal has read to costs nothing for what lies before.
        """
        own = _of_partitions(after, wanted=False) if not self._keys.stream else after
        async for record in self._reader.read(own):
            yield record
        if not self._keys.stream:
            async for record in self._read_partitions(after, check=True):
                yield record

    async def read_partitions(self, after: dict[str, int]) -> AsyncIterator[Record]:
        """Records of partitions alone: see `Journal.read_partitions`."""
        async for record in self._read_partitions(after, check=not self._epoch):
            yield record

    async def _read_partitions(self, after: Mapping[str, int], *, check: bool) -> AsyncIterator[Record]:
        heads = await self._heads()
        for stream in sorted(heads.keys() | _of_partitions(after, wanted=True)):
            position, head = after.get(stream, 0), heads.get(stream, 0)
            if head < position:
                raise RewoundJournalError(f"{self._address}: {stream}: record {position} is not there any more")
            if head == position and not check:
                continue
            reader = self._partitions.get(stream)
            if reader is None:
                reader = self._partitions[stream] = self._reader_of(scripts.keys_of(self._name, stream))
            if reader.place.sequence != position:
                reader.begin_after({stream: position})
            async for record in reader.read({stream: position}, durable=self._epoch > 0, check=check):
                yield record

    async def _heads(self) -> dict[str, int]:
        """The last position of each partition."""
        flat = await self._ask(("HGETALL", self._keys.partitions), durable=False)
        return {stream.decode(): int(position) for stream, position in zip(flat[::2], flat[1::2], strict=True)}

    async def kept_after(self) -> dict[str, int]:
        """Where the streams were cut off: see `Journal.kept_after`."""
        kept = await self._reader.kept_after()
        if not self._keys.stream:
            for stream in await self._heads():
                kept |= await self._reader_of(scripts.keys_of(self._name, stream)).kept_after()
        return kept

    async def save_snapshot(self, epoch: int, snapshot: Snapshot) -> None:
        """Keep a snapshot and cut the stream off behind it: see `Journal.save_snapshot`."""
        own, partitions = (_of_partitions(snapshot.positions, wanted=wanted) for wanted in (False, True))
        command = scripts.snapshot_command(
            self._keys,
            epoch=epoch,
            positions=self._json.encode(snapshot.positions),
            own_positions=self._json.encode(own),
            sequence=sum(own.values()),
            state=snapshot.state,
            keep_records=self._keep_records,
            partitions=[(scripts.keys_of(self._name, stream), at) for stream, at in sorted(partitions.items())],
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
        snapshot = Snapshot(positions=decode_positions(positions, str(self._address)), state=state)
        # Whoever folds it reads on from there next.
        self._reader.begin_after(_of_partitions(snapshot.positions, wanted=False))
        return snapshot

    async def begin_fill(self, after: dict[str, int]) -> None:
        """Begin a copy: see `Journal.begin_fill`."""
        if await self._heads():
            raise self._not_empty()
        own = _of_partitions(after, wanted=False)
        self._filled = {}
        await self._begin_fill("", own)
        for stream, position in _of_partitions(after, wanted=True).items():
            await self._begin_fill(stream, {stream: position})

    async def _begin_fill(self, stream: str, after: dict[str, int]) -> None:
        """Begin to copy the journal's own streams ("") or a partition."""
        keys = scripts.keys_of(self._name, stream)
        sequence = sum(after.values())
        command = scripts.begin_fill_command(keys, positions=self._json.encode(after), sequence=sequence)
        if (await self._ask(command))[0] != b"filling":
            raise self._not_empty()
        self._filled[stream] = Place(sequence=sequence, epoch=0)

    async def fill(self, records: Sequence[Record]) -> None:
        """Write records as they are: see `Journal.fill`."""
        pages: dict[str, list[Record]] = {}
        for record in records:
            pages.setdefault(record.stream if is_partition(record.stream) else "", []).append(record)
        for stream, page in pages.items():
            if stream and stream not in self._filled:
                await self._begin_fill(stream, {})
            place = self._filled.get(stream, _EMPTY)
            command = scripts.fill_command(
                scripts.keys_of(self._name, stream), sequence=place.sequence, fields=self._codec.encode_records(page)
            )
            answer = await self._ask(command)
            if answer[0] != b"filled":
                raise JournalError(f"{self._address}: the copy cannot go on: {answer[0].decode()}")
            self._filled[stream] = Place(sequence=int(answer[1]), epoch=page[-1].epoch)

    async def finish_fill(self, epoch: int, snapshot: Snapshot | None) -> None:
        """End a copy: see `Journal.finish_fill`."""
        for stream, place in self._filled.items():
            if stream:
                await self._finish_fill(stream, place.epoch, None)
        await self._finish_fill("", epoch, snapshot)

    async def _finish_fill(self, stream: str, epoch: int, snapshot: Snapshot | None) -> None:
        own = {} if snapshot is None else _of_partitions(snapshot.positions, wanted=False)
        command = scripts.finish_fill_command(
            scripts.keys_of(self._name, stream),
            epoch=epoch,
            positions=b"" if snapshot is None else self._json.encode(snapshot.positions),
            own_positions=self._json.encode(own),
            sequence=sum(own.values()),
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

    def _not_empty(self) -> NotEmptyJournalError:
        return NotEmptyJournalError(f"{self._address}: the target holds a journal already; nothing was changed")

    def _reader_of(self, keys: scripts.Keys) -> RecordReader:
        return RecordReader(keys, self._ask, self._codec, str(self._address))

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


def _of_partitions(positions: Mapping[str, int], *, wanted: bool) -> dict[str, int]:
    """The positions of partitions, or those of the writer's own streams."""
    return {stream: position for stream, position in positions.items() if is_partition(stream) == wanted}


def _stale(epoch: int, newest: int) -> StaleEpochError:
    return StaleEpochError(f"epoch {epoch} was replaced by {newest}: another writer took over")
