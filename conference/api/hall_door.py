"""`/api/v1/halls/{checkins,checkin-qr}`, `/api/v1/checkin`: what the pages at a hall's door show: names and counts.

No person is told here, so that nothing has to be noted; the list of names is `/api/v1/halls/roster`.
"""

from __future__ import annotations

import io
import re

import msgspec
import segno
from aiohttp import web

from bridges.attendance import IndividualTotals
from conference.api.problems import RequestError
from conference.api.routing import HALL, POSTER, HallCall, Route
from conference.lookup import conference_of, hall_of

# The page's own `location.origin`: scheme, host and port, and nothing that could lead elsewhere on the way.
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]{1,200}")


class DoorCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How far the check-in of a hall is; `individual` is null where it has no roster."""

    hall_name: str
    conference_title: str
    individual: IndividualTotals | None


class DoorName(msgspec.Struct, frozen=True, kw_only=True):
    """Where the poster hangs, for a delegate to see that it is the right hall."""

    hall_name: str
    conference_title: str


class DoorQrRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the hall's page was opened from."""

    origin: str


async def read_counts(call: HallCall) -> DoorCounts:
    """The hall's figures of individual check-in."""
    claims, state = call.claims, call.services.decider.state
    conference, hall = conference_of(state, claims.conference), hall_of(state, claims.hall)
    checkins = state.checkins.get(conference.conference_id)
    return DoorCounts(
        hall_name=hall.name,
        conference_title=conference.title,
        individual=None if checkins is None else checkins.totals(hall.hall_id),
    )


async def read_name(call: HallCall) -> DoorName:
    """The hall and the conference of a poster."""
    claims, state = call.claims, call.services.decider.state
    conference, hall = conference_of(state, claims.conference), hall_of(state, claims.hall)
    return DoorName(hall_name=hall.name, conference_title=conference.title)


async def draw_link(call: HallCall) -> web.Response:
    """A QR code of the hall's own check-in page, for the phone at its door: the same token as the caller's."""
    origin = call.body(DoorQrRequest).origin
    if not _ORIGIN.fullmatch(origin):
        raise RequestError("bad_parameter", "origin is not scheme://host:port", status=422)
    token = call.request.headers["Authorization"].partition(" ")[2].strip()
    drawn = io.BytesIO()
    # Low correction: it is read from a screen, and each step more makes the modules smaller.
    code = segno.make(f"{origin}/checkin#token={token}", error="l", boost_error=False, micro=False)
    code.save(drawn, kind="svg", border=4, xmldecl=False, omitsize=True, light="#fff")
    return web.Response(body=drawn.getvalue(), content_type="image/svg+xml")


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/halls/checkins",
        handler=read_counts,
        summary="How far the check-in of the hall's delegates is",
        tag="check-in",
        roles=HALL,
        response=DoorCounts,
        errors=(404, 503),
    ),
    Route(
        method="GET",
        path="/api/v1/checkin",
        handler=read_name,
        summary="The hall and the conference of a poster",
        tag="check-in",
        roles=POSTER,
        response=DoorName,
        errors=(404, 503),
    ),
    Route(
        method="POST",
        path="/api/v1/halls/checkin-qr",
        handler=draw_link,
        summary="A QR code of the hall's check-in page, for the phone at its door",
        tag="check-in",
        roles=HALL,
        request=DoorQrRequest,
        response_media=("image/svg+xml",),
        errors=(422,),
    ),
)
