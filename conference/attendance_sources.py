"""The attendance of one conference, taken from the state for `bridges.attendance` and the reports to sum. Pure.

What reads the state does so for the halls that it is given, so that the caller can go through a country in turns; what
sums up works on copies alone and may run in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable

from bridges.attendance import HallAttendance
from conference.lifecycle import Phase
from conference.reports.flash import FlashHall, FlashInput
from conference.roster import ConferenceState
from conference.standing import hall_attendance
from conference.state import State


def hall_attendances(state: State, conference: ConferenceState, hall_ids: Iterable[str]) -> list[HallAttendance]:
    """What is known of each of these registered halls, in their order."""
    return [hall_attendance(state, conference.conference_id, state.halls[hall_id]) for hall_id in hall_ids]


def flash_halls(state: State, conference: ConferenceState, hall_ids: Iterable[str], now_ms: int) -> list[FlashHall]:
    """What the flash report says of each of these registered halls, copied out of the state."""
    presences = state.presence.get(conference.conference_id, {})
    ended_at_ms = _entered(conference, "ended")
    until_ms = now_ms if ended_at_ms is None else min(now_ms, ended_at_ms)
    halls = []
    for known in hall_attendances(state, conference, hall_ids):
        hall = known.hall
        province = state.provinces.get(hall.hall_id, hall.unit)
        presence = presences.get(hall.hall_id)
        seat = conference.seats.get(hall.hall_id)
        halls.append(
            FlashHall(
                hall=hall,
                unit_name=_unit_name(state, hall.unit),
                province=province,
                province_name=_unit_name(state, province),
                level=hall.level,
                status=known.status,
                intervals=[] if presence is None else presence.intervals(until_ms),
                interruptions_ms=[] if seat is None else list(seat.interruptions_ms),
                headcount=known.headcount,
            )
        )
    return halls


def flash_input_of(conference: ConferenceState, halls: list[FlashHall], now_ms: int) -> FlashInput:
    """What the flash report is made of: a conference and all its halls."""
    return FlashInput(
        conference_id=conference.conference_id,
        title=conference.title,
        phase=conference.phase,
        at_ms=now_ms,
        started_at_ms=_entered(conference, "live"),
        ended_at_ms=_entered(conference, "ended"),
        halls=halls,
    )


def _entered(conference: ConferenceState, phase: Phase) -> int | None:
    return next((at_ms for entered, at_ms in conference.phases if entered == phase), None)


def _unit_name(state: State, code: str) -> str:
    unit = state.units.get(code)
    return code if unit is None else unit.name
