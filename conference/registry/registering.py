"""The rules of the register: units, halls and conferences come into being and change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import get_args

import msgspec

from bridges.halls import Hall, HallLevel
from bridges.units import TreeName, Unit, with_version
from conference.commands import ChangePhase, CreateConference, ImportHalls, ImportUnits
from conference.errors import RejectedError
from conference.events import ConferenceCreated, Event, HallsImported, PhaseChanged, UnitsImported
from conference.lifecycle import TRANSITIONS, can_move
from conference.lookup import conference_of
from conference.state import State

MAX_TEXT_CHARACTERS = 300
MAX_SEATS = 100_000
MAX_BANDWIDTH_MBPS = 1_000_000  # above any line into a house; a greater figure is a slip of the keyboard
MAX_AT_MS = 253_402_300_799_999  # the end of the year 9999: a snapshot holds 64-bit integers, and people read dates
MAX_FEEDS = 16
MAX_UNIT_DEPTH = 16  # administrative levels are at most four, those of an organisation a few more

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LEVELS: frozenset[str] = frozenset(get_args(HallLevel))


def check_id(value: str, name: str) -> None:
    """Refuse an id that is empty, longer than 64, or holds anything but letters, digits, `.`, `_` and `-`.

    Raises:
        RejectedError: `bad_id` (422); `name` says which id it is.
    """
    if _ID.fullmatch(value) is None:
        raise RejectedError("bad_id", f"{name} must be 1 to 64 of A-Z a-z 0-9 . _ -, not {value[:80]!r}", status=422)


def import_units(state: State, command: ImportUnits) -> list[Event]:
    """Units that are new or differ; each parent must exist and none may stand below itself."""
    merged = dict(state.units)
    seen: set[str] = set()
    for unit in command.units:
        _check_unit(unit)
        if unit.code in seen:
            raise RejectedError("duplicate_unit", f"unit {unit.code} is in the import twice", status=422)
        seen.add(unit.code)
        merged[unit.code] = with_version(state.units.get(unit.code), unit)
    for code in seen:
        _check_ancestors(merged[code], merged)
    changed = [merged[unit.code] for unit in command.units if state.units.get(unit.code) != merged[unit.code]]
    return [UnitsImported(units=changed)] if changed else []


def _check_unit(unit: Unit) -> None:
    check_id(unit.code, "code")
    for version in unit.versions:
        _check_text(version.name, "name")
        if version.merged_into:
            check_id(version.merged_into, "merged_into")
        if version.valid_to and version.valid_to < version.valid_from:
            raise RejectedError("bad_validity", f"unit {unit.code} ends before it begins", status=422)


def _check_ancestors(unit: Unit, units: Mapping[str, Unit]) -> None:
    above = unit
    for _ in range(MAX_UNIT_DEPTH):
        if not above.parent:
            return
        parent = units.get(above.parent)
        if parent is None:
            raise RejectedError("unknown_unit", f"unit {above.code} has no parent {above.parent!r}", status=404)
        if parent.tree != above.tree:
            raise RejectedError("wrong_tree", f"unit {above.code} and its parent are not in one tree", status=422)
        above = parent
    raise RejectedError(
        "unit_cycle", f"unit {unit.code} stands below itself, or deeper than {MAX_UNIT_DEPTH} levels", status=422
    )


def import_halls(state: State, command: ImportHalls) -> list[Event]:
    """Halls that are new or differ; each unit must exist."""
    seen: set[str] = set()
    seated = {
        hall_id
        for conference in state.conferences.values()
        if conference.joinable
        for hall_id, seat in conference.seats.items()
        if not seat.left
    }
    for hall in command.halls:
        _check_hall(hall)
        if hall.hall_id in seen:
            raise RejectedError("duplicate_hall", f"hall {hall.hall_id} is in the import twice", status=422)
        seen.add(hall.hall_id)
        _check_place(state, hall, hall.unit, "territory")
        if hall.organisation:
            _check_place(state, hall, hall.organisation, "organisation")
        known = state.halls.get(hall.hall_id)
        if known is not None and known.virtual != hall.virtual and hall.hall_id in seated:
            raise RejectedError("hall_kind", f"hall {hall.hall_id} is in a conference; its kind cannot change now")
    changed = [hall for hall in command.halls if state.halls.get(hall.hall_id) != hall]
    return [HallsImported(halls=changed)] if changed else []


def _check_place(state: State, hall: Hall, code: str, tree: TreeName) -> None:
    unit = state.units.get(code)
    if unit is None:
        raise RejectedError("unknown_unit", f"hall {hall.hall_id}: no unit {code!r}", status=404)
    if unit.tree != tree:
        raise RejectedError("wrong_tree", f"hall {hall.hall_id}: unit {code} is not in the tree of {tree}", status=422)


def _check_hall(hall: Hall) -> None:
    check_id(hall.hall_id, "hall_id")
    _check_text(hall.name, "name")
    if hall.level not in _LEVELS:
        raise RejectedError("bad_level", f"hall {hall.hall_id}: no level {hall.level!r}", status=422)
    if not 0 <= hall.seats <= MAX_SEATS:
        raise RejectedError("bad_seats", f"hall {hall.hall_id}: seats are between 0 and {MAX_SEATS}", status=422)
    if not 0 <= hall.bandwidth_mbps <= MAX_BANDWIDTH_MBPS:
        raise RejectedError("bad_bandwidth", f"hall {hall.hall_id}: at most {MAX_BANDWIDTH_MBPS} Mbit/s", status=422)
    for text in (hall.address, hall.contact_name, hall.contact_phone, hall.line, hall.carrier, hall.devices):
        if len(text) > MAX_TEXT_CHARACTERS:
            raise RejectedError("bad_text", f"hall {hall.hall_id}: a text is too long", status=422)


def _check_text(text: str, name: str) -> None:
    if not text.strip() or len(text) > MAX_TEXT_CHARACTERS:
        raise RejectedError("bad_text", f"{name} must hold 1 to {MAX_TEXT_CHARACTERS} characters", status=422)


def create_conference(state: State, command: CreateConference) -> list[Event]:
    """A draft, or nothing where the same one exists."""
    check_id(command.conference_id, "conference_id")
    _check_text(command.title, "title")
    if not 1 <= len(command.feeds) <= MAX_FEEDS or len(set(command.feeds)) != len(command.feeds):
        raise RejectedError("bad_feeds", f"feeds are 1 to {MAX_FEEDS} different names", status=422)
    for feed in command.feeds:
        check_id(feed, "feed")
    if not 0 <= command.starts_at_ms <= MAX_AT_MS:
        raise RejectedError("bad_time", f"starts_at_ms is between 0 and {MAX_AT_MS}", status=422)
    if (command.kind == "rehearsal") != bool(command.rehearsal_of):
        raise RejectedError("bad_rehearsal", "a rehearsal, and nothing else, says what it is of", status=422)
    if command.rehearsal_of and conference_of(state, command.rehearsal_of).kind == "rehearsal":
        raise RejectedError("bad_rehearsal", f"{command.rehearsal_of} is a rehearsal itself", status=422)
    created = ConferenceCreated(**msgspec.structs.asdict(command))
    known = state.conferences.get(command.conference_id)
    if known is None:
        return [created]
    if all(getattr(known, name) == getattr(created, name) for name in created.__struct_fields__):
        return []
    raise RejectedError(
        "conference_exists", f"conference {command.conference_id} exists with another title, feeds, kind or time"
    )


def change_phase(state: State, command: ChangePhase) -> list[Event]:
    """The next phase, where `lifecycle.TRANSITIONS` allows it."""
    conference = conference_of(state, command.conference_id)
    if command.phase not in TRANSITIONS or not can_move(conference.phase, command.phase):
        raise RejectedError("wrong_phase", f"a conference does not go from {conference.phase} to {command.phase}")
    return [PhaseChanged(conference_id=conference.conference_id, phase=command.phase)]
