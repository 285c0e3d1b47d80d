"""The check-in page in a real browser, with a real coordinator behind it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Route, expect
from support.checkin_codes import write_camera_film
from support.coordinator_harness import CONFERENCE, Api
from support.pages import launched_chromium

from bridges.halls import Hall
from bridges.importing import serialize_halls_csv
from bridges.unit_tables import serialize_units_csv
from bridges.units import Unit
from conference.app import serve_coordinator
from conference.config import CoordinatorConfig

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.timeout(90)]

ROOT = Path(__file__).parents[2]
NAMES = ["Nguyễn Văn An", "Trần Thị Bích", "Lê Đức Cường", "Đặng Hoàng Dũng", "Phạm Thị Thanh Hương"]
DELEGATES = 60
UNKNOWN = 9_999
PHONE, OLD_PC = {"width": 360, "height": 640}, {"width": 1024, "height": 768}
HALLS = [f"VN-00004-{number}" for number in range(1, 8)]
ROSTERS = f"/api/v1/conferences/{CONFERENCE}/delegates"


class Door:
    """The door of one hall. Its delegates are called 1 to 60 here, whatever their numbers are."""

    def __init__(self, api: Api, hall: str, numbers: list[int]) -> None:
        self.api = api
        self.hall = hall
        self.numbers = numbers

    def link(self, role: str = "token") -> str:
        """The page's address for the hall's own device (`token`) or for a delegate's (`hall`)."""
        headers = self.api.bearer("hall" if role == "token" else "poster", hall=self.hall)
        return f"{self.api.url}/checkin#{role}={headers['Authorization'].removeprefix('Bearer ')}"

    def number(self, of: int) -> int:
        """The number in the conference."""
        return self.numbers[of - 1]

    def code(self, of: int, conference: str = CONFERENCE) -> str:
        """A delegate's code; `UNKNOWN` is nobody."""
        return self.api.keys.issue_code(conference, of if of == UNKNOWN else self.number(of), 0)

    def pin(self, of: int) -> str:
        """What a delegate types beside the number."""
        return self.api.keys.pin(CONFERENCE, self.number(of), 0)

    async def standings(self) -> dict[str, list[int]]:
        """Who of the hall stands how, without those of whom nothing is known."""
        found: dict[str, list[int]] = {}
        listed = await self.api.expect(200, "GET", f"{ROSTERS}?hall={self.hall}")
        for each in listed["delegates"]:
            if each["standing"] != "none":
                found.setdefault(each["standing"], []).append(self.numbers.index(each["number"]) + 1)
        return {standing: sorted(numbers) for standing, numbers in found.items()}


@pytest.fixture(scope="session")
def qr_reader() -> None:
    """The reader of QR codes is where `make test` brings it."""
    if not (ROOT / "conference/pages/vendor/ponyfill.js").is_file():
        subprocess.run([ROOT / "tools/console.sh"], check=True)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(qr_reader: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """A coordinator with some halls of 60 delegates each, and an open conference."""
    config = CoordinatorConfig(port=0, state_dir=tmp_path_factory.mktemp("state"))
    hall = Hall(hall_id="", name="Điểm cầu Phường Ba Đình", unit="01", level="base", seats=DELEGATES)
    halls = [msgspec.structs.replace(hall, hall_id=hall_id) for hall_id in HALLS]
    unit = Unit(code="01", name="Thành phố Hà Nội", kind="thành phố")
    people = [f"{hall},{NAMES[of % 5]},{hall} {of:02}" for hall in HALLS for of in range(1, DELEGATES + 1)]
    async with (
        serve_coordinator(config) as running,
        contextlib.aclosing(Api(running.url, running.services.keys)) as asking,
    ):
        await asking.expect(200, "POST", "/api/v1/units/import", data=serialize_units_csv([unit]))
        await asking.expect(200, "POST", "/api/v1/halls/import", data=serialize_halls_csv(halls))
        draft = {"conference_id": CONFERENCE, "title": "Hội nghị toàn quốc 2026"}
        await asking.expect(201, "POST", "/api/v1/conferences", json=draft)
        await asking.expect(200, "POST", f"/api/v1/conferences/{CONFERENCE}/phase", json={"phase": "open"})
        roster = "\n".join(["hall,name,card", *people])
        await asking.expect(200, "POST", f"{ROSTERS}/import", data=roster.encode())
        yield asking


@pytest.fixture(scope="module")
def unused_halls() -> list[str]:
    """Each test has a hall of its own."""
    return list(HALLS)


@pytest_asyncio.fixture(loop_scope="session")
async def door(api: Api, unused_halls: list[str]) -> Door:
    """A hall where nobody was checked in."""
    hall = unused_halls.pop()
    listed = (await api.expect(200, "GET", f"{ROSTERS}?hall={hall}"))["delegates"]
    assert len(listed) == DELEGATES
    return Door(api, hall, [each["number"] for each in sorted(listed, key=lambda each: each["external_id"])])


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
    assert [each for each in complaints if "net::ERR_" not in each] == []
    await context.close()


async def _scan(page: Page, digits: str) -> None:
    """A hand scanner: types the digits and Enter wherever the focus is."""
    await page.keyboard.type(digits)
    await page.keyboard.press("Enter")


async def _picture(page: Page, name: str) -> None:
    """Keep a picture for people where they asked for one."""
    if folder := os.environ.get("DIEMCAU_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


async def test_a_camera_reads_a_delegates_code(door: Door, tmp_path: Path) -> None:
    """The code that is held up is counted, named and shown large; held up on, it is not counted again."""
    film = tmp_path / "camera.y4m"
    write_camera_film(film, door.code(7))
    async with (
        launched_chromium(f"--use-file-for-fake-video-capture={film}") as browser,
        _opened(browser, door.link(), PHONE) as (page, _),
    ):
        await expect(page.locator("#count b")).to_have_text("0 / 60")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.click("#camera")
        await expect(page.locator("#result")).to_have_attribute("data-result", "counted")
        assert any(url.endswith(".wasm") for url in asked)
        assert [url for url in asked if not url.startswith(door.api.url)] == []
        await expect(page.locator("#result .words")).to_contain_text("Đã điểm danh")
        await expect(page.locator("#result .who")).to_have_text(f"{door.number(7)} · Lê Đức Cường")
        await expect(page.locator("#count b")).to_have_text("1 / 60")
        await _picture(page, "checkin-camera")
        await page.click("#camera")
        await expect(page.locator("#viewer")).to_be_hidden()
        assert await page.evaluate("diemcau.sent") == 1
    assert await door.standings() == {"present": [7]}


async def test_a_hand_scanner_needs_no_focus_and_leaves_no_digits(chromium: Browser, door: Door) -> None:
    """Scans are taken from the page, from a field and without an Enter; each code is judged on the device."""
    async with _opened(chromium, door.link(), OLD_PC) as (page, _):
        await expect(page.locator("#count b")).to_have_text("0 / 60")
        await _scan(page, door.code(8))
        await expect(page.locator("#result .who")).to_have_text(f"{door.number(8)} · Đặng Hoàng Dũng")
        await page.focus("#pin")
        await page.keyboard.type(door.code(9))
        await expect(page.locator("#result .who")).to_contain_text(f"{door.number(9)} ·")
        await expect(page.locator("#pin")).to_have_value("")
        await _scan(page, door.code(8))
        await expect(page.locator("#result")).to_have_attribute("data-result", "again")
        await _scan(page, str(int(door.code(10)) ^ 1))
        await expect(page.locator("#result")).to_have_attribute("data-result", "forged")
        await _scan(page, door.code(10, "hn-2025"))
        await expect(page.locator("#result")).to_have_attribute("data-result", "other_conference")
        assert await page.evaluate("diemcau.sent") == 3
        await _scan(page, door.code(UNKNOWN))
        await expect(page.locator("#result")).to_have_attribute("data-result", "unknown")
        await expect(page.locator("#review-rows li")).to_have_count(1)
        await _picture(page, "checkin-pc")
        await page.click("#review-rows button")
        await expect(page.locator("#review")).to_be_hidden()
    assert await door.standings() == {"present": [8, 9]}


async def test_what_is_taken_without_a_line_is_kept_and_counted_once(chromium: Browser, door: Door) -> None:
    """Scans, typed numbers and marks survive a reload without a line, and an answer that is lost; each counts once."""
    async with _opened(chromium, door.link(), PHONE) as (page, context):
        await expect(page.locator("#count b")).to_have_text("0 / 60")
        await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        await context.set_offline(True)
        await page.fill("#number", str(door.number(12)))
        await page.fill("#pin", "12")
        await page.click("#typed button")
        await expect(page.locator("#typed-error")).to_contain_text("6 chữ số")
        await page.fill("#pin", door.pin(12))
        await page.click("#typed button")
        await expect(page.locator("#result")).to_have_attribute("data-result", "kept")
        for number in (14, 15, 14):
            await _scan(page, door.code(number))
        await expect(page.locator("#result .detail")).to_contain_text("Đã có trên máy này")
        await page.click("#tab-roster")
        await page.fill("#search", f"thanh huong {door.number(19)}")
        await page.locator("#roster-rows button").click()
        await page.click("#mark button[value=excused]")
        await expect(page.locator("#waiting")).to_have_attribute("data-waiting", "5")
        await expect(page.locator("#roster-rows .standing")).to_contain_text("Vắng có lý do")
        await _picture(page, "checkin-offline")

        await page.reload()
        await expect(page.locator("#waiting")).to_have_attribute("data-waiting", "5")
        await expect(page.locator("#hall-name")).to_have_text("Điểm cầu Phường Ba Đình")
        await _scan(page, door.code(16))
        await expect(page.locator("#result")).to_have_attribute("data-result", "kept")
        await _picture(page, "checkin-offline-reloaded")
        assert await door.standings() == {}

        lost: list[int] = []

        async def lose(route: Route) -> None:
            if len(lost) < 2:  # the coordinator has heard it, and nobody hears the coordinator
                lost.append((await route.fetch()).status)
                await route.abort()
            else:
                await route.continue_()

        await page.route(
            "**/api/v1/halls/checkins",
            lambda route: lose(route) if route.request.method == "POST" else route.continue_(),
        )
        await context.set_offline(False)
        await expect(page.locator("#waiting")).to_have_attribute("data-waiting", "0")
        await expect(page.locator("#count b")).to_have_text("4 / 60")
        assert lost == [200, 200]
    assert await door.standings() == {"present": [12, 14, 15, 16], "excused": [19]}


async def test_a_technician_finds_and_marks_a_delegate(chromium: Browser, door: Door) -> None:
    """A search without accents finds a name; the mark is sent and shown."""
    async with _opened(chromium, door.link(), PHONE) as (page, _):
        await page.click("#tab-roster")
        await page.fill("#search", "hoang dang")
        await expect(page.locator("#roster-rows li")).to_have_count(12)
        await page.select_option("#standing", "none")
        await page.locator("#roster-rows button").first.click()
        await expect(page.locator("#mark-name")).to_have_text(re.compile("^[0-9]+ · Đặng Hoàng Dũng$"))
        await _picture(page, "checkin-mark")
        await page.click("#mark button[value=present]")
        await expect(page.locator("#roster-rows li")).to_have_count(11)
        await page.select_option("#standing", "present")
        await expect(page.locator("#roster-rows li")).to_have_count(1)
        await _picture(page, "checkin-roster")
        await expect(page.locator("#waiting")).to_have_attribute("data-waiting", "0")
    assert len((await door.standings())["present"]) == 1


async def test_a_delegate_checks_in_on_their_own_phone(chromium: Browser, door: Door) -> None:
    """The poster's link takes number and PIN on one screen, and says what is wrong."""
    async with _opened(chromium, door.link("hall"), PHONE) as (page, _):
        await expect(page.locator("#hall-only")).to_be_hidden()
        await expect(page.locator("#hall-name")).to_have_text("Điểm cầu Phường Ba Đình")
        wrong = f"{(int(door.pin(21)) + 1) % 1_000_000:06}"
        for pin, result in [(wrong, "forged"), (door.pin(21), "counted")]:
            await page.fill("#number", str(door.number(21)))
            await page.fill("#pin", pin)
            await page.keyboard.press("Enter")
            await expect(page.locator("#result")).to_have_attribute("data-result", result)
        await _picture(page, "checkin-self")
    assert await door.standings() == {"present": [21]}


async def test_a_link_without_a_hall_is_refused(chromium: Browser, api: Api) -> None:
    """What is no link of a hall says so, and asks nothing of the coordinator."""
    async with _opened(chromium, f"{api.url}/checkin#token=a.b.c", PHONE) as (page, _):
        await expect(page.locator("#refused")).to_contain_text("Hãy xin đường dẫn mới")
        await expect(page.locator("#checkin")).to_be_hidden()


async def test_every_field_has_a_label(chromium: Browser, door: Door) -> None:
    """A screen reader names whatever can be pressed or filled in."""
    async with _opened(chromium, door.link(), PHONE) as (page, _):
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
