"""Everything real: Chromium publishes, the coordinator seats a hall, its page plays, its relay is killed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from playwright.async_api import Browser
from support.pages import open_page, until_in_hall
from support.whole_conference import CONFERENCE, empty_conference

pytestmark = [pytest.mark.browser, pytest.mark.integration]

LONGEST_INTERRUPTION_MS = 2_000


@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_the_page_survives_the_kill_of_its_relay(codec: str, chromium: Browser, tmp_path: Path) -> None:
    """Picture and Opus through two relays; after kill -9 of its relay the page plays on, and the report knows it."""
    async with empty_conference(tmp_path) as whole:
        links = await whole.open(1)
        ((hall_id, link),) = links.items()
        publisher = await open_page(chromium, whole.whip_url.split("/" + CONFERENCE)[0])
        await publisher.evaluate(
            "([url, token, codec]) => conference.publish(url, token, codec)",
            [whole.whip_url, whole.publisher_token, codec],
        )
        page = await chromium.new_page()
        await page.goto(link)
        await page.click("#join")
        await until_in_hall(page, "diemcau.state === 'playing' && diemcau.framesDecoded() > 60")
        await until_in_hall(page, "diemcau.standby !== ''")
        (primary, backup), relay = (await whole.placements())[hall_id], await page.evaluate("diemcau.relay")
        assert relay == primary
        assert await page.evaluate("diemcau.standby") == backup

        await whole.end(whole.stage.supervisor.programs[relay], signal.SIGKILL)
        await until_in_hall(page, f"diemcau.relay === '{backup}' && diemcau.state === 'playing'")
        frames = await page.evaluate("diemcau.framesDecoded()")
        await until_in_hall(page, f"diemcau.framesDecoded() > {frames + 60}")

        async def known() -> bool:
            return (await whole.placements())[hall_id][0] == backup

        await whole.until(known, "the coordinator to know that the hall moved")
        (moved,) = [move for move in await page.evaluate("diemcau.moves") if move["reason"] == "silence"]
        assert moved["interruption_ms"] < LONGEST_INTERRUPTION_MS
        report = await whole.api.report(CONFERENCE, "json")
        assert b'"interruptions"' in report
