"""The check of a hall in a real browser: real relays, a real source, and a coordinator of a few lines that judges."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, expect
from support.live_source import live_source
from support.namespaces import needs_namespaces, network
from support.pages import launched_chromium
from support.relays import CONFERENCE, RelayProcess, Signer, relay_process
from support.turn_server import PORT, SECRET, turn_server

from bridges.precheck_messages import PrecheckReport, PrecheckVerdict
from bridges.prechecks import Precheck, SignOff
from bridges.readiness import Thresholds, judge, readiness_of
from conference.api.pages import load_pages, page_routes
from configs.turn import TurnCredentials, TurnServers

HALL = "hall-1"
# A check listens to each relay for six seconds.
CHECK_MS = 45_000
pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.timeout(120)]


class Coordinator:
    """Serves the pages, plans checks, and judges them as the real one does.

    Attributes:
        relays: endpoints of the primary and the backup.
        ice_servers: what the hall is told.
        prechecks: what came in.
        layer_bps: bitrate that is asked of the line.
    """

    def __init__(self, signer: Signer, relays: dict[str, str]) -> None:
        self._signer = signer
        self.relays = relays
        self.ice_servers: list[dict[str, Any]] = []
        self.prechecks: list[Precheck] = []
        self.sign_off: SignOff | None = None
        self.layer_bps = 100_000

    def application(self) -> web.Application:
        """The pages and the routes of a check."""
        app = web.Application()
        app.add_routes(
            [
                *page_routes(load_pages()),
                web.post("/api/v1/halls/precheck/plan", self._plan),
                web.post("/api/v1/halls/precheck", self._report),
                web.get("/api/v1/halls/precheck/payload", self._payload),
                web.post("/api/v1/halls/signoff", self._sign_off),
            ]
        )
        return app

    async def _plan(self, _request: web.Request) -> web.Response:
        def access(place: str) -> dict[str, Any] | None:
            if place not in self.relays:
                return None
            return {
                "relay_id": f"tram-{place}",
                "whep_url": self.relays[place],
                "token": self._signer.token(f"precheck:{HALL}", "play"),
                "expires_at_ms": int(time.time() * 1000) + 600_000,
            }

        return web.json_response(
            {
                "schema": 1,
                "hall_id": HALL,
                "hall_name": "Điểm cầu Phường Ba Đình",
                "conference_id": CONFERENCE,
                "conference_title": "Hội nghị toàn quốc",
                "phase": "draft",
                "primary": access("primary"),
                "backup": access("backup"),
                "layer_bps": self.layer_bps,
                "payload_bytes": 1_000_000,
                "ice_servers": self.ice_servers,
            }
        )

    async def _report(self, request: web.Request) -> web.Response:
        report = msgspec.json.decode(await request.read(), type=PrecheckReport)
        self.prechecks.append(msgspec.structs.replace(report.precheck, at_ms=len(self.prechecks) + 1))
        verdict = PrecheckVerdict(findings=judge(self.prechecks[-1], Thresholds()), readiness=self._readiness())
        return web.Response(body=msgspec.json.encode(verdict), content_type="application/json")

    def _readiness(self) -> Any:
        return readiness_of(self.prechecks, self.sign_off, Thresholds(), 1_000)

    async def _payload(self, _request: web.Request) -> web.Response:
        return web.Response(body=os.urandom(1_000_000))

    async def _sign_off(self, _request: web.Request) -> web.Response:
        self.sign_off = SignOff(at_ms=999, by="hall:hall-1")
        return web.Response(body=msgspec.json.encode(self._readiness()), content_type="application/json")


@contextlib.asynccontextmanager
async def serving(coordinator: Coordinator, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """The hall's link."""
    runner = web.AppRunner(coordinator.application(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, 0).start()
    try:
        yield f"http://{host}:{runner.addresses[0][1]}/hall#token=h.a.ll"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def relay_with_source(folder: Path, signer: Signer, host: str = "127.0.0.1") -> AsyncIterator[RelayProcess]:
    """A relay that a programme is published to."""
    async with (
        relay_process(folder, signer, relay_id="origin", role="origin", host=host) as relay,
        live_source(relay.endpoint("whip"), signer.token("source", "publish")),
    ):
        yield relay


async def check(page: Page, link: str) -> None:
    """Open the link and press the button; returns once there is a verdict on the line."""
    await page.goto(link)
    await page.click("#precheck-open")
    await expect(page.locator("#precheck-findings li").first).to_be_visible(timeout=CHECK_MS)


async def shot(page: Page, folder: Path, name: str) -> None:
    """Keep a picture of the page, where somebody wants to look at it."""
    folder = Path(os.environ.get("DIEMCAU_SCREENSHOTS", folder))
    await page.screenshot(path=folder / f"precheck-{name}.png")


async def test_a_good_line(chromium: Browser, tmp_path: Path) -> None:
    """Both relays are reached by UDP and measured; with the answers of a person the hall is ready, and signed off."""
    signer = Signer()
    async with relay_with_source(tmp_path, signer) as relay:
        endpoint = relay.endpoint("whep")
        coordinator = Coordinator(signer, {"primary": endpoint, "backup": endpoint})
        async with serving(coordinator) as link:
            page = await chromium.new_page()
            await check(page, link)
            verdict = page.locator("#precheck-verdict")
            await expect(verdict).to_have_attribute("data-state", "doubtful")
            await expect(page.locator('[data-code="speaker"]')).to_contain_text("Chưa đo")
            await page.click("#precheck-tone")
            await page.click("#precheck-yes")
            await expect(verdict).to_have_attribute("data-state", "ready", timeout=10_000)
            await page.click("#precheck-devices")
            await expect(page.locator('[data-code="microphone"][data-grade="good"]')).to_be_visible(timeout=10_000)
            await expect(page.locator('[data-code="loss"][data-place="backup"]')).to_contain_text("Mất gói")
            await shot(page, tmp_path, "good")
            await page.click("#precheck-sign")
            await expect(verdict).to_have_attribute("data-state", "signed_off")
            await page.close()
        last = coordinator.prechecks[-1]
        assert {reach.transport for reach in last.relays} == {"udp"}
        for reach in last.relays:
            assert reach.loss is not None
            assert reach.rtt_ms is not None
            assert reach.connect_ms is not None
        assert last.media_bps is not None
        assert last.devices.camera == "ok"
        assert last.devices.screen_width_px > 0


async def test_a_relay_that_is_down_and_a_line_without_programme(chromium: Browser, tmp_path: Path) -> None:
    """The backup does not answer: a red line for the operator; without media loss is not measured, and said so."""
    signer = Signer()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}/hn/program/whep"
        async with relay_process(tmp_path, signer, relay_id="origin", role="origin") as relay:
            coordinator = Coordinator(signer, {"primary": relay.endpoint("whep"), "backup": nobody})
            async with serving(coordinator) as link:
                page = await chromium.new_page()
                await check(page, link)
                await expect(page.locator("#precheck-verdict")).to_have_attribute("data-state", "doubtful")
                down = page.locator('[data-code="reach"][data-place="backup"]')
                await expect(down).to_have_attribute("data-grade", "bad")
                await expect(down).to_contain_text("báo trực kỹ thuật")
                await expect(page.locator('[data-code="loss"]')).to_have_attribute("data-grade", "unmeasured")
                await expect(page.locator('[data-code="throughput"]')).to_have_attribute("data-grade", "good")
                await shot(page, tmp_path, "relay-down")
                coordinator.relays = {"primary": nobody, "backup": nobody}
                await page.click("#precheck-run")
                await expect(page.locator("#precheck-verdict")).to_have_attribute(
                    "data-state", "failed", timeout=CHECK_MS
                )
                await expect(page.locator('[data-code="reach"]').first).to_contain_text("tường lửa")
                await expect(page.locator("#precheck-sign")).to_be_hidden()
                await shot(page, tmp_path, "failed")
                await page.close()
    assert coordinator.prechecks[0].media_bps is None
    assert coordinator.prechecks[0].download_bps is not None


@needs_namespaces
async def test_a_hall_whose_network_lets_no_udp_out(tmp_path: Path) -> None:
    """The line works through TURN over TCP: fair, with what the provincial technician is to do."""
    signer = Signer()
    with network("relay", "turn", "hall") as net:
        host = net.address("relay")
        net.run("hall", "iptables -A OUTPUT -o line -p udp -j DROP")
        servers = TurnServers(
            urls=(f"turn:{net.address('turn')}:{PORT}?transport=tcp",), secret_file=tmp_path / "unused"
        )
        grant = TurnCredentials(servers, SECRET).issue(HALL, time.time())
        async with contextlib.AsyncExitStack() as stack:
            with net.inside("turn"):
                await stack.enter_async_context(turn_server(tmp_path, net.address("turn")))
            with net.inside("relay"):
                relay = await stack.enter_async_context(relay_with_source(tmp_path, signer, host))
                coordinator = Coordinator(signer, {"primary": relay.endpoint("whep")})
                coordinator.ice_servers = [
                    {"urls": list(grant.urls), "username": grant.username, "credential": grant.credential}
                ]
                link = await stack.enter_async_context(serving(coordinator, host))
            with net.inside("hall"):
                browser = await stack.enter_async_context(launched_chromium())
            page = await browser.new_page()
            await check(page, link)
            reached = page.locator('[data-code="reach"]')
            await expect(reached).to_have_attribute("data-grade", "fair")
            await expect(reached).to_contain_text("TURN (TCP)")
            await shot(page, tmp_path, "turn")
    (reach,) = coordinator.prechecks[-1].relays
    assert (reach.transport, reach.turn) == ("turn_tcp", "turn_tcp")
    assert reach.loss is not None
