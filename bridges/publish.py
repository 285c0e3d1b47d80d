"""Publish a programme to a relay by WHIP: the test programme, a file or a device. Shell.

A publisher connects again, with backoff, when its relay is lost; the source plays on. It notices the loss by whichever
comes first: the peer connection fails (consent freshness, RFC 7675), the relay's feedback (RTCP) stops, or the relay
does not answer HTTP any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import aiohttp
import msgspec
from aiortc import RTCPeerConnection

from bridges.backoff import backoff_s
from bridges.errors import PublishError, ResourceError
from bridges.file_source import FileSource, open_device
from bridges.peer import close_peer, make_offer, new_peer_connection, prefer_codecs, take_answer
from bridges.programme import Programme
from bridges.source import Kind, Source, SourceTrack
from bridges.token_claims import expired_at_s
from bridges.whip_client import Resource, delete_resource, post_offer, relay_answers

PublishState = Literal["connecting", "live", "lost", "token_expired", "conference_ended", "ended"]

_CHECK_EVERY_S = 1.0
_ASK_EVERY = 2  # checks between two HTTP questions
_DEAF_AFTER_S = 8.0  # receiver reports come about once a second; a relay that sent some and stopped is gone
_DEVICE_FORMATS = ("v4l2", "alsa", "pulse", "x11grab", "lavfi")
# 4xx that time heals: the conference is not open yet, the feed still has its last publisher, too many requests.
_PASSING = frozenset({408, 409, 425, 429})
# A relay that has just started learns its signing keys when it registers, and refuses every token until then.
_KEYLESS_S = 10.0


class PublishSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What was published.

    Attributes:
        connections: how often it connected.
        packets_sent: by RTP.
        bytes_sent: octets of their payloads.
        conference_ended: the relay took nothing more because the conference has ended, which is the normal end.
    """

    connections: int
    packets_sent: int
    bytes_sent: int
    conference_ended: bool = False


@dataclass(slots=True)
class PublishCounts:
    """What a publication counts while it runs; metrics read it.

    Attributes:
        connected: a WHIP session is up.
        connections: sessions so far.
        packets_sent: RTP packets, brought up to date about once a second.
        bytes_sent: likewise.
        frames: frames handed to the encoder, or encoded ones passed on, by kind.
    """

    connected: bool = False
    connections: int = 0
    packets_sent: int = 0
    bytes_sent: int = 0
    frames: Counter[Kind] = field(default_factory=Counter)


def open_source(name: str, *, loop: bool = False, width: int = 640, height: int = 360, fps: int = 30) -> Source:
    """Open a source by its name.

    Args:
        name: `test`, a path, a URL, or `v4l2:/dev/video0` and the like.
        loop: start a file again after its end.
        width: of the test programme.
        height: of the test programme.
        fps: of the test programme.

    Raises:
        PublishError: the source is missing, unreadable, or without media.
    """
    if name == "test":
        return Programme(width=width, height=height, fps=fps)
    if name.partition(":")[0] in _DEVICE_FORMATS:
        return open_device(name)
    return FileSource(name, loop=loop)


async def publish(
    source: Source,
    whip_url: str,
    token: str,
    *,
    stop: asyncio.Event | None = None,
    on_state: Callable[[PublishState], None] | None = None,
    patience_s: float | None = None,
    counts: PublishCounts | None = None,
) -> PublishSummary:
    """Publish until the source or the conference ends or `stop` is set, then delete the resource and close the source.

    Args:
        source: see `open_source`.
        whip_url: WHIP endpoint of the relay.
        token: bearer token for it.
        stop: set it to end.
        on_state: told of each change of state.
        patience_s: give up when no relay took the offer for so long; None tries for ever.
        counts: kept up to date, if given.

    Raises:
        PublishError: `refused` (token, conference or media do not fit), `token_expired`, `unreachable` (patience is at
            its end), `bad_source` (the source broke off).
    """
    publisher = _Publisher(source, whip_url, token, stop or asyncio.Event(), on_state, patience_s, counts)
    try:
        async with aiohttp.ClientSession() as http:
            return await publisher.run(http)
    finally:
        await source.close()


class _Publisher:
    """One publication over as many connections as it takes."""

    def __init__(
        self,
        source: Source,
        whip_url: str,
        token: str,
        stop: asyncio.Event,
        on_state: Callable[[PublishState], None] | None,
        patience_s: float | None,
        counts: PublishCounts | None,
    ) -> None:
        self._source = source
        self._whip_url = whip_url
        self._token = token
        self._stop = stop
        self._on_state = on_state
        self._patience_s = patience_s
        self._counts = counts or PublishCounts()
        self._rng = random.Random()  # noqa: S311 - spreads publishers in time, nothing secret
        self._conference_ended = False
        self._told_expired = False

    async def run(self, http: aiohttp.ClientSession) -> PublishSummary:
        """Connect, stay, connect again."""
        clock = asyncio.get_running_loop().time
        attempts, tried_since = 0, clock()
        while not self._stop.is_set():
            self._tell("connecting")
            retry_after_s = 0.0
            try:
                if await self._connect_and_stay(http):
                    break
                attempts, tried_since = 0, clock()
            except ResourceError as error:
                if error.code == "conference_ended":
                    self._conference_ended = True
                    break
                self._judge(error, keyless=clock() - tried_since < _KEYLESS_S)
                if self._patience_s is not None and clock() - tried_since > self._patience_s:
                    raise PublishError("unreachable", str(error)) from error
                retry_after_s = error.retry_after_s
            self._tell("lost")
            if not self._told_expired and expired_at_s(self._token, time.time()) is not None:
                self._told_expired = True
                self._tell("token_expired")
            wait_s = max(backoff_s(attempts, self._rng), retry_after_s)
            attempts += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), wait_s)
        self._tell("conference_ended" if self._conference_ended else "ended")
        return PublishSummary(
            connections=self._counts.connections,
            packets_sent=self._counts.packets_sent,
            bytes_sent=self._counts.bytes_sent,
            conference_ended=self._conference_ended,
        )

    def _judge(self, error: ResourceError, *, keyless: bool) -> None:
        """Return if time may heal what the relay said.

        Raises:
            PublishError: it will not.
        """
        if not 400 <= error.status < 500 or error.status in _PASSING:
            return
        if error.status == 401:
            # Only the relay's word ends it: this machine's clock may be wrong.
            expired_at = expired_at_s(self._token, time.time())
            if expired_at is not None:
                at = datetime.fromtimestamp(expired_at).astimezone().isoformat(sep=" ", timespec="seconds")
                raise PublishError(
                    "token_expired",
                    f"mã của nguồn phát đã hết hạn lúc {at}; lấy mã mới bằng `diemcau conference publish` / "
                    f"the publisher's token expired at {at}; get a new one with `diemcau conference publish`",
                ) from error
            if keyless:
                return
        raise PublishError("refused", str(error)) from error

    def _tell(self, state: PublishState) -> None:
        if self._on_state is not None:
            self._on_state(state)

    async def _connect_and_stay(self, http: aiohttp.ClientSession) -> bool:
        """One connection: True when there is nothing more to publish, False when the relay was lost.

        Raises:
            ResourceError: the relay did not take the offer.
            PublishError: the source broke off.
        """
        peer = new_peer_connection()
        tracks = [SourceTrack(self._source, kind, self._counts.frames) for kind in sorted(self._source.kinds)]
        resource: Resource | None = None
        try:
            for track in tracks:
                transceiver = peer.addTransceiver(track, direction="sendonly")
                prefer_codecs(transceiver, track.kind, self._codecs(track.kind))
            offer = await make_offer(peer, self._whip_url)
            resource = await post_offer(http, self._whip_url, self._token, offer)
            await take_answer(peer, resource.answer)
            self._counts.connections += 1
            self._counts.connected = True
            self._tell("live")
            return await self._stay(http, peer, tracks)
        finally:
            self._counts.connected = False
            if resource is not None:
                await delete_resource(http, resource)
            await close_peer(peer)

    def _codecs(self, kind: Kind) -> Sequence[str]:
        if kind == "audio":
            return ["audio/opus"]
        # What passes through can be nothing but H.264; what is encoded here may be VP8 for a peer that knows no H.264.
        return ["video/H264"] if "video" in self._source.encoded else ["video/H264", "video/VP8"]

    async def _stay(self, http: aiohttp.ClientSession, peer: RTCPeerConnection, tracks: Sequence[SourceTrack]) -> bool:
        clock = asyncio.get_running_loop().time
        heard, heard_at, unanswered, checks = 0, clock(), 0, 0
        before = self._counts.packets_sent, self._counts.bytes_sent
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _CHECK_EVERY_S)
            packets, octets = await _sent(peer)
            self._counts.packets_sent, self._counts.bytes_sent = before[0] + packets, before[1] + octets
            for track in tracks:
                if track.error is not None:
                    raise track.error
            if self._stop.is_set() or all(track.exhausted for track in tracks):
                return True
            if peer.connectionState in {"failed", "closed"}:
                return False
            now, received = clock(), await _packets_received(peer)
            if received != heard:
                heard, heard_at = received, now
            if heard and now - heard_at > _DEAF_AFTER_S:
                return False
            checks += 1
            if checks % _ASK_EVERY == 0:
                unanswered = 0 if await relay_answers(http, self._whip_url) else unanswered + 1
                if unanswered >= 2:
                    return False


async def _sent(peer: RTCPeerConnection) -> tuple[int, int]:
    """RTP packets and octets that this connection has sent."""
    packets, octets = 0, 0
    for sender in peer.getSenders():
        for report in (await sender.getStats()).values():
            if report.type == "outbound-rtp":
                packets += report.packetsSent
                octets += report.bytesSent
    return packets, octets


async def _packets_received(peer: RTCPeerConnection) -> int:
    """Packets of any kind from the relay, which sends a publisher nothing but feedback."""
    for sender in peer.getSenders():
        for report in (await sender.getStats()).values():
            if report.type == "transport":
                return int(report.packetsReceived)
    return 0
