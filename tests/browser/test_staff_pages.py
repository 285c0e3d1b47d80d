"""The technician's page and the attendance page in a real browser, with a real coordinator behind them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from support.coordinator_harness import CONFERENCE, Api
from support.staff_pages import OLD_PC, PHONE, nameless, opened, picture, wider_than_screen

from bridges.halls import Hall
from bridges.importing import serialize_halls_csv
from bridges.unit_tables import serialize_units_csv
from bridges.units import Unit
from conference.access import Role
from conference.app import serve_coordinator
from conference.config import CoordinatorConfig

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.timeout(90)]

UNITS = [
    Unit(code="01", name="Thành phố Hà Nội", kind="Thành phố", parent=""),
    Unit(code="00004", name="Phường Ba Đình", kind="Phường", parent="01"),
    Unit(code="00008", name="Phường Ngọc Hà", kind="Phường", parent="01"),
    Unit(code="04", name="Tỉnh Cao Bằng", kind="Tỉnh", parent=""),
    Unit(code="01273", name="Phường Thục Phán", kind="Phường", parent="04"),
]
HALLS = [
    Hall(
        hall_id=f"VN-{unit}-{number}",
        name=f"Điểm cầu {name} {number}",
        unit=unit,
        level="base",
        seats=60,
        contact_name="Nguyễn Văn An",
        contact_phone=f"0900 000 1{number:02}",
    )
    for unit, name in [("00004", "Ba Đình"), ("00008", "Ngọc Hà"), ("01273", "Thục Phán")]
    for number in range(1, 4)
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """A coordinator with nine halls in two provinces and an open conference."""
    config = CoordinatorConfig(port=0, state_dir=tmp_path_factory.mktemp("state"))
    async with (
        serve_coordinator(config) as running,
        contextlib.aclosing(Api(running.url, running.services.keys)) as asking,
    ):
        await asking.expect(200, "POST", "/api/v1/units/import", data=serialize_units_csv(UNITS))
        await asking.expect(200, "POST", "/api/v1/halls/import", data=serialize_halls_csv(HALLS))
        draft = {"conference_id": CONFERENCE, "title": "Hội nghị toàn quốc 2026"}
        await asking.expect(201, "POST", "/api/v1/conferences", json=draft)
        await asking.expect(200, "POST", f"/api/v1/conferences/{CONFERENCE}/phase", json={"phase": "open"})
        yield asking


def _link(api: Api, page: str, role: Role = "technician", *, unit: str = "") -> str:
    return f"{api.url}{page}#token={api.bearer(role, unit=unit)['Authorization'].removeprefix('Bearer ')}"


async def _well_made(page: Page) -> None:
    assert await nameless(page) == []
    assert await wider_than_screen(page) == []


async def test_a_technician_finds_a_hall_and_its_telephone(chromium: Browser, api: Api) -> None:
    """Search without accents, the filter by unit, the number that a phone calls, and the links of a hall."""
    async with opened(chromium, _link(api, "/halls"), PHONE) as page:
        await expect(page.locator("#hall-rows tr")).to_have_count(9)
        await page.fill("#search", "ha ngoc 2")
        await expect(page.locator("#hall-rows tr")).to_have_count(1)
        await expect(page.locator("#hall-rows")).to_contain_text("Phường Ngọc Hà")
        await page.fill("#search", "")
        await page.select_option("#unit", "04")
        await expect(page.locator("#hall-rows tr")).to_have_count(3)
        await expect(page.locator("#hall-rows")).to_contain_text("Phường Thục Phán")
        phone = page.locator("#hall-rows tr", has_text="VN-01273-1").locator("a.phone")
        await expect(phone).to_have_attribute("href", "tel:0900000101")
        await _well_made(page)
        await picture(page, "halls-phone")
        await page.click("#hall-rows button")
        await expect(page.locator("#link-dialog")).to_be_visible()
        assert "/checkin#token=" in await page.input_value("#link-checkin")
        await picture(page, "halls-links")
        for button, text in [("#print-poster", b"<svg"), ("#print-codes", b"<html")]:
            async with page.expect_download() as waited:
                await page.click(button)
            assert text in (await (await waited.value).path()).read_bytes()


async def test_an_import_shows_errors_then_the_difference_then_applies(
    chromium: Browser, api: Api, tmp_path: Path
) -> None:
    """Every error by row and column; nothing written before somebody looked; then all of it."""
    lines = serialize_halls_csv(HALLS).decode().splitlines()
    new = lines[1].replace("VN-00004-1", "VN-00004-9").replace("Ba Đình 1", "Ba Đình 9")
    bad, good = tmp_path / "sai.csv", tmp_path / "dung.csv"
    bad.write_text("\n".join([*lines, new.replace("00004", "99999"), new.replace(",60,", ",sáu mươi,")]) + "\n")
    good.write_text("\n".join([lines[0], new]) + "\n")
    async with opened(chromium, _link(api, "/halls", "organiser"), OLD_PC, allowed="422") as page:
        await expect(page.locator("#hall-rows tr")).to_have_count(9)
        await picture(page, "halls-pc")
        await page.click("#tab-import")
        await page.set_input_files("#file", bad)
        await expect(page.locator("#error-rows tr")).to_have_count(2)
        await expect(page.locator("#error-rows")).to_contain_text("sáu mươi")
        await expect(page.locator("#apply")).to_be_hidden()
        await _well_made(page)
        await picture(page, "halls-import-errors")
        await page.set_input_files("#file", good)
        await expect(page.locator("#difference")).to_contain_text("1 thêm mới")
        await expect(page.locator("#import-errors")).to_be_hidden()
        await picture(page, "halls-import-difference")
        await page.click("#apply")
        await expect(page.locator("#import-done")).to_contain_text("Đã ghi")
        await page.click("#tab-list")
        await expect(page.locator("#hall-rows tr")).to_have_count(10)
    await api.expect(200, "DELETE", "/api/v1/halls/VN-00004-9")


async def test_delegates_are_imported_from_the_same_page(chromium: Browser, api: Api, tmp_path: Path) -> None:
    """The same way: errors, then who would be new, then all of them."""
    bad, good = tmp_path / "sai.csv", tmp_path / "dung.csv"
    bad.write_text("hall,name,card\nKHONG-CO,Lan,1\n")
    good.write_text("hall,name,card\nVN-00008-1,Nguyễn Thị Lan,1\nVN-00008-1,Trần Văn Mai,2\n")
    async with opened(chromium, _link(api, "/halls", "organiser"), PHONE, allowed="422") as page:
        await expect(page.locator("#hall-rows tr").first).to_be_visible()
        await page.click("#tab-import")
        await page.select_option("#import-subject", "delegates")
        await page.set_input_files("#file", bad)
        await expect(page.locator("#error-rows tr")).to_have_count(1)
        await page.set_input_files("#file", good)
        await expect(page.locator("#difference")).to_contain_text("Nguyễn Thị Lan")
        await _well_made(page)
        await picture(page, "halls-import-delegates")
        await page.click("#apply")
        await expect(page.locator("#import-done")).to_contain_text("Đã ghi")
    listed = await api.expect(200, "GET", f"/api/v1/conferences/{CONFERENCE}/delegates?hall=VN-00008-1")
    assert [each["name"] for each in listed["delegates"]] == ["Nguyễn Thị Lan", "Trần Văn Mai"]


async def test_a_technician_sees_whom_to_phone_and_answers_for_a_hall(chromium: Browser, api: Api) -> None:
    """Halls that are not ready stand there with reasons, owner and telephone; one that is signed off goes away."""
    async with opened(chromium, _link(api, "/halls", unit="01"), OLD_PC) as page:
        await expect(page.locator("#hall-rows tr")).to_have_count(6)
        await page.click("#tab-readiness")
        rows = page.locator("#readiness-rows tr")
        await expect(rows).to_have_count(6)
        await expect(rows.first).to_contain_text("Chưa kiểm tra")
        await expect(rows.first.locator("a.phone")).to_have_attribute("href", "tel:0900000101")
        await page.fill("#readiness-search", "ngoc ha 3")
        await expect(rows).to_have_count(1)
        await page.fill("#readiness-search", "")
        await _well_made(page)
        await picture(page, "halls-readiness-pc")
        await rows.first.locator("button").click()
        await expect(rows).to_have_count(5)
        await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        await _well_made(page)
        await picture(page, "halls-readiness-phone")


async def test_a_province_proposes_and_an_organiser_decides(chromium: Browser, api: Api, tmp_path: Path) -> None:
    """What a technician of a province imports waits; the organiser sees each field before and after, and approves."""
    changed = [
        msgspec.structs.replace(HALLS[6], seats=75),
        msgspec.structs.replace(HALLS[7], name="Điểm cầu Hợp Giang"),
    ]
    file = tmp_path / "cao-bang.csv"
    file.write_bytes(serialize_halls_csv(changed))
    async with opened(chromium, _link(api, "/halls", unit="04"), PHONE) as page:
        await expect(page.locator("#hall-rows tr")).to_have_count(3)
        await page.click("#tab-import")
        await page.set_input_files("#file", file)
        await page.click("#apply")
        await expect(page.locator("#import-done")).to_contain_text("Đã gửi đề xuất")
    async with opened(chromium, _link(api, "/halls", "organiser"), OLD_PC) as page:
        await expect(page.locator("#proposal-count")).to_have_text("(1)")
        await page.click("#tab-proposals")
        await page.click("#proposal-rows button")
        await expect(page.locator("#proposal-halls > li")).to_have_count(2)
        await expect(page.locator("#proposal-halls")).to_contain_text("số đại biểu: 60 → 75")
        await page.click("#reject")
        await expect(page.locator("#decision-problem")).to_contain_text("lý do")
        await picture(page, "halls-proposal")
        await page.click("#approve")
        await expect(page.locator("#proposal-rows")).to_contain_text("Đã duyệt")
        await picture(page, "halls-proposals")
    found = await api.expect(200, "GET", "/api/v1/halls/VN-01273-1")
    assert found["hall"]["seats"] == 75


async def test_a_halls_screen_shows_the_way_for_the_phone_at_its_door(chromium: Browser, api: Api) -> None:
    """The lobby draws a QR code of the check-in page, and opens that page itself."""
    token = api.bearer("hall", hall="VN-00004-2")["Authorization"].removeprefix("Bearer ")
    async with opened(chromium, f"{api.url}/hall#token={token}", OLD_PC, allowed="409") as page:
        await picture(page, "hall-lobby")
        await page.click("#door-open")
        drawn = page.locator("#door-qr")
        await expect(drawn).to_be_visible()
        assert await drawn.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
        await expect(page.locator("#door-link")).to_have_attribute("href", f"/checkin#token={token}")
        await picture(page, "hall-door")


async def test_attendance_is_seen_as_it_changes_at_every_level(chromium: Browser, api: Api) -> None:
    """A headcount appears by itself in the country, its province and its commune, beside the other sources."""
    async with opened(chromium, _link(api, "/attendance", "operator"), OLD_PC) as page:
        await expect(page.locator("#unit-rows tr")).to_have_count(2)
        present = page.locator("#total-row td").nth(6)
        await expect(present).to_have_text("0")
        report = {"summoned": 60, "present": 45, "excused": 5}
        status, _ = await api.call("POST", "/api/v1/halls/headcount", hall="VN-00004-1", json=report)
        assert status == 204
        await expect(present).to_have_text("45", timeout=2_000)
        await picture(page, "attendance-pc")
        await page.click("#unit-rows button:has-text('Hà Nội')")
        await expect(page.locator("#unit-rows tr")).to_have_count(2)
        await expect(page.locator("#crumbs")).to_contain_text("Thành phố Hà Nội")
        await expect(page.locator("#discrepancies")).to_be_visible()
        await expect(page.locator("#discrepancy-rows")).to_contain_text("chưa từng kết nối")
        await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        await _well_made(page)
        await picture(page, "attendance-phone")
        await page.select_option("#tree", "organisation")
        await expect(page.locator("#unit-rows")).to_contain_text("chưa xếp")
        await expect(present).to_have_text("45")


@pytest.fixture(autouse=True)
def _short_waits() -> None:
    """What a browser has not shown within ten seconds is wrong."""
    expect.set_options(timeout=10_000)
