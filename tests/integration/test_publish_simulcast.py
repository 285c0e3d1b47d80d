"""`diemcau publish --simulcast`: three sizes of one picture reach a relay, and a hall is sent the one that it takes."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.aiortc_relay import until
from support.relays import Signer, control_server, parent_of, relay_process
from support.rtc_client import rtc_client

from bridges.programme import Programme
from bridges.publish import PublishSummary, publish
from relay.core.feed import MAX_LAYERS
from relay.wire.rtcp import Remb

pytestmark = pytest.mark.integration


@contextlib.asynccontextmanager
async def published(url: str, token: str) -> AsyncIterator[asyncio.Task[PublishSummary]]:
    """The test programme in three sizes; it ends afterwards."""
    stop = asyncio.Event()
    programme = Programme(width=640, height=360, fps=15)
    task = asyncio.create_task(publish(programme, [url], token, stop=stop, simulcast=True))
    try:
        yield task
    finally:
        stop.set()
        await task


async def test_three_sizes_go_down_the_tree(tmp_path: Path) -> None:
    """Each crosses the link with a bitrate of its own; a hall below that estimates little gets a smaller one."""
    signer = Signer()
    link_token, hall_token = signer.token("child", "play", link=True), signer.token("hall-1", "play")
    async with (
        control_server(signer) as control,
        relay_process(tmp_path, signer, relay_id="origin", role="origin") as origin,
        published(origin.endpoint("whip"), signer.token("publisher", "publish")) as publishing,
    ):
        control.parents = [parent_of(origin, "origin")]
        async with (
            relay_process(tmp_path, signer, relay_id="edge", role="edge", coordinator_url=control.url) as edge,
            rtc_client(origin.endpoint("whep"), link_token, publishes=False, layers=MAX_LAYERS) as child,
            rtc_client(edge.endpoint("whep"), hall_token, publishes=False) as hall,
        ):
            assert child.answer is not None
            ssrcs = child.answer.media[1].simulcast_ssrcs
            assert len(ssrcs) == MAX_LAYERS

            def octets() -> list[int]:
                found = Counter[int]()
                for _, header, packet in child.packets:
                    found[header.ssrc] += len(packet)
                return [found[ssrc] for ssrc in ssrcs]

            await until(lambda: octets()[2] > 40_000, say=lambda: (octets(), publishing))
            whole, half, quarter, none = octets()
            assert whole > half > quarter > 0 == none
            await until(lambda: len(hall.of_kind("video")) > 30)
            async with asyncio.timeout(40):
                while (await edge.metrics()).get('diemcau_relay_layer_switches_total{direction="down"}', 0) == 0:
                    hall.send_rtcp([Remb(1, 40_000, (hall.ssrc("video"),))])
                    await asyncio.sleep(0.5)
            numbers = [header.sequence_number for _, header, _ in hall.of_kind("video")]
            assert len(set(numbers)) == len(numbers) == (numbers[-1] - numbers[0]) % 65_536 + 1, "one row of numbers"
