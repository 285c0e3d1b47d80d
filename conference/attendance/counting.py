"""Headcounts, rosters, check-ins and closings: the part of `conference.state.apply` about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conference.checkin.checkins import Checkins
from conference.checkin.events import (
    CheckinEvent,
    CheckinsRecorded,
    CodesReissued,
    DelegatesEnrolled,
    DelegatesMoved,
    DelegatesWithdrawn,
    MarksRecorded,
    RosterEvent,
)
from conference.events import AttendanceClosed, HeadcountReported
from conference.roster import Closing, Headcount

if TYPE_CHECKING:
    from collections.abc import Collection

    from conference.state import State


CountEvent = HeadcountReported | RosterEvent | CheckinEvent | AttendanceClosed


def apply_count(state: State, event: CountEvent, at_ms: int, actor: str) -> Collection[str]:
    """Fold one event into the state, in place; returns the halls whose figures may have changed."""
    if isinstance(event, AttendanceClosed):
        closing = Closing(at_ms=at_ms, by=actor, figures=event.figures)
        state.closings.setdefault(event.conference_id, closing)  # the first one holds
        return ()
    if isinstance(event, HeadcountReported):
        _apply_headcount(state, event, at_ms, actor)
        return (event.hall_id,)
    changed = _apply_delegates(state, event)
    # Of scans and marks the hall where they were taken: which others they change depends on what was folded before.
    taken = (event.hall_id,) if isinstance(event, CheckinsRecorded | MarksRecorded) else changed
    authors = state.checkin_authors.setdefault(event.conference_id, {})
    for hall_id in taken:
        authors[hall_id] = max(authors.get(hall_id, (0, "")), (at_ms, actor))
    return changed


def _apply_delegates(state: State, event: RosterEvent | CheckinEvent) -> Collection[str]:
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


def _apply_headcount(state: State, event: HeadcountReported, at_ms: int, actor: str) -> None:
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
        by=actor,
    )
    if known is None or found.counts_over(known):  # else another gateway's later report was read first
        halls[event.hall_id] = found
