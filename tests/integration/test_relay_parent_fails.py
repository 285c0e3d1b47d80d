"""Real relays: a child whose parent is killed or frozen goes on from the other parent."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.relays import ControlServer, RelayProcess, Signer, at_once, control_server, parent_of, relay_process
from support.rtc_client import RtcClient, longest_gap_s, missing, programme, rtc_client

pytestmark = [pytest.mark.integration, pytest.mark.alone]


class Stage:
    """Two origins fed by one encoder, and a child of both."""

    def __init__(
        self, origins: list[RelayProcess], child: RelayProcess, player: RtcClient, control: ControlServer
    ) -> None:
        self.origins = origins
        self.child = child
        self.player = player
        self.control = control

    async def parent(self, relay_id: str, *, within_s: float = 8.0) -> None:
        """Return when the child says that this parent delivers."""
        deadline = time.monotonic() + within_s
        while self.control.heartbeats["child"].parent != relay_id:
            assert time.monotonic() < deadline, self.control.heartbeats["child"].parent
            await asyncio.sleep(0.02)

    async def plays_on(self, packets: int = 200) -> None:
        """Return when so many more packets have come."""
        await self.player.received(len(self.player.packets) + packets)

    async def all_came(self, kind: str, *, within_s: float = 5.0) -> None:
        """Return when no packet is missing between the first and the newest.

        A child that had no time drops what it has for a hall, and repairs it when the hall asks; what the child itself
        lost when its parent failed, it cannot give.
        """
        async with asyncio.timeout(within_s):
            while holes := missing(self.player, kind):
                self.player.ask_again(kind, holes)
                await self.player.received(len(self.player.packets) + 20)


@contextlib.asynccontextmanager
async def stage(directory: Path) -> AsyncIterator[Stage]:
    """Everything up and playing from `origin-0`."""
    signer = Signer()
    async with contextlib.AsyncExitStack() as stack:
        control = await stack.enter_async_context(control_server(signer))
        origins = await at_once(
            stack.enter_async_context(relay_process(directory, signer, relay_id=f"origin-{n}", role="origin"))
            for n in range(2)
        )
        control.parents = [parent_of(origin, f"origin-{n}") for n, origin in enumerate(origins)]
        child = await stack.enter_async_context(
            relay_process(directory, signer, relay_id="child", role="edge", coordinator_url=control.url)
        )
        publishers = [
            await stack.enter_async_context(
                rtc_client(origin.endpoint("whip"), signer.token("encoder", "publish"), publishes=True)
            )
            for origin in origins
        ]
        await stack.enter_async_context(programme(*publishers))
        player = await stack.enter_async_context(
            rtc_client(child.endpoint("whep"), signer.token("hall-1", "play"), publishes=False)
        )
        made = Stage(origins, child, player, control)
        await player.received(300)
        await made.parent("origin-0")
        yield made


@pytest.mark.parametrize("failure", ["kill", "freeze"])
async def test_media_go_on_from_the_backup_parent(failure: str, tmp_path: Path) -> None:
    """Kill -9 or SIGSTOP of the primary parent: a gap below a second, after which not one packet is missing."""
    async with stage(tmp_path) as made:
        if failure == "kill":
            made.origins[0].kill()
        else:
            made.origins[0].freeze()
        await made.parent("origin-1")
        await made.plays_on()
        for kind in ("audio", "video"):
            arrivals = [at for at, _, _ in made.player.of_kind(kind)]
            assert longest_gap_s(arrivals) < 1.0
            await made.all_came(kind)
        metrics = await made.child.metrics()
        assert metrics["diemcau_relay_upstream_failovers_total"] == 1


async def test_a_new_place_in_the_tree_is_taken_without_a_gap(tmp_path: Path) -> None:
    """The coordinator names the other parent first: the child moves make-before-break, and back again."""
    async with stage(tmp_path) as made:
        for relay_id in ("origin-1", "origin-0"):
            made.control.parents.reverse()
            await made.control.send("child", made.control.topology())
            await made.parent(relay_id)
            await made.plays_on()
        arrivals = [at for at, _, _ in made.player.of_kind("audio")]
        assert longest_gap_s(arrivals) < 0.3
        await made.all_came("audio")
        await made.all_came("video")
        metrics = await made.child.metrics()
        assert metrics["diemcau_relay_upstream_failovers_total"] == 0


async def test_without_parents_in_the_topology_the_feed_goes_on(tmp_path: Path) -> None:
    """A coordinator that lost sight of all parents does not cut what works; another parent is followed again."""
    async with stage(tmp_path) as made:
        parents, made.control.parents = made.control.parents, []
        await made.control.send("child", made.control.topology())
        await made.plays_on(300)
        made.control.parents = parents[1:]
        await made.control.send("child", made.control.topology())
        await made.parent("origin-1")
        await made.plays_on()
        assert longest_gap_s([at for at, _, _ in made.player.of_kind("audio")]) < 0.3
        metrics = await made.origins[0].metrics()
        assert metrics["diemcau_relay_subscribers"] == 0, "the parent that was left is told so"
