"""How a hall follows its feed: which relay it plays from, and when it goes to the other one. Pure.

The shell tells what happened and when (`handle_*`; `now` and all moments are seconds of one monotonic clock), then
takes what is to be done (`next_outputs`). It ticks at least every 50 ms.

One session is *current*: it feeds the picture. The rules, in the order of their weight:

1. No packet on the current session for 300 ms: activate the standby at once. It must go on delivering for 100 ms (with
   sound, where there was sound; 300 ms without) before the hall moves, because a relay answers an activation with its
   cached pictures even when the source is silent; then nobody moves. If the current session delivers first, it stays.
2. A session that failed (refused, closed, unknown at its relay) is replaced by the other one at once.
3. An assignment with a greater epoch is followed make-before-break: the old session is closed after the first decoded
   frame of the new one.
4. With no session left the hall joins again, with jittered backoff; if the coordinator does not answer, it goes back to
   the relays of its last assignment as well.

Every move ends in one `Report`. While a silence lasts, `Probe` asks both relays whether they still know the session.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from bridges.backoff import backoff_s
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
from bridges.messages import Assignment, MovedReport, MoveReason, RelayAccess
from bridges.session_watch import FIRST_PACKET_S, Flapping, WatchedSession

PROBE_EVERY_S = 2.0
REPORT_DEADLINE_S = 2.0  # a move is reported by then also when no frame was decoded (the next keyframe may be far)


@dataclass(slots=True)
class _Target:
    """A session that may become the current one."""

    session: SessionId
    reason: MoveReason
    since: float


@dataclass(slots=True)
class _Unreported:
    """A move whose first decoded frame is awaited."""

    session: SessionId
    from_relay: str
    reason: MoveReason
    last_packet_at: float
    deadline: float


class Follower:
    """The state machine of one hall.

    Args:
        rng: jitter of backoffs.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._outputs: list[Output] = []
        self._sessions: dict[SessionId, WatchedSession] = {}
        self._next_session = 1
        self._current: SessionId | None = None
        self._lost: WatchedSession | None = None  # the current session that failed while no other one was up
        self._target: _Target | None = None
        self._unreported: _Unreported | None = None
        self._report: MovedReport | None = None
        self._flapping = Flapping()
        self._probed_at = 0.0
        self._joining = False
        self._join_at: float | None = None
        self._fetch_at: float | None = None
        self._report_at: float | None = None
        self._join_attempts = 0
        self._backup_attempts = 0
        self._report_attempts = 0
        self.assignment: Assignment | None = None
        self.moves: list[MovedReport] = []
        self.ended = False

    # ---- what the shell asks ----

    @property
    def current(self) -> SessionId | None:
        """The session that feeds the picture."""
        return self._current

    def is_active(self, session: SessionId) -> bool:
        """Say whether the session should be sending now."""
        found = self._sessions.get(session)
        return found is not None and found.active

    def next_outputs(self) -> list[Output]:
        """Take what is to be done, in order."""
        outputs, self._outputs = self._outputs, []
        return outputs

    # ---- the coordinator ----

    def handle_start(self, now: float) -> None:
        """The hall opened its link."""
        self._join_at = now
        self.handle_tick(now)

    def handle_assignment(self, assignment: Assignment, now: float) -> None:
        """An assignment arrived: the answer to a join, a fetch or a report. An older epoch is ignored."""
        self._joining = False
        self._join_at = None
        if self.ended or (self.assignment is not None and assignment.epoch < self.assignment.epoch):
            return
        newer = self.assignment is None or assignment.epoch > self.assignment.epoch
        if newer:
            self._lost = None  # the coordinator has decided anew; there is no move of the hall's own to report
        self.assignment = assignment
        self._follow(assignment, now, move=newer)
        self._evaluate(now)

    def handle_report_answered(self, assignment: Assignment, now: float) -> None:
        """The coordinator knows of the move; its answer usually names a new backup."""
        self._report = None
        self._report_at = None
        self._report_attempts = 0
        self.handle_assignment(assignment, now)

    def handle_join_failed(self, now: float, *, retry_after_s: float = 0.0, refused: bool = False) -> None:
        """A join was not answered, or refused (`refused`: the coordinator answered, and it meant no)."""
        self._joining = False
        self._schedule_join(now, retry_after_s)
        if self.assignment is not None and not refused and not self._sessions:
            self._follow(self.assignment, now, move=False)

    def handle_fetch_failed(self, now: float, *, retry_after_s: float = 0.0) -> None:
        """The assignment could not be fetched; it is fetched again later, the feed goes on."""
        self._schedule_fetch(now, retry_after_s)

    def handle_report_failed(self, now: float, *, retry_after_s: float = 0.0) -> None:
        """A report did not arrive; it is repeated, and the other relay of the old assignment is the standby so long."""
        if self._report is not None:
            self._report_at = now + max(backoff_s(self._report_attempts, self._rng), retry_after_s)
            self._report_attempts += 1
        if self.assignment is not None:
            self._follow(self.assignment, now, move=False)

    def handle_assignment_event(self, now: float) -> None:
        """A relay said that the assignment changed."""
        if not self.ended:
            self._fetch_at = now
            self.handle_tick(now)

    def handle_ended(self, now: float) -> None:
        """The conference ended: close everything."""
        del now
        self.ended = True
        self._join_at = self._fetch_at = self._report_at = None
        self._target = self._unreported = self._current = None
        for session in list(self._sessions):
            self._close(session)

    # ---- the relays ----

    def handle_connected(self, session: SessionId, now: float) -> None:
        """ICE and DTLS are up."""
        found = self._sessions.get(session)
        if found is None:
            return
        found.connected_at = now
        if not found.active:
            self._backup_attempts = 0
        self._evaluate(now)

    def handle_failed(self, session: SessionId, now: float) -> None:
        """The session could not be opened, or its relay does not know it any more."""
        found = self._sessions.get(session)
        if found is None:
            return
        target = self._target
        self._close(session)
        if session == self._current:
            self._current = None
            self._replace(found, target, now)
        elif target is not None and target.session == session:
            self._target = None
            current = self._sessions.get(self._current) if self._current is not None else None
            if target.reason == "assignment" and current is not None:
                # The coordinator believes that the hall is there; tell it where the hall stayed.
                self._tell(found.access.relay_id, current.access.relay_id, "refused", 0.0)
            self._schedule_fetch(now)
        else:
            self._schedule_fetch(now)
        self._evaluate(now)

    def handle_packets(
        self, session: SessionId, last_packet_at: float, now: float, last_sound_at: float | None = None
    ) -> None:
        """Packets of media arrived, the last at `last_packet_at`, of sound at `last_sound_at`; neither after `now`."""
        found = self._sessions.get(session)
        if found is None or not found.active or last_packet_at < found.active_since:
            return
        if found.note_packets(last_packet_at, last_sound_at) and session == self._current:
            self._join_attempts = 0
            self._join_at = None
        self._evaluate(now)

    def handle_frame(self, session: SessionId, now: float) -> None:
        """A frame of the feed was decoded; only the first after an activation matters."""
        found = self._sessions.get(session)
        if found is None or not found.active or found.first_frame_at is not None:
            return
        found.first_frame_at = now
        self._evaluate(now)

    def handle_tick(self, now: float) -> None:
        """Time passed."""
        if self.ended:
            return
        if self._join_at is not None and now >= self._join_at and not self._joining:
            self._join_at = None
            self._joining = True
            self._outputs.append(Join())
        if self._fetch_at is not None and now >= self._fetch_at:
            self._fetch_at = None
            self._outputs.append(FetchAssignment())
        if self._report is not None and self._report_at is not None and now >= self._report_at:
            self._report_at = None
            self._outputs.append(Report(report=self._report))
        self._evaluate(now)

    # ---- decisions ----

    def _evaluate(self, now: float) -> None:
        if self.ended:
            return
        self._settle_report(now)
        current = self._sessions.get(self._current) if self._current is not None else None
        if current is None:
            self._adopt_any(now)
            return
        if self._target is None:
            self._doubt(current, now)
        elif self._target.reason == "assignment":
            self._finish_assignment(current, self._target, now)
        else:
            self._finish_silence(current, self._target, now)

    def _doubt(self, current: WatchedSession, now: float) -> None:
        late = current.late(now)
        if not late and not current.silent(now):
            return
        other = self._standby_of(current)
        if other is None:
            if now - self._probed_at >= PROBE_EVERY_S and current.connected_at is not None:
                self._probed_at = now
                self._outputs.append(Probe(session=current.session))
            return
        self._activate(other, now)
        other.expects_sound = current.brought_sound
        self._probed_at = now
        self._target = _Target(session=other.session, reason="refused" if late else "silence", since=now)

    def _finish_silence(self, current: WatchedSession, target: _Target, now: float) -> None:
        other = self._sessions[target.session]
        came_back = current.last_packet_at is not None and current.last_packet_at > target.since
        if came_back and not self._flapping.handle_return(other, now):
            self._target = None
            self._deactivate(other)
        elif other.delivers():
            self._move(current, other, target.reason, now)
        elif now - self._probed_at >= PROBE_EVERY_S:
            self._probed_at = now
            self._outputs.extend(Probe(session=session.session) for session in (current, other) if session.connected_at)

    def _finish_assignment(self, current: WatchedSession, target: _Target, now: float) -> None:
        other = self._sessions[target.session]
        nothing_to_break = other.connected_at is not None and current.silent(now)
        waited = now - target.since >= FIRST_PACKET_S or other.delivers()
        if other.first_frame_at is not None or (nothing_to_break and waited):
            self._move(current, other, "assignment", now)

    def _move(self, old: WatchedSession, new: WatchedSession, reason: MoveReason, now: float) -> None:
        """Make `new` the current session; `old` is closed, or becomes the standby if the assignment says so."""
        self._target = None
        self._current = new.session
        self._flapping.forget()
        self._activate(new, now)
        if old.session in self._sessions:
            assignment = self.assignment
            backup = assignment.backup if assignment is not None else None
            wanted = reason == "assignment" and backup is not None and backup.relay_id == old.access.relay_id
            if wanted:
                self._deactivate(old)
            else:
                self._close(old.session)
        self._unreported = _Unreported(
            session=new.session,
            from_relay=old.access.relay_id,
            reason=reason,
            last_packet_at=old.last_packet_at if old.last_packet_at is not None else now,
            deadline=now + REPORT_DEADLINE_S,
        )
        self._settle_report(now)

    def _replace(self, failed: WatchedSession, target: _Target | None, now: float) -> None:
        """The current session is gone: take the other one, if there is one that is up."""
        other = self._sessions.get(target.session) if target is not None else None
        if other is None:
            other = next((session for session in self._sessions.values() if session.connected_at is not None), None)
        self._target = None
        if other is None:
            self._lost = failed
            return
        source_silent = (
            target is not None and now - target.since >= FIRST_PACKET_S and other.last_packet_at is None
        ) or failed.last_packet_at is None
        reason: MoveReason = "silence" if failed.connected_at is not None else "refused"
        if target is not None and target.reason == "assignment":
            reason = "assignment"
        self._move(failed, other, reason, now)
        if source_silent and self._unreported is not None:
            # Nothing was being delivered, so the relay's end interrupted nothing.
            self._unreported = None
            self._tell(failed.access.relay_id, other.access.relay_id, reason, 0.0)

    def _adopt_any(self, now: float) -> None:
        for session in self._sessions.values():
            if session.connected_at is not None:
                lost, self._lost = self._lost, None
                if lost is not None and lost.access.relay_id != session.access.relay_id:
                    self._move(lost, session, "silence" if lost.connected_at is not None else "refused", now)
                    return
                self._current = session.session
                self._activate(session, now)
                return
        if not self._sessions and not self._joining and self._join_at is None and self.assignment is not None:
            self._schedule_join(now)

    def _follow(self, assignment: Assignment, now: float, *, move: bool) -> None:
        """Bring the sessions in line with an assignment; only `move` may change the current one."""
        primary, backup = assignment.primary, assignment.backup
        current = self._sessions.get(self._current) if self._current is not None else None
        if current is None:
            current = self._at(primary.relay_id) or self._connect(primary, now, standby=False)
            self._activate(current, now)
            self._current = current.session
        elif move and primary.relay_id != current.access.relay_id:
            self._drop_target()
            there = self._at(primary.relay_id) or self._connect(primary, now, standby=False)
            self._activate(there, now)
            self._target = _Target(session=there.session, reason="assignment", since=now)
        wanted = {access.relay_id: access for access in (primary, backup) if access is not None}
        kept = {current.session} | ({self._target.session} if self._target is not None else set())
        for session in list(self._sessions.values()):
            if session.access.relay_id not in wanted and session.session not in kept:
                self._close(session.session)
        for relay_id, access in wanted.items():
            if self._at(relay_id) is None:
                self._connect(access, now, standby=True)

    def _settle_report(self, now: float) -> None:
        pending = self._unreported
        if pending is None:
            return
        session = self._sessions.get(pending.session)
        if session is None:
            self._unreported = None
            return
        if session.first_frame_at is None and now < pending.deadline:
            return
        shown_at = session.first_frame_at if session.first_frame_at is not None else now
        self._unreported = None
        interruption_ms = max(0.0, shown_at - pending.last_packet_at) * 1000
        self._tell(pending.from_relay, session.access.relay_id, pending.reason, interruption_ms)

    def _tell(self, from_relay: str, to_relay: str, reason: MoveReason, interruption_ms: float) -> None:
        epoch = self.assignment.epoch if self.assignment is not None else 0
        report = MovedReport(
            epoch=epoch,
            from_relay=from_relay,
            to_relay=to_relay,
            reason=reason,
            interruption_ms=round(interruption_ms, 1),
        )
        self.moves.append(report)
        self._report = report
        self._report_at = None
        self._report_attempts = 0
        self._outputs.append(Report(report=report))

    # ---- small steps ----

    def _at(self, relay_id: str) -> WatchedSession | None:
        return next((session for session in self._sessions.values() if session.access.relay_id == relay_id), None)

    def _standby_of(self, current: WatchedSession) -> WatchedSession | None:
        for session in self._sessions.values():
            if session.session != current.session and session.connected_at is not None:
                return session
        return None

    def _connect(self, access: RelayAccess, now: float, *, standby: bool) -> WatchedSession:
        session = WatchedSession(
            session=SessionId(self._next_session), access=access, active=not standby, opened_at=now, active_since=now
        )
        self._next_session += 1
        self._sessions[session.session] = session
        self._outputs.append(Connect(session=session.session, access=access, standby=standby))
        return session

    def _activate(self, session: WatchedSession, now: float) -> None:
        if session.active:
            return
        session.activate(now)
        self._outputs.append(Activate(session=session.session))

    def _deactivate(self, session: WatchedSession) -> None:
        session.active = False
        self._outputs.append(Standby(session=session.session))

    def _drop_target(self) -> None:
        if self._target is not None:
            other = self._sessions.get(self._target.session)
            if other is not None and other.active:
                self._deactivate(other)
            self._target = None

    def _close(self, session: SessionId) -> None:
        del self._sessions[session]
        self._outputs.append(Close(session=session))

    def _schedule_join(self, now: float, retry_after_s: float = 0.0) -> None:
        self._join_at = now + max(backoff_s(self._join_attempts, self._rng), retry_after_s)
        self._join_attempts += 1

    def _schedule_fetch(self, now: float, retry_after_s: float = 0.0) -> None:
        self._fetch_at = now + max(backoff_s(self._backup_attempts, self._rng), retry_after_s)
        self._backup_attempts += 1
