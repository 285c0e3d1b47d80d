"""What the Redis journal promises beyond the contract, held against real servers."""

from __future__ import annotations

import asyncio
import random
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from support.certificates import write_certificate
from support.redis_servers import RedisServer

from conference.errors import CorruptJournalError, JournalError, RewoundJournalError, StaleEpochError, UnsafeStoreError
from conference.events import CONTROL, HallLeft
from conference.journal.contract import Entry, Snapshot
from conference.journal.redis.address import parse_redis_url
from conference.journal.redis.journal import RedisJournal
from conference.journal.redis.link import Durability, Trust
from conference.layout import free_ports

pytestmark = pytest.mark.integration

OpenRedis = Callable[..., RedisJournal]


def entry(number: int) -> Entry:
    """Some event."""
    return Entry(at_ms=number, actor="test", event=HallLeft(conference_id="c", hall_id=f"h{number}"))


async def numbers(journal: RedisJournal, after: dict[str, int] | None = None) -> list[int]:
    """What was written, by the times of the records."""
    return [record.at_ms async for record in journal.read(after or {})]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """A function that starts a redis-server of the test's own."""
    started: list[RedisServer] = []

    def start(*options: str, durable: bool = True) -> RedisServer:
        started.append(RedisServer(tmp_path / f"redis-{len(started)}", *options, durable=durable))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture
async def open_on() -> AsyncIterator[OpenRedis]:
    """A function that opens one more journal on a server."""
    opened: list[RedisJournal] = []
    name = uuid.uuid4().hex

    def open_one(server: RedisServer, **options: object) -> RedisJournal:
        opened.append(RedisJournal(parse_redis_url(server.url), name=name, **options))  # type: ignore[arg-type] # the test's own words
        return opened[-1]

    yield open_one
    for journal in opened:
        await journal.close()


async def test_what_was_acknowledged_survives_kill_9_of_the_server(
    start_server: Callable[..., RedisServer], open_on: OpenRedis
) -> None:
    """Killed while eight write, and started again: every acknowledged event is there, and the same journal goes on."""
    server = start_server()
    journal = open_on(server, timeout_s=10.0)
    epoch = await journal.open_writer()
    acknowledged: list[int] = []
    enough = asyncio.Event()

    async def write(number: int) -> None:
        while len(acknowledged) < 2_000:
            await journal.append(epoch, [entry(number), entry(number)])
            acknowledged.append(number)
            if len(acknowledged) == 300:
                enough.set()
            number += 8

    async def crash() -> None:
        await enough.wait()
        server.kill()
        await asyncio.to_thread(server.start)

    await asyncio.gather(crash(), *(write(number) for number in range(8)))
    written = await numbers(journal)
    assert sorted(written) == sorted(acknowledged * 2)


async def test_a_server_without_a_file_is_refused(start_server: Callable[..., RedisServer], open_on: OpenRedis) -> None:
    """Without an append-only file nothing is acknowledged, unless the configuration says that it may be."""
    server = start_server(durable=False)
    with pytest.raises(UnsafeStoreError, match="append"):
        await open_on(server).open_writer()
    journal = open_on(server, durability=Durability(require_aof=False))
    await journal.append(await journal.open_writer(), [entry(1)])


async def test_a_server_that_answers_before_it_syncs_is_refused_or_waited_for(
    start_server: Callable[..., RedisServer], open_on: OpenRedis
) -> None:
    """From Redis 7.2 on an append is acknowledged when it is synced; an older server, which cannot tell, is refused."""
    server = start_server("--appendonly", "yes", "--appendfsync", "everysec", durable=False)
    journal = open_on(server)
    if server.ask("WAITAOF", "0", "0", "0").startswith(b"-"):
        with pytest.raises(UnsafeStoreError, match="append"):
            await journal.open_writer()
        journal = open_on(server, durability=Durability(require_aof=False))
    await journal.append(await journal.open_writer(), [entry(1)])
    assert await numbers(journal) == [1]


async def test_a_server_that_evicts_is_refused(start_server: Callable[..., RedisServer], open_on: OpenRedis) -> None:
    """Where memory is short it would throw the journal away; a policy that spares keys without an expiry is good."""
    server = start_server("--maxmemory-policy", "allkeys-lru")
    with pytest.raises(UnsafeStoreError, match="noeviction"):
        await open_on(server).open_writer()
    server.ask("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    await open_on(server).open_writer()


async def test_without_memory_nothing_is_acknowledged_and_nothing_is_lost(
    start_server: Callable[..., RedisServer], open_on: OpenRedis
) -> None:
    """A server that is full refuses whole groups and signs of life in its own words; with room it goes on."""
    server = start_server()
    journal = open_on(server)
    epoch = await journal.open_writer()
    await journal.append(epoch, [entry(1), entry(2)])
    server.ask("CONFIG", "SET", "maxmemory", "1mb")
    with pytest.raises(JournalError, match="maxmemory"):
        await journal.append(epoch, [entry(3), entry(4)])
    with pytest.raises(JournalError, match="maxmemory"):
        await journal.renew(epoch)
    assert await numbers(journal) == [1, 2]
    server.ask("CONFIG", "SET", "maxmemory", "0")
    await journal.append(epoch, [entry(5)])
    assert await numbers(journal) == [1, 2, 5]


async def test_nothing_is_acknowledged_without_its_replica(
    start_server: Callable[..., RedisServer], open_on: OpenRedis
) -> None:
    """While the replica stands still an append fails; once it goes on, the next succeeds, and nothing stands twice."""
    master = start_server()
    replica = start_server("--replicaof", "127.0.0.1", str(master.port), "--repl-diskless-sync-delay", "0")
    journal = open_on(master, durability=Durability(replicas=1), timeout_s=10.0)
    epoch = await journal.open_writer()
    await journal.append(epoch, [entry(1)])
    hasty = open_on(master, durability=Durability(replicas=1), timeout_s=1.5)
    epoch = await hasty.open_writer()
    replica.signal(signal.SIGSTOP)
    with pytest.raises(JournalError, match="0 of 1 replicas"):
        await hasty.append(epoch, [entry(2)])
    replica.signal(signal.SIGCONT)
    epoch = await journal.open_writer(after=epoch)
    await journal.append(epoch, [entry(3)])
    assert [number for number in await numbers(journal) if number != 2] == [1, 3]
    assert (await numbers(journal)).count(2) <= 1


async def test_a_stall_is_waited_for(start_server: Callable[..., RedisServer], open_on: OpenRedis) -> None:
    """A server that stands still for less than the timeout costs that time and nothing else."""
    server = start_server()
    journal = open_on(server)
    epoch = await journal.open_writer()
    server.signal(signal.SIGSTOP)
    waiting = [asyncio.create_task(journal.append(epoch, [entry(number)])) for number in range(20)]
    done, _ = await asyncio.wait(waiting, timeout=0.5)
    assert done == set()
    server.signal(signal.SIGCONT)
    await asyncio.gather(*waiting)
    assert await numbers(journal) == list(range(20))


async def test_an_append_that_comes_too_late_is_refused(
    start_server: Callable[..., RedisServer], open_on: OpenRedis
) -> None:
    """What was sent to a server that stood still and given up is not written once the writer was opened anew.

    The opening itself is sent again and again meanwhile, and is granted once.
    """
    server = start_server()
    journal = open_on(server, timeout_s=0.5)
    epoch = await journal.open_writer()
    await journal.append(epoch, [entry(1)])
    server.signal(signal.SIGSTOP)
    with pytest.raises(JournalError):
        await journal.append(epoch, [entry(2)])
    for _ in range(3):
        with pytest.raises(JournalError):
            await journal.open_writer(after=epoch)
    server.signal(signal.SIGCONT)
    later = await journal.open_writer(after=epoch)
    assert later == epoch + 1
    before = await numbers(journal)
    assert before in ([1], [1, 2])
    await journal.append(later, [entry(3)])
    assert await numbers(journal) == [*before, 3]


async def test_a_late_append_and_a_new_one_are_never_taken_for_each_other(
    start_server: Callable[..., RedisServer], open_on: OpenRedis
) -> None:
    """An append behind one that failed is either written itself or refused, whether or not the first arrived."""
    server = start_server()
    journal = open_on(server, timeout_s=0.5)
    epoch = await journal.open_writer()
    server.signal(signal.SIGSTOP)
    with pytest.raises(JournalError):
        await journal.append(epoch, [entry(1)])
    server.signal(signal.SIGCONT)
    try:
        await journal.append(epoch, [entry(2)])
        expected = [2]
    except RewoundJournalError:
        expected = [1]
    assert await numbers(journal) == expected


async def test_a_store_that_lost_records_is_noticed(
    start_server: Callable[..., RedisServer], open_on: OpenRedis
) -> None:
    """A follower that read what a failover lost is told, and so is the writer; neither goes on as if nothing was."""
    server = start_server()
    writer, follower = open_on(server), open_on(server)
    epoch = await writer.open_writer()
    await writer.append(epoch, [entry(1), entry(2)])
    assert await numbers(follower) == [1, 2]
    # The state of a replica that had not got the second record, with another writer since.
    tag = writer._keys
    server.ask("XDEL", tag.records, "2-0")
    server.ask("HSET", tag.journal, "sequence", "1", f"position:{CONTROL}", "1")
    server.ask("XSETID", tag.records, "1-0")
    with pytest.raises(RewoundJournalError):
        await writer.append(epoch, [entry(3)])
    epoch = await writer.open_writer(after=epoch)
    await writer.append(epoch, [entry(4)])
    with pytest.raises(RewoundJournalError):
        await numbers(follower, {CONTROL: 2})
    assert await numbers(follower) == [1, 4]


async def test_memory_is_bounded(start_server: Callable[..., RedisServer], open_on: OpenRedis) -> None:
    """Records that a snapshot contains are cut off beyond `keep_records`; who would fold without it is told."""
    server = start_server()
    journal = open_on(server, keep_records=250)
    epoch = await journal.open_writer()
    longest = 0
    for round_ in range(20):
        await journal.append(epoch, [entry(number) for number in range(round_ * 100, round_ * 100 + 100)])
        await journal.save_snapshot(epoch, Snapshot(positions={CONTROL: round_ * 100 + 100}, state=b"state"))
        longest = max(longest, int(server.ask("XLEN", journal._keys.records)[1:]))
    assert longest == 300
    kept = await journal.kept_after()
    assert kept == {CONTROL: 1_700}
    assert await numbers(journal, kept) == list(range(1_700, 2_000))
    assert await numbers(journal, {CONTROL: 1_990}) == list(range(1_990, 2_000))
    for after in ({}, {CONTROL: 1_699}):
        with pytest.raises(CorruptJournalError, match="is missing"):
            await numbers(open_on(server), after)


async def test_a_snapshot_of_what_the_store_lost_is_refused(
    start_server: Callable[..., RedisServer], open_on: OpenRedis
) -> None:
    """A snapshot beyond the last record would be folded twice over what comes next."""
    journal = open_on(start_server())
    epoch = await journal.open_writer()
    with pytest.raises(RewoundJournalError):
        await journal.save_snapshot(epoch, Snapshot(positions={CONTROL: 1}, state=b""))


async def test_a_damaged_record_is_named_with_its_entry(
    start_server: Callable[..., RedisServer], open_on: OpenRedis
) -> None:
    """An entry that is no record, and one that is missing, raise an error that says which."""
    server = start_server()
    journal = open_on(server)
    await journal.append(await journal.open_writer(), [entry(1), entry(2), entry(3)])
    server.ask("XDEL", journal._keys.records, "2-0")
    with pytest.raises(CorruptJournalError, match="position 2 is missing"):
        await numbers(open_on(server))
    server.ask("XADD", journal._keys.records, "9-0", "s", "control")
    with pytest.raises(CorruptJournalError, match="entry 9-0"):
        await numbers(journal, {CONTROL: 3})


async def test_another_schema_and_another_programs_key_are_refused(
    start_server: Callable[..., RedisServer], open_on: OpenRedis
) -> None:
    """What this program did not write it neither reads nor changes."""
    server = start_server()
    journal = open_on(server)
    await journal.open_writer()
    server.ask("HSET", journal._keys.journal, "schema", "99")
    with pytest.raises(JournalError, match="schema 99"):
        await journal.open_writer()
    server.ask("DEL", journal._keys.journal)
    server.ask("SET", journal._keys.journal, "theirs")
    with pytest.raises(JournalError, match="WRONGTYPE"):
        await journal.open_writer()
    assert server.ask("STRLEN", journal._keys.journal) == b":6"


async def test_a_password_is_asked_for_and_given(start_server: Callable[..., RedisServer], open_on: OpenRedis) -> None:
    """A wrong password is said in one sentence at once, without the password."""
    server = start_server()
    server.ask("CONFIG", "SET", "requirepass", "s3cret-word")
    with pytest.raises(JournalError, match="password") as refused:
        await open_on(server, trust=Trust(password="wrong-word")).open_writer()
    assert "wrong-word" not in str(refused.value)
    assert await open_on(server, trust=Trust(password="s3cret-word")).open_writer() == 1


async def test_tls_is_spoken_to_whom_it_trusts(start_server: Callable[..., RedisServer], tmp_path: Path) -> None:
    """With the right certificates a journal is written over TLS; without, the server is not believed."""
    certificate, key = write_certificate(tmp_path)
    tls_port = free_ports(1)[0]
    files = ("--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", str(certificate))
    start_server("--tls-port", str(tls_port), "--tls-auth-clients", "no", *files)
    address = parse_redis_url(f"rediss://127.0.0.1:{tls_port}")
    trusting = RedisJournal(address, trust=Trust(ca_file=str(certificate)))
    await trusting.append(await trusting.open_writer(), [entry(1)])
    assert await numbers(trusting) == [1]
    careful = RedisJournal(address, timeout_s=0.5)
    with pytest.raises(JournalError, match=r"(?i)certificate"):
        await careful.open_writer()
    for journal in (trusting, careful):
        await journal.close()


async def test_a_server_that_is_not_there_is_an_error_in_time(open_on: OpenRedis, tmp_path: Path) -> None:
    """A call fails with the address once its time is over; the same journal works as soon as the server does."""
    server = RedisServer(tmp_path / "redis")
    journal = open_on(server, timeout_s=0.5)
    server.kill()
    with pytest.raises(JournalError, match=str(server.port)):
        await journal.open_writer()
    await asyncio.to_thread(server.start)
    assert await journal.open_writer() == 1
    server.kill()


async def test_a_stale_leaders_append_is_refused_by_the_server(
    start_server: Callable[..., RedisServer], open_on: OpenRedis
) -> None:
    """Two leaders at once: each append of the older is refused, however they interleave, and leaves no trace."""
    server = start_server()
    old, new = open_on(server), open_on(server)
    stale = await old.open_writer()
    epoch = 0
    written: list[int] = []
    enough = asyncio.Event()

    async def lead_on() -> None:
        for number in range(1_000):
            try:
                await old.append(stale, [entry(number)])
            except StaleEpochError:
                return
            written.append(number)
            if len(written) == 50:
                enough.set()

    async def take_over() -> None:
        nonlocal epoch
        await enough.wait()
        epoch = await new.open_writer(after=stale)

    await asyncio.gather(lead_on(), take_over())
    assert 50 <= len(written) < 1_000
    await new.append(epoch, [entry(5_000)])
    assert await numbers(new) == [*written, 5_000]


async def test_a_cancelled_call_ends(start_server: Callable[..., RedisServer], open_on: OpenRedis) -> None:
    """Whenever it is cancelled, a call stops, and the next call on the same journal is answered."""
    journal = open_on(start_server())
    chance = random.Random(1)

    async def ask_on() -> None:
        while True:
            await journal.writer()

    for _ in range(100):
        asking = asyncio.create_task(ask_on())
        await asyncio.sleep(chance.random() * 0.004)
        asking.cancel()
        await asyncio.wait({asking}, timeout=5)
        assert asking.cancelled()
        assert (await journal.writer()).epoch == 0
