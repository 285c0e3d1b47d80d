"""What is known of one hall in a conference, by each source. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridges.attendance import Figures, HallAttendance, HallStatus, Headcount, figures_of, status_of
from bridges.halls import Hall
from bridges.presence import HallPresence
from conference.attendance.participants import hall_in
from conference.lifecycle import JOINABLE, Phase

if TYPE_CHECKING:
    from conference.state import State


def standing(phase: Phase, presence: HallPresence | None, *, left: bool) -> HallStatus:
    """How a hall stands (`bridges.attendance.status_of`) in a conference that expects it while it can be joined."""
    if presence is None:
        return status_of(is_open=False, ever_seen=False, left=left)
    seen = bool(presence.spans) or any(session.since_ms is not None for session in presence.sessions.values())
    return status_of(is_open=presence.is_open, ever_seen=seen, left=left, expected=phase in JOINABLE)


def hall_status(state: State, conference_id: str, hall_id: str) -> HallStatus:
    """How a hall stands in a conference; `waiting` where either is unknown. Constant time."""
    conference = state.conferences.get(conference_id)
    if conference is None or hall_in(state, conference_id, hall_id) is None:
        return "waiting"
    seat = conference.seats.get(hall_id)
    presence = state.presence.get(conference_id, {}).get(hall_id)
    return standing(conference.phase, presence, left=seat is not None and seat.left)


def hall_attendance(state: State, conference_id: str, hall: Hall) -> HallAttendance:
    """What is known of a registered hall in a conference, each source apart."""
    headcount = state.headcounts.get(conference_id, {}).get(hall.hall_id)
    presence = state.presence.get(conference_id, {}).get(hall.hall_id)
    checkins = state.checkins.get(conference_id)
    return HallAttendance(
        hall=hall,
        status=hall_status(state, conference_id, hall.hall_id),
        seen=presence is not None and presence.first_seen_ms is not None,
        headcount=None
        if headcount is None
        else Headcount(
            summoned=headcount.summoned,
            present=headcount.present,
            excused=headcount.excused,
            unexcused=headcount.unexcused,
            exempt=headcount.exempt,
        ),
        individual=None if checkins is None else checkins.totals(hall.hall_id),
    )


def hall_figures(state: State, conference_id: str, hall_id: str) -> Figures:
    """What a hall adds to the figures of its kind; nothing where it does not count."""
    hall = hall_in(state, conference_id, hall_id)
    return Figures() if hall is None else figures_of(hall_attendance(state, conference_id, hall))
