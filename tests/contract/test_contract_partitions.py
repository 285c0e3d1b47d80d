"""What partitions promise: streams of attendance beside the journal, each with a writer and an epoch of its own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable

import pytest
from support.redis_servers import RedisServer

from conference.errors import CorruptJournalError, JournalError, RewoundJournalError, StaleEpochError
from conference.events import ATTENDANCE, CONTROL, ConferenceCreated, HallLeft, HeadcountReported, partition_of
from conference.journal.contract import Entry, Record, Snapshot
from conference.journal.copying import copy_journal
from conference.journal.redis.address import parse_redis_url
from conference.journal.redis.journal import RedisJournal
from conference.journal_fold import fold_journal
from conference.policy import Policy
from conference.snapshot import encode_state, fingerprint

pytestmark = pytest.mark.integration

OpenRedis = Callable[..., RedisJournal]
ONE, TWO = partition_of("gateway-1"), partition_of("gateway-2")


def counted(number: int, *, hall: str = "") -> Entry:
    """An event of attendance."""
    event = HeadcountReported(
        conference_id="c",
        hall_id=hall or f"h{number}",
        summoned=90,
        present=number % 90,
        excused=0,
        unexcused=0,
        exempt=0,
        note="",
    )
    return Entry(at_ms=number, actor="hall:h", event=event)


def left(number: int) -> Entry:
    """An event of control."""
    return Entry(at_ms=number, actor="hall:h", event=HallLeft(conference_id="c", hall_id="h"))


def created() -> Entry:
    """A conference for halls to report in."""
    return Entry(at_ms=1, actor="user:an", event=ConferenceCreated(conference_id="c", title="Hội", feeds=["program"]))


async def records_of(journal: RedisJournal, after: dict[str, int] | None = None) -> list[Record]:
    """Every record past the positions given."""
    return [record async for record in journal.read(after or {})]


@pytest.fixture
async def open_on(redis_server: RedisServer) -> AsyncIterator[OpenRedis]:
    """A function that opens one more journal, or one for a partition, as another process would."""
    opened: list[RedisJournal] = []
    journal_name = uuid.uuid4().hex

    def open_one(partition: str = "", *, name: str = journal_name, keep_records: int = 100_000) -> RedisJournal:
        url = parse_redis_url(redis_server.url)
        opened.append(RedisJournal(url, name=name, partition=partition, keep_records=keep_records))
        return opened[-1]

    yield open_one
    for journal in opened:
        await journal.close()


async def test_partitions_are_read_behind_the_journal(open_on: OpenRedis) -> None:
    """The journal reads its own streams, then each partition from position 1; a partition reads itself alone."""
    journal, one, two = open_on(), open_on(ONE), open_on(TWO)
    epoch = await journal.open_writer()
    first, second = await one.open_writer(), await two.open_writer()
    await two.append(second, [counted(20), counted(21)])
    await journal.append(epoch, [left(1), counted(2)])
    await one.append(first, [counted(10)])
    expected = [(CONTROL, 1), (ATTENDANCE, 1), (ONE, 1), (TWO, 1), (TWO, 2)]
    assert [(each.stream, each.position) for each in await records_of(open_on())] == expected
    assert [each.at_ms for each in await records_of(one)] == [10]
    followed = [each async for each in journal.read_partitions({ONE: 0, TWO: 1})]
    assert [each.at_ms for each in followed] == [10, 21]


async def test_each_partition_has_one_writer(open_on: OpenRedis) -> None:
    """A superseded writer of a partition is refused; the leader and other partitions are not touched by that."""
    journal, old, new, other = open_on(), open_on(ONE), open_on(ONE), open_on(TWO)
    epoch, stale, elsewhere = await journal.open_writer(), await old.open_writer(), await other.open_writer()
    await old.append(stale, [counted(1)])
    later = await new.open_writer(after=stale)
    with pytest.raises(StaleEpochError):
        await old.append(stale, [counted(2)])
    with pytest.raises(StaleEpochError):
        await old.renew(stale)
    await new.append(later, [counted(3)])
    await other.append(elsewhere, [counted(4)])
    await journal.append(epoch, [counted(5)])
    await journal.renew(epoch)
    assert [each.at_ms for each in await records_of(open_on())] == [5, 1, 3, 4]


async def test_a_new_leader_leaves_partitions_alone(open_on: OpenRedis) -> None:
    """Gateways write on while one leader takes over from another."""
    first, second, one = open_on(), open_on(), open_on(ONE)
    await first.open_writer()
    mine = await one.open_writer()
    await one.append(mine, [counted(1)])
    await second.open_writer()
    await one.append(mine, [counted(2)])
    assert [each.at_ms for each in await records_of(second)] == [1, 2]


async def test_a_partition_takes_attendance_alone(open_on: OpenRedis) -> None:
    """What only the single writer may decide is refused, and nothing of that append is written."""
    one = open_on(ONE)
    epoch = await one.open_writer()
    with pytest.raises(JournalError, match="HallLeft"):
        await one.append(epoch, [counted(1), left(2)])
    assert await records_of(one) == []


async def test_a_follower_reads_on_in_each_stream(open_on: OpenRedis) -> None:
    """Round after round it is given what is new, whoever wrote it, and nothing twice."""
    journal, reader, one = open_on(), open_on(), open_on(ONE)
    epoch, mine = await journal.open_writer(), await one.open_writer()
    positions: dict[str, int] = {}
    for round_ in range(5):
        await journal.append(epoch, [left(round_)])
        await one.append(mine, [counted(round_)])
        found = await records_of(reader, positions)
        assert [each.stream for each in found] == [CONTROL, ONE]
        assert {each.at_ms for each in found} == {round_}
        positions |= {each.stream: each.position for each in found}
    assert await records_of(reader, positions) == []


async def test_a_snapshot_holds_the_positions_of_partitions(open_on: OpenRedis) -> None:
    """A start folds from it: the snapshot, then what each stream has past it; equal to the fold of everything."""
    journal, one = open_on(), open_on(ONE)
    epoch, mine = await journal.open_writer(), await one.open_writer()
    await journal.append(epoch, [created(), counted(2)])
    await one.append(mine, [counted(number) for number in range(10, 20)])
    fold = await fold_journal(journal, Policy())
    await journal.save_snapshot(epoch, Snapshot(positions=fold.positions, state=encode_state(fold.state)))
    assert fold.positions == {CONTROL: 1, ATTENDANCE: 1, ONE: 10}
    await one.append(mine, [counted(20), counted(11)])
    await journal.append(epoch, [counted(30)])
    again = await fold_journal(open_on(), Policy())
    assert again.since_snapshot == 3
    await fold.catch_up()
    assert fingerprint(again.state) == fingerprint(fold.state)
    assert len(again.state.headcounts["c"]) == 13


async def test_memory_of_partitions_is_bounded(redis_server: RedisServer, open_on: OpenRedis) -> None:
    """After each of many snapshots a partition holds `keep_records` and what came since, however many it was given."""
    journal, one = open_on(keep_records=50), open_on(ONE)
    epoch, mine = await journal.open_writer(), await one.open_writer()
    longest = 0
    for round_ in range(20):
        await one.append(mine, [counted(round_ * 100 + number) for number in range(100)])
        position = round_ * 100 + 100
        await journal.save_snapshot(epoch, Snapshot(positions={ONE: position}, state=b"state"))
        longest = max(longest, int(redis_server.ask("XLEN", one._keys.records)[1:]))
    assert longest == 50
    assert await journal.kept_after() == {ONE: 1_950}
    assert [each.at_ms for each in await records_of(open_on(), {ONE: 1_950})] == list(range(1_950, 2_000))
    with pytest.raises(CorruptJournalError, match="is missing"):
        await records_of(open_on(), {ONE: 1_949})
    # Less than what was kept before is never claimed to be there again.
    generous = open_on(keep_records=500)
    later = await generous.open_writer()
    await generous.save_snapshot(later, Snapshot(positions={ONE: 2_000}, state=b"state"))
    assert await generous.kept_after() == {ONE: 1_950}


async def test_a_snapshot_beyond_a_partition_is_refused(open_on: OpenRedis) -> None:
    """Nobody keeps a state that contains what a partition has not, and nothing is cut off for it."""
    journal, one = open_on(keep_records=0), open_on(ONE)
    epoch, mine = await journal.open_writer(), await one.open_writer()
    await one.append(mine, [counted(1)])
    with pytest.raises(RewoundJournalError):
        await journal.save_snapshot(epoch, Snapshot(positions={ONE: 2}, state=b""))
    assert len(await records_of(open_on())) == 1


async def test_a_partition_that_lost_records_is_noticed(redis_server: RedisServer, open_on: OpenRedis) -> None:
    """Whoever folded what a failover lost is told, whether or not something else stands in its place."""
    follower, one = open_on(), open_on(ONE)
    mine = await one.open_writer()
    await one.append(mine, [counted(1), counted(2)])
    assert len(await records_of(follower)) == 2
    keys = one._keys
    redis_server.ask("XDEL", keys.records, "2-0")
    redis_server.ask("XSETID", keys.records, "1-0")
    redis_server.ask("HSET", keys.journal, "sequence", "1", f"position:{ONE}", "1")
    redis_server.ask("HSET", keys.partitions, ONE, "1")
    with pytest.raises(RewoundJournalError):
        await records_of(follower, {ONE: 2})
    mine = await one.open_writer(after=mine)
    await one.append(mine, [counted(3)])
    with pytest.raises(RewoundJournalError):
        await records_of(follower, {ONE: 2})
    assert [each.at_ms for each in await records_of(follower)] == [1, 3]


async def test_a_copy_holds_the_partitions(open_on: OpenRedis) -> None:
    """Copied to another Redis journal, a partition goes on there behind its last record, cut off or not."""
    journal, one, two = open_on(keep_records=5), open_on(ONE), open_on(TWO)
    epoch, mine, theirs = await journal.open_writer(), await one.open_writer(), await two.open_writer()
    await journal.append(epoch, [created()])
    await one.append(mine, [counted(number) for number in range(20)])
    await two.append(theirs, [counted(5, hall="x")])
    fold = await fold_journal(journal, Policy())
    await journal.save_snapshot(epoch, Snapshot(positions=fold.positions, state=encode_state(fold.state)))
    await one.append(mine, [counted(99)])
    name = uuid.uuid4().hex
    report = await copy_journal(open_on(), open_on(name=name))
    assert report.positions == {CONTROL: 1, ONE: 21, TWO: 1}
    there = open_on(ONE, name=name)
    later = await there.open_writer()
    assert later > mine
    await there.append(later, [counted(100)])
    assert [each.position for each in await records_of(open_on(name=name), report.positions)] == [22]


async def test_the_leader_says_where_it_is(open_on: OpenRedis) -> None:
    """Its address stands beside its epoch until another writer takes over; a stale leader cannot say so any more."""
    first, second, reader = open_on(), open_on(), open_on()
    epoch = await first.open_writer()
    await first.announce(epoch, "http://10.0.0.1:8080")
    assert (await reader.writer()).address == "http://10.0.0.1:8080"
    assert await first.open_writer(after=epoch) == epoch + 1
    assert (await reader.writer()).address == "http://10.0.0.1:8080"
    later = await second.open_writer()
    assert (await reader.writer()).address == ""
    with pytest.raises(StaleEpochError):
        await first.announce(epoch + 1, "http://10.0.0.1:8080")
    await second.announce(later, "http://10.0.0.2:8080")
    assert (await reader.writer()).address == "http://10.0.0.2:8080"


async def test_many_writers_at_once_lose_nothing(open_on: OpenRedis) -> None:
    """Four gateways and the leader append at the same time; all is there, each stream without a gap."""
    journal = open_on()
    epoch = await journal.open_writer()
    gateways = [open_on(partition_of(f"g{number}")) for number in range(4)]
    epochs = [await gateway.open_writer() for gateway in gateways]

    async def write(target: RedisJournal, its_epoch: int) -> None:
        for number in range(50):
            await target.append(its_epoch, [counted(number), counted(number)])

    await asyncio.gather(
        write(journal, epoch), *(write(each, mine) for each, mine in zip(gateways, epochs, strict=True))
    )
    found = await records_of(open_on())
    assert len(found) == 500
    for stream in {each.stream for each in found}:
        assert [each.position for each in found if each.stream == stream] == list(range(1, 101))
