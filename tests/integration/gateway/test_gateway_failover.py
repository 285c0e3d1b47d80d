"""Gateways on a store of several machines: a failover loses nothing that they acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.coordinator_harness import CONFERENCE, Api, connect_relay, eventually, register_message
from support.redis_groups import Cluster, SentinelGroup

from conference.app import RunningCoordinator, serve_coordinator
from conference.config import CoordinatorConfig, JournalConfig
from conference.front.app import serve_gateway
from conference.front.config import GatewayConfig
from conference.journal.opening import open_redis
from conference.journal_fold import fold_journal
from conference.policy import Policy
from conference.state import State

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

WORKERS = 4


@contextlib.asynccontextmanager
async def served(folder: Path, journal: JournalConfig) -> AsyncIterator[tuple[RunningCoordinator, Api, Api]]:
    """A coordinator and a gateway in this process: it, its API, and the gateway's."""
    config = CoordinatorConfig(port=0, state_dir=folder, journal=journal, lease_s=30.0, return_grace_s=200.0)
    async with serve_coordinator(config) as leader:
        settings = GatewayConfig(gateway_id="gateway-1", port=0, key_file=config.key_path, journal=journal)
        keys = leader.services.keys
        async with (
            serve_gateway(settings) as gateway,
            contextlib.aclosing(Api(leader.url, keys)) as staff,
            contextlib.aclosing(Api(gateway.url, keys)) as halls,
        ):
            await eventually(functools.partial(ready, halls), "the gateway is ready")
            yield leader, staff, halls


async def ready(api: Api) -> bool:
    """Whether it says that it may be given work."""
    return (await api.call("GET", "/readyz", None))[0] == 200


async def report(api: Api, hall: str, present: int) -> int:
    """One headcount; returns the status of the answer."""
    body = {"summoned": 90_000, "present": present}
    return (await api.call("POST", "/api/v1/halls/headcount", hall=hall, json=body))[0]


async def folded(journal: JournalConfig) -> State:
    """The journal, folded by somebody else."""
    other = open_redis(journal)
    fold = await fold_journal(other, Policy())
    await other.close()
    return fold.state


async def test_a_failover_of_the_store(tmp_path: Path, group: SentinelGroup) -> None:
    """The master is killed while halls join and report: all that was answered is in the journal of the next."""
    journal = JournalConfig(url=group.url, replicas=1)
    async with served(tmp_path, journal) as (leader, staff, halls):
        hall_ids = await staff.prepare(120)
        joined: dict[str, int] = {}
        counted: dict[str, int] = {}
        half_way = asyncio.Event()

        async def serve(mine: list[str]) -> None:
            for number, hall in enumerate(mine):
                while hall not in joined:
                    with contextlib.suppress(AssertionError):  # 503: come again
                        joined[hall] = (await halls.join(hall)).epoch
                    await asyncio.sleep(0.02)
                while await report(halls, hall, number) != 204:  # noqa: ASYNC110 - the store rings no bell
                    await asyncio.sleep(0.05)
                counted[hall] = number
                if len(counted) > len(hall_ids) // 3:
                    half_way.set()

        async def kill() -> None:
            await half_way.wait()
            (await asyncio.to_thread(group.master)).kill()

        async with connect_relay(staff, register_message("edge-1")), connect_relay(staff, register_message("edge-2")):
            await asyncio.gather(kill(), *(serve(hall_ids[number::WORKERS]) for number in range(WORKERS)))
        state = await folded(journal)
        seats = state.conferences[CONFERENCE].seats
        assert {hall: seats[hall].epoch for hall in hall_ids} == joined
        assert {hall: count.present for hall, count in state.headcounts[CONFERENCE].items()} == counted

        async def known() -> bool:
            at_leader = leader.services.coordinator.state.headcounts.get(CONFERENCE, {})
            return {hall: count.present for hall, count in at_leader.items()} == counted

        await eventually(known, "the leader has folded all of it")


async def test_a_cluster_holds_partitions(tmp_path: Path, cluster: Cluster) -> None:
    """Journal and partitions are on one node of a Cluster, and work as on a server of their own."""
    journal = JournalConfig(url=cluster.url, replicas=0)
    async with served(tmp_path, journal) as (_, staff, halls):
        hall_ids = await staff.prepare(10)
        async with connect_relay(staff, register_message("edge-1")):
            for number, hall in enumerate(hall_ids):
                assert (await halls.join(hall)).primary.relay_id == "edge-1"
                assert await report(halls, hall, number) == 204
        state = await folded(journal)
        assert sorted(count.present for count in state.headcounts[CONFERENCE].values()) == list(range(10))
