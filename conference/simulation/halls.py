"""The modelled halls: each follows with the real `bridges.follower`, over modelled sessions.

Between two events nothing changes for a hall that sees its picture, so that it costs nothing: its follower is told of
packets when something else happens. A hall whose picture is gone is ticked every 50 ms, as its agent would, and every
250 ms once it has lasted for 3 s.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from bridges.errors import HallApiError
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
from bridges.hall_api import REQUEST_TIMEOUT_S
from bridges.messages import Assignment
from conference.simulation.feed import Feed
from conference.simulation.hall_door import HallDoor
from conference.simulation.lines import Lines
from conference.simulation.model_hall import ModelHall, ModelSession, Request
from conference.simulation.pictures import Pictures
from conference.simulation.relays import ModelRelay, ModelRelays
from relay.core.ice import CONSENT_EXPIRY_S
from relay.net.sessions import SILENT_S

TICK_S = 0.05  # `bridges.agent.POLL_S`
LONG_TICK_S = 0.25
LONG_AFTER_S = 3.0
CALM_TICK_S = 0.5
# A follower waits for nothing longer than this once its picture is there (`FIRST_PACKET_S`, `REPORT_DEADLINE_S`).
CALM_AFTER_S = 2.5
# Four crossings (WHEP, ICE and DTLS), and what the two ends compute.
_CONNECT_CROSSINGS = 4
_CONNECT_WORK_S = 0.02
_TRY_AGAIN_S = 1.0


class ModelHalls:
    """All halls.

    Args:
        halls: id, region and cost in thousandths of a seat.
        conference_id: which conference.
        feed_name: what they follow.
        relays: where they play from.
        feed: which relays have the programme.
        lines: what is between.
        door: the coordinator.
        pictures: told who sees what, and for how long not.
        rng: jitter.

    Attributes:
        join_replies_s: how long each answer to a join took, the hall's own line included.
        refused: answers other than a success.
        unanswered: requests without an answer.
    """

    def __init__(
        self,
        halls: Iterable[tuple[str, str, int]],
        *,
        conference_id: str,
        feed_name: str,
        relays: ModelRelays,
        feed: Feed,
        lines: Lines,
        door: HallDoor,
        pictures: Pictures,
        rng: random.Random,
    ) -> None:
        self._conference_id = conference_id
        self._feed_name = feed_name
        self._relays = relays
        self._feed = feed
        self._lines = lines
        self._door = door
        self._pictures = pictures
        self._rng = rng
        self._halls = {hall_id: ModelHall(hall_id, region, milliseats, rng) for hall_id, region, milliseats in halls}
        self._at: dict[str, dict[tuple[str, SessionId], None]] = {relay.spot.relay_id: {} for relay in relays}
        self._requests: set[asyncio.Task[None]] = set()
        self.join_replies_s: list[float] = []
        self.refused: dict[str, int] = {}
        self.unanswered = 0
        lines.on_change.append(self._handle_line)
        relays.on_notified = self._handle_notified

    def __getitem__(self, hall_id: str) -> ModelHall:
        return self._halls[hall_id]

    def __iter__(self) -> Iterator[ModelHall]:
        return iter(self._halls.values())

    def __len__(self) -> int:
        return len(self._halls)

    # ---- what happens to them ----

    def arrive(self, hall_id: str) -> None:
        """The hall opens its link."""
        hall = self._halls[hall_id]
        self._tell(hall, hall.follower.handle_start)

    def set_line(self, hall_id: str, *, is_up: bool) -> None:
        """The hall's own line goes or comes back."""
        hall = self._halls[hall_id]
        hall.has_line = is_up
        self._refresh_all(hall)

    def handle_feed(self, relay_id: str) -> None:
        """A relay began or ceased to deliver."""
        for hall_id, session_id in list(self._at[relay_id]):
            self._refresh(self._halls[hall_id], session_id)

    def handle_refusing(self, relay_id: str) -> None:
        """A relay's process died and its machine says so: whoever is connected hears it at once."""
        loop = asyncio.get_running_loop()
        for hall_id, session_id in list(self._at[relay_id]):
            loop.call_later(self._lines.delay_s(), self._fail, self._halls[hall_id], session_id)

    def _handle_line(self, region: str) -> None:
        for hall in self._halls.values():
            if any(region in {hall.region, each.relay.spot.region} for each in hall.sessions.values()):
                self._refresh_all(hall)

    def _handle_notified(self, relay_id: str, hall_ids: list[str]) -> None:
        here = {hall_id for hall_id, _ in self._at[relay_id]}
        for hall_id in hall_ids:
            hall = self._halls.get(hall_id)
            if hall is not None and hall_id in here and self._reaches(hall, self._relays[relay_id]):
                asyncio.get_running_loop().call_later(
                    self._lines.delay_s(), self._tell, hall, hall.follower.handle_assignment_event
                )

    # ---- sessions ----

    def _reaches(self, hall: ModelHall, relay: ModelRelay) -> bool:
        return hall.has_line and self._lines.reaches(hall.region, relay.spot.region)

    def _refresh_all(self, hall: ModelHall) -> None:
        for session_id in list(hall.sessions):
            self._refresh(hall, session_id)

    def _refresh(self, hall: ModelHall, session_id: SessionId) -> None:
        """Bring up to date whether packets arrive on a session."""
        session = hall.sessions.get(session_id)
        if session is None:
            return
        relay = session.relay
        stands = session.instance == relay.instance and relay.runs and not session.is_gone
        reaches = self._reaches(hall, relay)
        flows = stands and session.sends and reaches and self._feed.delivers(relay.spot.relay_id)
        if not reaches and stands and session.instance:
            loop = asyncio.get_running_loop()
            loop.call_later(SILENT_S, partial(self._forget_unheard, hall, session_id, for_good=False))
            loop.call_later(CONSENT_EXPIRY_S, partial(self._forget_unheard, hall, session_id, for_good=True))
        if flows == session.flows:
            return
        if not flows:
            self._hear(hall, asyncio.get_running_loop().time())  # the last packets came just now
        session.flows = flows
        if flows:
            self._open_presence(hall, session)
            self._tell(hall, lambda now: hall.follower.handle_frame(session_id, now))
        else:
            self._tell(hall, None)

    def _forget_unheard(self, hall: ModelHall, session_id: SessionId, *, for_good: bool) -> None:
        """The relay hears nothing of the hall any more: it is not present there, and at last its session is closed."""
        session = hall.sessions.get(session_id)
        if session is not None and not self._reaches(hall, session.relay):
            self._close_presence(hall, session, "silent")
            if for_good and not session.is_gone:
                session.is_gone = True
                session.relay.playing_milliseats -= hall.milliseats if session.sends and session.relay.runs else 0

    def _connect(self, hall: ModelHall, connect: Connect) -> None:
        loop = asyncio.get_running_loop()
        relay = self._relays[connect.access.relay_id]
        hall.sessions[connect.session] = ModelSession(relay, loop.time() + REQUEST_TIMEOUT_S)
        after_s = _CONNECT_WORK_S + sum(self._lines.delay_s() for _ in range(_CONNECT_CROSSINGS))
        loop.call_later(after_s, self._finish_connecting, hall, connect.session)

    def _finish_connecting(self, hall: ModelHall, session_id: SessionId) -> None:
        session = hall.sessions.get(session_id)
        if session is None:
            return
        relay = session.relay
        if not relay.runs or not self._reaches(hall, relay):
            refuses = relay.refuses and self._reaches(hall, relay)
            self._wait_or_fail(hall, session_id, session, self._finish_connecting, refuses=refuses)
            return
        session.instance = relay.instance
        self._at[relay.spot.relay_id][hall.hall_id, session_id] = None
        self._put_state(hall, session_id)
        self._tell(hall, lambda now: hall.follower.handle_connected(session_id, now))

    def _wait_or_fail(
        self,
        hall: ModelHall,
        session_id: SessionId,
        session: ModelSession,
        again: Callable[[ModelHall, SessionId], None],
        *,
        refuses: bool,
    ) -> None:
        """A request to a relay is not answered: try until its time is up, unless it is refused at once."""
        loop = asyncio.get_running_loop()
        if refuses or loop.time() >= session.deadline_s:
            self._fail(hall, session_id)
        else:
            loop.call_later(_TRY_AGAIN_S, again, hall, session_id)

    def _ask_state(self, hall: ModelHall, session_id: SessionId) -> None:
        """Ask the relay for the state that the session should have; also a probe."""
        session = hall.sessions.get(session_id)
        if session is not None and session.instance:
            loop = asyncio.get_running_loop()
            session.deadline_s = loop.time() + REQUEST_TIMEOUT_S
            loop.call_later(self._lines.delay_s(), self._put_state, hall, session_id)

    def _put_state(self, hall: ModelHall, session_id: SessionId) -> None:
        session = hall.sessions.get(session_id)
        if session is None:
            return
        relay = session.relay
        reaches = self._reaches(hall, relay)
        if not relay.runs or not reaches:
            self._wait_or_fail(hall, session_id, session, self._put_state, refuses=reaches and relay.refuses)
        elif session.instance != relay.instance or session.is_gone:
            self._fail(hall, session_id)
        else:
            hall.follower.handle_answered(session_id)
            sends = hall.follower.is_active(session_id)
            if sends != session.sends:
                session.sends = sends
                relay.playing_milliseats += hall.milliseats if sends else -hall.milliseats
                if sends:
                    self._pictures.note_load(relay)
                else:
                    self._close_presence(hall, session, "standby")
            if sends and session.flows:  # whoever activated it anew meanwhile awaits a frame, and frames go on
                self._tell(hall, lambda now: hall.follower.handle_frame(session_id, now))
            self._refresh(hall, session_id)

    def _fail(self, hall: ModelHall, session_id: SessionId) -> None:
        if session_id in hall.sessions:
            self._tell(hall, lambda now: hall.follower.handle_failed(session_id, now))

    def _close(self, hall: ModelHall, session_id: SessionId) -> None:
        session = hall.sessions.pop(session_id, None)
        if session is None:
            return
        relay = session.relay
        self._at[relay.spot.relay_id].pop((hall.hall_id, session_id), None)
        if session.instance == relay.instance and relay.runs and session.sends and not session.is_gone:
            relay.playing_milliseats -= hall.milliseats
        self._close_presence(hall, session, "left")

    def _open_presence(self, hall: ModelHall, session: ModelSession) -> None:
        process = session.relay.process
        if process is not None:
            process.open_session(hall.hall_id, self._conference_id, self._feed_name)

    def _close_presence(self, hall: ModelHall, session: ModelSession, reason: str) -> None:
        process = session.relay.process
        if process is not None and session.instance == session.relay.instance:
            process.close_session(hall.hall_id, reason)

    # ---- the follower ----

    def _hear(self, hall: ModelHall, now: float) -> None:
        for session_id, session in list(hall.sessions.items()):
            if session.flows:
                hall.follower.handle_packets(session_id, now, now, now)

    def _tell(self, hall: ModelHall, what: Callable[[float], None] | None) -> None:
        """Let the follower know of the packets until now and of what happened, and do what it wants."""
        now = asyncio.get_running_loop().time()
        self._hear(hall, now)
        if what is not None:
            what(now)
        hall.changed_s = now
        self._drive(hall, now)

    def _tick(self, hall: ModelHall) -> None:
        now = asyncio.get_running_loop().time()
        hall.timer = None
        self._hear(hall, now)
        hall.follower.handle_tick(now)
        self._drive(hall, now)

    def _drive(self, hall: ModelHall, now: float) -> None:
        before = hall.relay_id
        while outputs := hall.follower.next_outputs():
            hall.changed_s = now
            for output in outputs:
                self._carry_out(hall, output)
        self._pictures.note(hall.hall_id, hall.region, hall.relay_id, sees=hall.sees, now=now)
        self._plan_tick(hall, now, moved=before != hall.relay_id)

    def _plan_tick(self, hall: ModelHall, now: float, *, moved: bool) -> None:
        if hall.sees:
            hall.dark_since_s = None
            is_calm = now - hall.changed_s > CALM_AFTER_S and not hall.failed
            pause_s = None if is_calm else CALM_TICK_S
        else:
            hall.dark_since_s = now if hall.dark_since_s is None else hall.dark_since_s
            pause_s = TICK_S if now - hall.dark_since_s < LONG_AFTER_S else LONG_TICK_S
        if hall.timer is not None:
            if pause_s is not None and not moved and hall.timer.when() <= now + pause_s:
                return
            hall.timer.cancel()
            hall.timer = None
        if pause_s is not None:
            hall.timer = asyncio.get_running_loop().call_later(pause_s * self._rng.uniform(0.5, 1.0), self._tick, hall)

    def _carry_out(self, hall: ModelHall, output: Output) -> None:
        match output:
            case Connect():
                self._connect(hall, output)
            case Activate(session=session) | Standby(session=session) | Probe(session=session):
                self._ask_state(hall, session)
            case Close(session=session):
                self._close(hall, session)
            case Join(avoid=avoid):
                self._request(self._join(hall, avoid))
            case FetchAssignment():
                self._request(self._fetch(hall))
            case Report():
                self._request(self._report(hall, output))

    # ---- the coordinator ----

    def _request(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    async def _join(self, hall: ModelHall, avoid: Sequence[str]) -> None:
        asked_s = asyncio.get_running_loop().time()
        answer = await self._answered(hall, "join", self._door.join(hall.hall_id, hall.region, avoid))
        if isinstance(answer, HallApiError):
            error = answer
            self._tell(
                hall,
                lambda now: hall.follower.handle_join_failed(
                    now, retry_after_s=error.retry_after_s, refused=error.decisive
                ),
            )
        else:
            assignment = answer
            self.join_replies_s.append(asyncio.get_running_loop().time() - asked_s)
            self._tell(hall, lambda now: hall.follower.handle_assignment(assignment, now))

    async def _fetch(self, hall: ModelHall) -> None:
        answer = await self._answered(hall, "fetch", self._door.assignment(hall.hall_id, hall.region))
        if isinstance(answer, HallApiError):
            retry_after_s = answer.retry_after_s
            self._tell(hall, lambda now: hall.follower.handle_fetch_failed(now, retry_after_s=retry_after_s))
        else:
            assignment = answer
            self._tell(hall, lambda now: hall.follower.handle_assignment(assignment, now))

    async def _report(self, hall: ModelHall, output: Report) -> None:
        answer = await self._answered(hall, "report", self._door.moved(hall.hall_id, hall.region, output.report))
        if isinstance(answer, HallApiError):
            retry_after_s = answer.retry_after_s
            self._tell(hall, lambda now: hall.follower.handle_report_failed(now, retry_after_s=retry_after_s))
        else:
            assignment = answer
            self._tell(hall, lambda now: hall.follower.handle_report_answered(assignment, now))

    async def _answered(
        self, hall: ModelHall, kind: Request, request: Coroutine[Any, Any, Assignment]
    ) -> Assignment | HallApiError:
        """The answer, or the error; a hall whose own line is down gets none."""
        answer: Assignment | None = None
        try:
            if hall.has_line:
                answer = await request
            else:
                request.close()
                await asyncio.sleep(REQUEST_TIMEOUT_S)
        except HallApiError as error:
            hall.failed.add(kind)
            if error.status:
                self.refused[error.code] = self.refused.get(error.code, 0) + 1
            else:
                self.unanswered += 1
            return error
        if answer is None or not hall.has_line:
            hall.failed.add(kind)
            self.unanswered += 1
            return HallApiError("unreachable", "no answer from the coordinator")
        hall.failed.discard(kind)
        return answer
