"""Real relays: a hall sees a picture within a second of its join, although the source makes a keyframe every four."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from support.relays import RelayProcess, Signer, control_server, parent_of, relay_process
from support.rtc_client import Programme, RtcClient, programme, rtc_client

from relay.wire.codecs import is_keyframe_start

pytestmark = pytest.mark.integration

KEYFRAME_FRAMES = 120
JOINS_AFTER_FRAMES = (10, 50, 95, 112)  # of the group; after the last, the next keyframe is the nearer one
DEFAULT_BUFFER_BYTES = 106_496  # Linux doubles it: the 208 KiB that a socket has that asks for nothing


class Stage:
    """An origin with a film for a source, an edge below it, and a hall that plays from the edge."""

    def __init__(self, edge: RelayProcess, film: Programme, signer: Signer) -> None:
        self.edge = edge
        self.film = film
        self.signer = signer

    async def frame_of_group(self, frame: int) -> None:
        """Return when the film is so far into a group of pictures."""
        deadline = time.monotonic() + 10
        while self.film.frames % KEYFRAME_FRAMES != frame:
            assert time.monotonic() < deadline, "the film stands still"
            await asyncio.sleep(0.005)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Everything up, with a hall that has its picture."""
    signer = Signer()
    async with contextlib.AsyncExitStack() as stack:
        control = await stack.enter_async_context(control_server(signer))
        origin = await stack.enter_async_context(relay_process(tmp_path, signer, relay_id="origin", role="origin"))
        control.parents = [parent_of(origin, "origin")]
        edge = await stack.enter_async_context(
            relay_process(tmp_path, signer, relay_id="edge", role="edge", coordinator_url=control.url)
        )
        publisher = await stack.enter_async_context(
            rtc_client(origin.endpoint("whip"), signer.token("encoder", "publish"), publishes=True)
        )
        film = await stack.enter_async_context(programme(publisher))
        film.keyframe_frames, film.answers_requests, film.video.payload_words = KEYFRAME_FRAMES, False, 250
        player = await stack.enter_async_context(
            rtc_client(edge.endpoint("whep"), signer.token("hall-0", "play"), publishes=False)
        )
        async with asyncio.timeout(15):
            while not player.of_kind("video"):
                await player.change()
        yield Stage(edge, film, signer)


async def test_the_first_picture_comes_within_a_second(stage: Stage) -> None:
    """Wherever in the group a hall joins; a default socket buffer loses nothing of the burst."""
    film_asked = (await stage.edge.metrics())["diemcau_relay_plis_sent_total"]
    waits: dict[int, float] = {}
    for frame in JOINS_AFTER_FRAMES:
        await stage.frame_of_group(frame)
        async with aiohttp.ClientSession() as http:
            hall = RtcClient(http, stage.signer.token(f"hall-{frame}", "play"))
            hall.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, DEFAULT_BUFFER_BYTES)
            try:
                joined_at_s = time.monotonic()
                await hall.connect(stage.edge.endpoint("whep"), publishes=False)
                await asyncio.wait_for(first_picture(hall), 10)
                waits[frame] = hall.of_kind("video")[0][0] - joined_at_s
                shown = len(hall.of_kind("video"))
                await hall.received(len(hall.packets) + 250)
                numbers = [header.sequence_number for _, header, _ in hall.of_kind("video")]
                assert numbers == [(numbers[0] + place) % 65_536 for place in range(len(numbers))]
                assert len(numbers) > shown
            finally:
                await hall.close()
    assert max(waits.values()) < 1.0, waits
    asked = (await stage.edge.metrics())["diemcau_relay_plis_sent_total"] - film_asked
    assert asked <= 2, "only the last hall had to wait, for half a second"


async def first_picture(hall: RtcClient) -> None:
    """Return when a hall has a whole keyframe, and this is what its video began with."""
    while not any(header.marker for _, header, _ in hall.of_kind("video")):
        await hall.change()
    _, header, packet = hall.of_kind("video")[0]
    assert is_keyframe_start("VP8", packet[header.header_length :])


async def test_a_crowd_that_joins_at_once_is_served(stage: Stage) -> None:
    """More halls than may catch up at a time: all have the picture within a second and a half, and no hole."""
    await stage.frame_of_group(60)
    async with contextlib.AsyncExitStack() as stack:
        token = stage.signer.token("hall", "play")
        joined_at_s = time.monotonic()
        halls = await asyncio.gather(
            *(
                stack.enter_async_context(rtc_client(stage.edge.endpoint("whep"), token, publishes=False))
                for _ in range(20)
            )
        )
        for hall in halls:
            await asyncio.wait_for(first_picture(hall), 10)
        assert max(hall.of_kind("video")[0][0] for hall in halls) - joined_at_s < 1.5
        await asyncio.gather(*(hall.received(len(hall.packets) + 100) for hall in random.sample(halls, 5)))
        for hall in halls:
            numbers = [header.sequence_number for _, header, _ in hall.of_kind("video")]
            assert numbers == [(numbers[0] + place) % 65_536 for place in range(len(numbers))]
