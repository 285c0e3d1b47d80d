"""Who may open which door of the API: the whole table, written down a second time."""

from __future__ import annotations

import time
from typing import get_args

import pytest
from support.coordinator_harness import CONFERENCE, Api

from conference.access import OF_ONE_HALL, ApiClaims, Role
from conference.api.routing import Route
from conference.api.server import api_routes

pytestmark = pytest.mark.integration
ROLES: tuple[Role, ...] = get_args(Role)
STAFF = {"organiser", "technician", "operator"}
OPERATORS = {"organiser", "operator"}
KEEPERS = {"organiser", "technician"}  # who keep the register and the rosters

# A route that is added, or opened to somebody else, fails here until a person has thought about it.
DOORS = {
    "POST /api/v1/halls/join": {"hall"},
    "GET /api/v1/halls/assignment": {"hall"},
    "POST /api/v1/halls/moved": {"hall"},
    "POST /api/v1/halls/headcount": {"hall"},
    "POST /api/v1/halls/leave": {"hall"},
    "GET /api/v1/halls/checkins": {"hall"},
    "POST /api/v1/halls/checkin-qr": {"hall"},
    "GET /api/v1/checkin": {"poster"},
    "POST /api/v1/halls/import": {"organiser", "technician"},
    "GET /api/v1/halls": STAFF,
    "GET /api/v1/halls/export": STAFF,
    "POST /api/v1/halls/links": {"organiser", "technician"},
    "POST /api/v1/halls/{hall_id}/link": {"organiser", "technician"},
    "GET /api/v1/halls/roster": {"hall"},
    "POST /api/v1/halls/checkins": {"hall"},
    "POST /api/v1/halls/checkin": {"hall"},
    "POST /api/v1/halls/marks": {"hall"},
    "POST /api/v1/checkin": {"poster"},
    "GET /api/v1/conferences/{conference_id}/checkins/conflicts": STAFF,
    "POST /api/v1/halls/{hall_id}/poster": KEEPERS,
    "POST /api/v1/halls/precheck/plan": {"hall"},
    "POST /api/v1/halls/precheck": {"hall"},
    "GET /api/v1/halls/precheck/payload": {"hall"},
    "POST /api/v1/halls/signoff": {"hall"},
    "GET /api/v1/halls/{hall_id}": STAFF,
    "PUT /api/v1/halls/{hall_id}": KEEPERS,
    "DELETE /api/v1/halls/{hall_id}": KEEPERS,
    "GET /api/v1/halls/{hall_id}/history": STAFF,
    "GET /api/v1/proposals": STAFF,
    "GET /api/v1/proposals/{proposal_id}": STAFF,
    "POST /api/v1/proposals/decide": {"organiser"},
    "GET /api/v1/units/export": STAFF,
    "GET /api/v1/units/kinds": STAFF,
    "GET /api/v1/units/{code}": STAFF,
    "GET /api/v1/templates": STAFF,
    "GET /api/v1/conferences/{conference_id}/privacy": {"organiser"},
    "POST /api/v1/conferences/{conference_id}/delegates/erase": {"organiser"},
    "POST /api/v1/conferences/{conference_id}/people/erase": {"organiser"},
    "POST /api/v1/privacy/retention": {"organiser"},
    "GET /api/v1/conferences/{conference_id}/delegates/codes": KEEPERS,
    "GET /api/v1/conferences/{conference_id}/posters": KEEPERS,
    "POST /api/v1/conferences/{conference_id}/delegates/import": KEEPERS,
    "GET /api/v1/conferences/{conference_id}/delegates/template": STAFF,
    "GET /api/v1/conferences/{conference_id}/delegates": STAFF,
    "POST /api/v1/conferences/{conference_id}/delegates/withdraw": KEEPERS,
    "POST /api/v1/conferences/{conference_id}/delegates/move": KEEPERS,
    "POST /api/v1/conferences/{conference_id}/delegates/reissue": KEEPERS,
    "GET /api/v1/conferences/{conference_id}/delegates/{number}": STAFF,
    "GET /api/v1/conferences/{conference_id}/readiness": STAFF,
    "GET /api/v1/conferences/{conference_id}/readiness/calls": STAFF,
    "GET /api/v1/conferences/{conference_id}/readiness/comparison": STAFF,
    "POST /api/v1/conferences/{conference_id}/readiness/signoff": KEEPERS,
    "GET /api/v1/conferences/{conference_id}/rehearsal": STAFF,
    "POST /api/v1/units/import": {"organiser"},
    "GET /api/v1/units": STAFF,
    "POST /api/v1/conferences": {"organiser"},
    "GET /api/v1/conferences": STAFF,
    "GET /api/v1/conferences/{conference_id}": STAFF,
    "POST /api/v1/conferences/{conference_id}/phase": {"organiser"},
    "POST /api/v1/conferences/{conference_id}/publishers": {"organiser"},
    "GET /api/v1/conferences/{conference_id}/attendance": STAFF,
    "GET /api/v1/conferences/{conference_id}/discrepancies": STAFF,
    "GET /api/v1/conferences/{conference_id}/corrections": STAFF,
    "POST /api/v1/conferences/{conference_id}/close": {"organiser"},
    "GET /api/v1/conferences/{conference_id}/report": STAFF,
    "GET /api/v1/public-keys": None,
    "GET /api/v1/relays": {"organiser", "operator"},
    "GET /api/v1/relays/control": {"relay"},
    "GET /api/v1/relays/{relay_id}": OPERATORS,
    "POST /api/v1/relays/{relay_id}/cordon": OPERATORS,
    "POST /api/v1/relays/{relay_id}/uncordon": OPERATORS,
    "POST /api/v1/relays/{relay_id}/drain": OPERATORS,
    "POST /api/v1/relays/{relay_id}/evacuate": OPERATORS,
    "POST /api/v1/relays/{relay_id}/limits": OPERATORS,
    "POST /api/v1/limits": OPERATORS,
    "POST /api/v1/halls/move": OPERATORS,
    "POST /api/v1/halls/exclude": OPERATORS,
    "POST /api/v1/halls/{hall_id}/pin": OPERATORS,
    "POST /api/v1/joins/pause": OPERATORS,
    "POST /api/v1/joins/resume": OPERATORS,
    "GET /api/v1/orders": OPERATORS,
    "GET /api/v1/operations": OPERATORS,
    "GET /api/v1/gateways/control": {"gateway"},
    "GET /api/v1/live": STAFF,
    "GET /api/v1/discovery/prometheus": {"operator"},
    "GET /api/v1/openapi.json": None,
}
ROUTES = {f"{route.method} {route.path}": route for route in api_routes()}


def _path(route: Route, conference_id: str = CONFERENCE) -> str:
    return (
        route.path.replace("{conference_id}", conference_id)
        .replace("{hall_id}", "hall-1")
        .replace("{relay_id}", "edge-1")
        .replace("{proposal_id}", "1")
        .replace("{number}", "1")
        .replace("{code}", "01")
    )


def _token(api: Api, role: Role, *, conference: str = "", exp_s: float = 600) -> dict[str, str]:
    claims = ApiClaims(
        sub="hall-1",
        role=role,
        hall="hall-1" if role in OF_ONE_HALL else "",
        conference=CONFERENCE if role in OF_ONE_HALL else conference,
        exp=int(time.time() + exp_s),
    )
    return {"Authorization": f"Bearer {api.keys.issue_api_token(claims)}"}


async def _status(api: Api, route: Route, headers: dict[str, str], path: str = "") -> tuple[int, str]:
    """Status and media type; the body is left alone, because a stream's has no end."""
    async with api.session.request(route.method, path or _path(route), headers=headers) as answer:
        return answer.status, answer.content_type


def test_every_door_is_in_the_table() -> None:
    """The table above and the program's own agree, route by route."""
    assert {name: route.roles for name, route in ROUTES.items()} == DOORS


@pytest.mark.parametrize("name", [name for name, roles in DOORS.items() if roles is not None])
async def test_a_door_opens_to_its_roles_alone(api: Api, name: str) -> None:
    """Without a token or with an expired one 401, with another's role 403, and neither with a role of its own."""
    route, problem = ROUTES[name], "application/problem+json"
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Basic eDp4"}):
        assert await _status(api, route, headers) == (401, problem)
    for role in ROLES:
        assert await _status(api, route, _token(api, role, exp_s=-1)) == (401, problem)
        status, media_type = await _status(api, route, _token(api, role))
        if role in (DOORS[name] or ()):
            assert status not in {401, 403}, role
        else:
            assert (status, media_type) == (403, problem), role


@pytest.mark.parametrize("name", [name for name, roles in DOORS.items() if roles and not roles & OF_ONE_HALL])
async def test_a_token_for_one_conference_opens_that_one_alone(api: Api, name: str) -> None:
    """Staff whose token names a conference reach its own paths, no other conference's, and nothing about all."""
    route = ROUTES[name]
    for role in ROLES:
        if role not in (DOORS[name] or ()):
            continue
        headers = _token(api, role, conference=CONFERENCE)
        status, _ = await _status(api, route, headers)
        assert (status == 403) == ("{conference_id}" not in route.path)
        status, _ = await _status(api, route, headers, _path(route, "another"))
        assert status == 403


async def test_the_document_is_open_to_all(api: Api) -> None:
    """What describes the doors needs no key, and is not refused for a bad one."""
    route = ROUTES["GET /api/v1/openapi.json"]
    for headers in ({}, {"Authorization": "Bearer no.such.token"}):
        assert (await _status(api, route, headers))[0] == 200
