"""Headcounts, rosters and check-ins as records of the state: the part of `conference.state.apply` about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conference.checkin_events import (
    CheckinEvent,
    CheckinsRecorded,
    CodesReissued,
    DelegatesEnrolled,
    DelegatesMoved,
    DelegatesWithdrawn,
    MarksRecorded,
    RosterEvent,
)
from conference.checkins import Checkins
from conference.events import HeadcountReported
from conference.roster import Headcount

if TYPE_CHECKING:
    from collections.abc import Collection

    from conference.state import State


def apply_count(state: State, event: HeadcountReported | RosterEvent | CheckinEvent, at_ms: int) -> Collection[str]:
    """Fold one event into the state, in place; returns the halls whose figures may have changed."""
    if isinstance(event, HeadcountReported):
        _apply_headcount(state, event, at_ms)
        return (event.hall_id,)
    checkins = state.checkins.get(event.conference_id)
    if checkins is None:
        checkins = state.checkins[event.conference_id] = Checkins()
    match event:
        case CheckinsRecorded():
            return checkins.record(event.hall_id, event.scans)
        case MarksRecorded():
            return checkins.mark(event.marks)
        case DelegatesEnrolled():
            return checkins.enrol(event.blocks)
        case DelegatesWithdrawn():
            return checkins.withdraw(event.numbers)
        case DelegatesMoved():
            return checkins.move(event.hall_id, event.numbers)
        case CodesReissued():
            checkins.reissue(event.numbers)
            return ()


def _apply_headcount(state: State, event: HeadcountReported, at_ms: int) -> None:
    halls = state.headcounts.setdefault(event.conference_id, {})
    known = halls.get(event.hall_id)
    found = Headcount(
        summoned=event.summoned,
        present=event.present,
        excused=event.excused,
        unexcused=event.unexcused,
        exempt=event.exempt,
        note=event.note,
        at_ms=at_ms,
        revision=event.revision,
    )
    if known is None or found.counts_over(known):  # else another gateway's later report was read first
        halls[event.hall_id] = found
