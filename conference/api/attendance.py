"""`/api/v1/conferences/{id}/attendance`: who is there, at every level of both trees, each source apart."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from typing import cast, get_args

import msgspec

from bridges.attendance import Discrepancy, discrepancies
from bridges.units import TreeName
from conference.api.paging import MAX_PAGE, PAGE, page_size
from conference.api.routing import STAFF, Call, Query, Route
from conference.api.turns import AT_ONCE
from conference.attendance_sources import hall_attendances
from conference.attendance_view import AttendanceView, attendance_view
from conference.errors import RejectedError
from conference.lookup import conference_of, unit_of

TREES: tuple[TreeName, ...] = get_args(TreeName)


class DiscrepancyList(msgspec.Struct, frozen=True, kw_only=True):
    """Where sources contradict each other, by hall; `next` is what `after` is to be for the halls that follow."""

    discrepancies: list[Discrepancy]
    next: str = ""


async def read_attendance(call: Call) -> AttendanceView:
    """A unit and the units right below it."""
    coordinator = call.services.coordinator
    conference = conference_of(coordinator.state, call.path("conference_id"))
    tree, unit = _subtree(call)
    return attendance_view(
        coordinator.state,
        conference,
        tree,
        unit,
        coordinator.now_ms(),
        after=call.query("after"),
        limit=page_size(call.query("limit")),
    )


async def list_discrepancies(call: Call) -> DiscrepancyList:
    """Of the halls of a unit and of all below it, by hall."""
    state, limit = call.services.coordinator.state, page_size(call.query("limit"))
    conference = conference_of(state, call.path("conference_id"))
    tree, unit = _subtree(call)
    hall_ids = state.rollups[conference.conference_id].hall_ids_under(tree, unit or None)
    found: list[Discrepancy] = []
    for start in range(bisect_right(hall_ids, call.query("after")), len(hall_ids), AT_ONCE):
        some = [hall_id for hall_id in hall_ids[start : start + AT_ONCE] if hall_id in state.halls]
        found += discrepancies(hall_attendances(state, conference, some))
        if len(found) >= limit:
            return _page(found, limit, has_more=start + AT_ONCE < len(hall_ids))
        await asyncio.sleep(0)
    return DiscrepancyList(discrepancies=found)


def _page(found: list[Discrepancy], limit: int, *, has_more: bool) -> DiscrepancyList:
    """So many, and whatever else the last hall has: a page ends between two halls."""
    last = found[limit - 1].hall_id
    shown = [each for place, each in enumerate(found) if place < limit or each.hall_id == last]
    return DiscrepancyList(discrepancies=shown, next=last if has_more or len(shown) < len(found) else "")


def _subtree(call: Call) -> tuple[TreeName, str]:
    """The tree and the unit of a request: the caller's own unit, or the whole country, where none is named.

    Raises:
        RejectedError: the unit does not exist, is out of the caller's reach, or stands in the other tree.
    """
    state, reach = call.services.coordinator.state, call.reach
    unit = call.query("unit") or reach.unit
    conference = conference_of(state, call.path("conference_id"))
    default = unit_of(state, unit).tree if unit else conference.reporting
    reach.require_unit(unit)
    tree = cast("TreeName", call.query("tree", TREES, default=default))
    if unit and unit_of(state, unit).tree != tree:
        raise RejectedError("wrong_tree", f"unit {unit} is not in the tree of {tree}", status=422)
    return tree, unit


_SUBTREE = (
    Query(name="unit", text="this unit and everything under it; unless given, all that the caller reaches"),
    Query(name="tree", text="tree to sum over: the unit's own, or that in which the halls report", values=TREES),
    Query(name="limit", text=f"entries in one answer, 1 to {MAX_PAGE}; {PAGE} unless given"),
    Query(name="after", text="only what follows: `next` of the answer before"),
)
ROUTES = (
    Route(
        method="GET",
        path="/api/v1/conferences/{conference_id}/attendance",
        handler=read_attendance,
        summary="Attendance of a unit and of the units below it, each source apart",
        tag="conferences",
        roles=STAFF,
        scope="reach",
        response=AttendanceView,
        errors=(404, 422, 503),
        query=_SUBTREE,
    ),
    Route(
        method="GET",
        path="/api/v1/conferences/{conference_id}/discrepancies",
        handler=list_discrepancies,
        summary="Where the sources contradict each other, by hall",
        tag="conferences",
        roles=STAFF,
        scope="reach",
        response=DiscrepancyList,
        errors=(404, 422, 503),
        query=_SUBTREE,
    ),
)
