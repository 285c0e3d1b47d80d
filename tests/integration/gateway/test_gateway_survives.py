"""Gateways and coordinators are killed and frozen while halls ask: what was answered holds, and the others go on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from support.coordinator_harness import CONFERENCE, Api, connect_relay, eventually, register_message
from support.gateways import GatewayProgram, gateway_program
from support.redis_coordinators import CoordinatorProgram, coordinator_program
from support.redis_servers import RedisServer

from bridges.messages import Assignment
from conference.config import JournalConfig
from conference.journal.opening import open_redis
from conference.journal_fold import fold_journal
from conference.policy import Policy
from conference.state import State

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

HALLS = 300
WORKERS = 8


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A durable redis-server of the test's own."""
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


@pytest.fixture
async def leader(tmp_path: Path, redis_server: RedisServer) -> AsyncIterator[CoordinatorProgram]:
    """A coordinator that leads; relays that go away keep their halls for longer than a test takes."""
    journal = {"url": redis_server.url}
    async with coordinator_program(
        tmp_path, "leader", journal=journal, snapshot_every=100, return_grace_s=200.0
    ) as program:
        await program.until_ready()
        yield program


class Doors:
    """What stands for the one public address: halls try one gateway, and the other when it does not answer.

    Attributes:
        joined: what each hall was answered.
        counted: the figures of each hall that were acknowledged last.
        half_way: set once so many figures were acknowledged.
    """

    def __init__(self, apis: list[Api]) -> None:
        self.apis = apis
        self.joined: dict[str, Assignment] = {}
        self.counted: dict[str, int] = {}
        self.half_way = asyncio.Event()

    async def serve(self, halls: list[str]) -> None:
        """Each hall joins, and reports figures."""
        for number, hall in enumerate(halls):
            self.joined[hall] = await self._join(hall, number)
            await self._report(hall, number)

    async def _join(self, hall: str, number: int) -> Assignment:
        while True:
            number += 1
            with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError, AssertionError):
                return await asyncio.wait_for(self.apis[number % len(self.apis)].join(hall), 6)
            await asyncio.sleep(0.05)

    async def _report(self, hall: str, number: int) -> None:
        status, present = 0, len(self.counted) % 50
        while status != 204:
            number += 1
            api = self.apis[number % len(self.apis)]
            with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
                status = await asyncio.wait_for(report(api, hall, present), 6)
            if status != 204:
                await asyncio.sleep(0.05)
        self.counted[hall] = present
        if len(self.counted) > HALLS // 3:
            self.half_way.set()


async def report(api: Api, hall: str, present: int) -> int:
    """One headcount; returns the status of the answer."""
    body = {"summoned": 90, "present": present}
    return (await api.call("POST", "/api/v1/halls/headcount", hall=hall, json=body))[0]


async def folded(redis_server: RedisServer) -> State:
    """The whole journal, folded by somebody else."""
    journal = open_redis(JournalConfig(url=redis_server.url))
    fold = await fold_journal(journal, Policy())
    await journal.close()
    return fold.state


async def test_a_killed_gateway_loses_nothing(
    tmp_path: Path, redis_server: RedisServer, leader: CoordinatorProgram
) -> None:
    """Killed under load: every join and figure that it acknowledged is there, and halls go on at the other."""
    halls = await leader.api.prepare(HALLS)
    async with (
        connect_relay(leader.api, register_message("edge-1")),
        connect_relay(leader.api, register_message("edge-2")),
        gateway_program(tmp_path, "gateway-1", redis_server.url) as one,
        gateway_program(tmp_path, "gateway-2", redis_server.url) as two,
    ):
        await one.until_ready()
        await two.until_ready()
        doors = Doors([one.api, two.api])

        async def kill() -> None:
            await doors.half_way.wait()
            one.signal(signal.SIGKILL)
            await one.process.wait()

        await asyncio.gather(kill(), *(doors.serve(halls[number::WORKERS]) for number in range(WORKERS)))
    assert len(doors.counted) == HALLS
    state = await folded(redis_server)
    for hall, assignment in doors.joined.items():
        seat = state.conferences[CONFERENCE].seats[hall]
        assert (seat.epoch, seat.primary) == (assignment.epoch, assignment.primary.relay_id)
        assert state.headcounts[CONFERENCE][hall].present == doors.counted[hall]


async def test_gateways_go_on_without_a_leader(
    tmp_path: Path, redis_server: RedisServer, leader: CoordinatorProgram
) -> None:
    """The leader is killed: assignments and figures are answered all the while, joins again within 5 s."""
    halls = await leader.api.prepare(HALLS)
    url = redis_server.url
    async with (
        gateway_program(tmp_path, "gateway-1", url) as one,
        coordinator_program(tmp_path, "second", journal={"url": url}, return_grace_s=200.0) as second,
        connect_relay(leader.api, register_message("edge-1")),
        connect_relay(leader.api, register_message("edge-2")),
    ):
        await one.until_ready()
        await second.until_standing_by()
        joined = [await one.api.join(hall) for hall in halls[:20]]
        leader.signal(signal.SIGKILL)
        await leader.process.wait()
        killed_s = asyncio.get_running_loop().time()

        async def join_again() -> float:
            await Doors([one.api])._join(halls[50], 0)
            return asyncio.get_running_loop().time() - killed_s

        joining = asyncio.create_task(join_again())
        asked = 0
        while not joining.done():
            was = joined[asked % len(joined)]
            assert (await one.api.assignment(was.hall_id)).epoch == was.epoch
            assert await report(one.api, was.hall_id, asked % 90) == 204
            asked += 1
        assert asked > 20
        assert await joining <= 5.0
        assert (await second.readiness()) == 200
        state = await folded(redis_server)
        assert len(state.headcounts[CONFERENCE]) == len(joined)


async def test_without_any_leader_a_join_is_told_to_come_again(
    tmp_path: Path, redis_server: RedisServer, leader: CoordinatorProgram
) -> None:
    """Nobody leads: 503 with Retry-After after a bounded time; the gateway stays ready for what it can answer."""
    halls = await leader.api.prepare(10)
    async with gateway_program(tmp_path, "gateway-1", redis_server.url, leader_wait_s=0.3) as one:
        await one.until_ready()
        leader.signal(signal.SIGKILL)
        await leader.process.wait()
        headers = one.api.bearer("hall", hall=halls[0])
        async with one.api.session.post("/api/v1/halls/join", headers=headers, json={}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (503, "leader_unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
        assert await one.readiness() == 200
        assert await report(one.api, halls[0], 5) == 204


async def test_a_frozen_leader_is_left_for_its_successor(
    tmp_path: Path, redis_server: RedisServer, leader: CoordinatorProgram
) -> None:
    """A join that a frozen leader has taken is answered by its successor; what the first still does changes nothing."""
    halls = await leader.api.prepare(10)
    url = redis_server.url
    async with (
        gateway_program(tmp_path, "gateway-1", url, leader_wait_s=10.0) as one,
        coordinator_program(tmp_path, "second", journal={"url": url}, return_grace_s=200.0) as second,
        connect_relay(leader.api, register_message("edge-1")),
        connect_relay(leader.api, register_message("edge-2")),
    ):
        await one.until_ready()
        await second.until_standing_by()
        first = await one.api.join(halls[0])
        leader.signal(signal.SIGSTOP)
        joined = await one.api.join(halls[1])
        assert (await one.api.assignment(halls[0])).epoch == first.epoch
        leader.signal(signal.SIGCONT)
        assert await asyncio.wait_for(leader.process.wait(), 20) == 1
        assert (await one.api.assignment(halls[1])).epoch == joined.epoch


async def test_a_superseded_gateway_is_refused(
    tmp_path: Path, redis_server: RedisServer, leader: CoordinatorProgram
) -> None:
    """Frozen and started anew under its name, a gateway that wakes up writes nothing more and ends."""
    halls = await leader.api.prepare(10)
    url = redis_server.url
    async with gateway_program(tmp_path, "gateway-1", url, folder_name="old") as old:
        await old.until_ready()
        assert await report(old.api, halls[0], 1) == 204
        old.signal(signal.SIGSTOP)
        late = asyncio.create_task(post_late(old, halls[1]))
        async with gateway_program(tmp_path, "gateway-1", url, folder_name="new") as new:
            await new.until_ready()
            assert await report(new.api, halls[0], 2) == 204
            old.signal(signal.SIGCONT)
            assert await late in {0, 503}
            assert await asyncio.wait_for(old.process.wait(), 20) == 1
            assert "another process" in old.log_file.read_text()
            state = await folded(redis_server)
            assert {hall: count.present for hall, count in state.headcounts[CONFERENCE].items()} == {halls[0]: 2}
            assert await report(new.api, halls[1], 3) == 204


async def post_late(gateway: GatewayProgram, hall: str) -> int:
    """A figure that reaches a frozen gateway; 0 where it never answers."""
    try:
        return await report(gateway.api, hall, 40)
    except (aiohttp.ClientError, ConnectionError):
        return 0


async def test_two_processes_of_one_name_do_not_fight(
    tmp_path: Path, redis_server: RedisServer, leader: CoordinatorProgram
) -> None:
    """While the first lives the second waits, and takes over at once when the first has stopped in order."""
    halls = await leader.api.prepare(10)
    url = redis_server.url
    async with (
        gateway_program(tmp_path, "gateway-1", url, folder_name="first") as first,
        gateway_program(tmp_path, "gateway-1", url, folder_name="second") as second,
    ):
        await asyncio.wait(
            [asyncio.create_task(each.until_ready()) for each in (first, second)], return_when=asyncio.FIRST_COMPLETED
        )
        holder, other = (first, second) if await first.readiness() == 200 else (second, first)
        await other.until_standing_by()
        assert await report(holder.api, halls[0], 1) == 204
        assert await report(other.api, halls[0], 2) == 503
        holder.signal(signal.SIGTERM)
        assert await asyncio.wait_for(holder.process.wait(), 20) == 0
        await eventually(lambda: is_ready(other), "the other has taken over")
        assert await report(other.api, halls[0], 2) == 204


async def is_ready(program: GatewayProgram) -> bool:
    """Whether it may be given work."""
    return await program.readiness() == 200
