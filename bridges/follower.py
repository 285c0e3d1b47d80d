"""How a hall follows its feed: which relay it plays from, and when it goes to the other one. Pure.

The shell tells what happened and when (`handle_*`; `now` and all moments are seconds of one monotonic clock), then
takes what is to be done (`next_outputs`). It ticks at least every 50 ms.

One session is *current*: it feeds the picture. The rules, in the order of their weight:

1. No packet on the current session for 300 ms: activate the standby at once. It must go on delivering for 100 ms (with
   sound, where there was sound; 300 ms without) before the hall moves, because a relay answers an activation with its
   cached pictures even when the source is silent; then nobody moves. If the current session delivers first, it stays.
2. A session that failed (refused, closed, unknown at its relay) is replaced by the other one at once.
3. Where there is no other session, or one of the two relays answers no request, a lasting silence goes to the
   coordinator (`Join` with the relays to avoid). The relays of a silent source answer, and nobody asks.
4. An assignment with a greater epoch is followed make-before-break: the old session is closed after the first decoded
   frame of the new one.
5. With no session left the hall joins again, with jittered backoff; if the coordinator does not answer, it goes back to
   the relays of its last assignment as well.

Every move ends in one `Report`. While a silence lasts, `Probe` asks both relays whether they still know the session.
"""

from __future__ import annotations

import random
from collections import Counter

from bridges.backoff import Retry
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
from bridges.move_reports import MoveReports
from bridges.session_watch import FIRST_PACKET_S, Flapping, Target, WatchedSession, unreachable

PROBE_FIRST_S, PROBE_EVERY_S = 0.5, 2.0  # after a standby was activated in vain, and from then on
FAILURES = 2  # so often may a relay not be reached before another is asked for


class Follower:
    """The state machine of one hall.

    Args:
        rng: jitter of backoffs.
        standby: keep a session on the backup; without one it is opened when it is needed.
    """

    def __init__(self, rng: random.Random, *, standby: bool = True) -> None:
        self._keeps_standby = standby
        self._outputs: list[Output] = []
        self._sessions: dict[SessionId, WatchedSession] = {}
        self._next_session = 1
        self._current: SessionId | None = None
        self._lost: WatchedSession | None = None  # the current session that failed while no other one was up
        self._target: Target | None = None
        self._reports = MoveReports(rng)
        self._flapping = Flapping()
        self._probed_at = 0.0
        self._joining = False
        self._failed: Counter[str] = Counter()  # times that no session could be opened at a relay
        self._asked = False  # the coordinator, because of a silence that no relay of the hall's own ends
        self._join_again = Retry(rng)
        self._fetch_again = Retry(rng)
        self.assignment: Assignment | None = None
        self.ended = False

    # ---- what the shell asks ----

    @property
    def current(self) -> SessionId | None:
        """The session that feeds the picture."""
        return self._current

    @property
    def moves(self) -> list[MovedReport]:
        """All moves so far, as they were reported."""
        return self._reports.moves

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
        self._join_again.plan(now)
        self.handle_tick(now)

    def handle_assignment(self, assignment: Assignment, now: float) -> None:
        """An assignment arrived: the answer to a join, a fetch or a report. An older epoch is ignored."""
        self._joining = False
        self._join_again.drop()
        if self.ended or (self.assignment is not None and assignment.epoch < self.assignment.epoch):
            return
        newer = self.assignment is None or assignment.epoch > self.assignment.epoch
        self.assignment = assignment
        self._follow(assignment, now, move=newer)
        self._evaluate(now)

    def handle_report_answered(self, assignment: Assignment, now: float) -> None:
        """The coordinator knows of the move; its answer usually names a new backup."""
        self._reports.handle_answered()
        self.handle_assignment(assignment, now)

    def handle_join_failed(self, now: float, *, retry_after_s: float = 0.0, refused: bool = False) -> None:
        """A join was not answered, or refused (`refused`: the coordinator answered, and it meant no)."""
        self._joining = False
        self._join_again.plan_later(now, retry_after_s)
        if self.assignment is not None and not refused and not self._sessions:
            self._follow(self.assignment, now, move=False)

    def handle_fetch_failed(self, now: float, *, retry_after_s: float = 0.0) -> None:
        """The assignment could not be fetched; it is fetched again later, the feed goes on."""
        self._fetch_again.plan_later(now, retry_after_s)

    def handle_report_failed(self, now: float, *, retry_after_s: float = 0.0) -> None:
        """A report did not arrive; it is repeated, and the other relay of the old assignment is the standby so long."""
        self._reports.handle_failed(now, retry_after_s)
        if self.assignment is not None:
            self._follow(self.assignment, now, move=False)

    def handle_assignment_event(self, now: float) -> None:
        """A relay said that the assignment changed."""
        if not self.ended:
            self._fetch_again.plan(now)
            self.handle_tick(now)

    def handle_ended(self, _now: float) -> None:
        """The conference ended: close everything."""
        self.ended = True
        self._join_again.drop()
        self._fetch_again.drop()
        self._reports.drop()
        self._target = self._current = None
        for session in list(self._sessions):
            self._close(session)

    # ---- the relays ----

    def handle_connected(self, session: SessionId, now: float) -> None:
        """ICE and DTLS are up."""
        found = self._sessions.get(session)
        if found is None:
            return
        found.connected_at = now
        del self._failed[found.access.relay_id]
        if not found.active:
            self._fetch_again.forget()
        self._evaluate(now)

    def handle_answered(self, session: SessionId) -> None:
        """The relay answered a request about this session."""
        if session in self._sessions:
            self._sessions[session].asked_at = None

    def handle_failed(self, session: SessionId, now: float) -> None:
        """The session could not be opened, or its relay does not know it any more."""
        found = self._sessions.get(session)
        if found is None:
            return
        target = self._target
        self._failed[found.access.relay_id] += found.connected_at is None
        self._close(session)
        if session == self._current:
            self._current = None
            self._replace(found, target, now)
        else:
            current = self._sessions.get(self._current) if self._current is not None else None
            if target is not None and target.session == session:
                self._target = None
                if target.reason == "assignment" and current is not None:
                    # The coordinator believes that the hall is there; tell it where the hall stayed.
                    self._tell(found.access.relay_id, current.access.relay_id, "refused", 0.0)
            self._fetch_again.plan_later(now)
        self._evaluate(now)

    def handle_packets(
        self, session: SessionId, last_packet_at: float, now: float, last_sound_at: float | None = None
    ) -> None:
        """Packets of media arrived, the last at `last_packet_at`, of sound at `last_sound_at`; neither after `now`."""
        found = self._sessions.get(session)
        if found is None or not found.active or last_packet_at < found.active_since:
            return
        if found.note_packets(last_packet_at, last_sound_at) and session == self._current:
            self._asked, self._lost = False, None
            self._join_again.forget()
            self._join_again.drop()
        self._evaluate(now)

    def handle_frame(self, session: SessionId, now: float, shown_at: float | None = None) -> None:
        """A frame of the feed was decoded, `now` unless said otherwise; only the first after an activation matters."""
        found = self._sessions.get(session)
        if found is None or not found.active or found.first_frame_at is not None:
            return
        found.first_frame_at = now if shown_at is None else shown_at
        self._evaluate(now)

    def handle_tick(self, now: float) -> None:
        """Time passed."""
        if self.ended:
            return
        if not self._joining and self._join_again.take(now):
            self._joining = True
            self._outputs.append(Join(avoid=self._unusable(now)))
        if self._fetch_again.take(now):
            avoid = (relay_id for relay_id, times in self._failed.items() if times >= FAILURES)
            self._outputs.append(FetchAssignment(avoid=tuple(avoid)))
        repetition = self._reports.next_repetition(now)
        if repetition is not None:
            self._outputs.append(Report(report=repetition))
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
        if other is None and now - self._probed_at >= PROBE_EVERY_S:
            if current.connected_at is not None:
                self._probe(current, now)
            other = self._open_backup(now)
        if other is None:
            if current.last_packet_at is not None:
                self._ask(now)  # before a first packet it is the source that is awaited
            return
        self._activate(other, now)
        other.expects_sound = current.brought_sound
        self._probed_at = now - PROBE_EVERY_S + PROBE_FIRST_S
        self._target = Target(session=other.session, reason="refused" if late else "silence", since=now)

    def _finish_silence(self, current: WatchedSession, target: Target, now: float) -> None:
        other = self._sessions[target.session]
        came_back = current.last_packet_at is not None and current.last_packet_at > target.since
        if came_back and not self._flapping.handle_return(other, now):
            self._target = None
            if self._keeps_standby:
                self._deactivate(other)
            else:
                self._close(other.session)
        elif other.delivers():
            self._move(current, other, target.reason, now)
        else:
            if now - self._probed_at >= PROBE_EVERY_S:
                for session in (current, other):
                    if session.connected_at is not None:
                        self._probe(session, now)
            if current.last_packet_at is not None and unreachable(current, other, now):
                self._ask(now)  # a silent source silences relays that answer

    def _finish_assignment(self, current: WatchedSession, target: Target, now: float) -> None:
        other = self._sessions[target.session]
        nothing_to_break = other.connected_at is not None and current.silent(now)
        waited = now - target.since >= FIRST_PACKET_S or other.delivers()
        if other.first_frame_at is not None or (nothing_to_break and waited):
            self._move(current, other, "silence" if self._asked else "assignment", now)

    def _move(self, old: WatchedSession, new: WatchedSession, reason: MoveReason, now: float) -> None:
        """Make `new` the current session; `old` is closed, or becomes the standby if the assignment says so."""
        self._target = None
        self._asked = False
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
        self._reports.begin(old, new, reason, now)
        self._settle_report(now)

    def _replace(self, failed: WatchedSession, target: Target | None, now: float) -> None:
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
        if source_silent and self._reports.awaited is not None:
            # Nothing was being delivered, so the relay's end interrupted nothing.
            self._tell(failed.access.relay_id, other.access.relay_id, reason, 0.0)

    def _adopt_any(self, now: float) -> None:
        session = next((session for session in self._sessions.values() if session.connected_at is not None), None)
        if session is not None:
            self._take(session, now)
        elif not self._sessions and self.assignment is not None:
            self._ask(now)

    def _take(self, session: WatchedSession, now: float) -> None:
        """Make a session the current one where there was none; it is a move where another relay's was lost."""
        lost, self._lost = self._lost, None
        if lost is not None and lost.access.relay_id != session.access.relay_id:
            self._move(lost, session, "silence" if lost.connected_at is not None else "refused", now)
        else:
            self._current = session.session
            self._activate(session, now)

    def _follow(self, assignment: Assignment, now: float, *, move: bool) -> None:
        """Bring the sessions in line with an assignment; only `move` may change the current one."""
        primary, backup = assignment.primary, assignment.backup
        current = self._sessions.get(self._current) if self._current is not None else None
        if current is None:
            current = self._at(primary.relay_id) or self._connect(primary, now, standby=False)
            if move:
                self._take(current, now)
            else:  # an old assignment is tried again: no move yet
                self._current = current.session
                self._activate(current, now)
        elif move and primary.relay_id != current.access.relay_id:
            there = self._at(primary.relay_id) or self._connect(primary, now, standby=False)
            self._drop_target(there.session)
            self._activate(there, now)
            self._target = Target(session=there.session, reason="assignment", since=now)
        wanted = {access.relay_id: access for access in (primary, backup) if access is not None}
        kept = {current.session} | ({self._target.session} if self._target is not None else set())
        for session in list(self._sessions.values()):
            if session.access.relay_id not in wanted and session.session not in kept:
                self._close(session.session)
        for access in wanted.values() if self._keeps_standby else ():
            if self._at(access.relay_id) is None:
                self._connect(access, now, standby=True)

    def _settle_report(self, now: float) -> None:
        awaited = self._reports.awaited
        if awaited is not None:
            report = self._reports.settle(self._sessions.get(awaited), self._epoch, now)
            if report is not None:
                self._outputs.append(Report(report=report))

    def _tell(self, from_relay: str, to_relay: str, reason: MoveReason, interruption_ms: float) -> None:
        report = self._reports.tell(self._epoch, from_relay, to_relay, reason, interruption_ms)
        self._outputs.append(Report(report=report))

    @property
    def _epoch(self) -> int:
        return self.assignment.epoch if self.assignment is not None else 0

    # ---- small steps ----

    def _at(self, relay_id: str) -> WatchedSession | None:
        return next((session for session in self._sessions.values() if session.access.relay_id == relay_id), None)

    def _ask(self, now: float) -> None:
        """Have the coordinator say where to go, soon and not all halls at one moment."""
        if not self._joining and not self._join_again.is_planned:
            self._asked = True
            self._join_again.plan_later(now)

    def _unusable(self, now: float) -> tuple[str, ...]:
        """Relays that gave no answer in time, or no media while there was no other to compare with."""
        found = {session.access.relay_id for session in self._sessions.values() if session.unanswered(now)}
        current = self._sessions.get(self._current) if self._current is not None else None
        if current is not None and self._target is None and current.silent(now):
            found.add(current.access.relay_id)
        if self._lost is not None:
            found.add(self._lost.access.relay_id)
        return tuple(sorted(found))

    def _open_backup(self, now: float) -> WatchedSession | None:
        """Open the other relay of the assignment where no standby was kept."""
        assignment = self.assignment
        for access in (assignment.backup, assignment.primary) if assignment is not None else ():
            if access is not None and self._at(access.relay_id) is None:
                return self._connect(access, now, standby=False)
        return None

    def _probe(self, session: WatchedSession, now: float) -> None:
        self._probed_at = now
        session.ask(now)
        self._outputs.append(Probe(session=session.session))

    def _standby_of(self, current: WatchedSession) -> WatchedSession | None:
        others = (session for session in self._sessions.values() if session.session != current.session)
        return next((session for session in others if session.connected_at is not None), None)

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
        session.ask(now)
        self._outputs.append(Activate(session=session.session))

    def _deactivate(self, session: WatchedSession) -> None:
        session.active = False
        self._outputs.append(Standby(session=session.session))

    def _drop_target(self, successor: SessionId) -> None:
        if self._target is not None and self._target.session != successor:
            other = self._sessions.get(self._target.session)
            if other is not None and other.active:
                self._deactivate(other)
            self._target = None

    def _close(self, session: SessionId) -> None:
        del self._sessions[session]
        self._outputs.append(Close(session=session))
