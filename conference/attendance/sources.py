"""The attendance of halls in one conference, taken from the state for the API and the reports. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from bridges.attendance import HallAttendance
from conference.attendance.participants import hall_in
from conference.attendance.standing import hall_attendance
from conference.roster import ConferenceState
from conference.state import State

NONE_MARKED: Mapping[str, int] = MappingProxyType({})


def hall_attendances(
    state: State, conference: ConferenceState, hall_ids: Iterable[str], marked_absent: Mapping[str, int] = NONE_MARKED
) -> list[HallAttendance]:
    """What is known of each of these halls, in their order; those that do not count (any more) are left out.

    `marked_absent` is that of the conference.
    """
    found = []
    for hall_id in hall_ids:
        hall = hall_in(state, conference.conference_id, hall_id)
        if hall is None:
            continue
        known = hall_attendance(state, conference.conference_id, hall)
        count = marked_absent.get(hall_id, 0)
        found.append(msgspec.structs.replace(known, marked_absent=count) if count else known)
    return found


def marked_absent(state: State, conference_id: str) -> Mapping[str, int]:
    """By hall, delegates who are present by a scan and were marked absent; 20 ms for 2.5 million, so once a request."""
    checkins = state.checkins.get(conference_id)
    if checkins is None:
        return NONE_MARKED
    found = Counter[str]()
    for number in checkins.marked_absent():
        delegate = checkins.delegate(number)
        if delegate is not None:
            found[delegate.hall_id] += 1
    return found
