"""`/api/v1/conferences/{id}/attendance`: who is there, at every level of both trees, each source apart."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from typing import cast, get_args

import msgspec

from bridges.attendance import Discrepancy, discrepancies
from bridges.units import TreeName
from conference.api.paging import MAX_PAGE, PAGE, page_size
from conference.api.routing import ORGANISER, STAFF, Call, Query, Route
from conference.api.turns import AT_ONCE
from conference.attendance.closing import ClosedAttendance, Correction, corrections, read_closing
from conference.attendance.sources import hall_attendances, marked_absent
from conference.attendance.view import AttendanceView, Summed, attendance_view, summed_now
from conference.commands import CloseAttendance
from conference.errors import RejectedError
from conference.lookup import conference_of, unit_of
from conference.roster import Closing, ConferenceState
from conference.state import State

TREES: tuple[TreeName, ...] = get_args(TreeName)


class DiscrepancyList(msgspec.Struct, frozen=True, kw_only=True):
    """Where sources contradict each other, by hall; `next` is what `after` is to be for the halls that follow."""

    discrepancies: list[Discrepancy]
    next: str = ""


class ClosingView(msgspec.Struct, frozen=True, kw_only=True):
    """When the attendance of a conference was closed, and by whom."""

    conference_id: str
    closed_at_ms: int
    closed_by: str


class CorrectionList(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since the closing, by hall; `next` is what `after` is to be for the halls that follow."""

    conference_id: str
    closed_at_ms: int
    closed_by: str
    corrections: list[Correction]
    next: str = ""


async def read_attendance(call: Call) -> AttendanceView:
    """A unit and the units right below it, now or at the closing."""
    coordinator = call.services.coordinator
    conference = conference_of(coordinator.state, call.path("conference_id"))
    tree, unit = subtree_of(call)
    after, limit = call.query("after"), page_size(call.query("limit"))
    if call.query("closing", ("0", "1"), default="0") == "0":
        summed = summed_now(coordinator.state, conference.conference_id, coordinator.now_ms())
        return attendance_view(conference, summed, tree, unit, after=after, limit=limit)
    closing = _closing_of(coordinator.state, conference.conference_id)
    try:
        return await asyncio.to_thread(_view_closing, conference, closing, tree, unit, after=after, limit=limit)
    except KeyError:
        raise RejectedError("unknown_unit", f"unit {unit} did not exist at the closing", status=404) from None


def _view_closing(
    conference: ConferenceState, closing: Closing, tree: TreeName, unit: str, *, after: str, limit: int
) -> AttendanceView:
    """For a thread: nothing that it reads of a closed conference changes any more."""
    closed = read_closing(closing)
    summed = Summed(rollup=closed.rollup(), units=closed.units, at_ms=closed.at_ms, is_closing=True)
    return attendance_view(conference, summed, tree, unit, after=after, limit=limit)


async def close_attendance(call: Call) -> ClosingView:
    """Close it, once; a repetition is answered with what stands."""
    coordinator, conference_id = call.services.coordinator, call.path("conference_id")
    await coordinator.execute(CloseAttendance(conference_id=conference_id), call.claims.actor)
    closing = _closing_of(coordinator.state, conference_id)
    return ClosingView(conference_id=conference_id, closed_at_ms=closing.at_ms, closed_by=closing.by)


async def list_corrections(call: Call) -> CorrectionList:
    """Of the halls of a unit and of all below it, as they are now or were at the closing."""
    state, limit = call.services.coordinator.state, page_size(call.query("limit"))
    conference = conference_of(state, call.path("conference_id"))
    tree, unit = subtree_of(call)
    closing = _closing_of(state, conference.conference_id)
    closed = await asyncio.to_thread(read_closing, closing)
    found = corrections(state, conference.conference_id, closed)
    if unit:
        inside = set(state.rollups[conference.conference_id].hall_ids_under(tree, unit))
        inside |= await asyncio.to_thread(_closed_under, closed, tree, unit)
        found = [each for each in found if each.hall_id in inside]
    after = call.query("after")
    found = [each for each in found if each.hall_id > after]
    last = found[limit - 1].hall_id if len(found) > limit else ""
    shown = [each for each in found if not last or each.hall_id <= last]
    return CorrectionList(
        conference_id=conference.conference_id,
        closed_at_ms=closing.at_ms,
        closed_by=closing.by,
        corrections=shown,
        next=last if len(shown) < len(found) else "",
    )


def _closed_under(closed: ClosedAttendance, tree: TreeName, unit: str) -> set[str]:
    rollup = closed.rollup()
    return set(rollup.hall_ids_under(tree, unit)) if unit in rollup.order(tree) else set()


def _closing_of(state: State, conference_id: str) -> Closing:
    """The closing of a conference.

    Raises:
        RejectedError: `not_closed` (409) where there is none yet.
    """
    conference_of(state, conference_id)
    closing = state.closings.get(conference_id)
    if closing is None:
        raise RejectedError("not_closed", f"the attendance of {conference_id} is not closed")
    return closing


async def list_discrepancies(call: Call) -> DiscrepancyList:
    """Of the halls of a unit and of all below it, by hall."""
    state, limit = call.services.coordinator.state, page_size(call.query("limit"))
    conference = conference_of(state, call.path("conference_id"))
    tree, unit = subtree_of(call)
    hall_ids = state.rollups[conference.conference_id].hall_ids_under(tree, unit or None)
    absent = marked_absent(state, conference.conference_id)
    found: list[Discrepancy] = []
    for start in range(bisect_right(hall_ids, call.query("after")), len(hall_ids), AT_ONCE):
        some = hall_ids[start : start + AT_ONCE]
        found += discrepancies(hall_attendances(state, conference, some, absent))
        if len(found) >= limit:
            return _page(found, limit, has_more=start + AT_ONCE < len(hall_ids))
        await asyncio.sleep(0)
    return DiscrepancyList(discrepancies=found)


def _page(found: list[Discrepancy], limit: int, *, has_more: bool) -> DiscrepancyList:
    """So many, and whatever else the last hall has: a page ends between two halls."""
    last = found[limit - 1].hall_id
    shown = [each for place, each in enumerate(found) if place < limit or each.hall_id == last]
    return DiscrepancyList(discrepancies=shown, next=last if has_more or len(shown) < len(found) else "")


def subtree_of(call: Call) -> tuple[TreeName, str]:
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


SUBTREE = (
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
        errors=(404, 409, 422, 503),
        query=(
            *SUBTREE,
            Query(name="closing", text="1: the figures at the closing, as they never change", values=("0", "1")),
        ),
    ),
    Route(
        method="POST",
        path="/api/v1/conferences/{conference_id}/close",
        handler=close_attendance,
        summary="Close the attendance of a conference that has ended; what comes later is a correction",
        tag="conferences",
        roles=ORGANISER,
        response=ClosingView,
        errors=(404, 409, 503),
    ),
    Route(
        method="GET",
        path="/api/v1/conferences/{conference_id}/corrections",
        handler=list_corrections,
        summary="What changed since the closing, by hall and source",
        tag="conferences",
        roles=STAFF,
        scope="reach",
        response=CorrectionList,
        errors=(404, 409, 422, 503),
        query=SUBTREE,
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
        query=SUBTREE,
    ),
)
