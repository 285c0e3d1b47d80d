"""`/api/v1/units`: organisation units and their kinds, as they are and as they were."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import cast, get_args

import msgspec
from aiohttp import web

from bridges.differences import Difference, difference
from bridges.directory import find_units
from bridges.unit_kinds import UnitKind, kinds_by_name, load_unit_kinds
from bridges.unit_tables import parse_units
from bridges.units import TreeName, Unit, successor_of, units_on, with_version
from bridges.workbooks import serialize_units
from conference.api.finding import question_of
from conference.api.problems import RequestError
from conference.api.routing import CSV, MAX_IMPORT_BYTES, ORGANISER, STAFF, Call, Query, Route
from conference.api.tables import (
    DRY_RUN,
    FORM,
    LANGUAGE,
    SHEET,
    TABLE_MEDIA,
    DifferenceView,
    table_response,
    today,
    view_difference,
)
from conference.commands import ImportUnits
from conference.events import UnitsImported
from conference.lookup import unit_of

TREES: tuple[str, ...] = get_args(TreeName)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class UnitsImportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Units in the file, how many of them are new or different, and what that changes."""

    units: int
    changed: int
    dry_run: bool
    difference: DifferenceView


class UnitList(msgspec.Struct, frozen=True, kw_only=True):
    """Units, by code; where they were searched for, by name."""

    units: list[Unit]


class UnitAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One unit: what stood under its code over time, what stands above and right below it, what took its place.

    Attributes:
        unit: as it is registered.
        path: from the root down to the unit.
        children: units right below it that have not ended.
        halls: halls of the unit itself.
        successor: unit that stands today where it stood, or null; itself while it is in force.
        merged_from: units that were merged into it.
    """

    unit: Unit
    path: list[Unit]
    children: list[Unit]
    halls: int
    successor: Unit | None
    merged_from: list[Unit]


class KindList(msgspec.Struct, frozen=True, kw_only=True):
    """Kinds of units, by tree and level."""

    kinds: list[UnitKind]


async def import_units(call: Call) -> UnitsImportAnswer:
    """Add or replace units from a table, all or nothing; with `dry_run=1` only say what would change."""
    dry_run = call.query("dry_run", ("0", "1"), default="0") == "1"
    coordinator = call.services.coordinator
    known = dict(coordinator.state.units)
    # A big file takes longer than a heartbeat to parse; on a thread the loop still hears the relays.
    units, found = await asyncio.to_thread(_read, call.body(bytes), known, call.query("sheet"))
    command = ImportUnits(units=units)
    events = coordinator.preview(command) if dry_run else await coordinator.execute(command, call.claims.actor)
    changed = sum(len(event.units) for event in events if isinstance(event, UnitsImported))
    return UnitsImportAnswer(units=len(units), changed=changed, dry_run=dry_run, difference=view_difference(found))


def _read(data: bytes, known: dict[str, Unit], sheet: str) -> tuple[list[Unit], Difference]:
    units = parse_units(data, known, kinds_by_name(load_unit_kinds()), sheet=sheet)
    after = [with_version(known.get(unit.code), unit) for unit in units]
    return units, difference(known, after, lambda unit: unit.code)


async def list_units(call: Call) -> UnitList:
    """Units, all of them or those of one tree, as they are registered or as they stood on a day.

    By code; those that answer a search by name.
    """
    units, question = _units(call), question_of(call.query("search"))
    return UnitList(units=units if question is None else await asyncio.to_thread(find_units, units, question))


async def export_units(call: Call) -> web.Response:
    """Units as a table, to be edited and imported again."""
    return await table_response(call, "units", partial(serialize_units, _units(call)))


def _units(call: Call) -> list[Unit]:
    units = call.services.coordinator.state.units
    tree, on = call.query("tree", TREES), call.query("on")
    if on and _DAY.fullmatch(on) is None:
        raise RequestError("bad_parameter", f"on is {on[:40]!r}; expected a day, YYYY-MM-DD", status=422)
    if not on:
        return [units[code] for code in sorted(units) if tree in ("", units[code].tree)]
    found: list[Unit] = []
    for each in [tree] if tree else TREES:
        found += units_on(units, on, cast("TreeName", each))
    return sorted(found, key=lambda unit: unit.code)


async def read_unit(call: Call) -> UnitAnswer:
    """One unit with what stands around it."""
    state = call.services.coordinator.state
    unit = unit_of(state, call.path("code"))
    call.reach.require_unit(unit.code)
    path, seen = [unit], {unit.code}
    while path[0].parent in state.units and path[0].parent not in seen:
        seen.add(path[0].parent)
        path.insert(0, state.units[path[0].parent])
    below = [state.units[code] for code in sorted(state.units) if state.units[code].parent == unit.code]
    return UnitAnswer(
        unit=unit,
        path=path,
        children=[each for each in below if not each.valid_to or today(call) <= each.valid_to],
        halls=sum(1 for hall in state.halls.values() if unit.code in (hall.unit, hall.organisation)),
        successor=successor_of(state.units, unit.code, today(call)),
        merged_from=[
            version for each in state.units.values() for version in each.versions if version.merged_into == unit.code
        ],
    )


async def list_kinds(_call: Call) -> KindList:
    """The kinds of units that are known, with the days of their validity."""
    return KindList(kinds=load_unit_kinds())


_WHICH = (
    Query(name="tree", text="only units of this tree", values=TREES),
    Query(name="on", text="as they stood on this day, YYYY-MM-DD; as they are registered unless given"),
)
ROUTES = (
    Route(
        method="POST",
        path="/api/v1/units/import",
        handler=import_units,
        summary="Import units from a table (code, name, kind, parent, …), all or nothing",
        tag="units",
        roles=ORGANISER,
        request=bytes,
        request_media=CSV,
        response=UnitsImportAnswer,
        errors=(503,),
        query=(DRY_RUN, SHEET),
        max_body_bytes=MAX_IMPORT_BYTES,
    ),
    Route(
        method="GET",
        path="/api/v1/units",
        handler=list_units,
        summary="Units, as they are registered or as they stood on a day",
        tag="units",
        roles=STAFF,
        scope="open",
        response=UnitList,
        errors=(422, 503),
        query=(Query(name="search", text="words without marks in any order, or a code"), *_WHICH),
    ),
    Route(
        method="GET",
        path="/api/v1/units/export",
        handler=export_units,
        summary="Units as a table",
        tag="units",
        roles=STAFF,
        scope="open",
        response_media=TABLE_MEDIA,
        errors=(422, 503),
        query=(*_WHICH, FORM, LANGUAGE),
    ),
    Route(
        method="GET",
        path="/api/v1/units/kinds",
        handler=list_kinds,
        summary="Kinds of units, with the days of their validity",
        tag="units",
        roles=STAFF,
        scope="open",
        response=KindList,
        errors=(503,),
    ),
    Route(
        method="GET",
        path="/api/v1/units/{code}",
        handler=read_unit,
        summary="One unit: above, below, before and after it",
        tag="units",
        roles=STAFF,
        scope="reach",
        response=UnitAnswer,
        errors=(404, 503),
    ),
)
