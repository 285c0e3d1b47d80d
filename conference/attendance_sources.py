"""The attendance of halls in one conference, taken from the state for the API and the reports. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from bridges.attendance import HallAttendance
from conference.roster import ConferenceState
from conference.standing import hall_attendance
from conference.state import State


def hall_attendances(state: State, conference: ConferenceState, hall_ids: Iterable[str]) -> list[HallAttendance]:
    """What is known of each of these registered halls, in their order."""
    return [hall_attendance(state, conference.conference_id, state.halls[hall_id]) for hall_id in hall_ids]
