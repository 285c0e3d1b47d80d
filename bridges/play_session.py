"""One WHEP session of a hall: a peer connection that plays from one relay, really decoding. Shell over aiortc."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import aiohttp
import numpy as np
from aiortc.exceptions import InvalidStateError
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame

from bridges.errors import ResourceError
from bridges.messages import IceServer, RelayAccess
from bridges.peer import close_peer, make_offer, new_peer_connection, prefer_codecs, take_answer
from bridges.timecode import Luma
from bridges.whep_client import SessionState, put_state, standby_url
from bridges.whip_client import Resource, delete_resource, post_offer

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


class PlaySession:
    """A session at one relay: `open`, then `put_state` as often as wanted, then `close`.

    Args:
        http: shared client.
        access: the relay and its token.
        sink: takes what is decoded.
        ice_servers: TURN servers, for a hall that reaches no relay directly.
    """

    def __init__(
        self, http: aiohttp.ClientSession, access: RelayAccess, sink: Sink, ice_servers: Sequence[IceServer] = ()
    ) -> None:
        self._http = http
        self._sink = sink
        self._peer = new_peer_connection(ice_servers)
        self._drains: set[asyncio.Task[None]] = set()
        self._switching = asyncio.Lock()
        self.access = access
        self.resource: Resource | None = None

    async def open(self, *, standby: bool) -> None:
        """Connect, as a standby or playing.

        Raises:
            ResourceError: the relay refused, did not answer, or its media port could not be reached.
        """
        url = standby_url(self.access.whep_url) if standby else self.access.whep_url
        try:
            video = self._peer.addTransceiver("video", direction="recvonly")
            self._peer.addTransceiver("audio", direction="recvonly")
            prefer_codecs(video, "video", _VIDEO_CODECS)
            self._peer.on("track", self._drain)
            offer = await make_offer(self._peer, url)
            self.resource = await post_offer(self._http, url, self.access.token, offer)
            await take_answer(self._peer, self.resource.answer)
        except InvalidStateError as error:
            raise ResourceError("the session was closed while it was being opened", code="not_open") from error

    async def put_state(self, wanted: Callable[[], SessionState]) -> None:
        """Ask the relay for the state that is wanted when its turn comes; requests do not overtake each other.

        Raises:
            ResourceError: the relay does not answer or does not know the session.
        """
        async with self._switching:
            if self.resource is None:
                raise ResourceError("the session is not open", code="not_open")
            await put_state(self._http, self.resource, wanted())

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

    async def close(self) -> None:
        """Delete the resource and end all tasks and threads, in bounded time."""
        resource, self.resource = self.resource, None
        if resource is not None:
            await delete_resource(self._http, resource)
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
