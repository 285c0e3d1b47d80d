"""`/api/v1/halls/roster`: a hall's own list of delegates, by given name, for the page that checks them in."""

from __future__ import annotations

import msgspec

from conference.api.routing import HALL, HallCall, Route
from conference.lookup import conference_of, hall_of
from conference.people.reading import Standing


class RosterEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A delegate of the hall; the name is "" of somebody who was erased."""

    number: int
    name: str
    position: str
    standing: Standing


class HallRoster(msgspec.Struct, frozen=True, kw_only=True):
    """The list.

    Attributes:
        hall_name: as registered.
        conference_title: of the token's conference.
        public_key: verifies codes without the coordinator: Ed25519, 32 bytes, base64url without padding.
        delegates: everybody on the list, by given name.
    """

    hall_name: str
    conference_title: str
    public_key: str
    delegates: list[RosterEntry]


async def read_roster(call: HallCall) -> HallRoster:
    """The delegates of the token's hall; the reading is noted in the journal."""
    claims, state = call.claims, call.services.decider.state
    conference, hall = conference_of(state, claims.conference), hall_of(state, claims.hall)
    listed = await call.services.reading.hall(conference.conference_id, hall.hall_id, claims.actor)
    return HallRoster(
        hall_name=hall.name,
        conference_title=conference.title,
        public_key=call.services.keys.code_key,
        delegates=[
            RosterEntry(
                number=each.number,
                name=each.name,
                position=each.person.position if each.person else "",
                standing=each.standing,
            )
            for each in listed
        ],
    )


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/halls/roster",
        handler=read_roster,
        summary="The hall's own delegates and how they stand; noted in the journal",
        tag="hall session",
        roles=HALL,
        response=HallRoster,
        errors=(404, 503),
    ),
)
