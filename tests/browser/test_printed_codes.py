"""Printed sheets are read back from what Chromium draws of them, by the reader of the check-in page."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page

from bridges.checkin import parse_code
from bridges.person import Person
from conference.access import ApiClaims, KeyRing
from conference.api.pages import load_pages, page_routes
from conference.people.sheets import Card, HallSheet, Poster, render_cards, render_posters

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
CODE_PX = 240  # of a code with its quiet zone, as a cheap camera sees it held up: half of 480 lines
_CSS_PX = 42 / 25.4 * 96
_READ = """async (image) => {
  const { BarcodeDetector, prepareZXingModule } = await import("/static/vendor/ponyfill.js");
  prepareZXingModule({ overrides: { locateFile: (name) => `/static/vendor/${name}` } });
  const bytes = Uint8Array.from(atob(image), (each) => each.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
  const found = await new BarcodeDetector({ formats: ["qr_code"] }).detect(bitmap);
  return found.map((each) => each.rawValue);
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def reader(chromium: Browser) -> AsyncIterator[Page]:
    """A page with the reader of the check-in page."""
    if not (ROOT / "conference/pages/vendor/ponyfill.js").is_file():
        pytest.fail("the reader of QR codes is not installed: run tools/console.sh")
    app = web.Application()
    app.add_routes(page_routes(load_pages()))
    server = TestServer(app)
    await server.start_server()
    page = await chromium.new_page()
    await page.goto(str(server.make_url("/checkin")))
    yield page
    await page.close()
    await server.close()


async def printed(browser: Browser, html: str, scale: float) -> list[bytes]:
    """The codes of a document as it is printed, as pictures that were squeezed like a cheap camera's."""
    context = await browser.new_context(device_scale_factor=scale)
    page = await context.new_page()
    await page.emulate_media(media="print")
    await page.set_content(html)
    pictures = [await svg.screenshot(type="jpeg", quality=40) for svg in await page.locator("svg").all()]
    await context.close()
    return pictures


async def read(reader: Page, picture: bytes) -> list[str]:
    """What the reader finds in a picture."""
    return [str(text) for text in await reader.evaluate(_READ, base64.b64encode(picture).decode())]


async def test_a_printed_card_is_read_at_240_pixels(chromium: Browser, reader: Page) -> None:
    """Every card of a page gives the digits that were issued, for the right delegate."""
    keys = KeyRing.generate()
    codes = [keys.issue_code("hn-2026", number, number % 3) for number in (1, 62, 2_500_000)]
    cards = [
        Card(
            person=Person(number=parse_code(code).number, hall_id="H1", name="Nguyễn Thị Lan"), code=code, pin="012345"
        )
        for code in codes
    ]
    html = render_cards("Hội nghị", [HallSheet(hall_id="H1", hall_name="Ba Đình", cards=cards)])
    pictures = await printed(chromium, html, CODE_PX / _CSS_PX)
    assert [await read(reader, picture) for picture in pictures] == [[code] for code in codes]


async def test_a_printed_poster_is_read_by_a_phone(chromium: Browser, reader: Page) -> None:
    """The link with its token, from a picture of the code 480 pixels wide."""
    claims = ApiClaims(sub="VN-00004-01", role="poster", hall="VN-00004-01", conference="hn-2026", exp=2_000_000_000)
    link = f"https://hoi-nghi.example.vn/checkin#hall={KeyRing.generate().issue_api_token(claims)}"
    html = render_posters("Hội nghị", [Poster(hall_id="VN-00004-01", hall_name="Ba Đình", link=link)])
    (picture,) = await printed(chromium, html, 480 / (120 / 25.4 * 96))
    assert await read(reader, picture) == [link]


async def test_pages_are_cut_between_halls(chromium: Browser) -> None:
    """Printed on A4, each section is a page of its own and nothing spills over."""
    cards = [
        Card(person=Person(number=n, hall_id="H1", name=f"Người {n}"), code="1" * 177, pin="1") for n in range(1, 14)
    ]
    sheets = [HallSheet(hall_id=hall, hall_name=hall, cards=cards) for hall in ("H1", "H2")]
    page = await chromium.new_page()
    await page.set_content(render_cards("Hội nghị", sheets))
    pdf = await page.pdf(prefer_css_page_size=True)
    await page.close()
    assert pdf.count(b"/Type /Page\n") == 4
