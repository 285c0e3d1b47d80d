"""One encoder, two origins, an edge below both: real processes, a real publisher, and a hall that sees every packet."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest
from aiortc.codecs.h264 import h264_depayload
from support.aiortc_relay import until
from support.relays import RelayProcess, Signer, at_once, control_server, free_port, parent_of, relay_process
from support.rtc_client import RtcClient, both_parents_deliver, missing_and_doubled, rtc_client

from bridges.programme import Programme
from bridges.publish import PublishCounts, PublishState, PublishSummary, publish
from relay.wire.rtp import strip_header

pytestmark = pytest.mark.integration


class Stage:
    """Two origins that can be killed and started again, an edge that merges them, a publisher and a hall."""

    def __init__(self, tmp_path: Path, signer: Signer) -> None:
        self._tmp_path = tmp_path
        self._signer = signer
        self._stack = contextlib.AsyncExitStack()
        self.ports = [free_port(), free_port()]
        self.origins: dict[int, RelayProcess] = {}
        self.counts = PublishCounts()
        self.states: list[PublishState] = []
        self._stop = asyncio.Event()
        self._publishing: asyncio.Task[PublishSummary] | None = None

    async def start_origin(self, number: int) -> None:
        """Start an origin, at the port that it had before."""
        origin = relay_process(
            self._tmp_path, self._signer, relay_id=f"origin-{number}", role="origin", http_port=self.ports[number]
        )
        self.origins[number] = await self._stack.enter_async_context(origin)

    async def kill_origin(self, number: int) -> None:
        """As by kill -9."""
        self.origins[number].kill()
        await self.origins[number].process.wait()

    def publish(self) -> None:
        """Begin with a programme, as another encoder would after the one before."""
        urls = [self.origins[number].endpoint("whip") for number in sorted(self.origins)]
        token = self._signer.token("encoder", "publish")
        self._stop.clear()
        self._publishing = asyncio.create_task(
            publish(Programme(fps=15), urls, token, stop=self._stop, on_state=self.states.append, counts=self.counts)
        )

    async def stop_publishing(self) -> None:
        """The encoder ends."""
        self._stop.set()
        if self._publishing is not None:
            await self._publishing

    @contextlib.asynccontextmanager
    async def up(self) -> AsyncIterator[tuple[RelayProcess, RtcClient]]:
        """Everything up and playing: the edge and the hall."""
        async with self._stack as stack:
            control = await stack.enter_async_context(control_server(self._signer))
            await at_once(self.start_origin(n) for n in range(2))
            control.parents = [parent_of(self.origins[n], f"origin-{n}") for n in range(2)]
            edge = await stack.enter_async_context(
                relay_process(
                    self._tmp_path,
                    self._signer,
                    relay_id="edge",
                    role="edge",
                    coordinator_url=control.url,
                    settings={"merge_parents": True},
                )
            )
            self.publish()
            try:
                player = await stack.enter_async_context(
                    rtc_client(edge.endpoint("whep"), self._signer.token("hall-1", "play"), publishes=False)
                )
                await both_parents_deliver(edge, player, within_s=20)
                yield edge, player
            finally:
                await self.stop_publishing()


def decoded_and_sent(player: RtcClient) -> tuple[int, int]:
    """How many pictures an H.264 decoder makes of what came, and how many were sent."""
    decoder = av.CodecContext.create("h264", "r")
    packets = sorted(player.of_kind("video"), key=lambda each: each[0])
    pictures = sent = 0
    frame = b""
    for _, header, packet in packets:
        plain = strip_header(packet, header, sequence_number=0, timestamp=0)
        frame += h264_depayload(plain[12:])
        if header.marker:
            sent += 1
            pictures += len(decoder.decode(av.Packet(frame)))
            frame = b""
    return pictures + len(decoder.decode(None)), sent


async def test_the_loss_of_either_origin_is_not_seen_in_a_hall(tmp_path: Path) -> None:
    """Kill -9 one origin, bring it back, kill the other: nothing missing, nothing doubled, every picture decodes."""
    stage = Stage(tmp_path, Signer())
    async with stage.up() as (edge, player):
        await stage.kill_origin(0)
        await player.received(len(player.packets) + 200)
        await until(lambda: stage.counts.sessions_up == 1)
        await stage.start_origin(0)
        await until(lambda: stage.counts.sessions_up == 2)
        await both_parents_deliver(edge, player)
        await stage.kill_origin(1)
        await player.received(len(player.packets) + 300)
        await until(lambda: stage.counts.sessions_up == 1)
        await player.received(len(player.packets) + 100)
    for kind in ("audio", "video"):
        assert missing_and_doubled(player, kind) == (0, 0), kind
    pictures, sent = decoded_and_sent(player)
    assert pictures >= sent - 1  # the last one may have been cut off
    assert sent > 100
    assert [state for state in stage.states if state != "connecting"] == ["live", "partly", "live", "partly", "ended"]


async def test_another_encoder_is_merged_as_well(tmp_path: Path) -> None:
    """Each origin continues its own numbering, some packets apart: the edge aligns them, and the loss is not seen."""
    stage = Stage(tmp_path, Signer())
    async with stage.up() as (edge, player):
        await stage.stop_publishing()
        stage.publish()
        await until(lambda: stage.counts.sessions_up == 2)
        await both_parents_deliver(edge, player, within_s=20)
        await player.received(len(player.packets) + 200)
        del player.packets[:-50]
        await stage.kill_origin(0)
        await player.received(len(player.packets) + 300)
    for kind in ("audio", "video"):
        assert missing_and_doubled(player, kind) == (0, 0), kind
