"""Records as entries of a Redis stream, and back. Pure.

The event is JSON text, so that the journal can be audited with `redis-cli` alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from conference.errors import CorruptJournalError, JournalError
from conference.events import CONTROL, Event, stream_of
from conference.journal.contract import Entry, Record
from conference.journal.redis.scripts import Argument

_INT64 = range(-(2**63), 2**63)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A record's place among those of all streams.

    Attributes:
        sequence: its number, from 1.
        epoch: of its writer, or 0 where that is not known. A store that lost records and got others instead has
            another epoch at the same number.
    """

    sequence: int
    epoch: int


class EntryCodec:
    """Encodes entries and decodes records.

    Args:
        partition: the stream that all entries go to, which are then of attendance; "" for those of their events.
    """

    def __init__(self, partition: str = "") -> None:
        self._partition = partition
        self._encoder = msgspec.json.Encoder()
        self._decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)

    def encode(self, entries: Sequence[Entry]) -> list[Argument]:
        """Stream, at_ms, actor and event of each entry, for `scripts.append_command`.

        Raises:
            JournalError: one does not encode, or does not belong into the partition.
        """
        fields: list[Argument] = []
        try:
            for entry in entries:
                if entry.at_ms not in _INT64:
                    raise JournalError("an event does not encode: its time is beyond 64 bits")
                stream, actor = stream_of(entry.event), entry.actor.encode()
                if self._partition and stream == CONTROL:
                    raise JournalError(f"{type(entry.event).__name__} is no event of attendance")
                fields += (self._partition or stream, entry.at_ms, actor, self._encoder.encode(entry.event))
        except (ValueError, TypeError) as error:  # a lone surrogate, an integer beyond 64 bits
            raise JournalError(f"an event does not encode: {error}") from error
        return fields

    def encode_records(self, records: Sequence[Record]) -> list[Argument]:
        """Stream, position, epoch, at_ms, actor and event of each record, for `scripts.fill_command`."""
        return [
            field
            for each in records
            for field in (
                *(each.stream, each.position, each.epoch, each.at_ms, each.actor.encode()),
                self._encoder.encode(each.event),
            )
        ]

    def decode(self, entry_id: bytes, fields: Sequence[bytes]) -> tuple[Place, Record]:
        """A record and its place.

        Args:
            entry_id: `<sequence>-0`.
            fields: names and values in turn, as XRANGE answers.

        Raises:
            CorruptJournalError: this is no record; names the entry.
        """
        try:
            found = dict(zip(fields[::2], fields[1::2], strict=True))
            record = Record(
                stream=found[b"s"].decode(),
                position=int(found[b"p"]),
                epoch=int(found[b"e"]),
                at_ms=int(found[b"t"]),
                actor=found[b"a"].decode(),
                event=self._decoder.decode(found[b"v"]),
            )
            sequence = int(entry_id.partition(b"-")[0])
        except (KeyError, ValueError, TypeError, msgspec.MsgspecError) as error:
            raise CorruptJournalError(f"entry {entry_id.decode(errors='replace')} does not decode: {error}") from error
        return Place(sequence=sequence, epoch=record.epoch), record
