"""`/api/v1/privacy` and what belongs to it: what is stored about people, who read it, and erasing."""

from __future__ import annotations

import msgspec

from conference.api.delegates import MAX_NUMBERS
from conference.api.problems import RequestError
from conference.api.routing import ORGANISER, Call, Route
from conference.errors import RejectedError
from conference.lookup import conference_of
from conference.people.access_log import Reading
from conference.people.erasing import Expired, ended_at_ms
from conference.people.privacy_rules import MAX_REASON_CHARACTERS

MAX_DAYS = 36_500


class PrivacyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored about the people of a conference, in numbers.

    Attributes:
        people: persons in the people store: name, card, position, organisation, kind, telephone, hall.
        last_number: the greatest number that was given to one.
        ended_at_ms: when the conference ended; 0 before.
        contacts: technicians' names and telephones at halls: of the registry, and so of all conferences.
        readings: how often persons were given to somebody.
        erased: persons who were erased.
        latest: the latest readings, newest first.
    """

    conference_id: str
    people: int
    last_number: int
    ended_at_ms: int
    contacts: int
    readings: int
    erased: int
    latest: list[Reading]


class EraseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose persons to erase, and why."""

    reason: str
    numbers: list[int] = []


class EraseAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How many persons were there."""

    erased: int


class RetentionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Erase the people of conferences that ended so many days ago; as configured where `days` are less than 0."""

    days: float = -1.0
    dry_run: bool = False


class RetentionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Conferences whose people were erased, or would be."""

    days: float
    dry_run: bool
    conferences: list[Expired]


async def privacy_report(call: Call) -> PrivacyReport:
    """What is stored about the people of a conference, and who read it."""
    conference_id = call.path("conference_id")
    conference_of(call.services.coordinator.state, conference_id)
    stored = {each.conference_id: each for each in await call.services.people.conferences()}
    state, found = call.services.coordinator.state, stored.get(conference_id)
    log = state.access_log
    return PrivacyReport(
        conference_id=conference_id,
        people=found.people if found else 0,
        last_number=found.last_number if found else 0,
        ended_at_ms=ended_at_ms(state, conference_id),
        contacts=sum(bool(hall.contact_name or hall.contact_phone) for hall in state.halls.values()),
        readings=log.readings.get(conference_id, 0),
        erased=log.erased.get(conference_id, 0),
        latest=[each for each in reversed(log.latest) if each.conference_id == conference_id],
    )


async def erase_persons(call: Call) -> EraseAnswer:
    """Erase single persons, by number."""
    body = _erase_request(call)
    if not 1 <= len(body.numbers) <= MAX_NUMBERS:
        raise RejectedError("too_many", f"1 to {MAX_NUMBERS} numbers at once", status=422)
    erased = await call.services.erasing.persons(
        call.path("conference_id"), body.numbers, body.reason, call.claims.actor
    )
    return EraseAnswer(erased=erased)


async def erase_people(call: Call) -> EraseAnswer:
    """Erase everybody of a conference."""
    body = _erase_request(call)
    if body.numbers:
        raise RejectedError("bad_body", "everybody is erased here; single persons at delegates/erase", status=422)
    erased = await call.services.erasing.conference(call.path("conference_id"), body.reason, call.claims.actor)
    return EraseAnswer(erased=erased)


async def keep_no_longer(call: Call) -> RetentionAnswer:
    """Erase the people of conferences whose time is over."""
    body = call.body(RetentionRequest)
    days = call.services.config.privacy.retention_days if body.days < 0 else body.days
    if days > MAX_DAYS:
        raise RequestError("bad_parameter", f"days are at most {MAX_DAYS}", status=422)
    expired = await call.services.erasing.expired(days)
    if not body.dry_run:
        for each in expired:
            await call.services.erasing.conference(each.conference_id, "retention", call.claims.actor)
    return RetentionAnswer(days=days, dry_run=body.dry_run, conferences=expired)


def _erase_request(call: Call) -> EraseRequest:
    body = call.body(EraseRequest)
    if not 0 < len(body.reason.strip()) <= MAX_REASON_CHARACTERS:
        detail = f"say why, in at most {MAX_REASON_CHARACTERS} characters and without naming anybody"
        raise RejectedError("bad_reason", detail, status=422)
    return body


_CONFERENCE = "/api/v1/conferences/{conference_id}"
ROUTES = (
    Route(
        method="GET",
        path=f"{_CONFERENCE}/privacy",
        handler=privacy_report,
        summary="What is stored about people, and who read it",
        tag="privacy",
        roles=ORGANISER,
        response=PrivacyReport,
        errors=(404, 503),
    ),
    Route(
        method="POST",
        path=f"{_CONFERENCE}/delegates/erase",
        handler=erase_persons,
        summary="Erase single persons for good",
        tag="privacy",
        roles=ORGANISER,
        request=EraseRequest,
        response=EraseAnswer,
        errors=(404, 503),
        max_body_bytes=256 * 1024,
    ),
    Route(
        method="POST",
        path=f"{_CONFERENCE}/people/erase",
        handler=erase_people,
        summary="Erase all people of a conference for good",
        tag="privacy",
        roles=ORGANISER,
        request=EraseRequest,
        response=EraseAnswer,
        errors=(404, 503),
    ),
    Route(
        method="POST",
        path="/api/v1/privacy/retention",
        handler=keep_no_longer,
        summary="Erase the people of conferences that ended long ago",
        tag="privacy",
        roles=ORGANISER,
        request=RetentionRequest,
        response=RetentionAnswer,
        errors=(503,),
    ),
)
