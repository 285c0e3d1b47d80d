"""Several coordinators on one Redis, as programs: one leads, the others stand by, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import aiohttp
import pytest
from support.coordinator_harness import Api, connect_relay, register_message
from support.redis_coordinators import CoordinatorProgram, coordinator_program
from support.redis_servers import RedisServer

from bridges.messages import Assignment
from conference.events import ConferenceCreated
from conference.journal.contract import Entry
from conference.journal.redis.address import parse_redis_url
from conference.journal.redis.journal import RedisJournal
from conference.leadership import stand_by
from conference.policy import Policy

pytestmark = pytest.mark.integration

HALLS = 200
LEASE_S = 3.0


class Start(Protocol):
    """Starts a coordinator on the test's Redis."""

    def __call__(self, name: str, **journal: object) -> AbstractAsyncContextManager[CoordinatorProgram]:
        """A program of that name, with these settings of its journal."""
        ...


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A durable redis-server of the test's own."""
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


@pytest.fixture
def start(tmp_path: Path, redis_server: RedisServer) -> Start:
    """Starts coordinators that share a journal and a key."""

    def start_one(name: str, **journal: object) -> AbstractAsyncContextManager[CoordinatorProgram]:
        settings = {"url": redis_server.url, "lease_s": LEASE_S, **journal}
        return coordinator_program(tmp_path, name, journal=settings, snapshot_every=100, lease_s=2.0, heartbeat_s=0.2)

    return start_one


async def join_all(api: Api, halls: list[str], acknowledged: dict[str, Assignment]) -> None:
    """Have all halls join at once; those that are answered are noted."""

    async def join(hall_id: str) -> None:
        with contextlib.suppress(aiohttp.ClientError, ConnectionError, AssertionError):
            acknowledged[hall_id] = await api.join(hall_id)

    await asyncio.gather(*(join(hall_id) for hall_id in halls))


async def expect_kept(api: Api, acknowledged: dict[str, Assignment]) -> None:
    """Every acknowledged join is there, unmoved."""
    async with connect_relay(api, register_message("edge-1")), connect_relay(api, register_message("edge-2")):
        for hall_id, before in acknowledged.items():
            after = await api.assignment(hall_id)
            assert (after.epoch, after.primary.relay_id) == (before.epoch, before.primary.relay_id)


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_follower_leads_within_five_seconds_of_kill_9(start: Start, seed: int) -> None:
    """Killed in the middle of joins, the leader is succeeded with every join that it had answered."""
    kill_after = random.Random(seed).randrange(10, HALLS - 50)
    acknowledged: dict[str, Assignment] = {}
    async with start("first") as leader:
        await leader.until_ready()
        async with start("second") as follower:
            halls = await leader.api.prepare(HALLS)
            await follower.until_standing_by()
            status, problem = await follower.api.call("POST", "/api/v1/halls/join", hall=halls[0], json={})
            assert (status, problem["code"]) == (503, "journal_unavailable")
            api = leader.api
            async with connect_relay(api, register_message("edge-1")), connect_relay(api, register_message("edge-2")):

                async def kill() -> None:
                    while len(acknowledged) < kill_after:  # noqa: ASYNC110 - the joins ring no bell
                        await asyncio.sleep(0)
                    leader.signal(signal.SIGKILL)

                await asyncio.gather(kill(), join_all(api, halls, acknowledged))
            assert await follower.until_ready() <= 5.0
            assert kill_after <= len(acknowledged) < HALLS
            await expect_kept(follower.api, acknowledged)
            await follower.api.expect(
                201, "POST", "/api/v1/conferences", json={"conference_id": "next", "title": "Sau", "feeds": ["program"]}
            )


async def test_a_leader_that_comes_back_writes_nothing(start: Start) -> None:
    """A leader that stood still longer than its lease finds a successor: its words are refused, and it ends."""
    async with start("first") as old:
        await old.until_ready()
        halls = await old.api.prepare(2)
        async with start("second") as new:
            await new.until_standing_by()
            old.signal(signal.SIGSTOP)
            late = asyncio.create_task(
                old.api.call("POST", "/api/v1/conferences", json={"conference_id": "late", "title": "Muộn"})
            )
            assert await new.until_ready() <= 5.0
            old.signal(signal.SIGCONT)
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                status, problem = await late
                assert (status, problem["code"]) == (503, "stale_epoch")
            assert await asyncio.wait_for(old.process.wait(), 10) == 1
            assert "another coordinator took over" in old.log_file.read_text()
            assert (await new.api.call("GET", "/api/v1/conferences/late"))[0] == 404
            assert (await new.api.call("GET", "/api/v1/halls/assignment", hall=halls[0]))[0] == 409


async def test_a_leader_that_comes_back_answers_nothing_from_memory(start: Start) -> None:
    """What was asked of it while it stood still, and needs no event, is refused: its successor decided otherwise."""
    async with start("first") as old:
        await old.until_ready()
        halls = await old.api.prepare(2, provinces_only=True)
        async with start("second") as new, connect_relay(old.api, register_message("edge-1")):
            await old.api.join(halls[0])
            await new.until_standing_by()
            old.signal(signal.SIGSTOP)
            again = asyncio.create_task(old.api.call("POST", "/api/v1/halls/join", hall=halls[0], json={}))
            await new.until_ready()
            assert (await new.api.call("POST", "/api/v1/halls/leave", hall=halls[0]))[0] == 204
            old.signal(signal.SIGCONT)
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                assert (await again)[0] == 503
            assert await asyncio.wait_for(old.process.wait(), 10) == 1


async def test_a_leader_that_stops_in_order_is_succeeded_at_once(start: Start) -> None:
    """It gives the journal back: the follower does not wait for a lease. A follower that is told to stop stops."""
    async with start("first", lease_s=30.0) as leader:
        await leader.until_ready()
        async with start("second", lease_s=30.0) as follower, start("third", lease_s=30.0) as third:
            await follower.until_standing_by()
            await third.until_standing_by()
            third.signal(signal.SIGTERM)
            assert await asyncio.wait_for(third.process.wait(), 10) == 0
            leader.signal(signal.SIGTERM)
            assert await asyncio.wait_for(leader.process.wait(), 10) == 0
            await follower.until_ready(within_s=10.0)


async def test_a_stall_of_redis_costs_two_seconds_and_nothing_else(start: Start, redis_server: RedisServer) -> None:
    """Redis stands still for 2 s: what was asked is answered after it, no relay is lost, no leader changes."""
    acknowledged: dict[str, Assignment] = {}
    async with start("first") as leader:
        await leader.until_ready()
        api = leader.api
        async with (
            start("second") as follower,
            connect_relay(api, register_message("edge-1")) as one,
            connect_relay(api, register_message("edge-2")),
        ):
            halls = await api.prepare(HALLS)
            await follower.until_standing_by()
            redis_server.signal(signal.SIGSTOP)
            joining = asyncio.create_task(join_all(api, halls, acknowledged))
            await asyncio.sleep(2.0)  # how long it stands still is what is tried here
            assert acknowledged == {}
            redis_server.signal(signal.SIGCONT)
            await joining
            assert len(acknowledged) == HALLS
            assert one.close_code is None
            relays = await api.expect(200, "GET", "/api/v1/relays")
            assert {relay["status"] for relay in relays["relays"]} == {"live"}
            assert (await leader.readiness(), await follower.readiness()) == (200, 503)


async def test_an_outage_of_redis_loses_no_relay_and_ends_within_ten_seconds(
    start: Start, redis_server: RedisServer
) -> None:
    """While Redis is away commands get 503 and Retry-After, relays stay connected; it returns and all is as before."""
    acknowledged: dict[str, Assignment] = {}
    async with start("first", timeout_s=1.0) as leader:
        await leader.until_ready()
        api = leader.api
        halls = await api.prepare(HALLS)
        async with (
            connect_relay(api, register_message("edge-1")) as one,
            connect_relay(api, register_message("edge-2")),
        ):
            await join_all(api, halls[:50], acknowledged)
            redis_server.signal(signal.SIGSTOP)
            headers = api.bearer("hall", hall=halls[60])
            async with api.session.post("/api/v1/halls/join", headers=headers, json={}) as answer:
                assert (answer.status, (await answer.json())["code"]) == (503, "journal_unavailable")
                assert int(answer.headers["Retry-After"]) >= 1
            assert await leader.readiness() == 503
            assert (await api.call("GET", "/healthz", None))[0] == 200
            await asyncio.sleep(5.0)  # more than two leases of a relay, and of the coordinator
            redis_server.signal(signal.SIGCONT)
            assert await leader.until_ready() <= 10.0
            assert one.close_code is None
            relays = await api.expect(200, "GET", "/api/v1/relays")
            assert {relay["status"] for relay in relays["relays"]} == {"live"}
            await join_all(api, halls, acknowledged)
            assert len(acknowledged) == HALLS
            for hall_id in halls[:50]:
                assert (await api.assignment(hall_id)).epoch == acknowledged[hall_id].epoch


async def test_a_crash_of_redis_loses_nothing_acknowledged(start: Start, redis_server: RedisServer) -> None:
    """Killed in the middle of joins and started again, Redis has every join that was answered."""
    acknowledged: dict[str, Assignment] = {}
    async with start("first") as leader:
        await leader.until_ready()
        halls = await leader.api.prepare(HALLS)
        api = leader.api
        async with connect_relay(api, register_message("edge-1")), connect_relay(api, register_message("edge-2")):

            async def crash() -> None:
                while len(acknowledged) < 60:  # noqa: ASYNC110 - the joins ring no bell
                    await asyncio.sleep(0)
                redis_server.kill()
                await asyncio.to_thread(redis_server.start)

            await asyncio.gather(crash(), join_all(api, halls, acknowledged))
        await leader.until_ready(within_s=10.0)
        leader.signal(signal.SIGKILL)
        await leader.process.wait()
        async with start("second") as successor:
            await successor.until_ready()
            await expect_kept(successor.api, acknowledged)


async def test_a_follower_drops_what_the_store_lost(redis_server: RedisServer) -> None:
    """A record that a follower had folded and a failover lost is not in the state with which it takes over."""
    lost, kept = (ConferenceCreated(conference_id=name, title=name, feeds=["program"]) for name in ("lost", "kept"))
    leader, follower = (RedisJournal(parse_redis_url(redis_server.url)) for _ in range(2))
    epoch = await leader.open_writer()
    await leader.append(epoch, [Entry(at_ms=1, actor="x", event=lost)])
    standing_by = asyncio.create_task(stand_by(follower, Policy(), 2.0))
    while follower._reader.place.sequence != 1:  # noqa: ASYNC110 - it has folded it
        await asyncio.sleep(0.02)
    redis_server.ask("DEL", leader._keys.records)  # what a master has that lost the first record
    redis_server.ask("HSET", leader._keys.journal, "sequence", "0", "position:control", "0")
    epoch = await leader.open_writer(after=epoch)
    await leader.append(epoch, [Entry(at_ms=1, actor="x", event=kept)])
    later, fold = await standing_by
    assert later > epoch
    assert list(fold.state.conferences) == ["kept"]
    await leader.close()
    await follower.close()
