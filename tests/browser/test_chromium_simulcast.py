"""Chromium publishes three layers to an origin; another one behind a thin line is given the layer that it carries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page
from support.pages import open_page
from support.relays import Signer, control_server, free_udp_port, parent_of, relay_process
from support.udp_line import udp_line

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.alone]

ENCODINGS = [
    {"rid": "q", "scaleResolutionDownBy": 4, "maxBitrate": 150_000},
    {"rid": "h", "scaleResolutionDownBy": 2, "maxBitrate": 400_000},
    {"rid": "f", "scaleResolutionDownBy": 1, "maxBitrate": 1_500_000},
]


async def until_played(page: Page, *, widths: Sequence[int], within_s: float, frames: int = 0) -> dict[str, Any]:
    """The player's statistics once it decodes pictures of one of these widths, and has decoded so many in all."""
    deadline = time.monotonic() + within_s
    while True:
        found: dict[str, Any] = await page.evaluate("conference.played()")
        if found["width"] in widths and found["framesDecoded"] >= frames:
            return found
        assert time.monotonic() < deadline, f"no picture of {widths} columns, but {found}"
        await asyncio.sleep(0.1)


async def until_shown(page: Page, *, width: int, count: int) -> list[list[float]]:
    """All pictures that were shown, once the last ones are so many of this width: when, in seconds, and how wide."""
    deadline = time.monotonic() + 20
    while True:
        pictures: list[list[float]] = await page.evaluate("window.pictures")
        if [columns for _, columns in pictures[-count:]] == [width] * count:
            return pictures
        assert time.monotonic() < deadline, pictures[-count:]
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("codec", ["vp8", "h264"])
async def test_a_poor_line_keeps_watching(codec: str, chromium: Browser, tmp_path: Path) -> None:
    """Through origin and edge: the best layer first, a lower one on a thin line, the best again when it heals."""
    signer = Signer()
    media_port = free_udp_port()
    async with (
        control_server(signer) as control,
        relay_process(tmp_path, signer, relay_id="origin", role="origin") as origin,
    ):
        control.parents = [parent_of(origin, "origin")]
        settings = {"media": {"host": "127.0.0.1", "port": media_port}}
        async with (
            relay_process(
                tmp_path, signer, relay_id="edge", role="edge", coordinator_url=control.url, settings=settings
            ) as edge,
            udp_line(media_port) as line,
        ):
            publisher = await open_page(chromium, origin.base_url)
            await publisher.evaluate(
                "([url, token, codec, encodings]) => conference.publish(url, token, codec, 'opus', encodings)",
                [origin.endpoint("whip"), signer.token("publisher", "publish"), codec, ENCODINGS],
            )
            player = await open_page(chromium, edge.base_url)
            await player.evaluate(
                "([url, token, port]) => conference.play(url, token, port)",
                [edge.endpoint("whep"), signer.token("hall-1", "play"), line.port],
            )
            first = await until_played(player, widths=[1280], within_s=30)
            # The rate of the best layer, whatever this machine's encoder makes of the picture.
            frames = first["framesDecoded"] + 90
            second = await until_played(player, widths=[1280], within_s=20, frames=frames)
            assert second["videoPacketsLost"] == 0
            rate_bps = 8 * (second["videoBytes"] - first["videoBytes"]) / (second["at"] - first["at"])
            line.rate_bps = 0.7 * rate_bps
            lower = await until_played(player, widths=[320, 640], within_s=15)
            line.rate_bps = float("inf")
            frames = lower["framesDecoded"] + 30
            lower = await until_played(player, widths=[320, 640], within_s=5, frames=frames)
            healed = await until_played(player, widths=[1280], within_s=40)
            assert healed["framesDecoded"] > lower["framesDecoded"]
            pictures = await until_shown(player, width=1280, count=30)
            shown_s, width = [picture[0] for picture in pictures], [picture[1] for picture in pictures]
            rise = max(place for place in range(1, len(pictures)) if width[place - 1] < width[place] == 1280)
            assert shown_s[rise] - shown_s[rise - 1] < 0.5, "it goes up without a break"
            metrics = await edge.metrics()
            assert metrics['diemcau_relay_layer_switches_total{direction="down"}'] >= 1
            assert metrics['diemcau_relay_subscribers_by_layer{layer="0"}'] == 1
