"""A peer connection that plays from one relay and really decodes. Shell over aiortc."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
from aiortc.exceptions import InvalidStateError
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame

from bridges.messages import IceServer
from bridges.peer import (
    Path,
    close_peer,
    make_offer,
    measure_path,
    new_peer_connection,
    prefer_codecs,
    take_answer,
)
from bridges.play_session import closed_meanwhile
from bridges.timecode import Luma

# Of RTP timestamps: all video formats have one rate, and Opus is the only sound (RFC 7587).
_CLOCK_HZ = {"audio": 48_000, "video": 90_000}
# H.264 first, because every hall's computer decodes it in hardware; VP8 for browsers as publishers.
_VIDEO_CODECS = ("video/H264", "video/VP8")


class Sink(Protocol):
    """Takes what a session decodes."""

    def handle_video(self, luma: Luma) -> None:
        """A picture was decoded; its luma plane is valid during the call only."""
        ...

    def handle_audio(self) -> None:
        """20 ms of sound were decoded."""
        ...


class DecodingMedia:
    """The peer connection of one WHEP session (`bridges.play_session.Media`), really decoding.

    Args:
        sink: takes what is decoded.
        ice_servers: TURN servers, for a hall that reaches no relay directly.
    """

    def __init__(self, sink: Sink, ice_servers: Sequence[IceServer] = ()) -> None:
        self._sink = sink
        self._peer = new_peer_connection(ice_servers)
        self._drains: set[asyncio.Task[None]] = set()

    async def make_offer(self, whep_url: str) -> str:
        """Make a complete offer for sound and picture.

        Raises:
            ResourceError: this machine has no network address, or the session was closed meanwhile.
        """
        try:
            video = self._peer.addTransceiver("video", direction="recvonly")
            self._peer.addTransceiver("audio", direction="recvonly")
            prefer_codecs(video, "video", _VIDEO_CODECS)
            self._peer.on("track", self._drain)
            return await make_offer(self._peer, whep_url)
        except InvalidStateError as error:
            raise closed_meanwhile() from error

    async def take_answer(self, answer: str) -> None:
        """Take the relay's answer; returns when ICE and DTLS are up.

        Raises:
            ResourceError: the answer does not fit, the media port was not reached, or the session was closed.
        """
        try:
            await take_answer(self._peer, answer)
        except InvalidStateError as error:
            raise closed_meanwhile() from error

    def begin(self) -> None:
        """Nothing to do: every decoded frame is told anyway."""

    def last_packets_ago_s(self) -> dict[str, float]:
        """Seconds since the last RTP packet, by kind (`audio`, `video`); without a kind of which none came in 10 s."""
        now = datetime.now(tz=UTC)
        return {
            transceiver.kind: max(0.0, (now - max(source.timestamp for source in sources)).total_seconds())
            for transceiver in self._peer.getTransceivers()
            if (sources := transceiver.receiver.getSynchronizationSources())
        }

    async def packets(self) -> tuple[int, int]:
        """RTP packets that came, and that never came (RFC 3550 section 6.4.1), of all streams."""
        received, lost = 0, 0
        for transceiver in self._peer.getTransceivers():
            for report in (await transceiver.receiver.getStats()).values():
                if report.type == "inbound-rtp":
                    received += report.packetsReceived
                    lost += max(0, report.packetsLost)
        return received, lost

    async def received_bytes(self) -> int:
        """Bytes that came over the transport, of all kinds."""
        for transceiver in self._peer.getTransceivers():
            for report in (await transceiver.receiver.getStats()).values():
                if report.type == "transport":
                    return int(report.bytesReceived)
        return 0

    async def jitter_ms(self) -> float:
        """The greatest interarrival jitter of its streams (RFC 3550 section 6.4.1)."""
        greatest = 0.0
        for transceiver in self._peer.getTransceivers():
            for report in (await transceiver.receiver.getStats()).values():
                if report.type == "inbound-rtp":
                    greatest = max(greatest, report.jitter * 1000 / _CLOCK_HZ[report.kind])
        return greatest

    async def path(self) -> Path:
        """The way that media takes."""
        return await measure_path(self._peer)

    async def close(self) -> None:
        """End all tasks and threads, in bounded time."""
        await close_peer(self._peer)
        for task in list(self._drains):
            task.cancel()
        await asyncio.gather(*self._drains, return_exceptions=True)

    def _drain(self, track: MediaStreamTrack) -> None:
        task = asyncio.create_task(self._drain_track(track), name=f"drain-{track.kind}")
        self._drains.add(task)
        task.add_done_callback(self._drains.discard)

    async def _drain_track(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if isinstance(frame, VideoFrame):
                self._sink.handle_video(luma_of(frame))
            else:
                self._sink.handle_audio()


def luma_of(frame: VideoFrame) -> Luma:
    """View the luma plane of a decoded picture without copying, (height, width)."""
    plane = frame.planes[0]
    rows: Luma = np.frombuffer(plane, dtype=np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload] # a plane is a buffer
    return rows[: frame.height, : frame.width]
