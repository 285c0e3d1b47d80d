"""The operators' page in a real browser, fed by a small server that speaks the live stream."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from conference.api.pages import load_pages, page_routes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(60)]

PROVINCES = [("01", "Thành phố Hà Nội"), ("79", "Thành phố Hồ Chí Minh"), ("04", "Tỉnh Cao Bằng")]


def _snapshot(*, present: int, lost: list[dict[str, Any]]) -> dict[str, Any]:
    totals = {
        "halls": 3361,
        "present": present + 3000,
        "waiting": 361 - present - len(lost),
        "lost": len(lost),
        "left": 0,
        "virtual_halls": 3321,
        "virtual_present": 3000,
        "virtual_waiting": 321,
        "virtual_lost": 0,
        "virtual_left": 0,
        "summoned": 2800,
        "headcount_halls": 12,
        "headcount_present": 1012,
    }
    relays = [
        {"relay_id": "ha-noi-1", "region": "01", "virtual": False, "status": "lost", "parents": ["goc-1"]},
        {"relay_id": "goc-1", "region": "", "virtual": False, "status": "live", "parents": []},
        {"relay_id": "ao-01", "region": "01", "virtual": True, "status": "live", "parents": ["ao-goc"]},
    ]
    return {
        "at_ms": 1_780_000_000_000,
        "focus": "hn-1",
        "conferences": [{"conference_id": "hn-1", "title": "Hội nghị toàn quốc", "phase": "live", "totals": totals}],
        "provinces": [
            {
                "code": code,
                "name": name,
                "halls": 100,
                "present": 90,
                "waiting": 8,
                "lost": 2 if code == "01" else 0,
                "virtual_halls": 99,
            }
            for code, name in PROVINCES
        ],
        "relays": [{"halls": 10, "sessions": 12, "connected": True, "role": "edge", **relay} for relay in relays],
        "lost": lost,
    }


LOST_HALL = {
    "hall_id": "VN-00004-01",
    "name": "Điểm cầu Phường Ba Đình",
    "province": "Thành phố Hà Nội",
    "virtual": False,
    "contact_name": "Nguyễn Văn A",
    "contact_phone": "0900 000 123",
    "since_ms": 1_780_000_000_000,
}


class LiveServer:
    """Serves the pages and one live stream."""

    def __init__(self) -> None:
        self.url = ""
        self.authorizations: list[str] = []
        self.latest = _snapshot(present=30, lost=[])
        self.connections = 0
        self._changed = asyncio.Condition()
        self._version = 0
        self._broken = 0

    async def tell(self, snapshot: dict[str, Any]) -> None:
        """Send another snapshot to whoever reads."""
        async with self._changed:
            self.latest = snapshot
            self._version += 1
            self._changed.notify_all()

    async def break_streams(self) -> None:
        """End all open streams."""
        async with self._changed:
            self._broken += 1
            self._changed.notify_all()

    async def live(self, request: web.Request) -> web.StreamResponse:
        """The stream."""
        self.authorizations.append(request.headers.get("Authorization", ""))
        if request.headers.get("Authorization") != "Bearer a.b.c":
            return web.json_response({"title": "no", "code": "access_denied"}, status=401)
        self.connections += 1
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        version, broken = -1, self._broken
        while True:
            async with self._changed:
                while self._version == version and self._broken == broken:
                    await self._changed.wait()
                if self._broken > broken:
                    return response
                version = self._version
            text = json.dumps(self.latest, ensure_ascii=False)
            await response.write(f": heartbeat\r\n\r\nevent: snapshot\r\ndata: {text}\r\n\r\n".encode())


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[LiveServer]:
    """The pages and a stream on a free port."""
    serving = LiveServer()
    app = web.Application()
    app.add_routes([*page_routes(load_pages()), web.get("/api/v1/live", serving.live)])
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    serving.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield serving
    await serving.break_streams()
    await runner.cleanup()


async def _open(browser: Browser, url: str) -> tuple[Page, list[str]]:
    page = await browser.new_page(viewport={"width": 1366, "height": 768})
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(url)
    return page, complaints


async def _picture(page: Page, name: str) -> None:
    """Keep a picture for people where they asked for one."""
    if folder := os.environ.get("DIEMCAU_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png")


async def test_the_board_follows_what_happens(chromium: Browser, server: LiveServer) -> None:
    """Totals, provinces, relays and the halls to phone are shown, and change without a reload."""
    page, complaints = await _open(chromium, f"{server.url}/live#token=a.b.c")
    await expect(page.locator(".conference .title")).to_have_text("Hội nghị toàn quốc")
    await expect(page.locator('[data-key="halls"] dd').first).to_have_text("40")
    await expect(page.locator('[data-key="halls"] .simulated')).to_contain_text("3.321")
    await expect(page.locator('[data-key="halls"] .virtual')).to_have_text("ảo")
    await expect(page.locator('[data-key="present"] dd').first).to_have_text("30")
    await expect(page.locator(".province")).to_have_count(3)
    await expect(page.locator("#provinces-virtual")).to_be_visible()
    await expect(page.locator("#lost")).to_be_hidden()
    await _picture(page, "live-calm")

    await server.tell(_snapshot(present=29, lost=[LOST_HALL]))
    await expect(page.locator("#lost-rows tr")).to_have_count(1)
    await expect(page.locator("#lost-rows .phone")).to_have_text("0900 000 123")
    await expect(page.locator('[data-key="present"] dd').first).to_have_text("29")
    await _picture(page, "live-lost")

    await server.tell(_snapshot(present=30, lost=[]))
    await expect(page.locator("#lost")).to_be_hidden()
    assert complaints == []


async def test_real_relays_come_first_and_the_lost_ones_before_all(chromium: Browser, server: LiveServer) -> None:
    """Simulated relays cannot hide a real one, and carry their label."""
    page, _ = await _open(chromium, f"{server.url}/live#token=a.b.c")
    rows = page.locator("#relay-rows tr")
    await expect(rows).to_have_count(3)
    await expect(rows.nth(0)).to_contain_text("ha-noi-1")
    await expect(rows.nth(0)).to_contain_text("Mất / Lost")
    await expect(rows.nth(2)).to_contain_text("ảo")


async def test_what_is_ordered_of_a_relay_and_what_is_left_is_shown(chromium: Browser, server: LiveServer) -> None:
    """A cordon, a drain with what it still has to do, and its end."""
    page, _ = await _open(chromium, f"{server.url}/live#token=a.b.c")
    left = {"halls_primary": 2, "halls_backup": 3, "halls_leaving": 1, "children": 1}
    for order, words in [
        ({"mode": "cordoned"}, "Ngừng nhận mới"),
        ({"mode": "draining", "is_empty": False, **left}, "còn 7"),
        ({"mode": "draining", "is_empty": True}, "Đã trống"),
    ]:
        snapshot = _snapshot(present=30, lost=[])
        snapshot["relays"][1] |= order
        await server.tell(snapshot)
        await expect(page.locator("#relay-rows tr", has_text="goc-1").first).to_contain_text(words)


async def test_a_broken_stream_is_said_and_opened_again(chromium: Browser, server: LiveServer) -> None:
    """The page tells that it is not live, and comes back by itself."""
    page, _ = await _open(chromium, f"{server.url}/live#token=a.b.c")
    await expect(page.locator("#link")).to_have_attribute("data-state", "live")
    await server.break_streams()
    await expect(page.locator("#link")).to_have_attribute("data-state", "lost")
    await expect(page.locator("#link")).to_have_attribute("data-state", "live")
    assert server.connections == 2


async def test_text_of_the_server_is_never_markup(chromium: Browser, server: LiveServer) -> None:
    """A hall named with tags is shown as text."""
    evil = {**LOST_HALL, "name": "<img src=x onerror=alert(1)>", "contact_phone": "javascript:alert(1)"}
    server.latest = _snapshot(present=1, lost=[evil])
    page, complaints = await _open(chromium, f"{server.url}/live#token=a.b.c")
    await expect(page.locator("#lost-rows .name")).to_have_text("<img src=x onerror=alert(1)>")
    await expect(page.locator("#lost-rows .phone a")).to_have_attribute("href", "tel:1")
    assert complaints == []


async def test_a_refused_link_says_so_and_stops(chromium: Browser, server: LiveServer) -> None:
    """An expired token is not tried again and again."""
    page, _ = await _open(chromium, f"{server.url}/live#token=expired")
    await expect(page.locator("#link")).to_have_attribute("data-state", "refused")
    assert server.authorizations == ["Bearer expired"]


@pytest.fixture(autouse=True)
def _short_waits() -> None:
    """What a browser has not shown within ten seconds is wrong."""
    expect.set_options(timeout=10_000)
