"""`/api/v1/conferences/{id}/readiness…`: which halls are ready, whom to phone, what changed, and who signs off."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast, get_args

import msgspec
from aiohttp import web

from bridges.readiness import STATES, Readiness
from bridges.tables import serialize_table
from bridges.units import TreeName
from bridges.xlsx_writing import Sheet, serialize_workbook
from conference.access import Role
from conference.api.attendance import subtree_of
from conference.api.paging import MAX_PAGE, PAGE, page_size
from conference.api.routing import STAFF, Call, Query, Route
from conference.api.turns import in_turns
from conference.commands import SignOffReadiness
from conference.errors import RejectedError
from conference.lookup import conference_of, hall_of
from conference.readiness.board import (
    CHANGES,
    HallChange,
    HallReadiness,
    ReadinessCounts,
    call_list,
    collect,
    compare,
    count,
    count_children,
    judge_all,
)
from conference.readiness.readying import hall_readiness, sessions_of
from conference.readiness.rehearsals import rehearsal_before
from conference.readiness.tables import (
    CALL_HEADINGS,
    CALL_WIDTHS,
    CHANGE_HEADINGS,
    Language,
    call_rows,
    change_rows,
)

FORMATS = ("json", "csv", "xlsx")
LANGUAGES: tuple[Language, ...] = get_args(Language)
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# Whoever answers for halls; an operator looks after relays.
SIGNERS: frozenset[Role] = frozenset({"organiser", "technician"})


class ReadinessView(msgspec.Struct, frozen=True, kw_only=True):
    """How ready a unit is, the units right below it, and its halls by id.

    Attributes:
        total: of all halls of the unit, whatever was asked for.
        children: of the units right below it, in Vietnamese order.
        halls: those that were asked for, a page of them.
        next: what `after` is to be for the halls that follow, "" where there are none.
    """

    conference_id: str
    at_ms: int
    tree: TreeName
    total: ReadinessCounts
    children: list[ReadinessCounts]
    halls: list[HallReadiness]
    next: str = ""


class CallList(msgspec.Struct, frozen=True, kw_only=True):
    """Halls that somebody has to see to, by province and name."""

    conference_id: str
    at_ms: int
    halls: list[HallReadiness]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What changed from another session, worst news first; `counts` by kind of change."""

    conference_id: str
    before: str
    at_ms: int
    counts: dict[str, int]
    halls: list[HallChange]


class SignOffBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is answered for: a hall, or a unit with everything under it; or that is taken back."""

    hall_id: str = ""
    unit: str = ""
    note: str = ""
    withdrawn: bool = False


class SignOffAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether anything changed, and of a hall how ready it is now."""

    changed: bool
    readiness: Readiness | None = None


async def read_readiness(call: Call) -> ReadinessView:
    """Counts of a unit and of those below it, and its halls by state and reason."""
    state, limit = call.services.coordinator.state, page_size(call.query("limit"))
    conference_id = call.path("conference_id")
    wanted, reason = call.query("state", STATES), call.query("reason")
    tree, unit = subtree_of(call)
    halls = await judged(call, sessions_of(state, conference_id), tree, unit)
    names = {code: each.name for code, each in state.units.items()}
    chosen = [
        hall
        for hall in halls
        if hall.hall_id > call.query("after")
        and (not wanted or hall.readiness.state == wanted)
        and (not reason or any(each.code == reason for each in hall.readiness.reasons))
    ]
    return ReadinessView(
        conference_id=conference_id,
        at_ms=call.services.coordinator.now_ms(),
        tree=tree,
        total=count(halls, unit, names.get(unit, "")),
        children=count_children(halls, state.places.order(tree), tree, unit, names),
        halls=chosen[:limit],
        next=chosen[limit - 1].hall_id if len(chosen) > limit else "",
    )


async def read_calls(call: Call) -> CallList | web.Response:
    """The call list, as JSON or as a table."""
    wanted, language = call.query("format", FORMATS, default="json"), _language(call)
    conference_id = call.path("conference_id")
    state = call.services.coordinator.state
    halls = await judged(call, sessions_of(state, conference_id), *subtree_of(call))
    found = await asyncio.to_thread(call_list, halls)
    if wanted == "json":
        return CallList(conference_id=conference_id, at_ms=call.services.coordinator.now_ms(), halls=found)
    rows = await asyncio.to_thread(call_rows, found, language)
    return await _table(f"{conference_id}-calls", wanted, CALL_HEADINGS[language], rows, CALL_WIDTHS)


async def read_comparison(call: Call) -> Comparison | web.Response:
    """What changed since another session; the rehearsal before unless one is named."""
    wanted, language = call.query("format", FORMATS, default="json"), _language(call)
    coordinator = call.services.coordinator
    state, conference_id = coordinator.state, call.path("conference_id")
    before = call.query("before") or rehearsal_before(state, conference_of(state, conference_id))
    if not before:
        raise RejectedError("no_rehearsal", f"{conference_id} has no rehearsal to be compared with", status=404)
    conference_of(state, before)
    tree, unit = subtree_of(call)
    # Each session by itself: what was checked in one of them must not stand in for the other.
    past, now = [await judged(call, [session], tree, unit) for session in (before, conference_id)]
    changes = await asyncio.to_thread(compare, past, now)
    if wanted == "json":
        kinds = [each.change for each in changes]
        counts: dict[str, int] = {change: kinds.count(change) for change in CHANGES}
        at_ms = coordinator.now_ms()
        return Comparison(conference_id=conference_id, before=before, at_ms=at_ms, counts=counts, halls=changes)
    rows = change_rows(changes, language)
    return await _table(f"{conference_id}-compare", wanted, CHANGE_HEADINGS[language], rows)


async def sign_off(call: Call) -> SignOffAnswer:
    """Answer for a hall or a unit."""
    body, coordinator = call.body(SignOffBody), call.services.coordinator
    conference_id, state = call.path("conference_id"), coordinator.state
    if body.hall_id:
        call.reach.require_hall(hall_of(state, body.hall_id))
    else:
        call.reach.require_unit(body.unit)
    command = SignOffReadiness(
        conference_id=conference_id,
        hall_id=body.hall_id,
        unit=body.unit,
        by=call.claims.actor,
        note=body.note,
        withdrawn=body.withdrawn,
    )
    events = await coordinator.execute(command, call.claims.actor)
    if not body.hall_id:
        return SignOffAnswer(changed=bool(events))
    state = coordinator.state
    sessions = sessions_of(state, conference_id)
    readiness = hall_readiness(state, sessions, body.hall_id, call.services.thresholds, coordinator.now_ms())
    return SignOffAnswer(changed=bool(events), readiness=readiness)


async def judged(call: Call, sessions: Sequence[str], tree: TreeName, unit: str) -> list[HallReadiness]:
    """The halls of a unit by id; taken out of the state in turns, and judged beside the loop.

    Args:
        call: names the conference.
        sessions: whose pre-checks and sign-offs count.
        tree: in which the unit stands.
        unit: with all below it; all halls for "".
    """
    coordinator = call.services.coordinator
    state = coordinator.state
    rollup = state.rollups[call.path("conference_id")]
    hall_ids = rollup.hall_ids_under(tree, unit or None)
    checks = await in_turns(hall_ids, lambda some: collect(state, sessions, some))
    return await asyncio.to_thread(judge_all, checks, call.services.thresholds, coordinator.now_ms())


def _language(call: Call) -> Language:
    return cast("Language", call.query("language", LANGUAGES, default="vi"))


async def _table(
    name: str, wanted: str, headings: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[float] = ()
) -> web.Response:
    if wanted == "csv":
        body = await asyncio.to_thread(serialize_table, headings, rows)
    else:
        sheet = Sheet(name="readiness", headings=headings, rows=rows, widths=widths, wraps=True)
        body = await asyncio.to_thread(serialize_workbook, [sheet])
    media_type = "text/csv; charset=utf-8" if wanted == "csv" else XLSX
    disposition = f'attachment; filename="{name}.{wanted}"'
    return web.Response(body=body, headers={"Content-Type": media_type, "Content-Disposition": disposition})


_SUBTREE = (
    Query(name="unit", text="this unit and everything under it; unless given, all that the caller reaches"),
    Query(
        name="tree", text="the unit's own unless given, or that in which the halls report", values=get_args(TreeName)
    ),
)
_FORMS = (
    Query(name="format", text="json unless given", values=FORMATS),
    Query(name="language", text="of a table; vi unless given", values=LANGUAGES),
)
ROUTES = (
    Route(
        method="GET",
        path="/api/v1/conferences/{conference_id}/readiness",
        handler=read_readiness,
        summary="Which halls are ready for the day",
        tag="readiness",
        roles=STAFF,
        scope="reach",
        response=ReadinessView,
        errors=(404, 422, 503),
        query=(
            *_SUBTREE,
            Query(name="state", text="only halls in this state", values=STATES),
            Query(name="reason", text="only halls with this reason, by its code"),
            Query(name="limit", text=f"halls in one answer, 1 to {MAX_PAGE}; {PAGE} unless given"),
            Query(name="after", text="only what follows: `next` of the answer before"),
        ),
    ),
    Route(
        method="GET",
        path="/api/v1/conferences/{conference_id}/readiness/calls",
        handler=read_calls,
        summary="Whom to phone before the day",
        tag="readiness",
        roles=STAFF,
        scope="reach",
        response=CallList,
        response_media=("application/json", "text/csv", XLSX),
        errors=(404, 422, 503),
        query=(*_SUBTREE, *_FORMS),
    ),
    Route(
        method="GET",
        path="/api/v1/conferences/{conference_id}/readiness/comparison",
        handler=read_comparison,
        summary="What changed since the rehearsal before",
        tag="readiness",
        roles=STAFF,
        scope="reach",
        response=Comparison,
        response_media=("application/json", "text/csv", XLSX),
        errors=(404, 422, 503),
        query=(*_SUBTREE, *_FORMS, Query(name="before", text="the session to compare with; the last rehearsal")),
    ),
    Route(
        method="POST",
        path="/api/v1/conferences/{conference_id}/readiness/signoff",
        handler=sign_off,
        summary="Answer for a hall or a unit, or take that back",
        tag="readiness",
        roles=SIGNERS,
        scope="reach",
        request=SignOffBody,
        response=SignOffAnswer,
        errors=(404, 409, 503),
    ),
)
