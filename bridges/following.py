"""A hall's follower at work: it joins, opens and closes sessions, reports, whatever its media are made of. Shell.

`bridges.follower` decides; this module carries out, and tells it what became of that. Whoever owns it calls `tick` at
least every 50 ms, and says when pictures can be shown (`handle_frame`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import aiohttp
import msgspec

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
from bridges.hall_api import HallApi
from bridges.hall_counts import HallCounts, HallMove
from bridges.messages import IceServer, JoinRequest, MovedReport
from bridges.play_session import Media, PlaySession
from bridges.whep_client import SessionState, listen

_LISTEN_AGAIN_S = 1.0

NewMedia = Callable[[SessionId, Sequence[IceServer]], Media]


class _Player:
    """A session with its listener."""

    def __init__(self, key: SessionId, session: PlaySession) -> None:
        self.key = key
        self.session = session
        self.opened = False
        self.listener: asyncio.Task[None] | None = None


class FollowingHall:
    """One hall.

    Args:
        http: client for relays, shared by any number of halls.
        api: the coordinator.
        follower: decides; new.
        new_media: makes the media of a session.
        request: what to say at each join.

    Attributes:
        counts: kept up to date.
        refused: the coordinator's refusal for good (the token is not valid, or the hall unknown), else None.
        on_move: called with each move; set it to hear of them.
    """

    def __init__(
        self, http: aiohttp.ClientSession, api: HallApi, follower: Follower, new_media: NewMedia, request: JoinRequest
    ) -> None:
        self._http = http
        self._api = api
        self._follower = follower
        self._new_media = new_media
        self._request = request
        self._players: dict[SessionId, _Player] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()  # never cancelled: a half-closed connection keeps its threads
        self._closed_received = 0  # packets of the sessions that are closed
        self._closed_lost = 0
        self._told_moves = 0
        self._needs_turn = False
        self.counts = HallCounts()
        self.refused: HallApiError | None = None
        self.on_move: Callable[[HallMove], None] = lambda _: None

    @property
    def moves(self) -> list[HallMove]:
        """From relay to relay, in order."""
        return [_as_move(move) for move in self._follower.moves]

    @property
    def ended(self) -> bool:
        """The conference ended."""
        return self._follower.ended

    @property
    def current(self) -> SessionId | None:
        """The session that feeds the picture."""
        return self._follower.current

    @property
    def relay(self) -> str:
        """Where that session is; "" where there is none."""
        player = self._players.get(self._follower.current) if self._follower.current is not None else None
        return "" if player is None else player.session.access.relay_id

    def start(self) -> None:
        """Open the link: join."""
        self._follower.handle_start(_now())
        self._drive()

    def tick(self) -> None:
        """Tell the follower what arrived and that time passed, and do what it wants."""
        now = _now()
        for player in list(self._players.values()):
            if player.opened and self._follower.is_active(player.key):
                ago_s = player.session.media.last_packets_ago_s()
                if ago_s:
                    sound_at = now - ago_s["audio"] if "audio" in ago_s else None
                    self._follower.handle_packets(player.key, now - min(ago_s.values()), now, sound_at)
        self._follower.handle_tick(now)
        self._drive()

    def handle_frame(self, key: SessionId, shown_at: float) -> None:
        """A frame of a session could be shown, at that moment of the event loop's clock."""
        self._follower.handle_frame(key, _now(), shown_at)
        self._drive()

    async def measure(self) -> None:
        """Bring the packet counters up to date: those of the closed sessions and of the open ones."""
        received, lost = self._closed_received, self._closed_lost
        for player in list(self._players.values()):
            of_one = await player.session.media.packets()
            received, lost = received + of_one[0], lost + of_one[1]
        # A session that is being closed is in neither sum for a moment; a counter does not go back for that.
        self.counts.packets_received = max(received, self.counts.packets_received)
        self.counts.packets_lost = max(lost, self.counts.packets_lost)

    async def leave(self) -> None:
        """Close everything and, unless the conference ended, tell the coordinator; call it once, at the end."""
        joined, ended = self._follower.assignment is not None, self._follower.ended
        self._follower.handle_ended(_now())
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        players, self._players = list(self._players.values()), {}
        await asyncio.gather(*(self._close(player) for player in players), *self._closing, return_exceptions=True)
        self.counts.packets_received, self.counts.packets_lost = self._closed_received, self._closed_lost
        if joined and not ended:
            with contextlib.suppress(HallApiError):
                await self._api.leave()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done beside the following; it is cancelled when the hall leaves."""
        self._spawn(work, self._tasks)

    # ---- the follower's wishes ----

    def _drive(self) -> None:
        """Carry out what the follower wants; everything that waits runs in a task of its own."""
        for output in self._follower.next_outputs():
            self._carry_out(output)
        moves = self._follower.moves[self._told_moves :]
        self._told_moves += len(moves)
        for move in moves:
            self.on_move(_as_move(move))

    def _carry_out(self, output: Output) -> None:
        match output:
            case Connect():
                self.spawn(self._connect(output))
            case Activate(session=session):
                if session in self._players:
                    self._players[session].session.media.begin()
                self.spawn(self._put_state(session))
            case Standby(session=session) | Probe(session=session):
                self.spawn(self._put_state(session))
            case Close(session=session):
                player = self._players.pop(session, None)
                if player is not None:
                    self._spawn(self._close(player), self._closing)
            case Join(avoid=avoid):
                self.spawn(self._join(avoid))
            case FetchAssignment(avoid=avoid):
                self.spawn(self._fetch(avoid))
            case Report(report=report):
                self.spawn(self._report(report))

    def _spawn(self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.counts.note(error)

    # ---- relays ----

    def _wanted(self, key: SessionId) -> Callable[[], SessionState]:
        return lambda: "active" if self._follower.is_active(key) else "standby"

    async def _connect(self, connect: Connect) -> None:
        assignment = self._follower.assignment
        servers = assignment.ice_servers if assignment is not None and self._needs_turn else ()
        session = PlaySession(self._http, connect.access, self._new_media(connect.session, servers))
        player = self._players[connect.session] = _Player(connect.session, session)
        try:
            await session.open(standby=connect.standby)
            player.opened = True
            if self._follower.is_active(connect.session) == connect.standby:
                # The follower changed its mind while the session was being opened.
                await session.put_state(self._wanted(connect.session))
        except ResourceError as error:
            # Every path is tried again through the TURN servers from now on, and the direct ones beside them.
            self._needs_turn = self._needs_turn or error.code == "no_media_path"
            if connect.session in self._players:
                self.counts.note(error)
                self._fail(connect.session)
        if connect.session not in self._players:
            await session.close()  # given up while it was being opened: the resource may exist by now
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
        else:
            self._follower.handle_answered(key)

    def _fail(self, key: SessionId) -> None:
        self._follower.handle_failed(key, _now())
        self._drive()

    async def _listen(self, player: _Player) -> None:
        """Read the session's events; when they break off, ask whether the session still stands."""
        while player.key in self._players and player.session.resource is not None:
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
            received, lost = await player.session.media.packets()
            self._closed_received += received
            self._closed_lost += lost
        await player.session.close()

    # ---- the coordinator ----

    def _avoiding(self, avoid: Sequence[str]) -> JoinRequest:
        return msgspec.structs.replace(self._request, avoid=list(avoid))

    async def _join(self, avoid: Sequence[str]) -> None:
        try:
            assignment = await self._api.join(self._avoiding(avoid))
        except HallApiError as error:
            self.counts.handle_join(error)
            if error.status in {401, 403, 404}:
                self.refused = error
            self._follower.handle_join_failed(_now(), retry_after_s=error.retry_after_s, refused=error.decisive)
        else:
            self.counts.handle_join(None)
            self._follower.handle_assignment(assignment, _now())
        self._drive()

    async def _fetch(self, avoid: Sequence[str]) -> None:
        try:
            # A join of a hall that has its seat is how it says which relays are of no use to it.
            assignment = await (self._api.join(self._avoiding(avoid)) if avoid else self._api.assignment())
        except HallApiError as error:
            self.counts.note(error)
            self._follower.handle_fetch_failed(_now(), retry_after_s=error.retry_after_s)
        else:
            self._follower.handle_assignment(assignment, _now())
        self._drive()

    async def _report(self, report: MovedReport) -> None:
        try:
            assignment = await self._api.moved(report)
        except HallApiError as error:
            self.counts.note(error)
            self._follower.handle_report_failed(_now(), retry_after_s=error.retry_after_s)
        else:
            self._follower.handle_report_answered(assignment, _now())
        self._drive()


def _as_move(move: MovedReport) -> HallMove:
    return HallMove(
        from_relay=move.from_relay,
        to_relay=move.to_relay,
        reason=move.reason,
        interruption_ms=move.interruption_ms,
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
