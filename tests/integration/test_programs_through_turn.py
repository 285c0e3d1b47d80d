"""Agent and publisher behind a firewall that lets no UDP out: they go through a real TURN server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import aiohttp
import pytest
from support.aiortc_relay import TestCoordinator, link_of, until
from support.live_source import live_source
from support.namespaces import needs_namespaces, network
from support.relays import RelayProcess, Signer, relay_process
from support.turn_server import PORT, SECRET, turn_server

from bridges.agent import HallAgent
from bridges.messages import IceServer, RelayAccess
from bridges.precheck_run import try_relay
from configs.turn import TurnCredentials, TurnServers

pytestmark = [pytest.mark.integration, needs_namespaces]


async def test_an_agent_that_reaches_no_relay_tries_turn(tmp_path: Path) -> None:
    """The first session finds no path to the media port; the next one does, over TCP, from an address of the server."""
    signer = Signer()
    with network("relay", "turn", "hall") as net:
        net.run("hall", "iptables -A OUTPUT -o line -p udp -j DROP")
        servers = TurnServers(
            urls=(f"turn:{net.address('turn')}:{PORT}?transport=tcp",), secret_file=tmp_path / "unused"
        )
        grant = TurnCredentials(servers, SECRET).issue("h1", time.time())
        async with contextlib.AsyncExitStack() as stack:
            with net.inside("turn"):
                await stack.enter_async_context(turn_server(tmp_path, net.address("turn")))
            with net.inside("relay"):
                relay = await stack.enter_async_context(
                    relay_process(tmp_path, signer, relay_id="a", role="origin", host=net.address("relay"))
                )
                await stack.enter_async_context(live_source(relay.endpoint("whip"), signer.token("source", "publish")))
            access = RelayAccess(
                relay_id="a", whep_url=relay.endpoint("whep"), token=signer.token("h1", "play"), expires_at_ms=0
            )
            with net.inside("hall"):
                coordinator = TestCoordinator(access, None)
                coordinator.ice_servers = [
                    IceServer(urls=list(grant.urls), username=grant.username, credential=grant.credential)
                ]
                await coordinator.start()
                stack.push_async_callback(coordinator.close)
                stop = asyncio.Event()
                agent = HallAgent(link_of(coordinator.base_url), seed=1)
                task = asyncio.create_task(agent.run(stop))
                await until(lambda: agent.summary().frames_decoded >= 30, say=agent.summary)
                assert agent.summary().errors == {"no_media_path": 1}
                stop.set()
                await task


async def test_a_precheck_finds_the_way_through_turn(tmp_path: Path) -> None:
    """No UDP leaves the hall: the check says so, and measures loss and round trip over TCP; a dead relay is none."""
    signer = Signer()
    with network("relay", "turn", "hall") as net:
        net.run("hall", "iptables -A OUTPUT -o line -p udp -j DROP")
        servers = TurnServers(
            urls=(f"turn:{net.address('turn')}:{PORT}?transport=tcp",), secret_file=tmp_path / "unused"
        )
        grant = TurnCredentials(servers, SECRET).issue("h1", time.time())
        ice_servers = [IceServer(urls=list(grant.urls), username=grant.username, credential=grant.credential)]
        async with contextlib.AsyncExitStack() as stack:
            with net.inside("turn"):
                await stack.enter_async_context(turn_server(tmp_path, net.address("turn")))
            with net.inside("relay"):
                relay = await stack.enter_async_context(
                    relay_process(tmp_path, signer, relay_id="a", role="origin", host=net.address("relay"))
                )
                await stack.enter_async_context(live_source(relay.endpoint("whip"), signer.token("source", "publish")))
            token = signer.token("precheck:h1", "play")
            access = RelayAccess(relay_id="a", whep_url=relay.endpoint("whep"), token=token, expires_at_ms=0)
            dead = RelayAccess(
                relay_id="b", whep_url=f"http://{net.address('relay')}:9/c/f/whep", token=token, expires_at_ms=0
            )
            with net.inside("hall"):
                http = await stack.enter_async_context(aiohttp.ClientSession())
                found = await try_relay(http, access, "primary", ice_servers)
                without = await try_relay(http, access, "primary", [])
                nobody = await try_relay(http, dead, "backup", ice_servers)
    assert (found.relay.transport, found.relay.turn) == ("turn_tcp", "turn_tcp")
    assert found.relay.loss is not None
    assert found.relay.rtt_ms is not None
    assert found.media_bps is not None
    assert (without.relay.transport, without.relay.turn, without.media_bps) == ("none", None, None)
    assert (nobody.relay.transport, nobody.relay.turn) == ("none", "none")


async def test_a_publisher_that_reaches_no_relay_tries_turn(tmp_path: Path) -> None:
    """Its relay names the server in the answer to the first offer; the second connection goes through it."""
    signer, secret_file = Signer(), tmp_path / "secret"
    with network("relay", "turn", "hall") as net:
        secret_file.write_text(SECRET)
        turn = {"urls": [f"turn:{net.address('turn')}:{PORT}?transport=tcp"], "secret_file": str(secret_file)}
        net.run("hall", "iptables -A OUTPUT -o line -p udp -j DROP")
        async with contextlib.AsyncExitStack() as stack:
            with net.inside("turn"):
                await stack.enter_async_context(turn_server(tmp_path, net.address("turn")))
            with net.inside("relay"):
                relay = await stack.enter_async_context(
                    relay_process(
                        tmp_path,
                        signer,
                        relay_id="a",
                        role="origin",
                        host=net.address("relay"),
                        settings={"turn": turn},
                    )
                )
            with net.inside("hall"):
                async with live_source(relay.endpoint("whip"), signer.token("source", "publish")):
                    await more_packets(relay)


async def more_packets(relay: RelayProcess) -> None:
    """Wait until a relay took a hundred packets of a source."""
    deadline = time.monotonic() + 20
    while (await relay.metrics())["diemcau_relay_packets_received_total"] < 100:
        assert time.monotonic() < deadline, "no media through the TURN server"
        await asyncio.sleep(0.1)
