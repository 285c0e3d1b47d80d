"""Copying a journal from any store to any other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Literal

import pytest

from conference.errors import CorruptJournalError, JournalError, NotEmptyJournalError
from conference.events import ATTENDANCE, CONTROL, ConferenceCreated, HallLeft, HeadcountReported
from conference.journal.contract import Entry, Journal, Record, Snapshot
from conference.journal.copying import copy_journal
from conference.journal_fold import fold_journal
from conference.policy import Policy
from conference.snapshot import encode_state, fingerprint

StoreKind = Literal["sqlite", "redis"]
OpenJournal = Callable[[], Journal]
NewStore = Callable[[StoreKind], OpenJournal]
KINDS = ["sqlite", pytest.param("redis", marks=pytest.mark.integration)]

pytestmark = [
    pytest.mark.parametrize("source_kind", KINDS),
    pytest.mark.parametrize("target_kind", KINDS),
]


def entries(count: int) -> list[Entry]:
    """Events of both streams."""
    return [
        Entry(
            at_ms=number,
            actor="user:lân",
            event=ConferenceCreated(conference_id=f"c{number}", title="Hội nghị", feeds=["program"])
            if number % 3
            else HeadcountReported(
                conference_id="c1", hall_id="h", summoned=9, present=8, excused=1, unexcused=0, exempt=0, note=""
            ),
        )
        for number in range(count)
    ]


async def records_of(journal: Journal, after: dict[str, int] | None = None) -> list[Record]:
    """Every record past the positions."""
    return [record async for record in journal.read(after or {})]


async def written(journal: Journal, count: int, *, snapshot_after: int = 0) -> int:
    """A journal with content, and perhaps a snapshot within; returns the epoch."""
    await journal.open_writer()
    epoch = await journal.open_writer()
    content = entries(count)
    await journal.append(epoch, content[:snapshot_after])
    if snapshot_after:
        fold = await fold_journal(journal, Policy())
        await journal.save_snapshot(epoch, Snapshot(positions=fold.positions, state=encode_state(fold.state)))
    await journal.append(epoch, content[snapshot_after:])
    return epoch


async def test_a_copy_holds_the_same_and_goes_on(
    new_store: NewStore, source_kind: StoreKind, target_kind: StoreKind
) -> None:
    """Records, snapshot and state are equal; the next append follows, with a greater epoch."""
    source, open_target = new_store(source_kind)(), new_store(target_kind)
    epoch = await written(source, 2_500, snapshot_after=1_000)
    told: list[int] = []
    base = await source.kept_after()
    report = await copy_journal(source, open_target(), told.append)
    target = open_target()
    assert await records_of(target, base) == await records_of(source, base)
    assert await target.latest_snapshot() == await source.latest_snapshot()
    assert report.records == told[-1] == 2_500 - sum(base.values())
    assert report.state_sha256 == fingerprint((await fold_journal(target, Policy())).state)
    later = await target.open_writer()
    assert later > epoch
    await target.append(later, entries(2))
    after = [(each.stream, each.position) for each in (await records_of(target, report.positions))]
    assert after == [(ATTENDANCE, report.positions[ATTENDANCE] + 1), (CONTROL, report.positions[CONTROL] + 1)]


async def test_a_copy_of_what_was_cut_off_begins_where_that_does(
    new_store: NewStore, source_kind: StoreKind, target_kind: StoreKind
) -> None:
    """Where the source has only a snapshot of the beginning the target says so, and never folds from nothing."""
    source, open_target = new_store(source_kind)(), new_store(target_kind)
    epoch = await written(source, 300, snapshot_after=290)
    fold = await fold_journal(source, Policy())
    await source.save_snapshot(epoch, Snapshot(positions=fold.positions, state=encode_state(fold.state)))
    base = await source.kept_after()
    assert bool(base) == (source_kind == "redis")
    await copy_journal(source, open_target())
    target = open_target()
    assert await target.kept_after() == base
    await target.append(await target.open_writer(), entries(1))
    assert len(await records_of(target, base)) == 301 - sum(base.values())
    if base:
        with pytest.raises(CorruptJournalError, match="is missing"):
            await records_of(target)


async def test_a_copy_may_leave_old_records_out(
    new_store: NewStore, source_kind: StoreKind, target_kind: StoreKind
) -> None:
    """What is older is in no record of the copy, and what came of it is in its state; the next append follows."""
    source, open_target = new_store(source_kind)(), new_store(target_kind)
    await written(source, 300)
    state = fingerprint((await fold_journal(source, Policy())).state)
    report = await copy_journal(source, open_target(), without_before_ms=200)
    target = open_target()
    kept = await records_of(target, await target.kept_after())
    assert [record.at_ms for record in sorted(kept, key=lambda record: record.at_ms)] == list(range(200, 300))
    assert report.records == 100
    assert fingerprint((await fold_journal(target, Policy())).state) == report.state_sha256 == state
    await target.append(await target.open_writer(), entries(2))
    assert len(await records_of(target, report.positions)) == 2
    with pytest.raises(CorruptJournalError, match="is missing"):
        await records_of(target)


async def test_a_copy_may_hold_a_snapshot_alone(
    new_store: NewStore, source_kind: StoreKind, target_kind: StoreKind
) -> None:
    """Where all records are old the copy begins with its snapshot, and goes on behind it."""
    source, open_target = new_store(source_kind)(), new_store(target_kind)
    await written(source, 30)
    report = await copy_journal(source, open_target(), without_before_ms=1_000)
    assert report.records == 0
    target = open_target()
    await target.append(await target.open_writer(), entries(2))
    assert len(await records_of(target, report.positions)) == 2
    assert len((await fold_journal(open_target(), Policy())).state.conferences) == 20


async def test_a_target_that_holds_something_is_left_alone(
    new_store: NewStore, source_kind: StoreKind, target_kind: StoreKind
) -> None:
    """Records, a snapshot alone, or a copy that was cut short: nothing is overwritten."""
    source, target = new_store(source_kind)(), new_store(target_kind)()
    await written(source, 10)
    await written(target, 3)
    before = await records_of(target)
    with pytest.raises(NotEmptyJournalError):
        await copy_journal(source, target)
    assert await records_of(target) == before
    cut_short = new_store(target_kind)()
    await cut_short.begin_fill({})
    with pytest.raises(NotEmptyJournalError):
        await copy_journal(source, cut_short)
    for use in (cut_short.open_writer, cut_short.writer):
        with pytest.raises(JournalError, match="was not finished"):
            await use()


async def test_a_source_that_is_written_meanwhile_is_refused(
    new_store: NewStore, source_kind: StoreKind, target_kind: StoreKind
) -> None:
    """The copy would be of no moment: it ends with an error, and the target stays closed."""
    source, target = new_store(source_kind)(), new_store(target_kind)()
    epoch = await written(source, 10)

    class Busy:
        """The source, with a coordinator that goes on: whenever somebody has read to the end, there is more."""

        def __getattr__(self, name: str) -> object:
            return getattr(source, name)

        async def read(self, after: dict[str, int]) -> AsyncIterator[Record]:
            async for record in source.read(after):
                yield record
            left = HallLeft(conference_id="c1", hall_id="h")
            await source.append(epoch, [Entry(at_ms=99, actor="x", event=left)])

    with pytest.raises(JournalError, match="during the copy"):
        await copy_journal(Busy(), target)  # type: ignore[arg-type] # it is the source in all but one method
    with pytest.raises(JournalError, match="was not finished"):
        await target.open_writer()
    assert len(await records_of(source)) == 11


async def test_an_empty_journal_is_copied_too(
    new_store: NewStore, source_kind: StoreKind, target_kind: StoreKind
) -> None:
    """Nothing becomes nothing, with the source's epoch."""
    source, target = new_store(source_kind)(), new_store(target_kind)()
    epoch = await source.open_writer()
    assert (await copy_journal(source, target)).records == 0
    assert await target.open_writer() == epoch + 1
