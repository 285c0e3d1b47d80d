"""A hall's page in a real browser, without media: what it says, and the headcount."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from conference.api.pages import load_pages, page_routes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(60)]


class Answers:
    """A coordinator that gives prepared answers."""

    def __init__(self) -> None:
        self.url = ""
        self.join = (409, {"code": "wrong_phase", "detail": "the conference is a draft"})
        self.headcount_status = 204
        self.headcounts: list[dict[str, Any]] = []
        self.authorizations: set[str] = set()
        self.retry_after_s = 0
        self.joins_at_s: list[float] = []

    async def handle_join(self, request: web.Request) -> web.Response:
        """Refuse as prepared."""
        self.authorizations.add(request.headers["Authorization"])
        self.joins_at_s.append(time.monotonic())
        status, problem = self.join
        headers = {"Retry-After": str(self.retry_after_s)} if self.retry_after_s else {}
        return web.json_response(problem, status=status, headers=headers)

    async def handle_headcount(self, request: web.Request) -> web.Response:
        """Take the figures."""
        self.headcounts.append(await request.json())
        if self.headcount_status != 204:
            return web.json_response({"detail": "journal unavailable"}, status=self.headcount_status)
        return web.Response(status=204)


@pytest_asyncio.fixture(loop_scope="session")
async def answers() -> AsyncIterator[Answers]:
    """The pages and the prepared answers on a free port."""
    prepared = Answers()
    app = web.Application()
    app.add_routes(
        [
            *page_routes(load_pages()),
            web.post("/api/v1/halls/join", prepared.handle_join),
            web.post("/api/v1/halls/headcount", prepared.handle_headcount),
        ]
    )
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    prepared.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield prepared
    await runner.cleanup()


async def _open(browser: Browser, answers: Answers, fragment: str = "#token=h.a.ll") -> Page:
    page = await browser.new_page(viewport={"width": 1366, "height": 768})
    await page.goto(f"{answers.url}/hall{fragment}")
    return page


async def _picture(page: Page, name: str) -> None:
    if folder := os.environ.get("DIEMCAU_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png")


async def test_a_conference_that_is_not_open_is_waited_for(chromium: Browser, answers: Answers) -> None:
    """The page says in two languages that it waits, and goes on asking with its token in the header."""
    page = await _open(chromium, answers)
    await page.click("#join")
    await expect(page.locator("#notice-vi")).to_contain_text("Hội nghị chưa mở")
    await expect(page.locator("#notice-en")).to_contain_text("not open yet")
    await _picture(page, "hall-waiting")
    assert answers.authorizations == {"Bearer h.a.ll"}


async def test_a_hall_that_is_told_to_wait_its_turn_does_not_come_before_it(
    chromium: Browser, answers: Answers
) -> None:
    """The page says that it will join by itself, and asks again when Retry-After is over, not sooner."""
    answers.join = (503, {"code": "admission", "detail": "many halls are joining"})
    answers.retry_after_s = 2
    page = await _open(chromium, answers)
    await page.click("#join")
    await expect(page.locator("#notice-vi")).to_contain_text("khi đến lượt")
    async with asyncio.timeout(10):
        while len(answers.joins_at_s) < 2:
            await page.wait_for_timeout(50)
    assert answers.joins_at_s[1] - answers.joins_at_s[0] >= 2


async def test_an_expired_link_says_whom_to_ask(chromium: Browser, answers: Answers) -> None:
    """A refused token is not tried again; the sentence says what to do."""
    answers.join = (401, {"code": "access_denied", "detail": "token has expired"})
    page = await _open(chromium, answers)
    await page.click("#join")
    await expect(page.locator("#notice-vi")).to_contain_text("không còn hiệu lực")


async def test_a_link_without_a_token_cannot_join(chromium: Browser, answers: Answers) -> None:
    """The button is off and the sentence is there at once."""
    page = await _open(chromium, answers, fragment="")
    await expect(page.locator("#join")).to_be_disabled()
    await expect(page.locator("#notice-vi")).to_contain_text("không còn hiệu lực")


async def test_no_coordinator_is_a_lost_link(chromium: Browser, answers: Answers) -> None:
    """A server in trouble is told as a link that is being restored."""
    answers.join = (503, {"code": "no_relay", "detail": "no relay has room"})
    page = await _open(chromium, answers)
    await page.click("#join")
    await expect(page.locator("#notice-vi")).to_have_text("Mất kết nối, đang nối lại…")


async def test_the_headcount_is_sent_and_said(chromium: Browser, answers: Answers) -> None:
    """Figures that cannot be are refused here, right ones are sent, and a failure is said."""
    page = await _open(chromium, answers)
    await page.click("#join")
    await page.click("#headcount-open")
    await page.fill("#summoned", "80")
    await page.fill("#present", "79")
    await page.fill("#excused", "3")
    await page.click("#headcount-send")
    await expect(page.locator("#headcount-result")).to_contain_text("nhiều hơn số triệu tập 80")
    assert answers.headcounts == []
    await page.fill("#present", "75")
    await page.fill("#unexcused", "1")
    await page.fill("#exempt", "1")
    await page.fill("#note", "một máy chiếu")
    await _picture(page, "hall-headcount")
    await page.click("#headcount-send")
    await expect(page.locator("#headcount-result")).to_contain_text("Đã gửi lúc")
    assert answers.headcounts == [
        {"summoned": 80, "present": 75, "excused": 3, "unexcused": 1, "exempt": 1, "note": "một máy chiếu"}
    ]
    answers.headcount_status = 503
    await page.click("#headcount-send")
    await expect(page.locator("#headcount-result")).to_contain_text("Chưa gửi được")


async def test_nothing_of_the_pages_is_inline_or_foreign(answers: Answers) -> None:
    """Scripts and styles are files of this server, so that a strict content security policy holds."""
    del answers
    for name, page in load_pages().items():
        assert ("wasm" in page.policy) == (name == "checkin.html")
        if name.startswith("vendor/"):
            continue  # names where it would be fetched from; the policy of its page lets it ask nobody but us
        text = page.body.decode()
        assert "http://" not in text, name
        assert "https://" not in text, name
        if name.endswith(".html"):
            assert " style=" not in text, name
            assert "<style" not in text, name
            assert "onclick" not in text, name
            assert text.count("<script") == text.count('<script type="module" src="/static/'), name
