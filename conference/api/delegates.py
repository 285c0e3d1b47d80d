"""`/api/v1/conferences/{id}/delegates`: rosters, for staff within their reach.

Nobody is given a name before it is durable in the journal that they were.
"""

from __future__ import annotations

import asyncio
import re

import msgspec
from aiohttp import web

from bridges.person import Person, PersonKind
from bridges.rosters import Known, parse_roster, serialize_roster_template
from conference.access import Role
from conference.api.problems import RequestError
from conference.api.routing import CSV, MAX_IMPORT_BYTES, STAFF, Call, Query, Route
from conference.api.tables import SHEET
from conference.commands import ReissueCodes, WithdrawDelegates
from conference.errors import RejectedError
from conference.lookup import conference_of, hall_of, unit_of
from conference.people.difference import RosterDifference
from conference.people.reading import Listed, Standing
from conference.reach import Reach

PAGE = 500
MAX_PAGE = 5_000
MAX_NUMBERS = 10_000
# Of a difference; enough for a person to see what is about to happen.
SHOWN = 200
_CURSOR = re.compile(r"([A-Za-z0-9._-]{1,64}):([0-9]{1,9})")
PATH = "/api/v1/conferences/{conference_id}/delegates"
IMPORTERS: frozenset[Role] = frozenset({"organiser", "technician"})


class DelegateView(msgspec.Struct, frozen=True, kw_only=True):
    """A delegate, and how they stand; names are "" of somebody who was erased.

    Attributes:
        number: within the conference.
        hall_id: whose roster.
        standing: by individual check-in and the technician's marks.
        by: how they are present: `qr`, `self` or `proxy`; "" for somebody who is not.
        checked_in_at_ms: when, by the scan that counts; 0 without one.
        withdrawn: on no roster any more.
    """

    number: int
    hall_id: str
    name: str
    external_id: str
    position: str
    organisation: str
    kind: PersonKind
    phone: str
    standing: Standing
    by: str
    checked_in_at_ms: int
    withdrawn: bool


class DelegateList(msgspec.Struct, frozen=True, kw_only=True):
    """Delegates hall by hall, by given name; `next` is what `after` is to be for those that follow, or ""."""

    delegates: list[DelegateView]
    next: str = ""


class RosterChange(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one person of a roster."""

    change: str
    number: int
    hall_id: str
    name: str


class RosterAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a roster changed, or would change.

    Attributes:
        people: in the file.
        added: new ones.
        changed: whose fields differ.
        moved: who come from another hall's roster.
        returned: who had been withdrawn.
        unchanged: the rest.
        dry_run: nothing was written.
        changes: the first of them, in that order.
    """

    people: int
    added: int
    changed: int
    moved: int
    returned: int
    unchanged: int
    dry_run: bool
    changes: list[RosterChange]


class NumbersRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which delegates."""

    numbers: list[int]


class MoveRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which delegates are to be on which hall's roster."""

    numbers: list[int]
    hall_id: str


async def import_roster(call: Call) -> RosterAnswer:
    """Add or change delegates from a table, all or nothing; with `dry_run=1` only say what would change."""
    dry_run = call.query("dry_run", ("0", "1"), default="0") == "1"
    conference_id, reach = call.path("conference_id"), call.reach
    halls = call.services.coordinator.state.halls
    conference_of(call.services.coordinator.state, conference_id)
    # Both are found before the thread, which must not read what changes.
    reached = {hall_id for hall_id, hall in halls.items() if reach.has_hall(hall)}
    others = frozenset(() if reach.is_whole else halls.keys() - reached)

    def known(hall_id: str) -> Known:
        if hall_id in reached:
            return "known"
        return "out_of_reach" if hall_id in others else "unknown"

    roster = await asyncio.to_thread(parse_roster, call.body(bytes), known, sheet=call.query("sheet"))
    difference = await call.services.rostering.bring(conference_id, roster, reach, call.claims.actor, dry_run=dry_run)
    return RosterAnswer(
        people=len(roster),
        added=len(difference.added),
        changed=len(difference.changed),
        moved=sum(map(len, difference.moved.values())),
        returned=len(difference.returned),
        unchanged=difference.unchanged,
        dry_run=dry_run,
        changes=_changes(difference),
    )


async def roster_template(call: Call) -> web.Response:
    """A roster to fill in."""
    language = call.query("language", ("vi", "en"), default="vi")
    body = serialize_roster_template(language="en" if language == "en" else "vi")
    name = "roster.csv" if language == "en" else "danh-sach-dai-bieu.csv"
    headers = {"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=body, headers=headers)


async def list_delegates(call: Call) -> DelegateList:
    """Delegates of a hall, of a unit, or of all that the caller reaches; a page at a time."""
    conference_id, limit = call.path("conference_id"), _limit(call.query("limit"))
    hall_ids, scope = reached_halls(call)
    listed, following = await call.services.reading.halls(conference_id, hall_ids, limit, _cursor(call.query("after")))
    await call.services.reading.note(conference_id, scope, len(listed), "list", call.claims.actor)
    return DelegateList(
        delegates=[_view(each) for each in listed], next=f"{following[0]}:{following[1]}" if following else ""
    )


async def read_delegate(call: Call) -> DelegateView:
    """One delegate."""
    conference_id = call.path("conference_id")
    conference_of(call.services.coordinator.state, conference_id)
    number = call.path("number")
    found = None
    if number.isascii() and number.isdigit() and len(number) <= 10:
        found = await call.services.reading.one(conference_id, int(number))
    if found is None:
        raise RejectedError("unknown_delegate", f"no delegate has the number {number[:10]!r}", status=404)
    call.reach.require_hall(hall_of(call.services.coordinator.state, found.delegate.hall_id))
    await call.services.reading.note(conference_id, f"number:{found.number}", 1, "list", call.claims.actor)
    return _view(found)


async def withdraw_delegates(call: Call) -> None:
    """Take delegates off rosters; they keep their numbers."""
    numbers = _numbers(call, call.body(NumbersRequest).numbers)
    command = WithdrawDelegates(conference_id=call.path("conference_id"), numbers=numbers)
    await call.services.coordinator.execute(command, call.claims.actor)


async def move_delegates(call: Call) -> None:
    """Put delegates on the roster of another hall."""
    body = call.body(MoveRequest)
    numbers = _numbers(call, body.numbers)
    call.reach.require_hall(hall_of(call.services.coordinator.state, body.hall_id))
    await call.services.rostering.move(call.path("conference_id"), numbers, body.hall_id, call.claims.actor)


async def reissue_codes(call: Call) -> None:
    """Give delegates a new code and a new PIN: a card was lost."""
    numbers = _numbers(call, call.body(NumbersRequest).numbers)
    command = ReissueCodes(conference_id=call.path("conference_id"), numbers=numbers)
    await call.services.coordinator.execute(command, call.claims.actor)


def _changes(difference: RosterDifference) -> list[RosterChange]:
    moved = {number: "moved" for numbers in difference.moved.values() for number in numbers}
    found = [("added", person) for person in difference.added[:SHOWN]]
    found += [(moved.get(person.number, "changed"), person) for person in difference.changed[:SHOWN]]
    return [
        RosterChange(change=change, number=person.number, hall_id=person.hall_id, name=person.name)
        for change, person in found[:SHOWN]
    ]


def reached_halls(call: Call) -> tuple[list[str], str]:
    """The halls that a list is about, ascending, and how the journal is to name them."""
    state, reach = call.services.coordinator.state, call.reach
    conference_of(state, call.path("conference_id"))
    hall_id, unit = call.query("hall"), call.query("unit")
    if hall_id:
        hall = hall_of(state, hall_id)
        reach.require_hall(hall)
        return [hall_id], f"hall:{hall_id}"
    if unit:
        reach.require_unit(unit_of(state, unit).code)
        under = Reach(state.units, unit)
        return sorted(h for h, hall in state.halls.items() if under.has_hall(hall)), f"unit:{unit}"
    scope = f"unit:{reach.unit}" if reach.unit else ""
    return sorted(h for h, hall in state.halls.items() if reach.has_hall(hall)), scope


def _numbers(call: Call, numbers: list[int]) -> list[int]:
    """Numbers of delegates, all of them of halls that the caller reaches.

    Raises:
        RejectedError: one is unknown, out of reach, or they are too many.
    """
    state, conference_id = call.services.coordinator.state, call.path("conference_id")
    conference_of(state, conference_id)
    if not 1 <= len(numbers) <= MAX_NUMBERS:
        raise RejectedError("too_many", f"1 to {MAX_NUMBERS} numbers at once", status=422)
    checkins = state.checkins.get(conference_id)
    for number in numbers:
        delegate = checkins.delegate(number) if checkins else None
        if delegate is None:
            raise RejectedError("unknown_delegate", f"no delegate has the number {number}", status=404)
        call.reach.require_hall(hall_of(state, delegate.hall_id))
    return numbers


def _limit(text: str) -> int:
    if not text:
        return PAGE
    size = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PAGE)) else 0
    if not 1 <= size <= MAX_PAGE:
        raise RequestError("bad_parameter", f"limit is {text[:40]!r}; expected 1 to {MAX_PAGE}", status=422)
    return size


def _cursor(text: str) -> tuple[str, int]:
    if not text:
        return "", 0
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise RequestError("bad_parameter", "after is not what `next` of an answer was", status=422)
    return found[1], int(found[2])


def _view(listed: Listed) -> DelegateView:
    delegate, person = listed.delegate, listed.person or Person(hall_id=listed.delegate.hall_id, name="")
    return DelegateView(
        number=listed.number,
        hall_id=delegate.hall_id,
        name=person.name,
        external_id=person.external_id,
        position=person.position,
        organisation=person.organisation,
        kind=person.kind,
        phone=person.phone,
        standing=listed.standing,
        by=delegate.by,
        checked_in_at_ms=delegate.scan.at_ms if delegate.scan else 0,
        withdrawn=delegate.withdrawn,
    )


ROUTES = (
    Route(
        method="POST",
        path=f"{PATH}/import",
        handler=import_roster,
        summary="Import delegates from CSV or XLSX, all or nothing",
        tag="delegates",
        roles=IMPORTERS,
        scope="reach",
        request=bytes,
        request_media=CSV,
        response=RosterAnswer,
        errors=(404, 409, 503),
        query=(Query(name="dry_run", text="1: check everything, write nothing", values=("0", "1")), SHEET),
        max_body_bytes=MAX_IMPORT_BYTES,
    ),
    Route(
        method="GET",
        path=f"{PATH}/template",
        handler=roster_template,
        summary="A roster to fill in, as CSV",
        tag="delegates",
        roles=STAFF,
        scope="open",
        response_media=(CSV,),
        errors=(404, 422),
        query=(Query(name="language", text="of the headings; vi unless given", values=("vi", "en")),),
    ),
    Route(
        method="GET",
        path=PATH,
        handler=list_delegates,
        summary="Delegates with names, hall by hall; noted in the journal",
        tag="delegates",
        roles=STAFF,
        scope="reach",
        response=DelegateList,
        errors=(404, 422, 503),
        query=(
            Query(name="hall", text="only the roster of this hall"),
            Query(name="unit", text="only halls of this unit and of everything under it"),
            Query(name="limit", text=f"delegates in one answer, 1 to {MAX_PAGE}; {PAGE} unless given"),
            Query(name="after", text="`next` of the answer before"),
        ),
    ),
    Route(
        method="POST",
        path=f"{PATH}/withdraw",
        handler=withdraw_delegates,
        summary="Take delegates off rosters",
        tag="delegates",
        roles=IMPORTERS,
        scope="reach",
        request=NumbersRequest,
        status=204,
        errors=(404, 503),
        max_body_bytes=256 * 1024,
    ),
    Route(
        method="POST",
        path=f"{PATH}/move",
        handler=move_delegates,
        summary="Put delegates on the roster of another hall",
        tag="delegates",
        roles=IMPORTERS,
        scope="reach",
        request=MoveRequest,
        status=204,
        errors=(404, 409, 503),
        max_body_bytes=256 * 1024,
    ),
    Route(
        method="POST",
        path=f"{PATH}/reissue",
        handler=reissue_codes,
        summary="Give delegates new codes and PINs",
        tag="delegates",
        roles=IMPORTERS,
        scope="reach",
        request=NumbersRequest,
        status=204,
        errors=(404, 409, 503),
        max_body_bytes=256 * 1024,
    ),
    Route(
        method="GET",
        path=f"{PATH}/{{number}}",
        handler=read_delegate,
        summary="One delegate; noted in the journal",
        tag="delegates",
        roles=STAFF,
        scope="reach",
        response=DelegateView,
        errors=(404, 503),
    ),
)
