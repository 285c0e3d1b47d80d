"""Delegates check in at any gateway and at the leader, at once and again: each is counted once, by all of them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.coordinator_harness import CONFERENCE, Api, eventually
from support.redis_servers import RedisServer

from conference.app import RunningCoordinator, serve_coordinator
from conference.checkin.events import DelegateBlock
from conference.commands import EnrolDelegates
from conference.config import CoordinatorConfig, JournalConfig
from conference.front.app import serve_gateway
from conference.front.config import GatewayConfig

pytestmark = pytest.mark.integration

DELEGATES = 300


class Site(msgspec.Struct, frozen=True):
    """A leader and two gateways; hall 0 has delegates 1 to 300, hall 1 the next ten."""

    leader: RunningCoordinator
    apis: list[Api]
    halls: list[str]


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A durable redis-server of the test's own."""
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


@pytest.fixture
async def site(tmp_path: Path, redis_server: RedisServer) -> AsyncIterator[Site]:
    """All in this process."""
    config = CoordinatorConfig(port=0, state_dir=tmp_path, journal=JournalConfig(url=redis_server.url))
    async with contextlib.AsyncExitStack() as stack:
        leader = await stack.enter_async_context(serve_coordinator(config))
        urls = [leader.url]
        for number in (1, 2):
            gateway = GatewayConfig(
                gateway_id=f"gateway-{number}", port=0, key_file=config.key_path, journal=config.journal
            )
            urls.append((await stack.enter_async_context(serve_gateway(gateway))).url)
        keys = leader.services.keys
        apis = [await stack.enter_async_context(contextlib.aclosing(Api(url, keys))) for url in urls]
        halls = await apis[0].prepare(2)
        blocks = [DelegateBlock(halls[0], 1, DELEGATES), DelegateBlock(halls[1], DELEGATES + 1, 10)]
        await leader.services.coordinator.execute(EnrolDelegates(conference_id=CONFERENCE, blocks=blocks), "user:an")
        for api in apis:
            await eventually(functools.partial(ready, api), "it takes requests")
        yield Site(leader, apis, halls)


async def ready(api: Api) -> bool:
    """Whether it says that it may be given work."""
    return (await api.call("GET", "/readyz", None))[0] == 200


def scan(api: Api, number: int, nonce: int, at_ms: int) -> dict[str, Any]:
    """A code as a phone sends it."""
    return {"code": api.keys.issue_code(CONFERENCE, number, 0), "at_ms": at_ms, "nonce": nonce}


async def bring(api: Api, hall: str, scans: list[dict[str, Any]]) -> list[str]:
    """A batch, and what became of each."""
    answer = await api.expect(200, "POST", "/api/v1/halls/checkins", hall=hall, json={"schema": 1, "checkins": scans})
    return [each["result"] for each in answer["results"]]


def present(site: Site) -> int:
    """By the leader's figures of the whole country."""
    return site.leader.services.coordinator.state.rollups[CONFERENCE].total().real.individual.present


async def test_each_delegate_is_present_once_whoever_took_the_scans(site: Site) -> None:
    """The same scans of four hours, shuffled, in parallel at three doors, with replays, and again at each of them."""
    chance, now_ms = random.Random(3), int(time.time() * 1000)
    scans = [scan(site.apis[0], number, number, now_ms - chance.randrange(14_400_000)) for number in range(1, 301)]
    shuffled = [*scans, *chance.sample(scans, 150)]
    chance.shuffle(shuffled)
    batches = [shuffled[start : start + 30] for start in range(0, len(shuffled), 30)]
    results = await asyncio.gather(
        *(bring(site.apis[place % 3], site.halls[0], batch) for place, batch in enumerate(batches))
    )
    assert {result for each in results for result in each} <= {"counted", "again"}

    async def all_there() -> bool:
        return present(site) == DELEGATES

    await eventually(all_there, "the leader has folded both partitions")
    for api in site.apis:
        assert await bring(api, site.halls[0], scans) == ["counted"] * DELEGATES
    assert present(site) == DELEGATES


async def test_whoever_is_asked_knows_what_others_acknowledged(site: Site) -> None:
    """A scan that one door counted is counted again nowhere, in no hall, and a mark is taken at any."""
    leader, one, two = site.apis
    now_ms = int(time.time() * 1000)
    assert await bring(one, site.halls[0], [scan(one, 1, 1, now_ms - 10)]) == ["counted"]
    assert await bring(two, site.halls[0], [scan(two, 1, 2, now_ms - 5)]) == ["again"]
    assert await bring(two, site.halls[1], [scan(two, 1, 3, now_ms - 5)]) == ["elsewhere"]
    body = {"schema": 1, "marks": [{"number": 2, "mark": "present", "at_ms": now_ms, "nonce": 1}]}
    answer = await two.expect(200, "POST", "/api/v1/halls/marks", hall=site.halls[0], json=body)
    assert [each["result"] for each in answer["results"]] == ["recorded"]

    async def both_there() -> bool:
        return present(site) == 2

    await eventually(both_there, "the leader has folded both partitions")
    assert await bring(leader, site.halls[0], [scan(leader, 1, 4, now_ms)]) == ["again"]
    assert len(list(site.leader.services.coordinator.state.checkins[CONFERENCE].conflicts())) == 1


async def test_one_code_at_three_doors_at_once_is_present_once(site: Site) -> None:
    """A hundred scans in parallel: at least one is told so, and the state has one."""
    now_ms = int(time.time() * 1000)
    scans = [scan(site.apis[0], 7, nonce, now_ms) for nonce in range(99)]
    results = await asyncio.gather(
        *(bring(site.apis[place % 3], site.halls[0], [each]) for place, each in enumerate(scans))
    )
    assert {result for each in results for result in each} <= {"counted", "again"}
    assert ["counted"] in results

    async def folded() -> bool:
        return present(site) == 1

    await eventually(folded, "the leader has folded both partitions")


async def test_the_page_at_the_door_is_served_by_every_door(site: Site) -> None:
    """The page, what it is made of, and how far the hall is."""
    for api in site.apis:
        for path in ("/checkin", "/checkin-worker.js", "/static/hall-checkin.js"):
            assert (await api.call("GET", path, None))[0] == 200

        async def has_folded(api: Api = api) -> bool:
            status, found = await api.call("GET", "/api/v1/halls/checkins", hall=site.halls[0])
            return status == 200 and (found["individual"] or {}).get("registered") == DELEGATES

        await eventually(has_folded, "it knows the roster")
