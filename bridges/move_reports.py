"""What a hall tells the coordinator of its moves: when one can be told, how long it interrupted, when again. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass

from bridges.backoff import Retry
from bridges.follower_outputs import SessionId
from bridges.messages import MovedReport, MoveReason
from bridges.session_watch import WatchedSession

REPORT_DEADLINE_S = 2.0  # a move is reported by then also when no frame was decoded (the next keyframe may be far)


@dataclass(slots=True)
class _Unreported:
    """A move whose first decoded frame is awaited."""

    session: SessionId
    from_relay: str
    reason: MoveReason
    last_packet_at: float
    deadline: float


class MoveReports:
    """The moves of one hall; every move ends in one report, and the latest is repeated until it is answered.

    Args:
        rng: jitter of the repetitions.

    Attributes:
        moves: all that were reported, in order.
    """

    def __init__(self, rng: random.Random) -> None:
        self._pending: _Unreported | None = None
        self._unanswered: MovedReport | None = None
        self._again = Retry(rng)
        self.moves: list[MovedReport] = []

    def begin(self, old: WatchedSession, new: WatchedSession, reason: MoveReason, now: float) -> None:
        """The hall moved; how long it saw nothing is known with the first frame."""
        self._pending = _Unreported(
            session=new.session,
            from_relay=old.access.relay_id,
            reason=reason,
            last_packet_at=old.last_packet_at if old.last_packet_at is not None else now,
            deadline=now + REPORT_DEADLINE_S,
        )

    def settle(self, session: WatchedSession | None, epoch: int, now: float) -> MovedReport | None:
        """The report of the pending move, once it can be told.

        Args:
            session: `awaited`, None where it is gone.
            epoch: of the assignment that is followed.
            now: as everywhere.
        """
        pending = self._pending
        if pending is None:
            return None
        if session is None:
            self._pending = None
            return None
        if session.first_frame_at is None and now < pending.deadline:
            return None
        shown_at = session.first_frame_at if session.first_frame_at is not None else now
        interruption_ms = max(0.0, shown_at - pending.last_packet_at) * 1000
        return self.tell(epoch, pending.from_relay, session.access.relay_id, pending.reason, interruption_ms)

    @property
    def awaited(self) -> SessionId | None:
        """The session whose first frame is awaited."""
        return None if self._pending is None else self._pending.session

    def tell(
        self, epoch: int, from_relay: str, to_relay: str, reason: MoveReason, interruption_ms: float
    ) -> MovedReport:
        """Make a report, of the pending move or of one that needs no frame."""
        self._pending = None
        report = MovedReport(
            epoch=epoch,
            from_relay=from_relay,
            to_relay=to_relay,
            reason=reason,
            interruption_ms=round(interruption_ms, 1),
        )
        self.moves.append(report)
        self._unanswered = report
        self._again.drop()
        self._again.forget()
        return report

    def handle_answered(self) -> None:
        """The coordinator knows."""
        self._unanswered = None
        self._again.drop()

    def handle_failed(self, now: float, retry_after_s: float) -> None:
        """The report did not arrive: later again."""
        if self._unanswered is not None:
            self._again.plan_later(now, retry_after_s)

    def next_repetition(self, now: float) -> MovedReport | None:
        """The report that is to be repeated now."""
        return self._unanswered if self._unanswered is not None and self._again.take(now) else None

    def drop(self) -> None:
        """Nothing is to be told any more."""
        self._pending = self._unanswered = None
