"""Which halls count in a conference: those that are registered, and those that were withdrawn too late to go. Pure.

A hall that is withdrawn leaves the lists of today. In a conference that had ended by then, or in which it took part, it
stays as it was last: a report does not change because somebody tidies up the register afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridges.halls import Hall

if TYPE_CHECKING:
    from conference.state import State


def hall_in(state: State, conference_id: str, hall_id: str) -> Hall | None:
    """The hall, where it counts in a conference. Constant time."""
    hall = state.halls.get(hall_id)
    if hall is not None:
        return hall
    gone = state.register.withdrawn.get(hall_id)
    if gone is None or not _stays(state, conference_id, hall_id):
        return None
    return gone


def hall_ids_in(state: State, conference_id: str) -> list[str]:
    """Ids of the halls that count in a conference, ascending."""
    gone = (hall_id for hall_id in state.register.withdrawn if _stays(state, conference_id, hall_id))
    return sorted([*state.halls, *gone])


def _stays(state: State, conference_id: str, hall_id: str) -> bool:
    conference = state.conferences.get(conference_id)
    if conference is None:
        return False
    phase, since_ms = conference.phases[-1]
    if phase == "ended" and since_ms <= state.register.withdrawn_at_ms.get(hall_id, 0):
        return True
    return hall_id in conference.seats or hall_id in state.headcounts.get(conference_id, {})
