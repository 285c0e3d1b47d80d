"""Many halls in one process that play for real and decode nothing: they show what a failover costs. Shell.

Composes `relay.swarm` (receivers with ICE, DTLS and SRTP that count) and `bridges.following` (the same follower as a
hall's agent), which do not know each other. Each hall joins by its own link, keeps a standby, goes to it by itself,
reports, follows assignments, and leaves in order.

What is measured, for each hall by itself. An *interruption* belongs to a move: from the last media packet of the old
session to the first packet of a keyframe on the new one, with which a decoder shows a picture again. A *silence* is of
the hall: no packet of media on any session for longer than `SILENCE_MS`. A hall that neither moved nor was silent was
not touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import aiohttp
import msgspec

from bridges.errors import HallApiError, ResourceError
from bridges.follower import Follower
from bridges.follower_outputs import SessionId
from bridges.following import FollowingHall
from bridges.hall_api import HallApi, parse_link
from bridges.hall_counts import HallMove
from bridges.messages import IceServer, JoinRequest
from relay.core.ice import IceCredentials
from relay.errors import WireError
from relay.net.negotiation import new_credentials
from relay.swarm.errors import JoinError
from relay.swarm.receiver import Milestones, Outcome, Receiver
from relay.swarm.receivers import Receivers, allow_files
from relay.swarm.summary import Spread, spread
from relay.wire.sdp import build_play_offer, parse_session, serialize_session

AGENT = "diemcau-swarm"
MAX_HALLS = 2000
SILENCE_MS = 300.0
PLAYING_S = 1.0  # a hall whose last packet is older than this does not play
CONNECT_TIMEOUT_S = 5.0  # ICE and DTLS on a bad line
SLICES = 5  # halls are ticked in turn, each once in so many readings of the sockets
SLICE_S = 0.01
# Of a hall: two sessions with a socket, a request and an event stream each, and one request to the coordinator.
_FILES_PER_HALL = 8
_FILES_BESIDES = 64


class CountingMedia:
    """The media of one session (`bridges.play_session.Media`), counted and not decoded."""

    def __init__(self, receivers: Receivers, on_closed: Callable[[], object]) -> None:
        self._receivers = receivers
        self._on_closed = on_closed
        self._local: IceCredentials = new_credentials()
        self._at = Milestones(_clock())
        self._told_frame_s: float | None = None
        self._heard: dict[str, tuple[int, float]] = {}
        self.receiver: Receiver | None = None

    async def make_offer(self, whep_url: str) -> str:
        """See `Media`."""
        del whep_url
        offer = build_play_offer(
            ice_ufrag=self._local.ufrag,
            ice_pwd=self._local.pwd,
            fingerprint=("sha-256", self._receivers.fingerprint),
        )
        return serialize_session(offer)

    async def take_answer(self, answer: str) -> None:
        """See `Media`."""
        try:
            self.receiver = self._receivers.add(self._local, parse_session(answer), self._at)
        except (WireError, JoinError) as error:
            raise ResourceError(f"the relay's answer does not fit the offer: {error}", code="malformed") from error
        except OSError as error:
            raise ResourceError(f"no socket: {error.strerror}", code="no_network") from error
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._receivers.settle(self.receiver, awaits_media=False)
        if self.receiver.outcome is not Outcome.CONNECTED:
            reason = self.receiver.reason or "not in time"
            raise ResourceError(f"no connection to the relay's media port: {reason}", code="no_media_path")

    def begin(self) -> None:
        """See `Media`."""
        self._told_frame_s = None
        if self.receiver is not None:
            self.receiver.begin_again()

    def last_packets_ago_s(self) -> dict[str, float]:
        """See `Media`; exact to one reading of the sockets."""
        if self.receiver is None:
            return {}
        counts: dict[str, int] = {}
        for stream in self.receiver.streams:
            counts[stream.kind] = counts.get(stream.kind, 0) + stream.delivered
        for kind, count in counts.items():
            if count != self._heard.get(kind, (0, 0.0))[0]:
                self._heard[kind] = (count, self.receiver.last_media_s)
        now = _clock()
        return {kind: now - at for kind, (_, at) in self._heard.items()}

    def next_first_frame(self) -> float | None:
        """When the first picture since `begin` could be shown; told once."""
        if self.receiver is None or self._told_frame_s is not None:
            return None
        self._told_frame_s = self.receiver.at.first_keyframe_s
        return self._told_frame_s

    @property
    def last_media_s(self) -> float:
        """When a packet of media came last; minus infinity for never."""
        return float("-inf") if self.receiver is None else self.receiver.last_media_s

    async def packets(self) -> tuple[int, int]:
        """See `Media`."""
        streams = [] if self.receiver is None else self.receiver.streams
        return sum(stream.delivered for stream in streams), sum(stream.lost for stream in streams)

    async def close(self) -> None:
        """See `Media`."""
        self._on_closed()
        if self.receiver is not None:
            self._receivers.close(self.receiver)


class SwarmMove(msgspec.Struct, frozen=True, kw_only=True, rename={"from_relay": "from", "to_relay": "to"}):
    """One move of a hall, reported at `at_ms` since the epoch; `interruption_ms` as this module defines it."""

    from_relay: str
    to_relay: str
    reason: str
    interruption_ms: float
    at_ms: int


class HallResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one hall got.

    Attributes:
        hall_id: the hall.
        relay: where it played from at the end, "" for nowhere.
        playing: media came within the last second.
        packets: of media, of all its sessions.
        packets_lost: that never came.
        moves: in order.
        silences: how often nothing came for longer than `SILENCE_MS`, after its first packet.
        longest_silence_ms: the longest of them; 0 for none.
        errors: how often something went wrong, by code.
    """

    hall_id: str
    relay: str
    playing: bool
    packets: int
    packets_lost: int
    moves: list[SwarmMove]
    silences: int
    longest_silence_ms: float
    errors: dict[str, int]


class HallSwarmSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a swarm of halls.

    Attributes:
        halls: how many there were.
        playing: of these, with media at the end.
        moved: that went to another relay at least once.
        silent: that had a silence.
        standby: whether they kept one.
        interruption_ms: over all moves but those that an assignment asked for.
        planned_interruption_ms: over the moves that an assignment asked for.
        silence_ms: over each hall's longest silence.
        packets: of media.
        packets_lost: that never came.
        held_s: from the end of joining to the first leave.
        cpu_s: processor time of the swarm itself in that time.
        results: by hall.
    """

    halls: int
    playing: int
    moved: int
    silent: int
    standby: bool
    interruption_ms: Spread
    planned_interruption_ms: Spread
    silence_ms: Spread
    packets: int
    packets_lost: int
    held_s: float
    cpu_s: float
    results: list[HallResult]


class _SwarmHall:
    """One hall with the media of its sessions."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        hall_id: str,
        link: str,
        receivers: Receivers,
        follower: Follower,
        on_move: Callable[[str, HallMove], None],
    ) -> None:
        parsed = parse_link(link)
        self.hall_id = hall_id
        self._on_move = on_move
        self._receivers = receivers
        self._media: dict[SessionId, CountingMedia] = {}
        self._last_media_s = float("-inf")
        self.silences: list[float] = []
        self.moves: list[SwarmMove] = []
        self.relay = ""
        api = HallApi(http, parsed.base_url, parsed.token)
        self.following = FollowingHall(http, api, follower, self._new_media, JoinRequest(agent=AGENT))
        self.following.on_move = self._handle_move

    @property
    def is_playing(self) -> bool:
        """Media came lately."""
        return _clock() - self._last_media_s < PLAYING_S

    def tick(self) -> None:
        """Follow, and note what came."""
        for key, media in list(self._media.items()):
            shown_at = media.next_first_frame()
            if shown_at is not None:
                self.following.handle_frame(key, shown_at)
            if media.last_media_s > self._last_media_s:
                self._note(media.last_media_s)
        self.following.tick()

    def result(self) -> HallResult:
        """What it got so far; `measure` first."""
        counts = self.following.counts
        return HallResult(
            hall_id=self.hall_id,
            relay=self.following.relay,
            playing=self.is_playing,
            packets=counts.packets_received,
            packets_lost=counts.packets_lost,
            moves=list(self.moves),
            silences=len(self.silences),
            longest_silence_ms=max(self.silences, default=0.0),
            errors=dict(counts.errors),
        )

    def _new_media(self, key: SessionId, _ice_servers: Sequence[IceServer]) -> CountingMedia:
        media = self._media[key] = CountingMedia(self._receivers, lambda: self._media.pop(key, None))
        return media

    def _note(self, at: float) -> None:
        silence_ms = (at - self._last_media_s) * 1000
        if SILENCE_MS < silence_ms < float("inf"):
            self.silences.append(round(silence_ms, 1))
        self._last_media_s = at

    def _handle_move(self, move: HallMove) -> None:
        self.moves.append(
            SwarmMove(
                from_relay=move.from_relay,
                to_relay=move.to_relay,
                reason=move.reason,
                interruption_ms=move.interruption_ms,
                at_ms=time.time_ns() // 1_000_000,
            )
        )
        self._on_move(self.hall_id, move)


class HallSwarm:
    """The halls. Made and used inside one event loop; `async with` closes what is left.

    Args:
        links: hall id to link.
        standby: whether halls keep a session on their backup.
        seed: of the backoffs' jitter.
        on_move: told of each move, with the hall.

    Raises:
        LinkError: a link is not a hall's.
        SwarmError: too many halls, or too few file descriptors for them.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        links: Mapping[str, str],
        *,
        standby: bool = True,
        seed: int = 2025,
        on_move: Callable[[str, HallMove], None] = lambda _hall, _move: None,
    ) -> None:
        allow_files(len(links) * _FILES_PER_HALL + _FILES_BESIDES)
        self._standby = standby
        self._receivers = Receivers(batch_s=SLICE_S, clock=_clock)
        self._halls = [
            _SwarmHall(
                http,
                hall_id,
                link,
                self._receivers,
                Follower(random.Random(f"{seed}:{hall_id}"), standby=standby),  # noqa: S311 - jitter, nothing secret
                on_move,
            )
            for hall_id, link in links.items()
        ]
        self._started: list[_SwarmHall] = []
        self._ticker: asyncio.Task[None] | None = None
        self._window_begin = (_clock(), time.process_time())

    async def __aenter__(self) -> Self:
        await self._receivers.__aenter__()
        self._ticker = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *details: object) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker  # a bug in there is to be seen
        await asyncio.gather(*(hall.following.leave() for hall in self._started))
        await self._receivers.__aexit__(*details)

    @property
    def playing(self) -> int:
        """How many have media now."""
        return sum(hall.is_playing for hall in self._started)

    async def join(self, ramp_per_s: float) -> None:
        """Let the halls come at this pace, and wait until all play; 0 brings all at once.

        Raises:
            HallApiError: the coordinator refuses a hall for good.
        """
        begin_s = _clock()
        for number, hall in enumerate(self._halls):
            delay_s = begin_s + number / ramp_per_s - _clock() if ramp_per_s else 0.0
            if delay_s > 0:
                await asyncio.sleep(delay_s)
            hall.following.start()
            self._started.append(hall)
        while self.playing < len(self._halls):
            for hall in self._halls:
                if hall.following.refused is not None:
                    raise hall.following.refused
            await asyncio.sleep(SLICE_S * SLICES)
        self._window_begin = (_clock(), time.process_time())

    async def summary(self) -> HallSwarmSummary:
        """What there is to report, before anybody leaves."""
        begin_s, cpu_begin_s = self._window_begin
        held_s, cpu_s = _clock() - begin_s, time.process_time() - cpu_begin_s
        self._receivers.read()  # as in `_tick`
        for hall in self._started:
            hall.tick()
            await hall.following.measure()
        results = [hall.result() for hall in self._halls]
        moves = [move for result in results for move in result.moves]
        return HallSwarmSummary(
            halls=len(results),
            playing=sum(result.playing for result in results),
            moved=sum(bool(result.moves) for result in results),
            silent=sum(bool(result.silences) for result in results),
            standby=self._standby,
            interruption_ms=spread(move.interruption_ms for move in moves if move.reason != "assignment"),
            planned_interruption_ms=spread(move.interruption_ms for move in moves if move.reason == "assignment"),
            silence_ms=spread(result.longest_silence_ms for result in results if result.silences),
            packets=sum(result.packets for result in results),
            packets_lost=sum(result.packets_lost for result in results),
            held_s=round(held_s, 3),
            cpu_s=round(cpu_s, 3),
            results=results,
        )

    async def _tick(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(SLICE_S)
            # After a moment in which this process stood still, what came meanwhile is read before silence is judged.
            self._receivers.read()
            for hall in self._started[turn::SLICES]:
                hall.tick()
            turn = (turn + 1) % SLICES


async def run_hall_swarm(
    links: Mapping[str, str],
    stop: asyncio.Event,
    *,
    seconds: float,
    ramp_per_s: float,
    standby: bool,
    on_playing: Callable[[int], None] = lambda _: None,
    on_move: Callable[[str, HallMove], None] = lambda _hall, _move: None,
) -> HallSwarmSummary:
    """Run halls from the first join to the last leave.

    Args:
        links: hall id to link.
        stop: set it to leave early.
        seconds: how long to stay after all play.
        ramp_per_s: joins per second; 0 for all at once.
        standby: whether they keep a session on their backup.
        on_playing: told how many play when all do.
        on_move: told of each move, with the hall.

    Raises:
        HallApiError: the coordinator refuses a hall for good.
        LinkError: a link is not a hall's.
        SwarmError: too many halls, or too few file descriptors for them.
    """

    async def stay(swarm: HallSwarm) -> None:
        await swarm.join(ramp_per_s)
        on_playing(swarm.playing)
        await asyncio.sleep(seconds)

    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
        HallSwarm(http, links, standby=standby, on_move=on_move) as swarm,
    ):
        tasks: list[asyncio.Task[object]] = [asyncio.create_task(stay(swarm)), asyncio.create_task(stop.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not tasks[0].cancelled() and isinstance(error := tasks[0].exception(), HallApiError):
            raise error
        return await swarm.summary()


def _clock() -> float:
    return asyncio.get_running_loop().time()
