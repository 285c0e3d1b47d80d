"""What an id names in the state, or the refusal that says why it names nothing. Pure.

Shared by the rules and by the API, so that a hall reads the same `code` whoever looked it up.
"""

from __future__ import annotations

from bridges.halls import Hall
from bridges.units import Unit
from conference.errors import RejectedError
from conference.roster import ConferenceState, HallSeat, RelayState
from conference.state import State

# An id comes from outside and may be long; so much of it is enough to find the mistake.
_SHOWN = 64


def conference_of(state: State, conference_id: str) -> ConferenceState:
    """The conference; refused as `unknown_conference`."""
    conference = state.conferences.get(conference_id)
    if conference is None:
        raise RejectedError("unknown_conference", f"no conference {conference_id[:_SHOWN]!r}", status=404)
    return conference


def joinable_conference_of(state: State, conference_id: str) -> ConferenceState:
    """The conference, while halls may join it; refused as `unknown_conference` or `wrong_phase`."""
    conference = conference_of(state, conference_id)
    if not conference.joinable:
        raise RejectedError("wrong_phase", f"conference {conference_id} is in phase {conference.phase}")
    return conference


def hall_of(state: State, hall_id: str) -> Hall:
    """The hall; refused as `unknown_hall`."""
    hall = state.halls.get(hall_id)
    if hall is None:
        raise RejectedError("unknown_hall", f"no hall {hall_id[:_SHOWN]!r}", status=404)
    return hall


def seat_of(conference: ConferenceState, hall_id: str) -> HallSeat:
    """The seat of a hall that has joined and not left; refused as `not_joined`."""
    seat = conference.seats.get(hall_id)
    if seat is None or seat.left:
        raise RejectedError("not_joined", f"hall {hall_id[:_SHOWN]} has not joined {conference.conference_id}")
    return seat


def unit_of(state: State, code: str) -> Unit:
    """The unit; refused as `unknown_unit`."""
    unit = state.units.get(code)
    if unit is None:
        raise RejectedError("unknown_unit", f"no unit {code[:_SHOWN]!r}", status=404)
    return unit


def relay_of(state: State, relay_id: str) -> RelayState:
    """The relay, live or lost; refused as `unknown_relay`."""
    relay = state.relays.get(relay_id)
    if relay is None:
        raise RejectedError("unknown_relay", f"no relay {relay_id[:_SHOWN]!r}", status=404)
    return relay
