"""`/api/v1/conferences/{id}/rehearsal`: what became of a dress rehearsal (tổng duyệt), beside the one before."""

from __future__ import annotations

import msgspec

from conference.api.attendance import subtree_of
from conference.api.paging import MAX_PAGE, PAGE, page_size
from conference.api.readiness import judged
from conference.api.routing import STAFF, Call, Query, Route
from conference.api.turns import in_turns
from conference.errors import RejectedError
from conference.lookup import conference_of
from conference.readiness.board import CHANGES, compare
from conference.readiness.rehearsals import RehearsalTotals, RehearsedHall, rehearsal_before, rehearsed, totals_of


class RehearsalView(msgspec.Struct, frozen=True, kw_only=True):
    """A rehearsal.

    Attributes:
        rehearsal_of: the conference that it is of.
        totals: of the unit that was asked for.
        before: the rehearsal before, or "".
        totals_before: of that, None where there was none.
        changes: halls by kind of change from it.
        halls: by id, a page of them.
        next: what `after` is to be for the halls that follow, "" where there are none.
    """

    conference_id: str
    title: str
    phase: str
    rehearsal_of: str
    at_ms: int
    totals: RehearsalTotals
    before: str
    totals_before: RehearsalTotals | None
    changes: dict[str, int]
    halls: list[RehearsedHall]
    next: str = ""


async def read_rehearsal(call: Call) -> RehearsalView:
    """Who took part, who did not, quality, interruptions, sign-offs, and what changed."""
    coordinator = call.services.coordinator
    conference_id, limit = call.path("conference_id"), page_size(call.query("limit"))
    conference = conference_of(coordinator.state, conference_id)
    if conference.kind != "rehearsal":
        raise RejectedError("no_rehearsal", f"{conference_id} is no rehearsal", status=404)
    before = rehearsal_before(coordinator.state, conference)
    halls = await _rehearsed(call, conference_id)
    past = await _rehearsed(call, before) if before else []
    changes = compare([each.hall for each in past], [each.hall for each in halls]) if before else []
    kinds = [each.change for each in changes]
    took, wanted = call.query("took_part", ("yes", "no")), call.query("after")
    chosen = [each for each in halls if each.hall.hall_id > wanted and (not took or each.took_part == (took == "yes"))]
    return RehearsalView(
        conference_id=conference_id,
        title=conference.title,
        phase=conference.phase,
        rehearsal_of=conference.rehearsal_of,
        at_ms=coordinator.now_ms(),
        totals=totals_of(halls),
        before=before,
        totals_before=totals_of(past) if before else None,
        changes={change: kinds.count(change) for change in CHANGES} if before else {},
        halls=chosen[:limit],
        next=chosen[limit - 1].hall.hall_id if len(chosen) > limit else "",
    )


async def _rehearsed(call: Call, conference_id: str) -> list[RehearsedHall]:
    """The halls of the unit that was asked for, in one session."""
    coordinator = call.services.coordinator
    conference = conference_of(coordinator.state, conference_id)
    halls = await judged(call, [conference_id], *subtree_of(call))
    now_ms = coordinator.now_ms()
    return await in_turns(halls, lambda some: rehearsed(coordinator.state, conference, some, now_ms))


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/conferences/{conference_id}/rehearsal",
        handler=read_rehearsal,
        summary="What became of a dress rehearsal",
        tag="readiness",
        roles=STAFF,
        scope="reach",
        response=RehearsalView,
        errors=(404, 422, 503),
        query=(
            Query(name="unit", text="this unit and everything under it; unless given, all that the caller reaches"),
            Query(name="tree", text="the unit's own unless given", values=("organisation", "territory")),
            Query(name="took_part", text="only halls that took part, or that did not", values=("no", "yes")),
            Query(name="limit", text=f"halls in one answer, 1 to {MAX_PAGE}; {PAGE} unless given"),
            Query(name="after", text="only what follows: `next` of the answer before"),
        ),
    ),
)
