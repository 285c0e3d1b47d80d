"""The rules of readiness: which relays a hall is checked with, what is stored of it, who may sign off. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bridges.prechecks import Precheck, SignOff, fault_of
from bridges.readiness import Readiness, Thresholds, readiness_of
from conference import assignment
from conference.commands import ReportPrecheck, SignOffReadiness
from conference.errors import RejectedError
from conference.events import PrecheckReported, ReadinessEvent, RehearsalSignedOff
from conference.lookup import conference_of, hall_of, unit_of
from conference.registry.registering import check_id
from conference.roster import ConferenceState
from conference.state import State

MAX_NOTE_CHARACTERS = 1_000
_MOST_ABOVE = 64  # units above a hall; ends the walk where old data runs in a circle


def decide_readiness(state: State, command: ReportPrecheck | SignOffReadiness, now_ms: int) -> list[ReadinessEvent]:
    """Store a pre-check, or what somebody answers for.

    Raises:
        RejectedError: `unknown_…` (404), `bad_precheck`, `bad_sign_off` (422), `wrong_phase` after the end.
    """
    conference = _unended(state, command.conference_id)
    if isinstance(command, ReportPrecheck):
        hall = hall_of(state, command.hall_id)
        _check_precheck(command.precheck)
        precheck = msgspec.structs.replace(command.precheck, at_ms=now_ms)
        return [PrecheckReported(conference_id=conference.conference_id, hall_id=hall.hall_id, precheck=precheck)]
    return _sign_off(state, conference, command, now_ms)


def _unended(state: State, conference_id: str) -> ConferenceState:
    """The conference, from its draft on and as long as it is not over."""
    conference = conference_of(state, conference_id)
    if conference.phase == "ended":
        raise RejectedError("wrong_phase", f"conference {conference_id} has ended; there is nothing to get ready for")
    return conference


def _check_precheck(precheck: Precheck) -> None:
    fault = fault_of(precheck)
    if fault:
        raise RejectedError("bad_precheck", fault, status=422)
    for relay in precheck.relays:
        check_id(relay.relay_id, "relay_id")


def _sign_off(
    state: State, conference: ConferenceState, command: SignOffReadiness, now_ms: int
) -> list[ReadinessEvent]:
    if bool(command.hall_id) == bool(command.unit):
        raise RejectedError("bad_sign_off", "name a hall or a unit", status=422)
    if len(command.note) > MAX_NOTE_CHARACTERS:
        raise RejectedError("bad_note", f"the note is longer than {MAX_NOTE_CHARACTERS} characters", status=422)
    if command.hall_id:
        hall_of(state, command.hall_id)
        known = state.prechecks.sign_off_of_hall(conference.conference_id, command.hall_id)
    else:
        unit_of(state, command.unit)
        known = state.prechecks.sign_off_of_unit(conference.conference_id, command.unit)
    stands = known is not None and not known.withdrawn
    if command.withdrawn and not stands:
        return []
    return [
        RehearsalSignedOff(
            conference_id=conference.conference_id,
            hall_id=command.hall_id,
            unit=command.unit,
            at_ms=now_ms,
            by=command.by,
            note=command.note,
            withdrawn=command.withdrawn,
        )
    ]


def relays_to_check(state: State, conference_id: str, hall_id: str, avoid: frozenset[str]) -> tuple[str, str]:
    """The primary and the backup that a hall has, or would be given now; "" where there is none. Charges nothing.

    Raises:
        RejectedError: `unknown_…` (404), `wrong_phase` after the end.
    """
    conference, hall = _unended(state, conference_id), hall_of(state, hall_id)
    key = (conference.conference_id, hall.hall_id)
    try:
        event = assignment.join(state, key, virtual=hall.virtual, avoid=avoid)
    except RejectedError as error:
        if error.code != "no_relay":
            raise
        return "", ""
    if event is not None:
        return event.primary, event.backup
    seat = conference.seats[hall.hall_id]
    return seat.primary, seat.backup


def sessions_of(state: State, conference_id: str) -> list[str]:
    """A conference and its rehearsals: what was checked in one of them holds in all, for line and room are the same."""
    conference = conference_of(state, conference_id)
    root = conference.rehearsal_of or conference.conference_id
    return [root, *(each.conference_id for each in state.conferences.values() if each.rehearsal_of == root)]


def hall_readiness(
    state: State, sessions: Sequence[str], hall_id: str, thresholds: Thresholds, now_ms: int
) -> Readiness:
    """How ready a hall is.

    Args:
        state: read.
        sessions: from `sessions_of`.
        hall_id: a registered hall.
        thresholds: what good means.
        now_ms: to tell what is stale.
    """
    prechecks = [each for session in sessions for each in state.prechecks.of_hall(session, hall_id)]
    return readiness_of(prechecks, latest_sign_off(state, sessions, hall_id), thresholds, now_ms)


def latest_sign_off(state: State, sessions: Sequence[str], hall_id: str) -> SignOff | None:
    """The latest word for the hall, or for a unit above it in either tree."""
    found: list[SignOff] = []
    units: list[str] | None = None
    for session in sessions:
        own = state.prechecks.sign_off_of_hall(session, hall_id)
        if own is not None:
            found.append(own)
        if session in state.prechecks.sign_offs:
            units = _units_above(state, hall_id) if units is None else units
            above = (state.prechecks.sign_off_of_unit(session, unit) for unit in units)
            found += [each for each in above if each is not None]
    return max(found, key=lambda each: (each.at_ms, each.withdrawn), default=None)


def _units_above(state: State, hall_id: str) -> list[str]:
    hall = state.halls[hall_id]
    found: list[str] = []
    for code in (hall.unit, hall.organisation):
        unit = state.units.get(code)
        while unit is not None and unit.code not in found and len(found) < _MOST_ABOVE:
            found.append(unit.code)
            unit = state.units.get(unit.parent)
    return found
