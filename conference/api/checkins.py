"""`/api/v1/halls/{checkins,checkin,marks}` and `/api/v1/checkin`: delegates are checked in one by one.

The hall and the conference come from the token: a hall's own, or that of the poster at its door, which opens nothing
else.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bridges.checkin_messages import (
    MAX_CHECKINS,
    CheckinAnswer,
    CheckinBatch,
    CheckinOutcome,
    MarkAnswer,
    MarkBatch,
    MarkKind,
    SingleCheckin,
)
from bridges.messages import SCHEMA
from conference.access import ApiClaims
from conference.api.attendance import SUBTREE, subtree_of
from conference.api.paging import page_size
from conference.api.problems import RequestError
from conference.api.routing import HALL, POSTER, STAFF, Call, HallCall, Route
from conference.checkin.checkins import Checkins
from conference.lookup import conference_of, hall_of

# A thousand codes of 177 digits with what is around them, and as much room again.
MAX_BATCH_BYTES = 512 * 1024
MAX_AFTER_DIGITS = 7  # of a delegate's number


class PosterRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which conference a poster is for."""

    conference_id: str


class PosterAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the QR code of a hall's poster says."""

    link: str
    expires_at_ms: int


class CheckinConflict(msgspec.Struct, frozen=True, kw_only=True):
    """A delegate about whom devices or the technician say two things; for people to settle, present once all the same.

    Attributes:
        number: the delegate's.
        hall_id: whose roster they are on.
        halls: the halls where they were scanned, ascending.
        counted_at: of these, that of the scan that counts.
        marked: what the technician says, "none" where nothing.
    """

    number: int
    hall_id: str
    halls: list[str]
    counted_at: str
    marked: MarkKind


class CheckinConflicts(msgspec.Struct, frozen=True, kw_only=True):
    """Conflicts by number, ascending; `next` is what `after` is to be for those that follow."""

    conflicts: list[CheckinConflict]
    next: str = ""


async def check_in_batch(call: HallCall) -> CheckinAnswer:
    """What a hall's device scanned, now or hours ago."""
    body = call.body(CheckinBatch)
    _require(body.schema, len(body.checkins))
    return CheckinAnswer(results=await call.services.checkins.check_in(call.claims, body.checkins))


async def check_in_one(call: HallCall) -> CheckinOutcome:
    """One scan of a hall's device."""
    body = call.body(SingleCheckin)
    _require(body.schema, 1)
    return (await call.services.checkins.check_in(call.claims, [body]))[0]


async def check_in_oneself(call: HallCall) -> CheckinOutcome:
    """A delegate's own phone, at the hall whose poster it read."""
    body = call.body(SingleCheckin)
    _require(body.schema, 1)
    return (await call.services.checkins.check_in(call.claims, [body], method="self"))[0]


async def mark(call: HallCall) -> MarkAnswer:
    """What the hall's technician says of its delegates."""
    body = call.body(MarkBatch)
    _require(body.schema, len(body.marks))
    return MarkAnswer(results=await call.services.checkins.mark(call.claims, body.marks))


async def list_conflicts(call: Call) -> CheckinConflicts:
    """Who was scanned elsewhere than at the hall of their roster, or is present and marked absent."""
    state, limit = call.services.coordinator.state, page_size(call.query("limit"))
    conference_id = conference_of(state, call.path("conference_id")).conference_id
    tree, unit = subtree_of(call)
    after = call.query("after")
    if not (after == "" or (after.isascii() and after.isdigit() and len(after) <= MAX_AFTER_DIGITS)):
        raise RequestError("bad_parameter", "after is the `next` of the answer before", status=422)
    inside = set(state.rollups[conference_id].hall_ids_under(tree, unit or None))
    found: list[CheckinConflict] = []
    for conflict in settle(state.checkins.get(conference_id), int(after or 0)):
        if conflict.hall_id in inside:
            found.append(conflict)
            if len(found) > limit:
                break
    more = str(found[limit - 1].number) if len(found) > limit else ""
    return CheckinConflicts(conflicts=found[:limit], next=more)


def settle(checkins: Checkins | None, after: int) -> Iterator[CheckinConflict]:
    """The conflicts of all halls, for people to settle, behind a number."""
    if checkins is None:
        return
    halls = {conflict.number: conflict.halls for conflict in checkins.conflicts()}
    for number in sorted({*halls, *checkins.marked_absent()}):
        known = checkins.delegate(number) if number > after else None
        if known is not None and known.scan is not None:
            yield CheckinConflict(
                number=number,
                hall_id=known.hall_id,
                halls=list(halls.get(number, (known.scan.hall_id,))),
                counted_at=known.scan.hall_id,
                marked=known.mark,
            )


async def make_poster(call: Call) -> PosterAnswer:
    """The link for the poster of one hall, good as long as the hall's own."""
    return poster_link(call, call.path("hall_id"), call.body(PosterRequest).conference_id)


def poster_link(call: Call, hall_id: str, conference_id: str) -> PosterAnswer:
    """The link for the poster of a hall that the caller reaches.

    Raises:
        RejectedError: `unknown_conference`, `unknown_hall` or `out_of_reach`.
    """
    state = call.services.coordinator.state
    conference_of(state, conference_id)
    hall = hall_of(state, hall_id)
    call.reach.require_hall(hall)
    expires_at_s = call.services.coordinator.now_ms() // 1000 + call.services.config.tokens.hall_s
    claims = ApiClaims(sub=hall.hall_id, role="poster", hall=hall.hall_id, conference=conference_id, exp=expires_at_s)
    # In the fragment, so that it is in no request line, no log and no Referer.
    link = f"{call.services.public_url()}/checkin#hall={call.services.keys.issue_api_token(claims)}"
    return PosterAnswer(link=link, expires_at_ms=expires_at_s * 1000)


def _require(schema: int, size: int) -> None:
    if schema != SCHEMA:
        raise RequestError("schema", f"this program speaks schema {SCHEMA}, not {schema}", status=422)
    if size > MAX_CHECKINS:
        raise RequestError("too_many", f"at most {MAX_CHECKINS} at once", status=422)


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/halls/checkins",
        handler=check_in_batch,
        summary="Check delegates in, at most 1,000",
        tag="check-in",
        roles=HALL,
        request=CheckinBatch,
        response=CheckinAnswer,
        errors=(404, 409, 503),
        max_body_bytes=MAX_BATCH_BYTES,
    ),
    Route(
        method="POST",
        path="/api/v1/halls/checkin",
        handler=check_in_one,
        summary="Check one delegate in",
        tag="check-in",
        roles=HALL,
        request=SingleCheckin,
        response=CheckinOutcome,
        errors=(404, 409, 503),
    ),
    Route(
        method="POST",
        path="/api/v1/halls/marks",
        handler=mark,
        summary="Mark delegates of the hall: present, excused, unexcused, exempt, none, void",
        tag="check-in",
        roles=HALL,
        request=MarkBatch,
        response=MarkAnswer,
        errors=(404, 409, 503),
        max_body_bytes=MAX_BATCH_BYTES,
    ),
    Route(
        method="POST",
        path="/api/v1/checkin",
        handler=check_in_oneself,
        summary="Check oneself in, at the hall of a poster",
        tag="check-in",
        roles=POSTER,
        request=SingleCheckin,
        response=CheckinOutcome,
        errors=(404, 409, 503),
    ),
)
STAFF_ROUTES = (
    Route(
        method="GET",
        path="/api/v1/conferences/{conference_id}/checkins/conflicts",
        handler=list_conflicts,
        summary="Delegates about whom scans or marks contradict each other",
        tag="check-in",
        roles=STAFF,
        scope="reach",
        response=CheckinConflicts,
        errors=(404, 422, 503),
        query=SUBTREE,
    ),
    Route(
        method="POST",
        path="/api/v1/halls/{hall_id}/poster",
        handler=make_poster,
        summary="The link that the poster of a hall shows as a QR code",
        tag="check-in",
        roles=frozenset({"organiser", "technician"}),
        scope="reach",
        request=PosterRequest,
        response=PosterAnswer,
        errors=(404, 503),
    ),
)
