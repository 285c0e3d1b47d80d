"""Reading one Redis stream of records, from where it was read to before.

Whoever follows a journal reads it again and again. What lies before is not read twice, and it is noticed when the
store no longer has what was read last: a failover may lose what no replica had.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec

from conference.errors import CorruptJournalError, RewoundJournalError
from conference.journal.contract import Record
from conference.journal.redis import scripts
from conference.journal.redis.entries import EntryCodec, Place

Ask = Callable[..., Awaitable[Any]]

# redis-py takes about 40 us for a record, and the loop has no turn meanwhile.
PAGE_RECORDS = 500
_BEGINNING = Place(sequence=0, epoch=0)


class RecordReader:
    """Reads the records of a journal's own streams, or those of one partition.

    Args:
        keys: where they are.
        ask: asks the store a command; `durable=True` waits until what the answer tells cannot be lost.
        codec: decodes.
        source: the store's address, for errors.
    """

    def __init__(self, keys: scripts.Keys, ask: Ask, codec: EntryCodec, source: str) -> None:
        self._keys = keys
        self._ask = ask
        self._codec = codec
        self._source = source
        self._read_up_to: tuple[Mapping[str, int], Place] = ({}, _BEGINNING)

    @property
    def place(self) -> Place:
        """Number and epoch of the record that was read last."""
        return self._read_up_to[1]

    def begin_after(self, positions: Mapping[str, int]) -> None:
        """Begin behind a snapshot with these positions, which are those of a moment."""
        self._read_up_to = (positions, Place(sequence=sum(positions.values()), epoch=0))

    async def read(
        self, after: Mapping[str, int], *, durable: bool = False, check: bool = True
    ) -> AsyncIterator[Record]:
        """Records past the positions given, in the order of their append.

        Args:
            after: of the streams of this reader alone.
            durable: give only what cannot be lost any more.
            check: whether what was read last is still there; unless all that was read was durable.

        Raises:
            CorruptJournalError: a record does not decode or is missing.
            RewoundJournalError: what this reader has read up to `after` is not there any more.
            JournalError: the store cannot be read.
        """
        await self._check_kept(after)
        read_to, place = self._read_up_to
        if read_to != after:
            place = _BEGINNING
        elif place.epoch and check:
            await self._check_same(place)
        positions = dict(after)
        while True:
            command = scripts.read_command(self._keys, after=place.sequence, count=PAGE_RECORDS, durable=durable)
            page = await self._ask(command, durable=durable)
            for entry_id, fields in page:
                place, record = self._codec.decode(entry_id, fields)
                if record.position <= after.get(record.stream, 0):
                    continue
                expected = positions.get(record.stream, 0) + 1
                if record.position != expected:
                    raise CorruptJournalError(f"{self._source}: {record.stream}: position {expected} is missing")
                positions[record.stream] = record.position
                yield record
            if len(page) < PAGE_RECORDS:
                self._read_up_to = (positions, place)
                return

    async def kept_after(self) -> dict[str, int]:
        """The positions behind which all records are kept."""
        base = await self._ask(("HGET", self._keys.journal, "base"), durable=False)
        return {} if base is None else decode_positions(base, self._source)

    async def _check_kept(self, after: Mapping[str, int]) -> None:
        for stream, position in (await self.kept_after()).items():
            first = after.get(stream, 0) + 1
            if first <= position:
                raise CorruptJournalError(
                    f"{self._source}: {stream}: position {first} is missing: records up to {position} were cut off"
                )

    async def _check_same(self, place: Place) -> None:
        """Check that the last record that was read is still the same: then all before it are."""
        entry_id = f"{place.sequence}-0"
        found = await self._ask(("XRANGE", self._keys.records, entry_id, entry_id), durable=False)
        if found and self._codec.decode(*found[0])[0] == place:
            return
        raise RewoundJournalError(
            f"{self._source}: record {place.sequence} of epoch {place.epoch} is not there any more"
        )


def decode_positions(data: bytes, source: str) -> dict[str, int]:
    """Positions by stream, from JSON.

    Raises:
        CorruptJournalError: they are none.
    """
    try:
        return msgspec.json.decode(data, type=dict[str, int])
    except msgspec.MsgspecError as error:
        raise CorruptJournalError(f"{source}: positions do not decode: {error}") from error
