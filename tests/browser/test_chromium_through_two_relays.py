"""Chromium publishes over WHIP to an origin and plays over WHEP from an edge below it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page
from support.pages import open_page
from support.relays import Signer, control_server, parent_of, relay_process

pytestmark = [pytest.mark.browser, pytest.mark.integration]


async def played(page: Page, *, frames: int, within_s: float = 20) -> dict[str, Any]:
    """The player's statistics once it has decoded so many frames."""
    deadline = time.monotonic() + within_s
    while True:
        found: dict[str, Any] = await page.evaluate("conference.played()")
        if found["framesDecoded"] >= frames:
            return found
        assert time.monotonic() < deadline, f"only {found}"
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("codec", "audio"), [("h264", "opus"), ("vp8", "red"), ("vp9", "opus"), ("av1", "red")], ids=str
)
async def test_frames_decode_behind_two_relays(codec: str, audio: str, chromium: Browser, tmp_path: Path) -> None:
    """Video and Opus arrive; frames decoded grow without loss or decode errors, by way of parent and child."""
    signer = Signer()
    async with (
        control_server(signer) as control,
        relay_process(tmp_path, signer, relay_id="origin", role="origin") as origin,
    ):
        control.parents = [parent_of(origin, "origin")]
        async with relay_process(tmp_path, signer, relay_id="edge", role="edge", coordinator_url=control.url) as edge:
            publisher = await open_page(chromium, origin.base_url)
            await publisher.evaluate(
                "([url, token, codec, audio]) => conference.publish(url, token, codec, audio)",
                [origin.endpoint("whip"), signer.token("publisher", "publish"), codec, audio],
            )
            answer = await publisher.evaluate("window.publisher.currentRemoteDescription.sdp")
            assert "useinbandfec=1" in answer, "opus may send the last packet again at a lower rate, within the next"
            player = await open_page(chromium, edge.base_url)
            resource = await player.evaluate(
                "([url, token]) => conference.play(url, token)",
                [edge.endpoint("whep"), signer.token("hall-1", "play")],
            )
            first = await played(player, frames=30)
            later = await played(player, frames=int(first["framesDecoded"]) + 90)
            assert later["videoCodec"].lower() == f"video/{codec}"
            assert (later["audioDiscarded"] > later["audioPackets"] / 2) == (audio == "red"), "each block comes twice"
            assert later["width"] >= 320
            assert later["keyFramesDecoded"] >= 1
            relays = {name: await relay.metrics() for name, relay in (("origin", origin), ("edge", edge))}
            dropped = {name: each["diemcau_relay_packets_dropped_total"] for name, each in relays.items()}
            assert later["videoPacketsLost"] == 0, f"the relays dropped {dropped}; {later}"
            assert later["framesDropped"] - first["framesDropped"] <= 3, "a decoder that errs drops frames"
            assert later["audioPackets"] > first["audioPackets"]
            assert later["audioEnergy"] > 0, "the fake microphone beeps"
            assert relays["edge"]["diemcau_relay_packets_sent_total"] > 100
            malformed = {name: value for name, value in relays["edge"].items() if "malformed" in name and value}
            assert not malformed
            status = await player.evaluate(
                """async ([url, token]) =>
                    (await fetch(url, {method: "DELETE", headers: {Authorization: `Bearer ${token}`}})).status""",
                [resource, signer.token("hall-1", "play")],
            )
            assert status == 200
