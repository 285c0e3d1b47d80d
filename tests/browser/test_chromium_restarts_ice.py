"""Chromium restarts ICE at a relay while it publishes and while it plays."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page
from support.pages import open_page
from support.relays import Signer, relay_process

pytestmark = [pytest.mark.browser, pytest.mark.integration]


async def played(page: Page, *, frames: int) -> dict[str, float]:
    """The player's statistics once it has decoded so many frames."""
    deadline = time.monotonic() + 20
    while True:
        found: dict[str, float] = await page.evaluate("conference.played()")
        if found["framesDecoded"] >= frames:
            return found
        assert time.monotonic() < deadline, f"only {found}"
        await asyncio.sleep(0.1)


async def remote_ufrags(page: Page, name: str) -> set[str]:
    """The user name fragments of the relay on the pairs that are in use."""
    pairs = await page.evaluate(f"conference.statistics({name}, 'transport')")
    return {each["iceLocalUsernameFragment"] for each in pairs}


async def test_a_restart_keeps_the_session(chromium: Browser, tmp_path: Path) -> None:
    """Publisher and player get new credentials by PATCH; the picture goes on under the same keys."""
    signer = Signer()
    async with relay_process(tmp_path, signer, relay_id="origin", role="origin") as origin:
        tokens = {"publisher": signer.token("publisher", "publish"), "player": signer.token("hall-1", "play")}
        publisher, player = await open_page(chromium, origin.base_url), await open_page(chromium, origin.base_url)
        published = await publisher.evaluate(
            "([url, token]) => conference.publish(url, token, 'vp8')", [origin.endpoint("whip"), tokens["publisher"]]
        )
        playing = await player.evaluate(
            "([url, token]) => conference.play(url, token)", [origin.endpoint("whep"), tokens["player"]]
        )
        await played(player, frames=30)
        for page, name, resource in ((player, "player", playing), (publisher, "publisher", published)):
            restarted = await page.evaluate(
                f"([resource, token]) => conference.restart({name}, resource, token)", [resource, tokens[name]]
            )
            assert restarted["etag"]
            decoded = (await played(player, frames=0))["framesDecoded"]
            await played(player, frames=int(decoded) + 60)
            assert await remote_ufrags(page, name) == {restarted["ufrag"]}
            assert await page.evaluate(f"{name}.iceConnectionState") in {"connected", "completed"}
        metrics = await origin.metrics()
        assert metrics["diemcau_relay_publishers"] == metrics["diemcau_relay_subscribers"] == 1
        assert metrics['diemcau_relay_dtls_handshakes_total{result="completed"}'] == 2
