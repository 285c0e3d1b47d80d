"""`/api/v1/conferences/{id}/report`: flash and summary report in the form that is asked for, sealed."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from itertools import islice
from typing import cast, get_args

import msgspec
from aiohttp import web

from bridges.units import TreeName
from conference.api.routing import STAFF, Call, Query, Route
from conference.api.turns import AT_ONCE, turns
from conference.attendance.closing import ClosedAttendance, read_closing
from conference.lookup import conference_of, unit_of
from conference.reach import Reach
from conference.reporting.sources import (
    heading_of,
    incidents_of,
    known_halls,
    report_corrections,
    report_halls,
    report_units,
)
from conference.reporting.wire import ReportRequest, frame
from conference.reports.model import Heading, ReportKind
from conference.reports.page import content_security_policy
from conference.reports.rendering import MEDIA_TYPES, ReportFormat
from conference.reports.sealing import FileSeal
from conference.reports.tables import Section
from conference.reports.words import Language
from conference.roster import ConferenceState
from conference.state import State

FORMATS: tuple[str, ...] = get_args(ReportFormat)
KINDS: tuple[str, ...] = get_args(ReportKind)
LANGUAGES: tuple[str, ...] = get_args(Language)
TREES: tuple[str, ...] = get_args(TreeName)
SECTIONS: tuple[str, ...] = get_args(Section)
SEAL_HEADER = "Diemcau-Seal"


class PublicKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Keys with which what this coordinator signed is verified, PEM."""

    keys: list[str]


async def read_report(call: Call) -> web.Response:
    """A report now, also before the end."""
    kind = cast("ReportKind", call.query("kind", KINDS, default="flash"))
    wanted = cast("ReportFormat", call.query("format", FORMATS, default="json"))
    language = cast("Language", call.query("language", LANGUAGES, default="vi"))
    section = call.query("section", SECTIONS)
    coordinator = call.services.coordinator
    conference = conference_of(coordinator.state, call.path("conference_id"))
    tree = cast("TreeName", call.query("tree", TREES, default=conference.reporting))
    unit = call.query("unit") or call.claims.unit
    if unit:
        unit_of(coordinator.state, unit)
        call.reach.require_unit(unit)
    state, now_ms = coordinator.state, coordinator.now_ms()
    heading = heading_of(state, conference, now_ms, kind=kind, tree=tree, unit=unit)
    closing = state.closings.get(conference.conference_id)
    closed = None if closing is None else await asyncio.to_thread(read_closing, closing)
    scope = Reach(state.units, unit)
    request = ReportRequest(
        heading=heading,
        report_format=wanted,
        language=language,
        section=section,
        public_key=call.services.reports.public_key,
        incidents=incidents_of(state, heading, scope),
        corrections=[] if closed is None else report_corrections(state, conference, closed, scope),
    )
    form = await call.services.reports.make(request, report_frames(state, conference, heading, closed))
    return web.Response(body=form.payload, headers=_headers(heading, wanted, form.seal))


async def report_frames(
    state: State, conference: ConferenceState, heading: Heading, closed: ClosedAttendance | None = None
) -> AsyncIterator[bytes]:
    """The units and halls of a report as frames, so many at a time that joins go on meanwhile.

    Args:
        state: the state; what is read of it is of the moment at which it is read.
        conference: which.
        heading: what the report is about.
        closed: the figures at the closing, where there is one: then the report is of these.
    """
    units = state.units if closed is None else closed.units
    scope = Reach(units, heading.unit)
    async for codes in turns(list(units)):
        yield frame(b"U", report_units(units, codes, heading))
    known = known_halls(state, conference) if closed is None else closed.attendances()
    while some := list(islice(known, AT_ONCE)):
        chosen = [each for each in some if scope.has_hall(each.hall)]
        yield frame(b"H", report_halls(state, conference, chosen, units, heading))
        await asyncio.sleep(0)


def _headers(heading: Heading, wanted: ReportFormat, seal: FileSeal) -> dict[str, str]:
    headers = {
        "Content-Type": MEDIA_TYPES[wanted],
        SEAL_HEADER: base64.urlsafe_b64encode(msgspec.json.encode(seal)).decode("ascii"),
    }
    if wanted == "html":
        headers["Content-Security-Policy"] = f"{content_security_policy()}; frame-ancestors 'none'"
    if wanted in ("csv", "xlsx"):
        name = f"{heading.conference_id}-{heading.kind}.{wanted}"
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return headers


async def read_public_keys(call: Call) -> PublicKeys:
    """Keys with which reports are verified."""
    return PublicKeys(keys=call.services.keys.public_keys)


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/conferences/{conference_id}/report",
        handler=read_report,
        summary="The flash or the summary report, sealed",
        tag="conferences",
        roles=STAFF,
        scope="reach",
        response_media=tuple(media_type.partition(";")[0] for media_type in MEDIA_TYPES.values()),
        errors=(403, 404, 422, 500, 503),
        query=(
            Query(name="kind", text="flash unless given", values=KINDS),
            Query(name="format", text="json unless given", values=FORMATS),
            Query(name="language", text="vi unless given; JSON has no language", values=LANGUAGES),
            Query(name="unit", text="only what is below this unit"),
            Query(name="tree", text="how halls are summed; the conference's reporting tree unless given", values=TREES),
            Query(name="section", text="of CSV, one table alone", values=SECTIONS),
        ),
    ),
    Route(
        method="GET",
        path="/api/v1/public-keys",
        handler=read_public_keys,
        summary="Keys with which reports are verified",
        tag="conferences",
        response=PublicKeys,
    ),
)
