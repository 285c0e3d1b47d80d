"""The agent of a hall: it opens the hall's link, follows its feed and decodes it, as a hall's computer does. Shell.

`bridges.follower` decides; this module carries out. What it measures it measures at the end of the chain: decoded
frames, lost packets, and from the timecode in the picture the time from glass to glass.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp

from bridges.attendance import HallStatus
from bridges.errors import HallApiError, ResourceError
from bridges.follower import Follower
from bridges.follower_outputs import (
    Activate,
    Close,
    Connect,
    FetchAssignment,
    Join,
    Output,
    Probe,
    Report,
    SessionId,
    Standby,
)
from bridges.hall_api import HallApi, parse_link
from bridges.hall_counts import DecodeErrors, HallCounts, HallMove, HallSummary
from bridges.messages import HeadcountReport, IceServer, JoinRequest, MovedReport
from bridges.play_session import PlaySession
from bridges.reservoir import Reservoir
from bridges.timecode import Luma, read_timecode
from bridges.whep_client import SessionState, listen

AGENT = "diemcau-hall"
POLL_S = 0.05
# A relay greets a new session with its cached group of pictures: up to some seconds of the past, at once. They are not
# what the hall sees from then on, so the clock in the picture counts from here.
SETTLE_S = 1.0
# A timecode further away than this is no timecode of this programme (a recording is being shown, or clocks are wrong).
_MAX_GLASS_TO_GLASS_MS = 60_000
_LISTEN_AGAIN_S = 1.0
_MEASURE_EVERY_S = 1.0
_SHOWING_S = 1.0  # a hall whose last picture is older than this does not see the feed
_HEADCOUNT_AGAIN_S = 2.0


class _Player:
    """A session with its listener, and the sink of what it decodes."""

    def __init__(self, agent: HallAgent, key: SessionId, connect: Connect, http: aiohttp.ClientSession) -> None:
        self._agent = agent
        self.key = key
        self.session = PlaySession(http, connect.access, self, agent.ice_servers)
        self.standby = connect.standby
        self.opened = False
        self.first_picture_at: float | None = None
        self.listener: asyncio.Task[None] | None = None

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
        rng = random.Random(seed)  # noqa: S311 - jitter and sampling, nothing secret
        self._follower = Follower(rng)
        self._ages_ms = Reservoir(rng)
        self._players: dict[SessionId, _Player] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()  # never cancelled: a half-closed connection keeps its threads
        self._decode_errors = DecodeErrors()
        self._closed_received = 0  # packets of the sessions that are closed
        self._closed_lost = 0
        self._shown_at: float | None = None
        self._told_moves = 0
        self._relay = ""
        self._ended = False
        self._refused: HallApiError | None = None
        self._counted = False
        self._needs_turn = False
        self._http: aiohttp.ClientSession | None = None
        self._api: HallApi | None = None
        self.counts = HallCounts()
        self.on_move: Callable[[HallMove], None] = lambda _: None

    @property
    def moves(self) -> list[HallMove]:
        """From relay to relay, in order."""
        return [
            HallMove(
                from_relay=move.from_relay,
                to_relay=move.to_relay,
                reason=move.reason,
                interruption_ms=move.interruption_ms,
            )
            for move in self._follower.moves
        ]

    @property
    def state(self) -> HallStatus:
        """How the hall stands by what it decodes: waiting for its first picture, present, lost, left."""
        if self._ended or self._follower.ended:
            return "left"
        if self._shown_at is None:
            return "waiting"
        return "present" if _now() - self._shown_at < _SHOWING_S else "lost"

    @property
    def ice_servers(self) -> list[IceServer]:
        """The TURN servers that the next session is to use: none until a relay's media port was not reached."""
        assignment = self._follower.assignment
        return assignment.ice_servers if assignment is not None and self._needs_turn else []

    async def run(self, stop: asyncio.Event) -> HallSummary:
        """Follow the feed until `stop` is set or the conference ends, then leave in order.

        Raises:
            HallApiError: the coordinator refuses this hall for good (its token is not valid, or unknown).
        """
        logger = logging.getLogger("aiortc.rtcrtpreceiver")
        logger.addHandler(self._decode_errors)
        try:
            async with aiohttp.ClientSession() as http:
                self._http = http
                self._api = HallApi(http, self.link.base_url, self.link.token)
                try:
                    await self._follow(stop)
                finally:
                    await self._leave(self._api)
        finally:
            logger.removeHandler(self._decode_errors)
        if self._refused is not None:
            raise self._refused
        return self.summary()

    def summary(self) -> HallSummary:
        """What the hall saw so far."""
        current = self._players.get(self._follower.current) if self._follower.current is not None else None
        ages = self._ages_ms
        return HallSummary(
            hall_id=self.link.hall_id,
            relay=current.session.access.relay_id if current is not None else self._relay,
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

    def handle_picture(self, player: _Player, luma: Luma) -> None:
        """A session decoded a picture."""
        now = _now()
        self.counts.pictures += 1
        self._shown_at = now
        self._follower.handle_frame(player.key, now)
        if player.first_picture_at is None:
            player.first_picture_at = now
            self._drive()
        if player.key == self._follower.current and now - player.first_picture_at > SETTLE_S:
            timecode = read_timecode(luma)
            if timecode is not None:
                age_ms = time.time_ns() / 1_000_000 - timecode.at_ms
                if abs(age_ms) < _MAX_GLASS_TO_GLASS_MS:
                    self._ages_ms.add(age_ms)
        self._count_heads()

    def handle_sound(self, player: _Player) -> None:
        """A session decoded sound; for a feed without pictures that is what counts."""
        self.counts.sounds += 1
        if self.counts.pictures == 0:
            self._shown_at = _now()
            self._follower.handle_frame(player.key, self._shown_at)

    # ---- following ----

    async def _follow(self, stop: asyncio.Event) -> None:
        measure_at = 0.0
        self._follower.handle_start(_now())
        self._drive()
        while not stop.is_set() and not self._follower.ended and self._refused is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), POLL_S)
            now = _now()
            for player in list(self._players.values()):
                if player.opened and self._follower.is_active(player.key):
                    ago_s = player.session.last_packets_ago_s()
                    if ago_s:
                        sound_at = now - ago_s["audio"] if "audio" in ago_s else None
                        self._follower.handle_packets(player.key, now - min(ago_s.values()), now, sound_at)
            if now >= measure_at:
                measure_at = now + _MEASURE_EVERY_S
                await self._measure()
            self._follower.handle_tick(now)
            self._drive()

    async def _measure(self) -> None:
        """Bring the packet counters up to date: those of the closed sessions and of the open ones."""
        received, lost = self._closed_received, self._closed_lost
        for player in list(self._players.values()):
            of_one = await player.session.packets()
            received, lost = received + of_one[0], lost + of_one[1]
        # A session that is being closed is in neither sum for a moment; a counter does not go back for that.
        self.counts.packets_received = max(received, self.counts.packets_received)
        self.counts.packets_lost = max(lost, self.counts.packets_lost)

    def _drive(self) -> None:
        """Carry out what the follower wants; everything that waits runs in a task of its own."""
        for output in self._follower.next_outputs():
            self._carry_out(output)
        moves = self.moves[self._told_moves :] if len(self._follower.moves) > self._told_moves else []
        self._told_moves += len(moves)
        for move in moves:
            self.on_move(move)

    def _carry_out(self, output: Output) -> None:
        match output:
            case Connect():
                self._spawn(self._connect(output))
            case Activate(session=session) | Standby(session=session) | Probe(session=session):
                self._spawn(self._put_state(session))
            case Close(session=session):
                player = self._players.pop(session, None)
                if player is not None:
                    self._spawn(self._close(player), self._closing)
            case Join():
                self._spawn(self._join())
            case FetchAssignment():
                self._spawn(self._fetch())
            case Report(report=report):
                self._spawn(self._report(report))

    def _spawn(self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]] | None = None) -> None:
        owner = self._tasks if tasks is None else tasks
        task = asyncio.create_task(work)
        owner.add(task)
        task.add_done_callback(owner.discard)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.counts.note(error)

    # ---- relays ----

    def _wanted(self, key: SessionId) -> Callable[[], SessionState]:
        return lambda: "active" if self._follower.is_active(key) else "standby"

    async def _connect(self, connect: Connect) -> None:
        if self._http is None:
            return
        player = _Player(self, connect.session, connect, self._http)
        self._players[connect.session] = player
        try:
            await player.session.open(standby=connect.standby)
            player.opened = True
            if self._follower.is_active(connect.session) == connect.standby:
                # The follower changed its mind while the session was being opened.
                await player.session.put_state(self._wanted(connect.session))
        except ResourceError as error:
            # Every path is tried again through the TURN servers from now on, and the direct ones beside them.
            self._needs_turn = self._needs_turn or error.code == "no_media_path"
            if connect.session in self._players:
                self.counts.note(error)
                self._fail(connect.session)
        if connect.session not in self._players:
            await player.session.close()  # given up while it was being opened: the resource may exist by now
            return
        player.listener = asyncio.create_task(self._listen(player))
        self._follower.handle_connected(connect.session, _now())
        self._drive()

    async def _put_state(self, key: SessionId) -> None:
        player = self._players.get(key)
        if player is None or not player.opened:
            return  # `_connect` asks for the state that is wanted when it is done
        try:
            await player.session.put_state(self._wanted(key))
        except ResourceError as error:
            self.counts.note(error)
            self._fail(key)

    def _fail(self, key: SessionId) -> None:
        self._follower.handle_failed(key, _now())
        self._drive()

    async def _listen(self, player: _Player) -> None:
        """Read the session's events; when they break off, ask whether the session still stands."""
        while player.key in self._players and player.session.resource is not None and self._http is not None:
            try:
                async with contextlib.aclosing(listen(self._http, player.session.resource)) as events:
                    async for name in events:
                        self._handle_event(name)
            except ResourceError as error:
                self.counts.note(error)
            await self._put_state(player.key)
            await asyncio.sleep(_LISTEN_AGAIN_S)

    def _handle_event(self, name: str) -> None:
        if name == "assignment":
            self._follower.handle_assignment_event(_now())
        elif name == "ended":
            self._follower.handle_ended(_now())
        self._drive()

    async def _close(self, player: _Player) -> None:
        if player.listener is not None:
            player.listener.cancel()
            await asyncio.gather(player.listener, return_exceptions=True)
        if player.opened:
            received, lost = await player.session.packets()
            self._closed_received += received
            self._closed_lost += lost
        await player.session.close()

    # ---- the coordinator ----

    async def _join(self) -> None:
        if self._api is None:
            return
        try:
            assignment = await self._api.join(JoinRequest(agent=AGENT, virtual=self._virtual))
        except HallApiError as error:
            self.counts.handle_join(error)
            if error.status in {401, 403, 404}:
                self._refused = error
            self._follower.handle_join_failed(_now(), retry_after_s=error.retry_after_s, refused=error.decisive)
        else:
            self.counts.handle_join(None)
            self._follower.handle_assignment(assignment, _now())
        self._drive()

    async def _fetch(self) -> None:
        if self._api is None:
            return
        try:
            assignment = await self._api.assignment()
        except HallApiError as error:
            self.counts.note(error)
            self._follower.handle_fetch_failed(_now(), retry_after_s=error.retry_after_s)
        else:
            self._follower.handle_assignment(assignment, _now())
        self._drive()

    async def _report(self, report: MovedReport) -> None:
        if self._api is None:
            return
        try:
            assignment = await self._api.moved(report)
        except HallApiError as error:
            self.counts.note(error)
            self._follower.handle_report_failed(_now(), retry_after_s=error.retry_after_s)
        else:
            self._follower.handle_report_answered(assignment, _now())
        self._drive()

    def _count_heads(self) -> None:
        if not self._counted and self._headcount is not None:
            self._counted = True
            self._spawn(self._send_headcount(self._headcount))

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

    async def _leave(self, api: HallApi) -> None:
        joined = self._follower.assignment is not None
        self._relay = self.summary().relay
        self._ended = self._follower.ended
        self._follower.handle_ended(_now())
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        players, self._players = list(self._players.values()), {}
        await asyncio.gather(*(self._close(player) for player in players), *self._closing, return_exceptions=True)
        self.counts.packets_received, self.counts.packets_lost = self._closed_received, self._closed_lost
        if joined and not self._ended:
            with contextlib.suppress(HallApiError):
                await api.leave()


def _now() -> float:
    return asyncio.get_running_loop().time()
