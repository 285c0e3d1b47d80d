"""Chromium publishes and plays over IPv6 alone."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from playwright.async_api import Browser
from support.pages import open_page
from support.relays import Signer, relay_process

pytestmark = [pytest.mark.browser, pytest.mark.integration]


async def test_frames_decode_over_ipv6(chromium: Browser, tmp_path: Path) -> None:
    """A relay on an IPv6 address carries a browser's picture to a browser."""
    signer = Signer()
    media = {"host": "::1", "port": 0}
    async with relay_process(tmp_path, signer, relay_id="origin", role="origin", settings={"media": media}) as origin:
        publisher = await open_page(chromium, origin.base_url)
        await publisher.evaluate(
            "([url, token]) => conference.publish(url, token, 'vp8')",
            [origin.endpoint("whip"), signer.token("publisher", "publish")],
        )
        player = await open_page(chromium, origin.base_url)
        await player.evaluate(
            "([url, token]) => conference.play(url, token)", [origin.endpoint("whep"), signer.token("hall-1", "play")]
        )
        deadline = time.monotonic() + 20
        while (await player.evaluate("conference.played()"))["framesDecoded"] < 30:
            assert time.monotonic() < deadline, "no picture over IPv6"
            await asyncio.sleep(0.1)
        remotes = await player.evaluate("conference.statistics(player, 'remote-candidate')")
        assert {each["address"] for each in remotes} == {"::1"}
