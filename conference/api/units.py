"""`/api/v1/units`: organisation units."""

from __future__ import annotations

import asyncio

import msgspec

from bridges.directory import find_units
from bridges.importing import parse_units_csv
from bridges.units import Unit
from conference.api.finding import question_of
from conference.api.routing import CSV, MAX_IMPORT_BYTES, ORGANISER, STAFF, Call, Query, Route
from conference.commands import ImportUnits
from conference.events import UnitsImported


class UnitsImportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Units in the file, and how many of them were new or different."""

    units: int
    changed: int


class UnitList(msgspec.Struct, frozen=True, kw_only=True):
    """Units, by code; where they were searched for, by name."""

    units: list[Unit]


async def import_units(call: Call) -> UnitsImportAnswer:
    """Add or replace units from CSV, all or nothing."""
    known = frozenset(call.services.coordinator.state.units)
    # A big file takes longer than a heartbeat to parse; on a thread the loop still hears the relays.
    units = await asyncio.to_thread(parse_units_csv, call.body(bytes), known)
    events = await call.services.coordinator.execute(ImportUnits(units=units), call.claims.actor)
    changed = sum(len(event.units) for event in events if isinstance(event, UnitsImported))
    return UnitsImportAnswer(units=len(units), changed=changed)


async def list_units(call: Call) -> UnitList:
    """Units by code; those that answer a search by name."""
    units, question = call.services.coordinator.state.units, question_of(call.query("search"))
    if question is None:
        return UnitList(units=[units[code] for code in sorted(units)])
    return UnitList(units=await asyncio.to_thread(find_units, list(units.values()), question))


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/units/import",
        handler=import_units,
        summary="Import units from CSV (code, name, kind, parent), all or nothing",
        tag="units",
        roles=ORGANISER,
        request=bytes,
        request_media=CSV,
        response=UnitsImportAnswer,
        errors=(503,),
        max_body_bytes=MAX_IMPORT_BYTES,
    ),
    Route(
        method="GET",
        path="/api/v1/units",
        handler=list_units,
        summary="All units",
        tag="units",
        roles=STAFF,
        scope="open",
        response=UnitList,
        errors=(422, 503),
        query=(Query(name="search", text="words without marks in any order, or a code"),),
    ),
)
