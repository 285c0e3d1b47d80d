"""One relay hears IPv6 and IPv4 on one port, and every way through the tree may be of either."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from support.relays import Signer, control_server, parent_of, relay_process
from support.rtc_client import programme, rtc_client

from configs.listening import http_site
from relay.net.udp import Address, UdpSocket

pytestmark = pytest.mark.integration

BOTH = {"media": {"host": "::", "port": 0, "announced_addresses": ["::1", "127.0.0.1"]}}
ONLY_IPV6 = {"media": {"host": "::1", "port": 0}}


@pytest.mark.parametrize("fanout", ["kernel", "reference"])
async def test_a_dual_stack_relay_serves_both_versions_and_feeds_a_child_by_ipv6(tmp_path: Path, fanout: str) -> None:
    """A publisher by IPv4, a hall by each version at the origin, and a hall below a child that has IPv6 alone."""
    signer = Signer()
    async with (
        control_server(signer) as control,
        relay_process(
            tmp_path, signer, relay_id="origin", role="origin", settings={**BOTH, "fanout": fanout}
        ) as origin,
    ):
        control.parents = [parent_of(origin, "origin")]
        hall = signer.token("hall-1", "play")
        async with (
            relay_process(
                tmp_path,
                signer,
                relay_id="edge",
                role="edge",
                coordinator_url=control.url,
                settings={**ONLY_IPV6, "fanout": fanout},
            ) as edge,
            rtc_client(origin.endpoint("whip"), signer.token("source", "publish"), publishes=True) as publisher,
            rtc_client(origin.endpoint("whep"), hall, publishes=False) as by_ipv4,
            rtc_client(origin.endpoint("whep"), hall, publishes=False, host="::1") as by_ipv6,
            rtc_client(edge.endpoint("whep"), hall, publishes=False, host="::1") as below,
            programme(publisher),
        ):
            for client in (by_ipv4, by_ipv6, below):
                await client.received(200, within_s=15)
            assert by_ipv4.relay_address[0] == "127.0.0.1"
            assert by_ipv6.relay_address[0] == below.relay_address[0] == "::1"
            metrics = await origin.metrics()
            assert metrics.get("diemcau_relay_malformed_total", 0) == 0


async def test_an_answer_names_both_versions_best_first(tmp_path: Path) -> None:
    """Candidates in the order of the configuration, with falling priorities; the first is the default destination."""
    signer = Signer()
    async with (
        relay_process(tmp_path, signer, relay_id="origin", role="origin", settings=BOTH) as origin,
        rtc_client(origin.endpoint("whep"), signer.token("hall-1", "play"), publishes=False) as client,
    ):
        assert client.answer is not None
        first = client.answer.media[0]
        assert [candidate.address for candidate in first.candidates] == ["::1", "127.0.0.1"]
        assert len({candidate.port for candidate in first.candidates}) == 1
        assert first.candidates[0].priority > first.candidates[1].priority
        assert first.connection_address == "::1"


async def test_http_on_the_wildcard_answers_both_versions() -> None:
    """A program that listens on `::` is reached by either loopback address on its one port."""

    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await http_site(runner, "::", 0, tls=None).start()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession() as client:
            for host in ("127.0.0.1", "[::1]"):
                async with client.get(f"http://{host}:{port}/") as response:
                    assert await response.text() == "hello"
    finally:
        await runner.cleanup()


async def test_a_dual_stack_socket_tells_and_takes_plain_addresses() -> None:
    """An IPv4 peer is known by its IPv4 address; what a socket cannot reach it says."""
    heard: asyncio.Queue[tuple[list[bytes], Address]] = asyncio.Queue()
    both = UdpSocket("::", 0, lambda _socket, datagrams, address: heard.put_nowait((datagrams, address)))
    only_ipv6 = UdpSocket("::1", 0, lambda *_: None)
    only_ipv4 = UdpSocket("127.0.0.1", 0, lambda *_: None)
    peers = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    try:
        both.start(asyncio.get_running_loop())
        for family, host in peers:
            with socket.socket(family, socket.SOCK_DGRAM) as peer:
                peer.bind((host, 0))
                peer.settimeout(5)
                peer.sendto(b"question", (host, both.port))
                datagrams, address = await asyncio.wait_for(heard.get(), 5)
                assert (datagrams, address) == ([b"question"], (host, peer.getsockname()[1]))
                both.send(b"answer", address)
                assert peer.recv(100) == b"answer"
        assert both.sends_dropped == 0
        reached = {
            host: [each.reaches(host) for each in (both, only_ipv6, only_ipv4)] for host in ("::1", "127.0.0.1", "x")
        }
        assert reached == {"::1": [True, True, False], "127.0.0.1": [True, False, True], "x": [False, False, False]}
    finally:
        for each in (both, only_ipv6, only_ipv4):
            each.close()
