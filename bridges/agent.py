"""The agent of a hall: it opens the hall's link, follows its feed and decodes it, as a hall's computer does. Shell.

`bridges.following` follows; this module decodes and measures. What it measures it measures at the end of the chain:
decoded frames, lost packets, and from the timecode in the picture the time from glass to glass.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Sequence

import aiohttp

from bridges.attendance import HallStatus
from bridges.decoding import DecodingMedia
from bridges.errors import HallApiError
from bridges.follower import Follower
from bridges.follower_outputs import SessionId
from bridges.following import FollowingHall
from bridges.hall_api import HallApi, parse_link
from bridges.hall_counts import DecodeErrors, HallCounts, HallMove, HallSummary
from bridges.messages import HeadcountReport, IceServer, JoinRequest
from bridges.reservoir import Reservoir
from bridges.timecode import Luma, read_timecode

AGENT = "diemcau-hall"
POLL_S = 0.05
# A relay greets a new session with its cached group of pictures: up to some seconds of the past, at once. They are not
# what the hall sees from then on, so the clock in the picture counts from here.
SETTLE_S = 1.0
# A timecode further away than this is no timecode of this programme (a recording is being shown, or clocks are wrong).
_MAX_GLASS_TO_GLASS_MS = 60_000
_MEASURE_EVERY_S = 1.0
_SHOWING_S = 1.0  # a hall whose last picture is older than this does not see the feed
_HEADCOUNT_AGAIN_S = 2.0


class _Screen:
    """The sink of what one session decodes."""

    def __init__(self, agent: HallAgent, key: SessionId) -> None:
        self._agent = agent
        self.key = key
        self.first_picture_at: float | None = None

    def handle_video(self, luma: Luma) -> None:
        """A picture was decoded."""
        self._agent.handle_picture(self, luma)

    def handle_audio(self) -> None:
        """Sound was decoded."""
        self._agent.handle_sound(self)


class HallAgent:
    """One hall.

    Args:
        link: `<public_url>/hall#token=<jwt>`.
        headcount: figures to send once the first picture is there.
        virtual: say at the join that no people sit here.
        seed: of the backoffs' jitter; None for a different one each time.

    Raises:
        LinkError: the link is not a hall's.

    Attributes:
        link: parsed.
        counts: kept up to date.
        on_move: called with each move; set it to hear of them.
    """

    def __init__(
        self, link: str, *, headcount: HeadcountReport | None = None, virtual: bool = False, seed: int | None = None
    ) -> None:
        self.link = parse_link(link)
        self._headcount = headcount
        self._virtual = virtual
        self._rng = random.Random(seed)  # noqa: S311 - jitter and sampling, nothing secret
        self._ages_ms = Reservoir(self._rng)
        self._decode_errors = DecodeErrors()
        self._shown_at: float | None = None
        self._relay = ""
        self._ended = False
        self._counted = False
        self._hall: FollowingHall | None = None
        self._api: HallApi | None = None
        self.counts = HallCounts()
        self.on_move: Callable[[HallMove], None] = lambda _: None

    @property
    def moves(self) -> list[HallMove]:
        """From relay to relay, in order."""
        return [] if self._hall is None else self._hall.moves

    @property
    def state(self) -> HallStatus:
        """How the hall stands by what it decodes: waiting for its first picture, present, lost, left."""
        if self._ended or (self._hall is not None and self._hall.ended):
            return "left"
        if self._shown_at is None:
            return "waiting"
        return "present" if _now() - self._shown_at < _SHOWING_S else "lost"

    async def run(self, stop: asyncio.Event) -> HallSummary:
        """Follow the feed until `stop` is set or the conference ends, then leave in order.

        Raises:
            HallApiError: the coordinator refuses this hall for good (its token is not valid, or unknown).
        """
        logger = logging.getLogger("aiortc.rtcrtpreceiver")
        logger.addHandler(self._decode_errors)
        try:
            async with aiohttp.ClientSession() as http:
                self._api = HallApi(http, self.link.base_url, self.link.token)
                request = JoinRequest(agent=AGENT, virtual=self._virtual)
                hall = FollowingHall(http, self._api, Follower(self._rng), self._new_media, request)
                hall.counts = self.counts
                hall.on_move = self.on_move
                self._hall = hall
                try:
                    await self._follow(hall, stop)
                finally:
                    self._relay, self._ended = hall.relay, hall.ended
                    await hall.leave()
        finally:
            logger.removeHandler(self._decode_errors)
        if hall.refused is not None:
            raise hall.refused
        return self.summary()

    def summary(self) -> HallSummary:
        """What the hall saw so far."""
        ages = self._ages_ms
        return HallSummary(
            hall_id=self.link.hall_id,
            relay=(self._hall.relay if self._hall is not None else "") or self._relay,
            frames_decoded=self.counts.pictures,
            audio_frames_decoded=self.counts.sounds,
            decode_errors=self._decode_errors.count,
            packets_lost=self.counts.packets_lost,
            glass_to_glass_ms_p50=ages.percentile(0.5) if ages.count else None,
            glass_to_glass_ms_p95=ages.percentile(0.95) if ages.count else None,
            glass_to_glass_ms_max=ages.max if ages.count else None,
            timecodes=ages.count,
            moves=self.moves,
            present=self._shown_at is not None,
            ended=self._ended,
            errors=dict(self.counts.errors),
        )

    # ---- the sink's side ----

    def handle_picture(self, screen: _Screen, luma: Luma) -> None:
        """A session decoded a picture."""
        now = _now()
        self.counts.pictures += 1
        self._shown_at = now
        if self._hall is None:
            return
        self._hall.handle_frame(screen.key, now)
        if screen.first_picture_at is None:
            screen.first_picture_at = now
        if screen.key == self._hall.current and now - screen.first_picture_at > SETTLE_S:
            timecode = read_timecode(luma)
            if timecode is not None:
                age_ms = time.time_ns() / 1_000_000 - timecode.at_ms
                if abs(age_ms) < _MAX_GLASS_TO_GLASS_MS:
                    self._ages_ms.add(age_ms)
        self._count_heads(self._hall)

    def handle_sound(self, screen: _Screen) -> None:
        """A session decoded sound; for a feed without pictures that is what counts."""
        self.counts.sounds += 1
        if self.counts.pictures == 0 and self._hall is not None:
            self._shown_at = _now()
            self._hall.handle_frame(screen.key, self._shown_at)

    # ---- following ----

    def _new_media(self, key: SessionId, ice_servers: Sequence[IceServer]) -> DecodingMedia:
        return DecodingMedia(_Screen(self, key), ice_servers)

    async def _follow(self, hall: FollowingHall, stop: asyncio.Event) -> None:
        measure_at = 0.0
        hall.start()
        while not stop.is_set() and not hall.ended and hall.refused is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), POLL_S)
            if _now() >= measure_at:
                measure_at = _now() + _MEASURE_EVERY_S
                await hall.measure()
            hall.tick()

    def _count_heads(self, hall: FollowingHall) -> None:
        if not self._counted and self._headcount is not None:
            self._counted = True
            hall.spawn(self._send_headcount(self._headcount))

    async def _send_headcount(self, headcount: HeadcountReport) -> None:
        while self._api is not None:
            try:
                await self._api.headcount(headcount)
            except HallApiError as error:
                self.counts.note(error)
                if error.decisive:
                    return
                await asyncio.sleep(max(error.retry_after_s, _HEADCOUNT_AGAIN_S))
            else:
                return


def _now() -> float:
    return asyncio.get_running_loop().time()
