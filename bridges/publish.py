"""Publish a programme to its origins by WHIP: the test programme, a file or a device. Shell.

One encoder feeds all origins, so that their copies are equal and no relay is a single point of failure. Each origin has
a session that connects again by itself, with backoff (`bridges.whip_session`); the source plays on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import aiohttp
import msgspec

from bridges.encoding import Encoding
from bridges.errors import PublishError
from bridges.file_source import FileSource, open_device
from bridges.layers import BITRATE_SHARES, layers_of
from bridges.programme import Programme
from bridges.source import Kind, Source
from bridges.token_claims import expired_at_s
from bridges.whip_session import WhipSession

PublishState = Literal["connecting", "live", "partly", "lost", "token_expired", "conference_ended", "ended"]

MAX_ORIGINS = 4  # each costs the publisher's line the whole programme once more
_log = logging.getLogger(__name__)
_DEVICE_FORMATS = ("v4l2", "alsa", "pulse", "x11grab", "lavfi")


class PublishSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What was published.

    Attributes:
        connections: how often it connected, over all origins.
        packets_sent: by RTP, over all origins.
        bytes_sent: octets of their payloads.
        conference_ended: a relay took nothing more because the conference has ended, which is the normal end.
    """

    connections: int
    packets_sent: int
    bytes_sent: int
    conference_ended: bool = False


@dataclass(slots=True)
class PublishCounts:
    """What a publication counts while it runs; metrics read it.

    Attributes:
        sessions_up: WHIP sessions that are up, one for each origin.
        connections: sessions so far, over all origins.
        reconnections: those of them that were not an origin's first.
        packets_sent: RTP packets over all origins, brought up to date about once a second.
        bytes_sent: likewise.
        frames: frames handed to the encoder, or encoded ones passed on, by kind.
    """

    sessions_up: int = 0
    connections: int = 0
    reconnections: int = 0
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
    whip_urls: Sequence[str],
    token: str,
    *,
    stop: asyncio.Event | None = None,
    on_state: Callable[[PublishState], None] | None = None,
    patience_s: float | None = None,
    counts: PublishCounts | None = None,
    simulcast: bool = False,
) -> PublishSummary:
    """Publish until the source or the conference ends or `stop` is set, then delete the sessions and close the source.

    Args:
        source: see `open_source`.
        whip_urls: WHIP endpoints of the origins, 1 to `MAX_ORIGINS`; all are sent the same packets.
        token: bearer token for them.
        stop: set it to end.
        on_state: told of each change of state; `partly` means that some origins are lost and some are not.
        patience_s: give up when no origin took the offer for so long; None tries for ever.
        counts: kept up to date, if given.
        simulcast: send the picture in the sizes of `bridges.layers` side by side.

    Raises:
        PublishError: `refused` (token, conference or media do not fit), `token_expired`, `unreachable` (patience is at
            its end), `bad_source` (the source broke off), `not_scalable` (simulcast of what is encoded already). What
            one origin refuses ends it for that origin alone.
    """
    publication = _Publication(
        source, whip_urls, token, on_state, patience_s, counts or PublishCounts(), simulcast=simulcast
    )
    try:
        async with aiohttp.ClientSession() as http:
            return await publication.run(http, stop or asyncio.Event())
    finally:
        await source.close()


def _encodings(source: Source, frames: Counter[Kind], *, simulcast: bool) -> list[Encoding]:
    """An encoding for each kind of a source; with simulcast that of video has smaller layers."""
    if not simulcast:
        return [Encoding(source, kind, frames) for kind in sorted(source.kinds)]
    whole, *smaller = zip(layers_of(source), BITRATE_SHARES, strict=True)
    # What is counted are pictures, and not sizes of pictures.
    lower = [Encoding(layer, "video", Counter(), bitrate_share=share) for layer, share in smaller]
    video = Encoding(whole[0], "video", frames, bitrate_share=whole[1], lower=lower)
    return [*(Encoding(source, kind, frames) for kind in sorted(source.kinds - {"video"})), video]


class _Publication:
    """One source on its way to all origins; hears the events of their sessions."""

    def __init__(
        self,
        source: Source,
        whip_urls: Sequence[str],
        token: str,
        on_state: Callable[[PublishState], None] | None,
        patience_s: float | None,
        counts: PublishCounts,
        *,
        simulcast: bool,
    ) -> None:
        if not 1 <= len(whip_urls) <= MAX_ORIGINS or len(set(whip_urls)) != len(whip_urls):
            raise PublishError("bad_origins", f"từ 1 đến {MAX_ORIGINS} trạm gốc khác nhau / 1 to {MAX_ORIGINS} origins")
        self._token = token
        self._on_state = on_state
        self._patience_s = patience_s
        self._counts = counts
        self._over = asyncio.Event()
        self._encodings = _encodings(source, counts.frames, simulcast=simulcast)
        self._sessions = [WhipSession(url, token, self._encodings, self._over, self) for url in whip_urls]
        self._missing: set[WhipSession] = set()  # lost, or refused
        self._last_up_s = 0.0
        self._told: PublishState | None = None
        self._told_expired = False

    async def run(self, http: aiohttp.ClientSession, stop: asyncio.Event) -> PublishSummary:
        """Run the encoders and the sessions until one side has nothing more to do."""
        self._last_up_s = asyncio.get_running_loop().time()
        stopped = asyncio.create_task(stop.wait())
        encoding = [asyncio.create_task(each.run()) for top in self._encodings for each in (top, *top.lower)]
        sending = {asyncio.create_task(each.run(http)): each for each in self._sessions}
        try:
            await self._watch(stopped, set(encoding), dict(sending))
        finally:
            self._over.set()
            for task in (stopped, *encoding):
                task.cancel()
            await asyncio.gather(stopped, *encoding, *sending, return_exceptions=True)
            self._count_up()
        ended = any(session.conference_ended for session in self._sessions)
        self._tell("conference_ended" if ended else "ended")
        return PublishSummary(
            connections=self._counts.connections,
            packets_sent=self._counts.packets_sent,
            bytes_sent=self._counts.bytes_sent,
            conference_ended=ended,
        )

    async def _watch(
        self,
        stopped: asyncio.Task[bool],
        encoding: set[asyncio.Task[None]],
        sending: dict[asyncio.Task[None], WhipSession],
    ) -> None:
        """Return when there is nothing more to publish, or nobody to publish to.

        Raises:
            PublishError: the source broke off, or the last origin refused.
        """
        while encoding and sending and not stopped.done():
            await asyncio.wait({stopped, *encoding, *sending}, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in encoding if task.done()]:
                encoding.remove(task)
                task.result()
            for task in [task for task in sending if task.done()]:
                session = sending.pop(task)
                if session.conference_ended:
                    return
                if not sending:
                    task.result()
                elif (error := task.exception()) is not None:
                    _log.warning("an origin is given up: %s", error)
                    self.down(session)

    def connecting(self, _session: WhipSession) -> None:
        """Tell it while no origin is supplied."""
        if not self._counts.sessions_up:
            self._tell("connecting")

    def up(self, session: WhipSession) -> None:
        """Count it and tell it."""
        self._counts.connections += 1
        self._counts.reconnections += session.connections > 1
        self._missing.discard(session)
        self._count_up()
        self._tell("partly" if self._missing else "live")

    def down(self, session: WhipSession) -> None:
        """Count it and tell it."""
        self._missing.add(session)
        self._count_up()
        self._tell("partly" if self._counts.sessions_up else "lost")
        if not self._told_expired and expired_at_s(self._token, time.time()) is not None:
            self._told_expired = True
            self._tell("token_expired")

    def sent(self, packets: int, octets: int) -> None:
        """Count them."""
        self._counts.packets_sent += packets
        self._counts.bytes_sent += octets

    def has_patience(self) -> bool:
        """True while an origin is supplied, or was not long ago."""
        now = asyncio.get_running_loop().time()
        return self._patience_s is None or self._counts.sessions_up > 0 or now - self._last_up_s <= self._patience_s

    def _count_up(self) -> None:
        if self._counts.sessions_up:
            self._last_up_s = asyncio.get_running_loop().time()
        self._counts.sessions_up = sum(session.is_up for session in self._sessions)

    def _tell(self, state: PublishState) -> None:
        if self._on_state is not None and state != self._told:
            self._on_state(state)
        self._told = state
