"""A hall's page behind a firewall that lets no UDP out, and on a line that changes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Page, expect
from support.live_source import live_source
from support.namespaces import ROUTER, Network, needs_namespaces, network
from support.pages import launched_chromium, until_in_hall
from support.relays import CONFERENCE, FEED, RelayProcess, Signer, relay_process
from support.turn_server import PORT, SECRET, TLS_PORT, turn_server

from conference.api.pages import load_pages, page_routes
from configs.turn import TurnCredentials, TurnServers

HALL = "hall-1"
pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.timeout(120), needs_namespaces]


class Coordinator:
    """Serves the pages, and seats one hall on one relay.

    Attributes:
        ice_servers: what the hall is told.
        joins: how often it asked.
    """

    def __init__(self, signer: Signer, relay: RelayProcess) -> None:
        self._signer = signer
        self._relay = relay
        self.ice_servers: list[dict[str, Any]] = []
        self.joins = 0

    def application(self) -> web.Application:
        """The pages and the hall's routes."""
        app = web.Application()
        app.add_routes(
            [
                *page_routes(load_pages()),
                web.post("/api/v1/halls/join", self._join),
                web.get("/api/v1/halls/assignment", self._assignment),
                web.post("/api/v1/halls/leave", self._leave),
            ]
        )
        return app

    async def _join(self, request: web.Request) -> web.Response:
        self.joins += 1
        return await self._assignment(request)

    async def _assignment(self, _request: web.Request) -> web.Response:
        access = {
            "relay_id": "origin",
            "whep_url": self._relay.endpoint("whep"),
            "token": self._signer.token(HALL, "play"),
            "expires_at_ms": int(time.time() * 1000) + 600_000,
        }
        return web.json_response(
            {
                "schema": 1,
                "hall_id": HALL,
                "hall_name": "Điểm cầu Phường Ba Đình",
                "conference_id": CONFERENCE,
                "conference_title": "Hội nghị toàn quốc",
                "phase": "live",
                "feed": FEED,
                "epoch": 1,
                "primary": access,
                "backup": None,
                "ice_servers": self.ice_servers,
            }
        )

    async def _leave(self, _request: web.Request) -> web.Response:
        return web.Response(status=204)


@contextlib.asynccontextmanager
async def served_hall(net: Network, folder: Path) -> AsyncIterator[tuple[Coordinator, RelayProcess, str]]:
    """A relay with a source and a coordinator, all in the host `relay`; gives the coordinator's URL last."""
    signer, host = Signer(), net.address("relay")
    async with contextlib.AsyncExitStack() as stack:
        with net.inside("relay"):
            relay = await stack.enter_async_context(
                relay_process(folder, signer, relay_id="origin", role="origin", host=host)
            )
            coordinator = Coordinator(signer, relay)
            runner = web.AppRunner(coordinator.application(), shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, host, 0).start()
            await stack.enter_async_context(live_source(relay.endpoint("whip"), signer.token("source", "publish")))
        yield coordinator, relay, f"http://{host}:{runner.addresses[0][1]}"


async def play(page: Page, url: str) -> None:
    """Open the hall's link, press the button, and wait for pictures."""
    await page.goto(f"{url}/hall#token=h.a.ll")
    await page.click("#join")
    await until_in_hall(page, "diemcau.state === 'playing' && diemcau.framesDecoded() > 15", timeout_s=30)


async def more_pictures(page: Page) -> None:
    """Wait until a page decoded two seconds of pictures more."""
    frames = await page.evaluate("diemcau.framesDecoded()")
    await until_in_hall(page, f"diemcau.framesDecoded() > {frames} + 30", timeout_s=30)


async def same_session(net: Network, coordinator: Coordinator, relay: RelayProcess) -> None:
    """The hall joined once, and shook hands once."""
    assert coordinator.joins == 1
    with net.inside("relay"):
        metrics = await relay.metrics()
    assert metrics["diemcau_relay_subscribers"] == 1
    assert metrics['diemcau_relay_dtls_handshakes_total{result="completed"}'] == 2, "the source's and the hall's"


@pytest.mark.parametrize("url", [f"turn:{{host}}:{PORT}?transport=tcp", f"turns:{{host}}:{TLS_PORT}?transport=tcp"])
async def test_a_hall_without_udp_plays_through_turn(url: str, tmp_path: Path) -> None:
    """No UDP leaves the hall: the session that found no way goes on through the TURN server, over TCP or TLS."""
    with network("relay", "turn", "hall") as net:
        servers = TurnServers(urls=(url.format(host=net.address("turn")),), secret_file=tmp_path / "unused")
        grant = TurnCredentials(servers, SECRET).issue(HALL, time.time())
        net.run("hall", "iptables -A OUTPUT -o line -p udp -j DROP")
        async with contextlib.AsyncExitStack() as stack:
            with net.inside("turn"):
                await stack.enter_async_context(turn_server(tmp_path, net.address("turn")))
            coordinator, relay, page_url = await stack.enter_async_context(served_hall(net, tmp_path))
            coordinator.ice_servers = [
                {"urls": list(grant.urls), "username": grant.username, "credential": grant.credential}
            ]
            with net.inside("hall"):
                browser = await stack.enter_async_context(launched_chromium("--ignore-certificate-errors"))
            page = await browser.new_page()
            await play(page, page_url)
            await until_in_hall(page, "diemcau.path === 'turn'")
            await expect(page.locator("#relay")).to_have_text("Trạm origin · qua TURN")
            await same_session(net, coordinator, relay)


async def test_a_hall_that_changes_its_line_keeps_its_session(tmp_path: Path) -> None:
    """The first line goes and another comes: pictures go on, and the page neither joins nor connects anew."""
    with network("relay", "hall") as net:
        net.add_line("hall", 9)
        async with contextlib.AsyncExitStack() as stack:
            coordinator, relay, page_url = await stack.enter_async_context(served_hall(net, tmp_path))
            with net.inside("hall"):
                browser = await stack.enter_async_context(launched_chromium())
            page = await browser.new_page()
            await play(page, page_url)
            net.run("hall", "ip link set line down")
            net.run("hall", "ip route add default via 10.77.9.1")
            await more_pictures(page)
            await same_session(net, coordinator, relay)


async def test_a_hall_whose_flow_is_cut_restarts_ice(tmp_path: Path) -> None:
    """A firewall that forgot the hall drops what comes from its ports: a restart finds a way from new ones."""
    with network("relay", "hall") as net:
        async with contextlib.AsyncExitStack() as stack:
            coordinator, relay, page_url = await stack.enter_async_context(served_hall(net, tmp_path))
            with net.inside("hall"):
                browser = await stack.enter_async_context(launched_chromium())
            page = await browser.new_page()
            await play(page, page_url)
            for line in net.run("hall", "ss -Hnua").splitlines():
                port = line.split()[3].rpartition(":")[2]
                net.run(ROUTER, f"iptables -A FORWARD -i hall -p udp --sport {port} -j DROP")
                net.run(ROUTER, f"iptables -A FORWARD -o hall -p udp --dport {port} -j DROP")
            await more_pictures(page)
            await same_session(net, coordinator, relay)
