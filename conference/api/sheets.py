"""Sheets to print, for staff within their reach: the codes of a hall's delegates, and posters of halls."""

from __future__ import annotations

import asyncio

from aiohttp import web

from conference.api.checkins import poster_link
from conference.api.delegates import IMPORTERS, PATH, reached_halls
from conference.api.routing import Call, Query, Route
from conference.errors import RejectedError
from conference.lookup import conference_of
from conference.people.reading import Listed
from conference.people.sheets import (
    Card,
    HallSheet,
    Poster,
    content_security_policy,
    render_cards,
    render_posters,
)

# Of one answer: some ten seconds of one thread, and some 10 MB. A unit's halls are asked for one by one.
MAX_CARDS = 2_000
MAX_POSTERS = 500
_WHERE = (
    Query(name="hall", text="of this hall"),
    Query(name="unit", text="of the halls of this unit and of everything under it"),
)


async def print_codes(call: Call) -> web.Response:
    """A card with QR code, number and PIN of each delegate, hall by hall; the reading is noted in the journal."""
    conference_id, claims = call.path("conference_id"), call.claims
    hall_ids, scope = reached_halls(call)
    services = call.services
    listed, following = await services.reading.halls(conference_id, hall_ids, MAX_CARDS)
    if following is not None:
        raise RejectedError("too_many", f"more than {MAX_CARDS} cards; ask for one hall at a time", status=422)
    state = services.coordinator.state
    names = {each.delegate.hall_id: state.halls[each.delegate.hall_id].name for each in listed}
    title = conference_of(state, conference_id).title
    await services.reading.note(conference_id, scope, len(listed), "sheets", claims.actor)

    def make() -> bytes:
        return render_cards(title, _sheets(call, conference_id, listed, names)).encode()

    return _page(await asyncio.to_thread(make))


async def print_posters(call: Call) -> web.Response:
    """A page with the QR code of self check-in for each hall."""
    conference_id = call.path("conference_id")
    hall_ids, _ = reached_halls(call)
    if len(hall_ids) > MAX_POSTERS:
        raise RejectedError("too_many", f"more than {MAX_POSTERS} posters; name a smaller unit, or a hall", status=422)
    state = call.services.coordinator.state
    posters = [
        Poster(
            hall_id=hall_id,
            hall_name=state.halls[hall_id].name,
            link=poster_link(call, hall_id, conference_id).link,
        )
        for hall_id in hall_ids
    ]
    title = conference_of(state, conference_id).title
    return _page(await asyncio.to_thread(lambda: render_posters(title, posters).encode()))


def _sheets(call: Call, conference_id: str, listed: list[Listed], names: dict[str, str]) -> list[HallSheet]:
    keys = call.services.keys
    cards: dict[str, list[Card]] = {}
    for each in listed:
        if each.person is None:
            continue  # erased: there is no name to print
        number, issue = each.number, each.delegate.issue
        card = Card(
            person=each.person,
            code=keys.issue_code(conference_id, number, issue),
            pin=keys.pin(conference_id, number, issue),
        )
        cards.setdefault(each.delegate.hall_id, []).append(card)
    return [HallSheet(hall_id=hall_id, hall_name=names[hall_id], cards=found) for hall_id, found in cards.items()]


def _page(body: bytes) -> web.Response:
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": f"{content_security_policy()}; frame-ancestors 'none'",
    }
    return web.Response(body=body, headers=headers)


ROUTES = (
    Route(
        method="GET",
        path=f"{PATH}/codes",
        handler=print_codes,
        summary="Cards with delegates' codes, to print; noted in the journal",
        tag="delegates",
        roles=IMPORTERS,
        scope="reach",
        response_media=("text/html",),
        errors=(404, 422, 503),
        query=_WHERE,
    ),
    Route(
        method="GET",
        path="/api/v1/conferences/{conference_id}/posters",
        handler=print_posters,
        summary="Posters of halls for self check-in, to print",
        tag="delegates",
        roles=IMPORTERS,
        scope="reach",
        response_media=("text/html",),
        errors=(404, 422, 503),
        query=_WHERE,
    ),
)
