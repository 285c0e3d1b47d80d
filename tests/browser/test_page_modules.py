"""The pages' pure modules, run by a real browser: when to move, how good a line is, and what a stream says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page

from conference.access import KeyRing
from conference.api.pages import load_pages, page_routes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(60)]

HERE = {"arrived": 5, "failed": False}
QUIET = {"arrived": 0, "failed": False}
GONE = {"arrived": 0, "failed": True}
WARM = {"arrived": 0, "sound": True, "heard": False, "connected": True}
BURST = {"arrived": 300, "sound": True, "heard": False, "connected": True}
DELIVERS = {"arrived": 5, "sound": True, "heard": True, "connected": True}
MUTE = {"arrived": 5, "sound": False, "heard": False, "connected": True}
COLD = {"arrived": 0, "sound": True, "heard": False, "connected": False}

Tick = tuple[int, dict[str, Any], dict[str, Any] | None, str]

# name -> (now in ms, active, standby, expected decision), one after another
WATCHED: dict[str, list[Tick]] = {
    "a delivering relay is never left": [(100 * n, HERE, WARM, "") for n in range(1, 20)],
    "300 ms of silence ask the standby, and its delivery over 100 ms moves": [
        (100, HERE, WARM, ""),
        (399, QUIET, WARM, ""),
        (400, QUIET, WARM, "try"),
        (440, QUIET, DELIVERS, ""),
        (500, QUIET, DELIVERS, ""),
        (540, QUIET, DELIVERS, "move"),
    ],
    "a burst of cached pictures is no living source": [
        (100, HERE, WARM, ""),
        (400, QUIET, WARM, "try"),
        (440, QUIET, BURST, ""),
        (480, QUIET, BURST, ""),
        (560, QUIET, BURST, ""),
        (700, QUIET, WARM, ""),
        (5000, QUIET, WARM, ""),
        (5100, HERE, WARM, "give_back"),
        (5200, HERE, WARM, ""),
    ],
    "a feed without sound is moved when pictures go on for longer than a cache would": [
        (100, HERE, WARM, ""),
        (400, QUIET, WARM, "try"),
        (440, QUIET, MUTE, ""),
        (800, QUIET, MUTE, ""),
        (840, QUIET, MUTE, "move"),
    ],
    "an active relay that delivers again first keeps its hall": [
        (100, HERE, WARM, ""),
        (400, QUIET, WARM, "try"),
        (440, HERE, DELIVERS, "give_back"),
    ],
    "a session that has never delivered is given two seconds": [
        (1900, QUIET, WARM, ""),
        (2000, QUIET, WARM, "try"),
    ],
    "a standby that is not connected is not asked": [
        (100, HERE, COLD, ""),
        (900, QUIET, COLD, ""),
        (1000, QUIET, WARM, "try"),
    ],
    "a session that is gone is left without proof of the other": [
        (100, HERE, WARM, ""),
        (140, GONE, WARM, "try"),
        (180, GONE, WARM, "move"),
    ],
    "a standby that goes away while it is asked ends the attempt": [
        (100, HERE, WARM, ""),
        (400, QUIET, WARM, "try"),
        (440, QUIET, None, ""),
        (480, QUIET, WARM, "try"),
    ],
}

LINES = [
    ({"loss": 0.0, "roundTripMs": 20, "jitterMs": 5}, "good"),
    ({"loss": 0.01, "roundTripMs": 20, "jitterMs": 5}, "fair"),
    ({"loss": 0.0, "roundTripMs": 50, "jitterMs": 5}, "fair"),
    ({"loss": 0.025, "roundTripMs": 150, "jitterMs": 80}, "fair"),
    ({"loss": 0.026, "roundTripMs": 20, "jitterMs": 5}, "bad"),
    ({"loss": 0.0, "roundTripMs": 151, "jitterMs": 5}, "bad"),
    ({"loss": 0.0, "roundTripMs": 20, "jitterMs": 81}, "bad"),
]

STREAMS = [
    (["event: snapshot\ndata: {}\n\n"], [["snapshot", "{}"]]),
    (["event: snapshot\r", "\ndata: {}\r\n\r", "\n"], [["snapshot", "{}"]]),
    (["data: a\ndata: b\n\n"], [["message", "a\nb"]]),
    ([": heartbeat\n\n", "event: only\n\n"], []),
    (list("event: x\ndata: điểm: cầu\n\n"), [["x", "điểm: cầu"]]),
    (["id: 7\nretry: 10\ndata:x\n\ndata: y\n\n"], [["message", "x"], ["message", "y"]]),
]


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium: Browser) -> AsyncIterator[Page]:
    """A page from which the modules can be imported."""
    app = web.Application()
    app.add_routes(page_routes(load_pages()))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    opened = await chromium.new_page()
    await opened.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/hall")
    yield opened
    await runner.cleanup()


async def test_when_a_hall_leaves_its_relay(page: Page) -> None:
    """Each story of arrivals gives exactly these decisions."""
    for story, ticks in WATCHED.items():
        decided = await page.evaluate(
            """async (ticks) => {
                const { Watch } = await import("/static/watch.js");
                const watch = new Watch(0);
                return ticks.map(([now, active, standby]) => watch.tick(now, active, standby));
            }""",
            [list(tick[:3]) for tick in ticks],
        )
        assert decided == [tick[3] for tick in ticks], story


async def test_how_good_a_line_is(page: Page) -> None:
    """Good needs all measures; one bad measure is enough for bad."""
    graded = await page.evaluate(
        """async (lines) => {
            const { grade } = await import("/static/quality.js");
            return lines.map(grade);
        }""",
        [line for line, _ in LINES],
    )
    assert graded == [wanted for _, wanted in LINES]


async def test_loss_is_that_of_the_last_seconds(page: Page) -> None:
    """A loss of long ago is forgotten; a late packet takes its loss back."""
    losses = await page.evaluate(
        """async () => {
            const { LineMeter } = await import("/static/quality.js");
            const meter = new LineMeter();
            const at = (now, packets, lost) =>
                meter.add(now, { packets, lost, roundTripS: 0.02, jitterS: 0.004 }).loss;
            return [at(0, 0, 0), at(1000, 90, 10), at(7000, 390, 10), at(8000, 440, 9)];
        }"""
    )
    assert losses == [0, 0.1, 0, 0]


async def test_what_a_stream_says(page: Page) -> None:
    """Events are the same however the stream is cut into pieces."""
    for pieces, wanted in STREAMS:
        events = await page.evaluate(
            """async (pieces) => {
                const { parser } = await import("/static/sse.js");
                const events = [];
                const parse = parser((type, data) => events.push([type, data]));
                pieces.forEach(parse);
                return events;
            }""",
            pieces,
        )
        assert events == wanted, pieces


async def test_links_of_a_whep_answer(page: Page) -> None:
    """Relations of Link headers become absolute URLs."""
    links = await page.evaluate(
        """async (header) => {
            const { linksOf } = await import("/static/whep.js");
            return Object.fromEntries(linksOf(header, "http://relay:8100/c/f/whep"));
        }""",
        '</c/f/whep/1/events>; rel="urn:x:events", </c/f/whep/1/state>; rel="urn:x:state"; events="a"',
    )
    assert links == {
        "urn:x:events": "http://relay:8100/c/f/whep/1/events",
        "urn:x:state": "http://relay:8100/c/f/whep/1/state",
    }


async def test_what_a_code_says(page: Page) -> None:
    """The page reads of a code what the coordinator wrote, however a scanner typed it, and finds a forgery alone."""
    keys = KeyRing.generate()
    code = keys.issue_code("hn-2026", 1_234_567, 3)
    said = await page.evaluate(
        """async ([code, key]) => {
            const { digitsOf, importKey, isScannerAtWork, judge, readCode } = await import("/static/checkin-code.js");
            const publicKey = await importKey(key);
            const read = readCode(digitsOf(`  ${code.slice(0, 90)}\n${code.slice(90)} `));
            const spoilt = readCode(String(BigInt(code) ^ 1n));
            return {
                read: [read.number, read.issue],
                judged: [
                    await judge(read, "hn-2026", publicKey),
                    await judge(read, "hn-2025", publicKey),
                    await judge(spoilt, "hn-2026", publicKey),
                    await judge(spoilt, "hn-2026", null),
                    await judge(readCode("9".repeat(178)), "hn-2026", publicKey),
                ],
                digits: [digitsOf("https://a/checkin#hall=1"), digitsOf("1".repeat(60)), digitsOf("1".repeat(200))],
                typing: [isScannerAtWork("1234567"), isScannerAtWork(code.slice(0, 30))],
            };
        }""",
        [code, keys.code_key],
    )
    assert said == {
        "read": [1_234_567, 3],
        "judged": ["", "other_conference", "forged", "", "forged"],
        "digits": ["", "", ""],
        "typing": [False, True],
    }


async def test_names_are_found_without_their_marks(page: Page) -> None:
    """In any order of words, by their beginnings, composed or not, and by numbers anywhere."""
    texts = ["12 Đặng Hoàng Dũng", "12 \u0110a\u0323\u0306ng Hoa\u0300ng Du\u0303ng"]
    wanted = {"dang dung": True, "DŨNG đặng": True, "ho d": True, "2": True, "oang": False, "dang an": False, "": True}
    found = await page.evaluate(
        """async ([texts, wanted]) => {
            const { matches } = await import("/static/search.js");
            return texts.map((text) => wanted.map((each) => matches(text, each)));
        }""",
        [texts, list(wanted)],
    )
    assert found == [list(wanted.values())] * 2


async def test_each_nonce_is_another_and_fits_a_json_number(page: Page) -> None:
    """Integers below 2^53."""
    drawn = await page.evaluate(
        """async () => {
            const { drawNonce } = await import("/static/checkin-code.js");
            return Array.from({ length: 1000 }, drawNonce);
        }"""
    )
    assert len(set(drawn)) == 1000
    assert all(isinstance(nonce, int) and 0 <= nonce < 2**53 for nonce in drawn)
    assert max(drawn) > 2**48


async def test_names_of_browsers(page: Page) -> None:
    """The most particular name wins: Chromium's kin all say that they are Chrome and Safari."""
    names = await page.evaluate(
        """async (agents) => {
            const { browserName } = await import("/static/precheck.js");
            return agents.map(browserName);
        }""",
        [
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36 Edg/140.0",
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 coc_coc_browser/130.0 Chrome/124.0 Safari/537.36",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "something else",
        ],
    )
    assert names == ["Edg 140", "coc_coc_browser 130", "Firefox 140", "something else"]
