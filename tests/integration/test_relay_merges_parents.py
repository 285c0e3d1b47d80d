"""Real relays: an edge that takes its feed from two parents at once loses no packet when one of them is killed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.relays import ControlServer, RelayProcess, Signer, at_once, control_server, parent_of, relay_process
from support.rtc_client import (
    RtcClient,
    both_parents_deliver,
    longest_gap_s,
    missing_and_doubled,
    programme,
    rtc_client,
)

pytestmark = [pytest.mark.integration, pytest.mark.alone]

MERGES = {"merge_parents": True}


class Stage:
    """An origin, two relays below it, and an edge below both, where a hall sees every packet."""

    def __init__(
        self,
        middle: list[RelayProcess],
        edge: RelayProcess,
        publisher: RtcClient,
        player: RtcClient,
        control: ControlServer,
    ) -> None:
        self.middle = middle
        self.edge = edge
        self.publisher = publisher
        self.player = player
        self.control = control

    async def parent(self, relay_id: str, *, within_s: float = 8.0) -> None:
        """Return when the edge names this parent as the one that delivers."""
        deadline = time.monotonic() + within_s
        while self.control.heartbeats["edge"].parent != relay_id:
            assert time.monotonic() < deadline, self.control.heartbeats["edge"].parent
            await asyncio.sleep(0.02)

    async def both_deliver(self) -> None:
        """Return when the edge receives everything twice."""
        await both_parents_deliver(self.edge, self.player)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Everything up and playing."""
    signer = Signer()
    async with contextlib.AsyncExitStack() as stack:
        control = await stack.enter_async_context(control_server(signer))
        origin = await stack.enter_async_context(relay_process(tmp_path, signer, relay_id="origin", role="origin"))
        control.parents = [parent_of(origin, "origin")]
        middle = await at_once(
            stack.enter_async_context(
                relay_process(tmp_path, signer, relay_id=f"middle-{n}", role="edge", coordinator_url=control.url)
            )
            for n in range(2)
        )
        for n in range(2):
            await control.heard_from(f"middle-{n}")  # it has its own parent before the edge is given others
        control.parents = [parent_of(relay, f"middle-{n}") for n, relay in enumerate(middle)]
        edge = await stack.enter_async_context(
            relay_process(tmp_path, signer, relay_id="edge", role="edge", coordinator_url=control.url, settings=MERGES)
        )
        publisher = await stack.enter_async_context(
            rtc_client(origin.endpoint("whip"), signer.token("encoder", "publish"), publishes=True)
        )
        await stack.enter_async_context(programme(publisher))
        player = await stack.enter_async_context(
            rtc_client(edge.endpoint("whep"), signer.token("hall-1", "play"), publishes=False)
        )
        made = Stage(middle, edge, publisher, player, control)
        await player.received(300)
        await made.parent("middle-0")
        await made.both_deliver()
        yield made


@pytest.mark.parametrize("lost", [0, 1])
async def test_the_loss_of_a_parent_loses_no_packet(lost: int, stage: Stage) -> None:
    """Kill -9 of either parent: nothing is missing, nothing comes twice, and nothing waits for a repair."""
    stage.middle[lost].kill()
    killed_at_s = time.monotonic()
    await stage.middle[lost].process.wait()
    await stage.player.received(len(stage.player.packets) + 300)
    await stage.parent(f"middle-{1 - lost}")
    for kind in ("audio", "video"):
        assert missing_and_doubled(stage.player, kind) == (0, 0), kind
        around = [at for at, _, _ in stage.player.of_kind(kind) if killed_at_s - 0.5 < at < killed_at_s + 1.0]
        assert longest_gap_s(around) < 0.25, "a failover without merging takes 300 ms to notice the silence"
    metrics = await stage.edge.metrics()
    assert metrics["diemcau_relay_upstream_failovers_total"] == 1 - lost


async def test_a_place_in_the_tree_is_changed_without_a_gap(stage: Stage) -> None:
    """The parents change their order, then one leaves: the feed goes on, and the one that left is told."""
    stage.control.parents.reverse()
    await stage.control.send("edge", stage.control.topology())
    await stage.parent("middle-1")
    await stage.both_deliver()
    stage.control.parents = stage.control.parents[1:]
    await stage.control.send("edge", stage.control.topology())
    await stage.parent("middle-0")
    await stage.player.received(len(stage.player.packets) + 300)
    assert (await stage.middle[1].metrics())["diemcau_relay_subscribers"] == 0
    for kind in ("audio", "video"):
        assert missing_and_doubled(stage.player, kind) == (0, 0), kind
    assert (await stage.edge.metrics())["diemcau_relay_upstream_failovers_total"] == 0
