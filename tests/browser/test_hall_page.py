"""A hall's page in a real browser: real relays, a real publisher, and a coordinator of a few lines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page, expect
from support.pages import open_page, until_in_hall
from support.relays import (
    CONFERENCE,
    FEED,
    ControlServer,
    RelayProcess,
    Signer,
    at_once,
    control_server,
    parent_of,
    relay_process,
)

from conference.api.pages import load_pages, page_routes
from relay.messages import CloseConference, Notify

HALL = "hall-1"
EDGES = ("edge-1", "edge-2", "edge-3")
pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.alone]


class Coordinator:
    """Serves the pages and seats one hall where the test says."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self.relays: dict[str, RelayProcess] = {}
        self.seats = [EDGES[0], EDGES[1]]
        self.epoch = 1
        self.refusal: tuple[int, str] | None = None
        self.joins = 0
        self.moved: list[dict[str, Any]] = []
        self.headcounts: list[dict[str, Any]] = []
        self.left = 0
        self.url = ""

    def seat(self, primary: str, backup: str) -> None:
        """Change the assignment."""
        self.seats = [primary, backup]
        self.epoch += 1

    def application(self) -> web.Application:
        """The pages and the hall's routes."""
        app = web.Application()
        app.add_routes(
            [
                *page_routes(load_pages()),
                web.post("/api/v1/halls/join", self._join),
                web.get("/api/v1/halls/assignment", self._assigned),
                web.post("/api/v1/halls/moved", self._moved),
                web.post("/api/v1/halls/headcount", self._headcount),
                web.post("/api/v1/halls/leave", self._leave),
            ]
        )
        return app

    def _access(self, relay_id: str) -> dict[str, Any] | None:
        if relay_id not in self.relays:
            return None
        return {
            "relay_id": relay_id,
            "whep_url": self.relays[relay_id].endpoint("whep"),
            "token": self._signer.token(HALL, "play"),
            "expires_at_ms": int(time.time() * 1000) + 600_000,
        }

    def _answer(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer h.a.ll":
            return web.json_response({"code": "access_denied", "detail": "token has expired"}, status=401)
        if self.refusal:
            status, code = self.refusal
            return web.json_response({"code": code, "detail": ""}, status=status)
        primary, backup = self.seats
        return web.json_response(
            {
                "schema": 1,
                "hall_id": HALL,
                "hall_name": "Điểm cầu Phường Ba Đình",
                "conference_id": CONFERENCE,
                "conference_title": "Hội nghị toàn quốc",
                "phase": "live",
                "feed": FEED,
                "epoch": self.epoch,
                "primary": self._access(primary),
                "backup": self._access(backup),
            }
        )

    async def _join(self, request: web.Request) -> web.Response:
        assert (await request.json())["agent"] == "page"
        self.joins += 1
        return self._answer(request)

    async def _assigned(self, request: web.Request) -> web.Response:
        return self._answer(request)

    async def _moved(self, request: web.Request) -> web.Response:
        report = await request.json()
        self.moved.append(report)
        if report["reason"] == "silence":
            spare = next(edge for edge in EDGES if edge not in self.seats)
            self.seat(report["to_relay"], spare)
        return self._answer(request)

    async def _headcount(self, request: web.Request) -> web.Response:
        self.headcounts.append(await request.json())
        return web.Response(status=204)

    async def _leave(self, _request: web.Request) -> web.Response:
        self.left += 1
        return web.Response(status=204)


class Scene:
    """All that a hall needs: its page is opened by the test."""

    def __init__(self, coordinator: Coordinator, control: ControlServer, publisher: Page, browser: Browser) -> None:
        self.coordinator = coordinator
        self.control = control
        self.publisher = publisher
        self._browser = browser
        self.complaints: list[str] = []

    async def open_hall(self) -> Page:
        """Open the hall's link."""
        page = await self._browser.new_page(viewport={"width": 1366, "height": 768})
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        await page.goto(f"{self.coordinator.url}/hall#token=h.a.ll")
        return page

    async def play(self) -> Page:
        """Open the link, press the button, and wait for a picture with a standby beside it."""
        page = await self.open_hall()
        await page.click("#join")
        await until_in_hall(
            page, "diemcau.state === 'playing' && diemcau.framesDecoded() > 30 && diemcau.standby !== ''"
        )
        return page

    async def silence_source(self) -> None:
        """The publisher sends nothing any more."""
        await self.publisher.evaluate(
            """() => Promise.all(publisher.getSenders().map((sender) => {
                sender.was = sender.track; return sender.replaceTrack(null); }))"""
        )

    async def wake_source(self) -> None:
        """The publisher sends again."""
        await self.publisher.evaluate(
            "() => Promise.all(publisher.getSenders().map((sender) => sender.replaceTrack(sender.was)))"
        )


async def eventually(condition: Callable[[], bool], timeout_s: float = 10) -> None:
    """Wait for a condition of the test's own server."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.02)


async def picture(page: Page, name: str) -> None:
    """Keep a picture for people where they asked for one."""
    if folder := os.environ.get("DIEMCAU_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png")


@contextlib.asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """Serve an application on a free port."""
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest_asyncio.fixture(loop_scope="session")
async def scene(chromium: Browser, tmp_path: Path) -> AsyncIterator[Scene]:
    """An origin with a publisher, three edges below it, and a coordinator."""
    signer = Signer()
    coordinator = Coordinator(signer)
    async with contextlib.AsyncExitStack() as stack:
        control = await stack.enter_async_context(control_server(signer))
        origin = await stack.enter_async_context(
            relay_process(tmp_path / "origin", signer, relay_id="origin", role="origin")
        )
        control.parents = [parent_of(origin, "origin")]
        edges = await at_once(
            stack.enter_async_context(
                relay_process(tmp_path / edge, signer, relay_id=edge, role="edge", coordinator_url=control.url)
            )
            for edge in EDGES
        )
        coordinator.relays.update(zip(EDGES, edges, strict=True))
        coordinator.url = await stack.enter_async_context(served(coordinator.application()))
        publisher = await open_page(chromium, origin.base_url)
        await publisher.evaluate(
            "([url, token]) => conference.publish(url, token, 'vp8')",
            [origin.endpoint("whip"), signer.token("publisher", "publish")],
        )
        scene = Scene(coordinator, control, publisher, chromium)
        yield scene
        assert scene.complaints == []


async def test_one_button_brings_picture_and_sound(scene: Scene) -> None:
    """The page names the hall, plays after one press, shows nothing over the picture, and leaves in order."""
    page = await scene.open_hall()
    await expect(page.locator("#hall-name")).to_have_text("Điểm cầu Phường Ba Đình")
    await expect(page.locator("#join")).to_be_focused()
    await picture(page, "hall-lobby")
    await page.click("#join")
    await until_in_hall(page, "diemcau.state === 'playing' && diemcau.framesDecoded() > 30")
    await expect(page.locator("#notice")).to_be_hidden()
    await expect(page.locator("video.front")).to_have_js_property("muted", value=False)
    await expect(page.locator("#line")).to_have_attribute("data-quality", "good")
    assert await page.evaluate("diemcau.relay") == "edge-1"
    await until_in_hall(page, "diemcau.standby === 'edge-2'")
    await picture(page, "hall-playing")
    assert scene.coordinator.moved == []
    await page.close(run_before_unload=True)
    await eventually(lambda: scene.coordinator.left == 1)


async def test_a_killed_relay_costs_less_than_a_second(scene: Scene) -> None:
    """After kill -9 of its relay the hall plays from its standby, tells so, and gets a fresh standby."""
    page = await scene.play()
    scene.coordinator.relays["edge-1"].kill()
    await until_in_hall(page, "diemcau.relay === 'edge-2' && diemcau.moves.length === 1")
    frames = await page.evaluate("diemcau.framesDecoded()")
    await until_in_hall(page, f"diemcau.framesDecoded() > {frames + 30} && diemcau.standby === 'edge-3'")
    (report,) = scene.coordinator.moved
    assert report["from_relay"] == "edge-1"
    assert report["to_relay"] == "edge-2"
    assert report["reason"] == "silence"
    assert 200 < report["interruption_ms"] < 1000
    await expect(page.locator("#notice")).to_be_hidden()


async def test_a_frozen_relay_is_left_as_well(scene: Scene) -> None:
    """A relay that is there and does nothing is as bad as one that is gone."""
    page = await scene.play()
    scene.coordinator.relays["edge-1"].freeze()
    await until_in_hall(page, "diemcau.relay === 'edge-2' && diemcau.moves.length === 1")
    assert 200 < scene.coordinator.moved[0]["interruption_ms"] < 1000
    await until_in_hall(page, "diemcau.state === 'playing' && diemcau.standby === 'edge-3'")


async def test_nobody_moves_when_the_source_is_silent(scene: Scene) -> None:
    """The page says that nothing comes from the main hall, stays where it is, and plays on when the source is back."""
    page = await scene.play()
    await scene.silence_source()
    await until_in_hall(page, "diemcau.state === 'silent'")
    await expect(page.locator("#notice-vi")).to_have_text("Chưa có hình từ hội trường chính")
    await picture(page, "hall-silent")
    await scene.wake_source()
    await until_in_hall(page, "diemcau.state === 'playing'")
    await expect(page.locator("#notice")).to_be_hidden()
    assert await page.evaluate("diemcau.relay") == "edge-1"
    assert scene.coordinator.moved == []


async def test_an_assignment_is_followed_make_before_break(scene: Scene) -> None:
    """Told by its relay's events, the hall fetches its assignment and goes over without losing its picture."""
    page = await scene.play()
    scene.coordinator.seat("edge-3", "edge-1")
    await scene.control.send("edge-1", Notify(subjects=[HALL]))
    await until_in_hall(page, "diemcau.relay === 'edge-3' && diemcau.standby === 'edge-1'")
    await eventually(lambda: len(scene.coordinator.moved) == 1)
    assert scene.coordinator.moved[0]["reason"] == "assignment"
    assert scene.coordinator.moved[0]["interruption_ms"] == 0
    await until_in_hall(page, "diemcau.state === 'playing'")


async def test_both_relays_lost_means_joining_again(scene: Scene) -> None:
    """With no relay left the page says so, joins again, and plays from where it is seated then."""
    page = await scene.play()
    scene.coordinator.seat("edge-3", "")
    for edge in EDGES[:2]:
        scene.coordinator.relays.pop(edge).kill()
    await until_in_hall(page, "diemcau.state === 'lost'")
    await expect(page.locator("#notice-vi")).to_have_text("Mất kết nối, đang nối lại…")
    await until_in_hall(page, "diemcau.state === 'playing' && diemcau.relay === 'edge-3'")
    assert scene.coordinator.joins >= 2


async def test_the_end_of_the_conference_is_said(scene: Scene) -> None:
    """The relay tells the end; the page thanks and stays quiet."""
    page = await scene.play()
    scene.coordinator.refusal = (409, "wrong_phase")
    for edge in EDGES:
        await scene.control.send(edge, CloseConference(conference=CONFERENCE))
    await until_in_hall(page, "diemcau.state === 'ended'")
    await expect(page.locator("#notice-vi")).to_contain_text("Hội nghị đã kết thúc")
    await picture(page, "hall-ended")
