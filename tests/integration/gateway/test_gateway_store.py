"""Gateways and their store: an outage refuses and loses nothing, and what is kept has a bound."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from support.coordinator_harness import CONFERENCE, Api, eventually
from support.redis_servers import RedisServer

from conference.app import RunningCoordinator, serve_coordinator
from conference.config import CoordinatorConfig, JournalConfig
from conference.events import partition_of
from conference.front.app import serve_gateway
from conference.front.config import GatewayConfig
from conference.journal.opening import open_redis
from conference.journal.redis.scripts import keys_of
from conference.journal_fold import fold_journal
from conference.policy import Policy
from conference.snapshot import fingerprint

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

KEEP = 50
SNAPSHOT_EVERY = 100
STREAM = partition_of("gateway-1")


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A durable redis-server of the test's own."""
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


@pytest.fixture
def journal(redis_server: RedisServer) -> JournalConfig:
    """A journal that keeps little, and a store that is given up soon."""
    return JournalConfig(url=redis_server.url, keep_records=KEEP, timeout_s=1.0)


@pytest.fixture
async def leader(tmp_path: Path, journal: JournalConfig) -> AsyncIterator[RunningCoordinator]:
    """A coordinator in this process."""
    config = CoordinatorConfig(port=0, state_dir=tmp_path, journal=journal, snapshot_every=SNAPSHOT_EVERY)
    async with serve_coordinator(config) as running:
        yield running


@pytest.fixture
async def gateway(tmp_path: Path, journal: JournalConfig, leader: RunningCoordinator) -> AsyncIterator[Api]:
    """A gateway in this process that may be given work."""
    key_file = leader.services.config.key_path
    config = GatewayConfig(gateway_id="gateway-1", port=0, key_file=key_file, journal=journal)
    async with serve_gateway(config) as running, contextlib.aclosing(Api(running.url, leader.services.keys)) as api:
        await eventually(functools.partial(ready, api), "the gateway is ready")
        yield api


async def ready(api: Api) -> bool:
    """Whether it says that it may be given work."""
    return (await api.call("GET", "/readyz", None))[0] == 200


async def report(api: Api, hall: str, present: int) -> int:
    """One headcount; returns the status of the answer."""
    body = {"summoned": 90_000, "present": present}
    return (await api.call("POST", "/api/v1/halls/headcount", hall=hall, json=body))[0]


async def prepared(leader: RunningCoordinator, halls: int) -> list[str]:
    """An open conference."""
    async with contextlib.aclosing(Api(leader.url, leader.services.keys)) as api:
        return await api.prepare(halls)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is true in this process."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - it rings no bell
            await asyncio.sleep(0.02)


async def test_memory_is_bounded_for_partitions_too(
    redis_server: RedisServer, journal: JournalConfig, leader: RunningCoordinator, gateway: Api
) -> None:
    """Over many snapshots a partition keeps what a snapshot does not contain, and `keep_records`; the fold is whole."""
    halls = await prepared(leader, 20)
    records, longest, written = keys_of(journal.name, STREAM).records, 0, 0
    for round_ in range(8):
        for number in range(5):
            present = round_ * 10 + number
            statuses = await asyncio.gather(*(report(gateway, hall, present) for hall in halls))
            assert set(statuses) == {204}
        written = (round_ + 1) * 5 * len(halls)
        await until(lambda written=written: leader.services.coordinator.positions.get(STREAM) == written)  # type: ignore[misc] # of this round
        longest = max(longest, int(redis_server.ask("XLEN", records)[1:]))
    assert written == 800
    assert longest <= KEEP + 3 * SNAPSHOT_EVERY
    other = open_redis(journal)
    fold = await fold_journal(other, Policy())
    assert (await other.kept_after())[STREAM] > 0
    await other.close()
    assert fingerprint(fold.state) == fingerprint(leader.services.coordinator.state)
    assert {count.present for count in fold.state.headcounts[CONFERENCE].values()} == {74}


async def test_an_outage_of_the_store_loses_nothing(
    redis_server: RedisServer, leader: RunningCoordinator, gateway: Api
) -> None:
    """While the store stands still figures are refused with 503; afterwards they are taken, and each counts once."""
    halls = await prepared(leader, 10)
    for hall in halls:
        assert await report(gateway, hall, 1) == 204
    redis_server.signal(signal.SIGSTOP)
    refused = await asyncio.gather(*(report(gateway, hall, 2) for hall in halls[:5]))
    assert set(refused) == {503}
    redis_server.signal(signal.SIGCONT)

    async def taken() -> bool:
        return await report(gateway, halls[0], 3) == 204

    await eventually(taken, "figures are taken again")
    for hall in halls[1:]:
        assert await report(gateway, hall, 3) == 204
    state = leader.services.coordinator

    def all_known() -> bool:
        counts = state.state.headcounts.get(CONFERENCE, {}) if state.is_ready else {}
        return len(counts) == 10 and {count.present for count in counts.values()} == {3}

    await until(all_known)


async def test_a_crash_of_the_store_loses_nothing_acknowledged(
    redis_server: RedisServer, journal: JournalConfig, leader: RunningCoordinator, gateway: Api
) -> None:
    """Killed in the middle of figures and started again, the store has every one that was answered with 204."""
    halls = await prepared(leader, 40)
    acknowledged: dict[str, int] = {}
    half_way = asyncio.Event()

    async def serve(mine: list[str]) -> None:
        for hall in mine:
            while await report(gateway, hall, len(acknowledged)) != 204:  # noqa: ASYNC110 - the store rings no bell
                await asyncio.sleep(0.05)
            acknowledged[hall] = 1
            if len(acknowledged) > 15:
                half_way.set()

    async def crash() -> None:
        await half_way.wait()
        redis_server.kill()
        await asyncio.to_thread(redis_server.start)

    await asyncio.gather(crash(), *(serve(halls[number::4]) for number in range(4)))
    other = open_redis(journal)
    fold = await fold_journal(other, Policy())
    await other.close()
    assert set(fold.state.headcounts[CONFERENCE]) == set(halls)
