"""What every journal promises (`conference.journal.contract`), whatever its store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from conference.errors import JournalError, StaleEpochError
from conference.events import ATTENDANCE, CONTROL, Event, HallLeft, HeadcountReported
from conference.journal.contract import Entry, Journal, Record, Snapshot


def left(number: int) -> Entry:
    """An entry of the control stream."""
    return Entry(at_ms=number, actor=f"hall:h{number}", event=HallLeft(conference_id="c", hall_id=f"h{number}"))


def counted(number: int) -> Entry:
    """An entry of the attendance stream."""
    event: Event = HeadcountReported(
        conference_id="c", hall_id=f"h{number}", summoned=90, present=80, excused=0, unexcused=0, exempt=0, note="Đủ"
    )
    return Entry(at_ms=number, actor="user:an", event=event)


async def all_of(journal: Journal, after: dict[str, int] | None = None) -> list[Record]:
    """Every record past the positions given."""
    return [record async for record in journal.read(after or {})]


async def test_what_was_appended_is_read_again(journal: Journal) -> None:
    """Entries come back with stream, position from 1, epoch, time, actor and event, in the order of append."""
    epoch = await journal.open_writer()
    await journal.append(epoch, [left(1), counted(2), left(3)])
    records = await all_of(journal)
    assert [(r.stream, r.position) for r in records] == [(CONTROL, 1), (ATTENDANCE, 1), (CONTROL, 2)]
    assert [(r.at_ms, r.actor, r.event) for r in records] == [
        (entry.at_ms, entry.actor, entry.event) for entry in (left(1), counted(2), left(3))
    ]
    assert {r.epoch for r in records} == {epoch}


async def test_reading_starts_past_the_positions_given(journal: Journal) -> None:
    """`read(after)` gives the tail of each stream, and the whole of one that is not named."""
    epoch = await journal.open_writer()
    await journal.append(epoch, [left(1), counted(2), left(3), counted(4)])
    assert [r.at_ms for r in await all_of(journal, {CONTROL: 1})] == [2, 3, 4]
    assert [r.at_ms for r in await all_of(journal, {CONTROL: 2, ATTENDANCE: 1})] == [4]
    assert await all_of(journal, {CONTROL: 2, ATTENDANCE: 2}) == []


async def test_a_journal_longer_than_a_page_is_read_in_order(journal: Journal) -> None:
    """5,000 records come back complete and in order."""
    epoch = await journal.open_writer()
    await journal.append(epoch, [left(number) for number in range(5_000)])
    assert [r.at_ms for r in await all_of(journal)] == list(range(5_000))


async def test_concurrent_appends_keep_their_own_order(journal: Journal) -> None:
    """Appends at the same moment may interleave, but each stays together and positions have no gap."""
    epoch = await journal.open_writer()
    await asyncio.gather(*(journal.append(epoch, [left(n * 10 + k) for k in range(3)]) for n in range(200)))
    records = await all_of(journal)
    assert [r.position for r in records] == list(range(1, 601))
    for start in range(0, 600, 3):
        first = records[start].at_ms
        assert [r.at_ms for r in records[start : start + 3]] == [first, first + 1, first + 2]


async def test_each_writer_has_a_greater_epoch(open_journal: Callable[[], Journal]) -> None:
    """Epochs grow across processes and restarts."""
    first, second = open_journal(), open_journal()
    epochs = [await first.open_writer(), await second.open_writer(), await first.open_writer()]
    assert epochs == sorted(set(epochs))


async def test_a_stale_writer_is_refused(open_journal: Callable[[], Journal]) -> None:
    """After a takeover the older writer can append nothing, the newer one everything."""
    old, new = open_journal(), open_journal()
    stale = await old.open_writer()
    await old.append(stale, [left(1)])
    epoch = await new.open_writer()
    with pytest.raises(StaleEpochError):
        await old.append(stale, [left(2)])
    await new.append(epoch, [left(3)])
    assert [r.at_ms for r in await all_of(old)] == [1, 3]


async def test_a_writer_may_be_succeeded_only_once(open_journal: Callable[[], Journal]) -> None:
    """Of those who would take over from the same epoch one does; the others learn that they were too late."""
    first, second, third = open_journal(), open_journal(), open_journal()
    seen = await first.open_writer()
    results = await asyncio.gather(
        second.open_writer(after=seen), third.open_writer(after=seen), return_exceptions=True
    )
    assert sorted(str(type(result).__name__) for result in results) == ["StaleEpochError", "int"]
    with pytest.raises(StaleEpochError):
        await first.open_writer(after=seen)
    newest = (await first.writer()).epoch
    assert newest in results
    assert await first.open_writer(after=newest) > newest


async def test_a_sign_of_life_is_taken_from_the_newest_writer_alone(open_journal: Callable[[], Journal]) -> None:
    """`renew` tells an older writer that it was replaced; giving back an older epoch changes nothing."""
    old, new = open_journal(), open_journal()
    stale = await old.open_writer()
    await old.renew(stale)
    epoch = await new.open_writer()
    with pytest.raises(StaleEpochError):
        await old.renew(stale)
    before = await new.writer()
    await old.release(stale)
    assert await new.writer() == before
    await new.renew(epoch)
    await new.release(epoch)
    assert (await new.writer()).holder == ""


async def test_a_stale_writer_keeps_no_snapshot(open_journal: Callable[[], Journal]) -> None:
    """What an overtaken writer believes is no snapshot of the journal."""
    old, new = open_journal(), open_journal()
    stale = await old.open_writer()
    await new.open_writer()
    with pytest.raises(StaleEpochError):
        await old.save_snapshot(stale, Snapshot(positions={}, state=b"old"))
    assert await new.latest_snapshot() is None


async def test_a_reader_follows_a_writer(open_journal: Callable[[], Journal]) -> None:
    """Another process reads on from where it was, each time, without what it has."""
    writer, reader = open_journal(), open_journal()
    epoch = await writer.open_writer()
    positions: dict[str, int] = {}
    for round_ in range(5):
        await writer.append(epoch, [left(round_), counted(round_)])
        records = await all_of(reader, positions)
        assert [r.at_ms for r in records] == [round_, round_]
        positions |= {record.stream: record.position for record in records}
    assert await all_of(reader, positions) == []


async def test_what_follows_a_snapshot_is_read_from_there(open_journal: Callable[[], Journal]) -> None:
    """After a start: the snapshot, and exactly the records past its positions."""
    writer = open_journal()
    epoch = await writer.open_writer()
    await writer.append(epoch, [left(1), counted(2), left(3), counted(4), left(5)])
    await writer.save_snapshot(epoch, Snapshot(positions={CONTROL: 2, ATTENDANCE: 1}, state=b"3"))
    reader = open_journal()
    snapshot = await reader.latest_snapshot()
    assert snapshot is not None
    assert [r.at_ms for r in await all_of(reader, snapshot.positions)] == [4, 5]
    assert [r.at_ms for r in await all_of(reader)] == [1, 2, 3, 4, 5]
    assert await reader.kept_after() == {}


async def test_a_stale_append_beside_good_ones_is_refused_alone(journal: Journal) -> None:
    """Of appends that wait together only that with the stale epoch fails."""
    stale = await journal.open_writer()
    epoch = await journal.open_writer()
    results = await asyncio.gather(
        journal.append(epoch, [left(1)]),
        journal.append(stale, [left(2)]),
        journal.append(epoch, [left(3)]),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), StaleEpochError, type(None)]
    assert [r.at_ms for r in await all_of(journal)] == [1, 3]


async def test_an_append_is_written_wholly_or_not_at_all(journal: Journal) -> None:
    """One entry that cannot be stored keeps all entries of its append out, and no other append."""
    epoch = await journal.open_writer()
    impossible = Entry(at_ms=2**80, actor="test", event=left(2).event)
    results = await asyncio.gather(
        journal.append(epoch, [left(1)]),
        journal.append(epoch, [left(2), impossible, left(3)]),
        journal.append(epoch, [left(4)]),
        return_exceptions=True,
    )
    assert isinstance(results[1], JournalError)
    assert [r.at_ms for r in await all_of(journal)] == [1, 4]


async def test_the_newest_snapshot_comes_back(open_journal: Callable[[], Journal]) -> None:
    """A snapshot survives a new start byte for byte; before the first there is none."""
    journal = open_journal()
    assert await journal.latest_snapshot() is None
    epoch = await journal.open_writer()
    for number in range(4):
        await journal.save_snapshot(epoch, Snapshot(positions={CONTROL: number}, state=bytes([number, 0, 255])))
        await journal.append(epoch, [left(number)])
    await journal.close()
    assert await open_journal().latest_snapshot() == Snapshot(positions={CONTROL: 3}, state=bytes([3, 0, 255]))


async def test_an_empty_journal_reads_as_empty(journal: Journal) -> None:
    """Nothing was written, nothing is read."""
    assert await all_of(journal) == []


async def test_nothing_is_taken_after_closing(journal: Journal) -> None:
    """An append to a closed journal raises; a second close does nothing."""
    epoch = await journal.open_writer()
    await journal.close()
    await journal.close()
    with pytest.raises(JournalError):
        await journal.append(epoch, [left(1)])
