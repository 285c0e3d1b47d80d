"""`/api/v1/halls`: the registry of halls, and the links that halls open."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from typing import get_args

import msgspec
from aiohttp import web

from bridges.attendance import HallStatus
from bridges.differences import Difference, difference
from bridges.halls import Hall, HallLevel
from bridges.importing import HallUnits, parse_halls
from bridges.workbooks import serialize_halls
from conference.access import ApiClaims
from conference.api.finding import after, question_of
from conference.api.paging import MAX_PAGE, PAGE, page_size
from conference.api.proposals import must_propose, propose
from conference.api.routing import CSV, MAX_IMPORT_BYTES, STAFF, Call, Query, Route
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
from conference.api.turns import AT_ONCE, in_turns
from conference.attendance.standing import hall_status
from conference.commands import ImportHalls
from conference.errors import RejectedError
from conference.events import Event, HallsImported
from conference.lookup import conference_of, hall_of, unit_of
from conference.reach import Reach
from conference.state import State

ORDERS = ("id", "name")
STATUSES: tuple[str, ...] = get_args(HallStatus)
# One request for all halls of a country, and no more work than that.
MAX_LINKS = 100_000


class HallsImportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did, or would do.

    Attributes:
        halls: halls in the file.
        changed: how many of them are new or different.
        dry_run: nothing was written.
        difference: what changes, beside the halls that the caller reaches.
        followed: units of the file that were merged, and stood for what they were merged into.
        proposal_id: the proposal which waits for an organiser, "" where what changed is done.
    """

    halls: int
    changed: int
    dry_run: bool
    difference: DifferenceView
    followed: int = 0
    proposal_id: str = ""


class HallView(msgspec.Struct, frozen=True, kw_only=True):
    """A hall as registered, and how it stands in the conference that was asked for ("" where none was)."""

    hall_id: str
    name: str
    unit: str
    level: HallLevel
    seats: int
    address: str
    contact_name: str
    contact_phone: str
    virtual: bool
    organisation: str
    line: str
    carrier: str
    bandwidth_mbps: int
    devices: str
    status: str = ""
    primary: str = ""
    backup: str = ""


class HallList(msgspec.Struct, frozen=True, kw_only=True):
    """Halls in the order that was asked for; `next` is what `after` is to be for the rest, "" where there is none."""

    halls: list[HallView]
    next: str = ""


class LinkRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which conference the link is for."""

    conference_id: str


class LinkAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The link that a hall opens; it holds the hall's token."""

    link: str
    expires_at_ms: int


class LinksRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which halls' links to make, for which conference."""

    conference_id: str
    hall_ids: list[str]


class LinksAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Links by hall id."""

    links: dict[str, str]
    expires_at_ms: int


async def import_halls(call: Call) -> HallsImportAnswer:
    """Add or replace halls from a table, all or nothing; with `dry_run=1` only say what would change."""
    dry_run = call.query("dry_run", ("0", "1"), default="0") == "1"
    coordinator = call.services.coordinator
    units = HallUnits(
        dict(coordinator.state.units),
        today(call),
        follow_mergers=call.query("follow_mergers", ("0", "1"), default="0") == "1",
    )
    registered = dict(coordinator.state.halls)
    halls, found = await asyncio.to_thread(_read, call.body(bytes), units, registered, call.reach, call.query("sheet"))
    command = ImportHalls(halls=halls, reach=call.claims.unit)
    proposal_id = ""
    if must_propose(call) or call.query("propose", ("0", "1"), default="0") == "1":
        events: Sequence[Event] = coordinator.preview(command)
        if not dry_run:
            proposal_id = await propose(call, halls=halls, withdrawn=[])
    else:
        events = coordinator.preview(command) if dry_run else await coordinator.execute(command, call.claims.actor)
    changed = sum(len(event.halls) for event in events if isinstance(event, HallsImported))
    return HallsImportAnswer(
        halls=len(halls),
        changed=changed,
        dry_run=dry_run,
        difference=view_difference(found),
        followed=units.followed,
        proposal_id=proposal_id,
    )


def _read(
    data: bytes, units: HallUnits, registered: dict[str, Hall], reach: Reach, sheet: str
) -> tuple[list[Hall], Difference]:
    reaches = None if reach.is_whole else reach.has_hall
    halls = parse_halls(data, units, registered, sheet=sheet, reaches=reaches)
    # What is outside of the caller's reach is not told; that he cannot change it, the rules say.
    known = {hall_id: hall for hall_id, hall in registered.items() if reach.has_hall(hall)}
    return halls, difference(known, halls, lambda hall: hall.hall_id)


async def list_halls(call: Call) -> HallList:
    """Halls a page at a time, with their standing in one conference; by search, status and unit."""
    state, reach = call.services.coordinator.state, call.reach
    conference_id, limit = call.query("conference"), page_size(call.query("limit"))
    status = call.query("status", STATUSES)
    if conference_id:
        conference_of(state, conference_id)
    wanted = call.query("unit")
    if wanted:
        reach.require_unit(unit_of(state, wanted).code)
        reach = Reach(state.units, wanted)  # never more than the caller's own, of which it is a part
    found: list[HallView] = []
    for number, hall_id in enumerate(await _listed(call, state)):
        if number % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        hall = state.halls.get(hall_id)
        if hall is None:  # withdrawn meanwhile
            continue
        if reach.has_hall(hall) and (
            not status or status == (hall_status(state, conference_id, hall_id) if conference_id else "")
        ):
            if len(found) == limit:
                return HallList(halls=found, next=found[-1].hall_id)
            found.append(_view(state, hall, conference_id))
    return HallList(halls=found)


async def _listed(call: Call, state: State) -> Sequence[str]:
    """The halls that a list goes through: by id, by name, or those that answer a search."""
    question, order, last = question_of(call.query("search")), call.query("order", ORDERS), call.query("after")
    if question is None and order != "name":
        hall_ids = sorted(state.halls)
        return hall_ids[bisect_right(hall_ids, last) :]
    directory = await call.services.finder.directory(state)
    return after(directory.ordered() if question is None else directory.find(question), last)


async def export_halls(call: Call) -> web.Response:
    """The registry as a table, by name, to be edited and imported again."""
    state, reach = call.services.coordinator.state, call.reach
    halls = state.halls
    ordered = (await call.services.finder.directory(state)).ordered()
    reached = [halls[hall_id] for hall_id in ordered if hall_id in halls and reach.has_hall(halls[hall_id])]
    return await table_response(call, "halls", partial(serialize_halls, reached))


async def make_link(call: Call) -> LinkAnswer:
    """The link of one hall for one conference."""
    conference_id = call.body(LinkRequest).conference_id
    expires_at_s = _expiry_s(call)
    return LinkAnswer(
        link=_link(call, call.path("hall_id"), conference_id, expires_at_s), expires_at_ms=expires_at_s * 1000
    )


async def make_links(call: Call) -> LinksAnswer:
    """The links of many halls at once, for printing."""
    body = call.body(LinksRequest)
    if len(body.hall_ids) > MAX_LINKS:
        raise RejectedError("too_many_halls", f"at most {MAX_LINKS} halls at once", status=422)
    expires_at_s = _expiry_s(call)

    def make(hall_ids: Sequence[str]) -> list[str]:
        return [_link(call, hall_id, body.conference_id, expires_at_s) for hall_id in hall_ids]

    links = dict(zip(body.hall_ids, await in_turns(body.hall_ids, make), strict=True))
    return LinksAnswer(links=links, expires_at_ms=expires_at_s * 1000)


def _expiry_s(call: Call) -> int:
    return call.services.coordinator.now_ms() // 1000 + call.services.config.tokens.hall_s


def _link(call: Call, hall_id: str, conference_id: str, expires_at_s: int) -> str:
    state = call.services.coordinator.state
    conference_of(state, conference_id)
    call.reach.require_hall(hall_of(state, hall_id))
    token = call.services.keys.issue_api_token(
        ApiClaims(sub=hall_id, role="hall", hall=hall_id, conference=conference_id, exp=expires_at_s)
    )
    # In the fragment, so that it is in no request line, no log and no Referer.
    return f"{call.services.public_url()}/hall#token={token}"


def _view(state: State, hall: Hall, conference_id: str) -> HallView:
    status, primary, backup = "", "", ""
    if conference_id:
        status = hall_status(state, conference_id, hall.hall_id)
        seat = state.seat(conference_id, hall.hall_id)
        if seat is not None and not seat.left:
            primary, backup = seat.primary, seat.backup
    return HallView(**msgspec.structs.asdict(hall), status=status, primary=primary, backup=backup)


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/halls/import",
        handler=import_halls,
        summary="Import halls from a table, all or nothing",
        tag="halls",
        roles=frozenset({"organiser", "technician"}),
        scope="reach",
        request=bytes,
        request_media=CSV,
        response=HallsImportAnswer,
        errors=(503,),
        query=(
            DRY_RUN,
            SHEET,
            Query(
                name="follow_mergers",
                text="1: a unit that was merged stands for the one that it was merged into",
                values=("0", "1"),
            ),
            Query(name="propose", text="1: ask an organiser, as a bound technician always does", values=("0", "1")),
        ),
        max_body_bytes=MAX_IMPORT_BYTES,
    ),
    Route(
        method="GET",
        path="/api/v1/halls",
        handler=list_halls,
        summary="Halls, with their standing in one conference",
        tag="halls",
        roles=STAFF,
        scope="reach",
        response=HallList,
        errors=(404, 422, 503),
        query=(
            Query(name="conference", text="conference that status, primary and backup are about"),
            Query(name="status", text="only halls that stand so in the conference", values=STATUSES),
            Query(name="unit", text="only halls of this unit and of everything under it"),
            Query(name="search", text="words without marks in any order, a code or a telephone number; best first"),
            Query(name="order", text="id unless given; a search has an order of its own", values=ORDERS),
            Query(name="limit", text=f"halls in one answer, 1 to {MAX_PAGE}; {PAGE} unless given"),
            Query(name="after", text="only what follows: `next` of the answer before"),
        ),
    ),
    Route(
        method="GET",
        path="/api/v1/halls/export",
        handler=export_halls,
        summary="All halls as a table",
        tag="halls",
        roles=STAFF,
        scope="reach",
        response_media=TABLE_MEDIA,
        errors=(422, 503),
        query=(FORM, LANGUAGE),
    ),
    Route(
        method="POST",
        path="/api/v1/halls/links",
        handler=make_links,
        summary="The links of many halls",
        tag="halls",
        roles=frozenset({"organiser", "technician"}),
        scope="reach",
        request=LinksRequest,
        response=LinksAnswer,
        errors=(404, 503),
        max_body_bytes=8 * 1024 * 1024,
    ),
    Route(
        method="POST",
        path="/api/v1/halls/{hall_id}/link",
        handler=make_link,
        summary="The link of one hall",
        tag="halls",
        roles=frozenset({"organiser", "technician"}),
        scope="reach",
        request=LinkRequest,
        response=LinkAnswer,
        errors=(404, 503),
    ),
)
