from __future__ import annotations

import pytest

from conference.errors import CorruptJournalError, JournalError
from conference.events import HallLeft
from conference.journal.contract import Entry, Record
from conference.journal.redis.entries import EntryCodec, Place

LEFT = HallLeft(conference_id="c", hall_id="điểm cầu 1")


def stored(**changes: bytes) -> list[bytes]:
    """Names and values of an entry as the server answers."""
    fields = {"s": b"control", "p": b"3", "e": b"2", "t": b"17", "a": "user:lân".encode()}
    fields["v"] = EntryCodec().encode([Entry(at_ms=17, actor="x", event=LEFT)])[3]  # type: ignore[assignment] # bytes
    fields |= changes
    return [part for name, value in fields.items() for part in (name.encode(), value)]


def test_an_entry_comes_back_as_it_was() -> None:
    """Number, epoch, stream, position, time, actor and event."""
    assert EntryCodec().decode(b"7-0", stored()) == (
        Place(sequence=7, epoch=2),
        Record(stream="control", position=3, epoch=2, at_ms=17, actor="user:lân", event=LEFT),
    )


@pytest.mark.parametrize("changes", [{"p": b"x"}, {"v": b"{}"}, {"v": b"\xff"}, {"a": b"\xff"}, {"t": b""}], ids=str)
def test_what_is_no_record_is_named(changes: dict[str, bytes]) -> None:
    """Damage raises the journal's error, with the entry's id."""
    with pytest.raises(CorruptJournalError, match="entry 7-0"):
        EntryCodec().decode(b"7-0", stored(**changes))
    with pytest.raises(CorruptJournalError, match="entry 7-0"):
        EntryCodec().decode(b"7-0", [b"s"])


@pytest.mark.parametrize(
    "entry", [Entry(at_ms=2**63, actor="x", event=LEFT), Entry(at_ms=1, actor="\ud800", event=LEFT)]
)
def test_what_another_store_could_not_keep_is_refused(entry: Entry) -> None:
    """A time beyond 64 bits and text that is no text are refused before anything is sent."""
    with pytest.raises(JournalError, match="does not encode"):
        EntryCodec().encode([entry])
