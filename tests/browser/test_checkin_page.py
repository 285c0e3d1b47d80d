"""The check-in page in a real browser, and a coordinator of a few lines that keeps what the protocol says."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import struct
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.async_api import Browser, BrowserContext, Page, expect
from support.checkin_codes import write_camera_film
from support.pages import launched_chromium

from conference.api.pages import load_pages, page_routes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(90)]

ROOT = Path(__file__).parents[2]
CONFERENCE = "hn-2026"
HALL = "VN-00004-01"
NAMES = ["Nguyễn Văn An", "Trần Thị Bích", "Lê Đức Cường", "Đặng Hoàng Dũng", "Phạm Thị Thanh Hương"]
DELEGATES = 60
PHONE, OLD_PC = {"width": 360, "height": 640}, {"width": 1024, "height": 768}
PIN = "123456"


class HallServer:
    """One hall's coordinator: delegates 1 to 60, each counted once, each scan known by its nonce."""

    def __init__(self) -> None:
        self.url = ""
        self.present: dict[int, int] = {}
        self.marks: dict[int, str] = {}
        self.requests = 0
        self.answers_to_lose = 0
        self._key = Ed25519PrivateKey.generate()

    def link(self, role: str = "token", conference: str = CONFERENCE) -> str:
        """The page's address for the hall's own device (`token`) or for a delegate's (`hall`)."""
        claims = {"sub": HALL, "role": "hall", "hall": HALL, "conference": conference}
        return f"{self.url}/checkin#{role}={jwt.encode(claims, 'k' * 40)}"

    def code(self, number: int, conference: str = CONFERENCE, *, spoilt: bool = False) -> str:
        """A delegate's code."""
        signed = b"\1" + hashlib.sha256(conference.encode()).digest()[:4] + struct.pack(">IB", number, 1)
        signature = self._key.sign(b"diemcau checkin 1\0" + conference.encode() + b"\0" + signed)
        if spoilt:
            signature = bytes([signature[0] ^ 1]) + signature[1:]
        return str(int.from_bytes(signed + signature, "big"))

    def application(self) -> web.Application:
        """The pages and the hall's routes."""
        app = web.Application()
        app.add_routes(
            [
                *page_routes(load_pages()),
                web.get("/api/v1/halls/roster", self._roster),
                web.get("/api/v1/halls/checkins", self._counts),
                web.post("/api/v1/halls/checkins", self._checkins),
                web.post("/api/v1/halls/marks", self._marks),
                web.post("/api/v1/checkin", self._self),
            ]
        )
        return app

    async def _roster(self, _request: web.Request) -> web.Response:
        raw = self._key.public_key().public_bytes_raw()
        return web.json_response(
            {
                "hall_name": "Điểm cầu Phường Ba Đình",
                "conference_title": "Hội nghị toàn quốc 2026",
                "public_key": base64.urlsafe_b64encode(raw).decode().rstrip("="),
                "delegates": [
                    {
                        "number": number,
                        "name": NAMES[number % len(NAMES)],
                        "position": "",
                        "standing": "present" if number in self.present else self.marks.get(number, "none"),
                    }
                    for number in range(1, DELEGATES + 1)
                ],
            }
        )

    async def _counts(self, _request: web.Request) -> web.Response:
        present = len(self.present) + sum(mark == "present" for mark in self.marks.values())
        return web.json_response({"individual": {"registered": DELEGATES, "present": present}})

    async def _checkins(self, request: web.Request) -> web.Response:
        self.requests += 1
        results = [self._count(each) for each in (await request.json())["checkins"]]
        if self.answers_to_lose and request.transport:
            self.answers_to_lose -= 1
            request.transport.abort()
        return web.json_response({"results": results})

    def _count(self, scan: dict[str, Any]) -> dict[str, Any]:
        number = scan.get("number") or int.from_bytes(int(scan["code"]).to_bytes(74, "big")[5:9], "big")
        if number > DELEGATES:
            return {"result": "unknown", "number": number}
        counts = self.present.setdefault(number, scan["nonce"]) == scan["nonce"]
        return {"result": "counted" if counts else "again", "number": number}

    async def _marks(self, request: web.Request) -> web.Response:
        marks = (await request.json())["marks"]
        self.marks.update({each["number"]: each["mark"] for each in marks})
        return web.json_response({"results": [{"result": "recorded"} for _ in marks]})

    async def _self(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("pin", PIN) != PIN:
            return web.json_response({"result": "forged"})
        return web.json_response(self._count(body))


@pytest.fixture(scope="session")
def qr_reader() -> None:
    """The reader of QR codes is where `make test` brings it."""
    if not (ROOT / "conference/pages/vendor/ponyfill.js").is_file():
        subprocess.run([ROOT / "tools/console.sh"], check=True)


@pytest_asyncio.fixture(loop_scope="session")
async def server(qr_reader: None) -> AsyncIterator[HallServer]:
    """The pages and a hall on a free port."""
    serving = HallServer()
    runner = web.AppRunner(serving.application(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    serving.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield serving
    await runner.cleanup()


@contextlib.asynccontextmanager
async def _opened(browser: Browser, url: str, size: dict[str, int]) -> AsyncIterator[tuple[Page, BrowserContext]]:
    """A page of its own device; it may complain of nothing but a missing line."""
    context = await browser.new_context(viewport={"width": size["width"], "height": size["height"]})
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(url)
    yield page, context
    assert [each for each in complaints if "ERR_INTERNET_DISCONNECTED" not in each and "ERR_EMPTY" not in each] == []
    await context.close()


async def _scan(page: Page, digits: str) -> None:
    """A hand scanner: types the digits and Enter wherever the focus is."""
    await page.keyboard.type(digits)
    await page.keyboard.press("Enter")


async def _picture(page: Page, name: str) -> None:
    """Keep a picture for people where they asked for one."""
    if folder := os.environ.get("DIEMCAU_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


async def test_a_camera_reads_a_delegates_code(server: HallServer, tmp_path: Path) -> None:
    """The code that is held up is counted, named and shown large; held up on, it is not counted again."""
    film = tmp_path / "camera.y4m"
    write_camera_film(film, server.code(7))
    async with (
        launched_chromium(f"--use-file-for-fake-video-capture={film}") as browser,
        _opened(browser, server.link(), PHONE) as (page, _),
    ):
        await expect(page.locator("#count b")).to_have_text("0 / 60")
        await page.click("#camera")
        await expect(page.locator("#result")).to_have_attribute("data-result", "counted")
        await expect(page.locator("#result .words")).to_contain_text("Đã điểm danh")
        await expect(page.locator("#result .who")).to_have_text("7 · Lê Đức Cường")
        await expect(page.locator("#count b")).to_have_text("1 / 60")
        await _picture(page, "checkin-camera")
        await page.click("#camera")
        await expect(page.locator("#viewer")).to_be_hidden()
        assert list(server.present) == [7]
        assert server.requests == 1


async def test_a_hand_scanner_needs_no_focus_and_leaves_no_digits(chromium: Browser, server: HallServer) -> None:
    """Scans are taken from the page, from a field and without an Enter; each code is judged on the device."""
    async with _opened(chromium, server.link(), OLD_PC) as (page, _):
        await expect(page.locator("#count b")).to_have_text("0 / 60")
        await _scan(page, server.code(8))
        await expect(page.locator("#result .who")).to_have_text("8 · Đặng Hoàng Dũng")
        await page.focus("#pin")
        await page.keyboard.type(server.code(9))
        await expect(page.locator("#result .who")).to_contain_text("9 ·")
        await expect(page.locator("#pin")).to_have_value("")
        await _scan(page, server.code(8))
        await expect(page.locator("#result")).to_have_attribute("data-result", "again")
        await _scan(page, server.code(10, spoilt=True))
        await expect(page.locator("#result")).to_have_attribute("data-result", "forged")
        await _scan(page, server.code(10, "hn-2025"))
        await expect(page.locator("#result")).to_have_attribute("data-result", "other_conference")
        assert server.requests == 3
        await _scan(page, server.code(77))
        await expect(page.locator("#result")).to_have_attribute("data-result", "unknown")
        await expect(page.locator("#review-rows li")).to_have_count(1)
        await _picture(page, "checkin-pc")
        await page.click("#review-rows button")
        await expect(page.locator("#review")).to_be_hidden()
        assert sorted(server.present) == [8, 9]


async def test_what_is_taken_without_a_line_is_kept_and_counted_once(chromium: Browser, server: HallServer) -> None:
    """Scans, typed numbers and marks survive a reload without a line, and an answer that is lost; each counts once."""
    async with _opened(chromium, server.link(), PHONE) as (page, context):
        await expect(page.locator("#count b")).to_have_text("0 / 60")
        await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        await context.set_offline(True)
        await page.fill("#number", "12")
        await page.fill("#pin", "12")
        await page.click("#typed button")
        await expect(page.locator("#typed-error")).to_contain_text("6 chữ số")
        await page.fill("#pin", PIN)
        await page.click("#typed button")
        await expect(page.locator("#result")).to_have_attribute("data-result", "kept")
        for number in (14, 15, 14):
            await _scan(page, server.code(number))
        await expect(page.locator("#result .detail")).to_contain_text("Đã có trên máy này")
        await page.click("#tab-roster")
        await page.fill("#search", "thanh huong 19")
        await page.locator("#roster-rows button").click()
        await page.click("#mark button[value=excused]")
        await expect(page.locator("#waiting")).to_have_attribute("data-waiting", "5")
        await _picture(page, "checkin-offline")

        await page.reload()
        await expect(page.locator("#waiting")).to_have_attribute("data-waiting", "5")
        await expect(page.locator("#hall-name")).to_have_text("Điểm cầu Phường Ba Đình")
        await _scan(page, server.code(16))
        await expect(page.locator("#result")).to_have_attribute("data-result", "kept")
        await _picture(page, "checkin-offline-reloaded")
        assert server.requests == 0

        server.answers_to_lose = 2
        await context.set_offline(False)
        await expect(page.locator("#waiting")).to_have_attribute("data-waiting", "0")
        await expect(page.locator("#count b")).to_have_text("4 / 60")
        assert sorted(server.present) == [12, 14, 15, 16]
        assert server.marks == {19: "excused"}
        assert server.answers_to_lose == 0


async def test_a_technician_finds_and_marks_a_delegate(chromium: Browser, server: HallServer) -> None:
    """A search without accents finds a name; the mark is sent and shown."""
    async with _opened(chromium, server.link(), PHONE) as (page, _):
        await page.click("#tab-roster")
        await page.fill("#search", "hoang dang")
        await expect(page.locator("#roster-rows li")).to_have_count(12)
        await page.select_option("#standing", "none")
        await page.locator("#roster-rows button").first.click()
        await expect(page.locator("#mark-name")).to_have_text("3 · Đặng Hoàng Dũng")
        await _picture(page, "checkin-mark")
        await page.click("#mark button[value=present]")
        await expect(page.locator("#roster-rows li")).to_have_count(11)
        await page.select_option("#standing", "present")
        await expect(page.locator("#roster-rows li")).to_have_count(1)
        await _picture(page, "checkin-roster")
        await expect(page.locator("#waiting")).to_have_attribute("data-waiting", "0")
        assert server.marks == {3: "present"}


async def test_a_delegate_checks_in_on_their_own_phone(chromium: Browser, server: HallServer) -> None:
    """The poster's link takes number and PIN on one screen, and says what is wrong."""
    async with _opened(chromium, server.link("hall"), PHONE) as (page, _):
        await expect(page.locator("#hall-only")).to_be_hidden()
        for pin, result in [("654321", "forged"), (PIN, "counted")]:
            await page.fill("#number", "21")
            await page.fill("#pin", pin)
            await page.keyboard.press("Enter")
            await expect(page.locator("#result")).to_have_attribute("data-result", result)
        await _picture(page, "checkin-self")
        assert list(server.present) == [21]


async def test_a_link_without_a_hall_is_refused(chromium: Browser, server: HallServer) -> None:
    """What is no link of a hall says so, and asks nothing of the coordinator."""
    async with _opened(chromium, f"{server.url}/checkin#token=a.b.c", PHONE) as (page, _):
        await expect(page.locator("#refused")).to_contain_text("Hãy xin đường dẫn mới")
        await expect(page.locator("#checkin")).to_be_hidden()


async def test_every_field_has_a_label(chromium: Browser, server: HallServer) -> None:
    """A screen reader names whatever can be pressed or filled in."""
    async with _opened(chromium, server.link(), PHONE) as (page, _):
        await expect(page.locator("#count b")).to_have_text("0 / 60")
        nameless = await page.evaluate(
            """[...document.querySelectorAll("input, select, button, video")]
                .filter((each) => !(each.labels?.length || each.textContent.trim() || each.ariaLabel))
                .map((each) => each.outerHTML)"""
        )
        assert nameless == []


@pytest.fixture(autouse=True)
def _short_waits() -> None:
    """What a browser has not shown within ten seconds is wrong."""
    expect.set_options(timeout=10_000)
