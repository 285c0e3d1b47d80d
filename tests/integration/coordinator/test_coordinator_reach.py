"""No route shows or changes a hall outside the subtree that its caller is bound to."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from support.coordinator_harness import CONFERENCE, Api

from bridges.halls import Hall
from bridges.importing import HallUnits, parse_halls, serialize_halls_csv
from bridges.unit_tables import serialize_units_csv
from bridges.units import Unit
from conference.access import Role
from conference.api.routing import STAFF, Route
from conference.api.server import api_routes

pytestmark = pytest.mark.integration

UNITS = [
    Unit(code="01", name="Hà Nội", kind="thành phố"),
    Unit(code="00004", name="Ba Đình", kind="phường", parent="01"),
    Unit(code="79", name="Thành phố Hồ Chí Minh", kind="thành phố"),
]
HALLS = [
    Hall(hall_id="HN-1", name="Ba Đình 1", unit="00004", level="commune", seats=60),
    Hall(hall_id="HN-2", name="Hà Nội", unit="01", level="province", seats=90),
    Hall(hall_id="HCM-1", name="Sài Gòn", unit="79", level="province", seats=70),
]
ROLES: tuple[Role, ...] = ("technician", "organiser")
OWN, FOREIGN = {"HN-1", "HN-2"}, "HCM-1"

# Routes that are the same for everybody, and why.
OPEN = {
    ("GET", "/api/v1/units"): "codes and names of administrative units are public; nothing of halls or persons",
    ("GET", "/api/v1/units/export"): "the same as a table",
    ("GET", "/api/v1/units/kinds"): "kinds of units are public",
    ("GET", "/api/v1/templates"): "empty tables",
    ("GET", "/api/v1/openapi.json"): "describes the API",
    ("GET", "/api/v1/conferences/{conference_id}/delegates/template"): "an empty table",
    ("GET", "/api/v1/public-keys"): "public keys are public",
}
# Routes without a role, and why they need none.
PUBLIC = {
    ("GET", "/api/v1/openapi.json"): "describes the API",
    ("GET", "/api/v1/public-keys"): "whoever has a report may verify it",
}

READY = f"/api/v1/conferences/{CONFERENCE}/readiness"
Probe = Callable[[Api], Awaitable[None]]
PROBES: dict[tuple[str, str], Probe] = {}


def proves(method: str, path: str) -> Callable[[Probe], Probe]:
    """Name the route that a probe is about."""

    def note(probe: Probe) -> Probe:
        PROBES[method, path] = probe
        return probe

    return note


async def ask(api: Api, status: int, method: str, path: str, **keywords: Any) -> Any:
    """A request of Hà Nội's technician."""
    return await api.expect(status, method, path, "technician", unit="01", **keywords)


@proves("GET", "/api/v1/halls")
async def lists_own_halls(api: Api) -> None:
    """Others are left out, and a unit that is named must be reached."""
    found = await ask(api, 200, "GET", "/api/v1/halls")
    assert {hall["hall_id"] for hall in found["halls"]} == OWN
    found = await ask(api, 200, "GET", "/api/v1/halls?unit=00004")
    assert [hall["hall_id"] for hall in found["halls"]] == ["HN-1"]
    await ask(api, 403, "GET", "/api/v1/halls?unit=79")
    for query in ("search=01 ba 1 noi", "search=sai gon", "search=1", "order=name"):
        found = await ask(api, 200, "GET", f"/api/v1/halls?{query}")
        assert {hall["hall_id"] for hall in found["halls"]} <= OWN


@proves("POST", "/api/v1/halls/import")
async def imports_own_halls(api: Api) -> None:
    """A technician proposes, an organiser does; neither beyond the subtree."""
    own = serialize_halls_csv([msgspec.structs.replace(HALLS[0], seats=61)])
    taken, given = msgspec.structs.replace(HALLS[2], unit="01"), msgspec.structs.replace(HALLS[1], unit="79")
    foreign = serialize_halls_csv([HALLS[0], taken, given])
    answer = await ask(api, 200, "POST", "/api/v1/halls/import", data=own)
    assert (answer["changed"], answer["proposal_id"]) == (1, "1")
    assert (await seats(api, "HN-1")) == 60
    answer = await api.expect(200, "POST", "/api/v1/halls/import", "organiser", unit="01", data=own)
    assert (answer["changed"], answer["proposal_id"]) == (1, "")
    assert (await seats(api, "HN-1")) == 61
    for role in ROLES:
        for query in ("", "?dry_run=1"):
            refused = await api.expect(422, "POST", f"/api/v1/halls/import{query}", role, unit="01", data=foreign)
            assert [(each["row"], each["value"]) for each in refused["errors"]] == [(3, FOREIGN), (4, "79")]
    assert (await seats(api, FOREIGN)) == 70


@proves("GET", "/api/v1/halls/{hall_id}")
async def reads_own_hall(api: Api) -> None:
    """One that is not reached is refused, one that does not exist is not found."""
    assert (await ask(api, 200, "GET", "/api/v1/halls/HN-1"))["hall"]["name"] == "Ba Đình 1"
    await ask(api, 403, "GET", f"/api/v1/halls/{FOREIGN}")
    await ask(api, 404, "GET", "/api/v1/halls/nowhere")


@proves("GET", "/api/v1/halls/{hall_id}/history")
async def reads_own_history(api: Api) -> None:
    """Who registered it."""
    found = await ask(api, 200, "GET", "/api/v1/halls/HN-1/history")
    assert [(change["action"], change["actor"]) for change in found["changes"]] == [("created", "user:test")]
    await ask(api, 403, "GET", f"/api/v1/halls/{FOREIGN}/history")


@proves("PUT", "/api/v1/halls/{hall_id}")
async def changes_own_hall(api: Api) -> None:
    """A technician proposes, an organiser does; a hall is neither taken from another province nor given to it."""
    body = {"name": "Ba Đình 1", "unit": "00004", "level": "commune", "seats": 65}
    assert await ask(api, 200, "PUT", "/api/v1/halls/HN-1", json=body) == {"changed": False, "proposal_id": "1"}
    assert (await seats(api, "HN-1")) == 60
    answer = await api.expect(200, "PUT", "/api/v1/halls/HN-1", "organiser", unit="01", json=body)
    assert answer == {"changed": True, "proposal_id": ""}
    assert (await seats(api, "HN-1")) == 65
    for role in ROLES:
        for hall_id, unit in ((FOREIGN, "01"), ("HN-1", "79"), ("new", "79")):
            moved = body | {"unit": unit}
            await api.expect(403, "PUT", f"/api/v1/halls/{hall_id}", role, unit="01", json=moved)


@proves("DELETE", "/api/v1/halls/{hall_id}")
async def withdraws_own_hall(api: Api) -> None:
    """A technician proposes, an organiser does."""
    assert (await ask(api, 200, "DELETE", "/api/v1/halls/HN-2")) == {"changed": False, "proposal_id": "1"}
    for role in ROLES:
        await api.expect(403, "DELETE", f"/api/v1/halls/{FOREIGN}", role, unit="01")
    await api.expect(200, "DELETE", "/api/v1/halls/HN-2", "organiser", unit="01")
    found = await ask(api, 200, "GET", "/api/v1/halls")
    assert [hall["hall_id"] for hall in found["halls"]] == ["HN-1"]
    assert (await ask(api, 200, "GET", "/api/v1/halls/HN-2"))["withdrawn"]


async def propose_everywhere(api: Api) -> None:
    """Proposal 1 is Hà Nội's, proposal 2 Hồ Chí Minh's."""
    for hall, unit in ((HALLS[0], "01"), (HALLS[2], "79")):
        data = serialize_halls_csv([msgspec.structs.replace(hall, seats=99)])
        await api.expect(200, "POST", "/api/v1/halls/import", "technician", unit=unit, data=data)


@proves("GET", "/api/v1/proposals")
async def lists_own_proposals(api: Api) -> None:
    """Others are left out, and a unit that is named must be reached."""
    await propose_everywhere(api)
    found = await ask(api, 200, "GET", "/api/v1/proposals?standing=waiting")
    assert [each["proposal_id"] for each in found["proposals"]] == ["1"]
    whole = await api.expect(200, "GET", "/api/v1/proposals")
    assert [each["proposal_id"] for each in whole["proposals"]] == ["2", "1"]
    await ask(api, 403, "GET", "/api/v1/proposals?unit=79")


@proves("GET", "/api/v1/proposals/{proposal_id}")
async def reads_own_proposal(api: Api) -> None:
    """With what it changes."""
    await propose_everywhere(api)
    found = await ask(api, 200, "GET", "/api/v1/proposals/1")
    assert [(each["action"], each["fields"]) for each in found["halls"]] == [("changed", [["seats", "60", "99"]])]
    await ask(api, 403, "GET", "/api/v1/proposals/2")


@proves("POST", "/api/v1/proposals/decide")
async def decides_own_proposals(api: Api) -> None:
    """A bound organiser decides those of the subtree, all or none; a technician none."""
    await propose_everywhere(api)
    path, body = "/api/v1/proposals/decide", {"verdict": "approved"}
    await ask(api, 403, "POST", path, json={"proposal_ids": ["1"], **body})
    await api.expect(403, "POST", path, "organiser", unit="01", json={"proposal_ids": ["1", "2"], **body})
    assert (await seats(api, "HN-1")) == 60
    await api.expect(200, "POST", path, "organiser", unit="01", json={"proposal_ids": ["1"], **body})
    assert (await seats(api, "HN-1")) == 99


async def seats(api: Api, hall_id: str) -> int:
    """Of one hall, as it is registered."""
    found = await api.expect(200, "GET", f"/api/v1/halls/{hall_id}")
    return int(found["hall"]["seats"])


@proves("GET", "/api/v1/units/{code}")
async def reads_own_units(api: Api) -> None:
    """How many halls another unit has is not told."""
    assert (await ask(api, 200, "GET", "/api/v1/units/01"))["unit"]["code"] == "01"
    await ask(api, 403, "GET", "/api/v1/units/79")


@proves("GET", "/api/v1/halls/export")
async def exports_own_halls(api: Api) -> None:
    """Others are left out."""
    found = parse_halls(
        await ask(api, 200, "GET", "/api/v1/halls/export"), HallUnits({unit.code: unit for unit in UNITS})
    )
    assert {hall.hall_id for hall in found} == OWN


@proves("POST", "/api/v1/halls/links")
async def makes_own_links(api: Api) -> None:
    """All or none."""
    ids = ["HN-1", "HN-2"]
    links = await ask(api, 200, "POST", "/api/v1/halls/links", json={"conference_id": CONFERENCE, "hall_ids": ids})
    assert set(links["links"]) == OWN
    body = {"conference_id": CONFERENCE, "hall_ids": [*ids, FOREIGN]}
    await ask(api, 403, "POST", "/api/v1/halls/links", json=body)


@proves("POST", "/api/v1/halls/{hall_id}/link")
async def makes_own_link(api: Api) -> None:
    """A link opens a hall's every door."""
    await ask(api, 200, "POST", "/api/v1/halls/HN-1/link", json={"conference_id": CONFERENCE})
    await ask(api, 403, "POST", f"/api/v1/halls/{FOREIGN}/link", json={"conference_id": CONFERENCE})


@proves("GET", "/api/v1/conferences")
async def lists_conferences_with_own_totals(api: Api) -> None:
    """Every conference is told, and of each the caller's own halls are counted."""
    (found,) = (await ask(api, 200, "GET", "/api/v1/conferences"))["conferences"]
    assert (found["conference_id"], found["totals"]["halls"]) == (CONFERENCE, len(OWN))


@proves("GET", "/api/v1/conferences/{conference_id}")
async def reads_a_conference_with_own_totals(api: Api) -> None:
    """The caller's own halls are counted."""
    found = await ask(api, 200, "GET", f"/api/v1/conferences/{CONFERENCE}")
    assert found["totals"]["halls"] == len(OWN)


@proves("GET", "/api/v1/conferences/{conference_id}/attendance")
async def sums_own_halls(api: Api) -> None:
    """The sum is of the caller's own subtree where no unit is named, and no other is told."""
    path = f"/api/v1/conferences/{CONFERENCE}/attendance"
    found = await ask(api, 200, "GET", path)
    assert (found["unit"], found["tree"], found["total"]["real"]["seats"]) == ("01", "territory", 150)
    assert [child["code"] for child in found["children"]] == ["00004"]
    assert (await ask(api, 200, "GET", f"{path}?unit=00004"))["total"]["real"]["halls"] == 1
    await ask(api, 403, "GET", f"{path}?unit=79")
    await ask(api, 422, "GET", f"{path}?tree=organisation")


@proves("GET", "/api/v1/conferences/{conference_id}/discrepancies")
async def lists_own_discrepancies(api: Api) -> None:
    """Others are left out."""
    for hall in HALLS:
        await api.call("POST", "/api/v1/halls/headcount", hall=hall.hall_id, json={"summoned": 10, "present": 10})
    path = f"/api/v1/conferences/{CONFERENCE}/discrepancies"
    assert {each["hall_id"] for each in (await ask(api, 200, "GET", path))["discrepancies"]} == OWN
    page = await ask(api, 200, "GET", f"{path}?limit=1")
    assert ({each["hall_id"] for each in page["discrepancies"]}, page["next"]) == ({"HN-1"}, "HN-1")
    page = await ask(api, 200, "GET", f"{path}?after=HN-1")
    assert ({each["hall_id"] for each in page["discrepancies"]}, page["next"]) == ({"HN-2"}, "")
    await ask(api, 403, "GET", f"{path}?unit=79")


@proves("GET", "/api/v1/conferences/{conference_id}/checkins/conflicts")
async def lists_own_conflicts(api: Api) -> None:
    """Of the delegates of others nothing is told, wherever they were scanned."""
    await bring_delegates(api)
    for number, hall in ((1, "HN-1"), (2, FOREIGN)):
        scan = {"schema": 1, "code": api.keys.issue_code(CONFERENCE, number, 0), "at_ms": 1, "nonce": number}
        status, answer = await api.call("POST", "/api/v1/halls/checkin", hall=hall, json=scan)
        assert (status, answer["result"]) == (200, "counted")
    path = f"/api/v1/conferences/{CONFERENCE}/checkins/conflicts"
    assert [each["number"] for each in (await ask(api, 200, "GET", path))["conflicts"]] == [2]
    await ask(api, 403, "GET", f"{path}?unit=79")


@proves("GET", "/api/v1/conferences/{conference_id}/corrections")
async def lists_own_corrections(api: Api) -> None:
    """Others are left out."""
    base = f"/api/v1/conferences/{CONFERENCE}"
    await api.expect(200, "POST", f"{base}/phase", json={"phase": "ended"})
    await ask(api, 409, "GET", f"{base}/corrections")
    await api.expect(200, "POST", f"{base}/close")
    for hall in HALLS:
        await api.call("POST", "/api/v1/halls/headcount", hall=hall.hall_id, json={"summoned": 10, "present": 10})
    found = await ask(api, 200, "GET", f"{base}/corrections")
    assert {each["hall_id"] for each in found["corrections"]} == OWN
    page = await ask(api, 200, "GET", f"{base}/corrections?limit=1")
    assert ([each["hall_id"] for each in page["corrections"]], page["next"]) == (["HN-1"], "HN-1")
    await ask(api, 403, "GET", f"{base}/corrections?unit=79")
    closed = await ask(api, 200, "GET", f"{base}/attendance?closing=1")
    now = await ask(api, 200, "GET", f"{base}/attendance")
    assert (closed["is_closing"], closed["total"]["real"]["headcount"]["present"]) == (True, 0)
    assert (now["is_closing"], now["total"]["real"]["headcount"]["present"]) == (False, 20)


DELEGATES = f"/api/v1/conferences/{CONFERENCE}/delegates"


async def bring_delegates(api: Api) -> None:
    """Numbers 1, 2 and 3 are of HCM-1, HN-1 and HN-2."""
    rows = "\n".join(["hall,name,card", "HN-1,Lan,1", "HN-2,Mai,2", "HCM-1,Hùng,3"])
    await api.expect(200, "POST", f"{DELEGATES}/import", data=rows.encode())


@proves("POST", "/api/v1/conferences/{conference_id}/delegates/import")
async def imports_own_delegates(api: Api) -> None:
    """Neither into a hall elsewhere, nor by taking a delegate away from one."""
    await bring_delegates(api)
    for row in ("HCM-1,An,4", "HN-1,Hùng,3"):
        for query in ("", "?dry_run=1"):
            await ask(api, 422, "POST", f"{DELEGATES}/import{query}", data=f"hall,name,card\n{row}".encode())
    await ask(api, 200, "POST", f"{DELEGATES}/import", data=b"hall,name,card\nHN-1,An,4")


@proves("GET", "/api/v1/conferences/{conference_id}/delegates")
async def lists_own_delegates(api: Api) -> None:
    """Others are left out, and what is named must be reached."""
    await bring_delegates(api)
    assert [each["number"] for each in (await ask(api, 200, "GET", DELEGATES))["delegates"]] == [2, 3]
    for query in (f"hall={FOREIGN}", "unit=79"):
        await ask(api, 403, "GET", f"{DELEGATES}?{query}")


@proves("GET", "/api/v1/conferences/{conference_id}/delegates/{number}")
async def reads_own_delegate(api: Api) -> None:
    """One elsewhere is refused."""
    await bring_delegates(api)
    assert (await ask(api, 200, "GET", f"{DELEGATES}/2"))["name"] == "Lan"
    await ask(api, 403, "GET", f"{DELEGATES}/1")


@proves("POST", "/api/v1/conferences/{conference_id}/delegates/withdraw")
async def withdraws_own_delegates(api: Api) -> None:
    """All or none."""
    await bring_delegates(api)
    await ask(api, 403, "POST", f"{DELEGATES}/withdraw", json={"numbers": [2, 1]})
    await ask(api, 204, "POST", f"{DELEGATES}/withdraw", json={"numbers": [2]})


@proves("POST", "/api/v1/conferences/{conference_id}/delegates/move")
async def moves_own_delegates(api: Api) -> None:
    """Neither from elsewhere nor to there."""
    await bring_delegates(api)
    await ask(api, 403, "POST", f"{DELEGATES}/move", json={"numbers": [1], "hall_id": "HN-1"})
    await ask(api, 403, "POST", f"{DELEGATES}/move", json={"numbers": [2], "hall_id": FOREIGN})
    await ask(api, 204, "POST", f"{DELEGATES}/move", json={"numbers": [2], "hall_id": "HN-2"})


@proves("POST", "/api/v1/conferences/{conference_id}/delegates/reissue")
async def reissues_own_codes(api: Api) -> None:
    """All or none."""
    await bring_delegates(api)
    await ask(api, 403, "POST", f"{DELEGATES}/reissue", json={"numbers": [2, 1]})
    await ask(api, 204, "POST", f"{DELEGATES}/reissue", json={"numbers": [2]})


@proves("POST", "/api/v1/halls/{hall_id}/poster")
async def makes_own_poster(api: Api) -> None:
    """A poster lets delegates check themselves in."""
    await ask(api, 200, "POST", "/api/v1/halls/HN-1/poster", json={"conference_id": CONFERENCE})
    await ask(api, 403, "POST", f"/api/v1/halls/{FOREIGN}/poster", json={"conference_id": CONFERENCE})


@proves("GET", "/api/v1/conferences/{conference_id}/report")
async def reads_own_report(api: Api) -> None:
    """Of the own unit where none is named, in every form."""
    path = f"/api/v1/conferences/{CONFERENCE}/report"
    for unit in ("", "&unit=00004"):
        for form in ("json", "csv", "html", "text"):
            answer = await ask(api, 200, "GET", f"{path}?format={form}&kind=summary{unit}")
            found = (answer if isinstance(answer, bytes) else msgspec.json.encode(answer)).decode()
            assert "Ba Đình" in found, form
            assert all(word not in found for word in (FOREIGN, "Sài Gòn", "Hồ Chí Minh")), form
    await ask(api, 403, "GET", f"{path}?unit=79")


async def _until_data(lines: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Lines of an event stream up to the first with data."""
    async for line in lines:
        yield line
        if line.startswith(b"data:"):
            return


@proves("GET", "/api/v1/live")
async def watches_own_unit(api: Api) -> None:
    """Counts, units and lost halls are those of the subtree; relays belong to the whole country."""
    for role in (*ROLES, "operator"):
        headers = api.bearer(role, unit="01")
        async with api.session.get("/api/v1/live", headers=headers) as stream:
            data = [line async for line in _until_data(stream.content)][-1]
        snapshot = msgspec.json.decode(data.removeprefix(b"data:"))
        (conference,) = snapshot["conferences"]
        assert conference["totals"]["halls"] == len(OWN)
        assert [unit["code"] for unit in snapshot["provinces"]] == ["00004"]
        assert snapshot["relays"] == []
        assert snapshot["lost"] == []


@proves("GET", "/api/v1/conferences/{conference_id}/readiness")
async def reads_own_readiness(api: Api) -> None:
    """Own halls alone are counted and listed."""
    found = await ask(api, 200, "GET", f"{READY}")
    assert {hall["hall_id"] for hall in found["halls"]} == OWN
    assert found["total"]["halls"] == len(OWN)
    await ask(api, 403, "GET", f"{READY}?unit=79")


@proves("GET", "/api/v1/conferences/{conference_id}/readiness/calls")
async def reads_own_calls(api: Api) -> None:
    """Nobody else's telephone numbers."""
    found = await ask(api, 200, "GET", f"{READY}/calls")
    assert {hall["hall_id"] for hall in found["halls"]} == OWN
    assert FOREIGN.encode() not in await ask(api, 200, "GET", f"{READY}/calls?format=csv")
    await ask(api, 403, "GET", f"{READY}/calls?unit=79")


async def rehearse(api: Api) -> None:
    """A rehearsal in which a hall of each province is signed off."""
    draft = {"conference_id": "td", "title": "Tổng duyệt", "kind": "rehearsal", "rehearsal_of": CONFERENCE}
    await api.expect(201, "POST", "/api/v1/conferences", json=draft)
    for hall_id in ("HN-1", FOREIGN):
        await api.expect(200, "POST", "/api/v1/conferences/td/readiness/signoff", json={"hall_id": hall_id})


@proves("GET", "/api/v1/conferences/{conference_id}/readiness/comparison")
async def compares_own_halls(api: Api) -> None:
    """What became of others is not told."""
    await rehearse(api)
    found = await ask(api, 200, "GET", f"{READY}/comparison")
    assert {hall["hall_id"] for hall in found["halls"]} == {"HN-1"}
    await ask(api, 403, "GET", f"{READY}/comparison?unit=79")


@proves("POST", "/api/v1/conferences/{conference_id}/readiness/signoff")
async def signs_off_own_halls(api: Api) -> None:
    """Neither for a hall nor for a unit of others, nor for the country."""
    await ask(api, 200, "POST", f"{READY}/signoff", json={"hall_id": "HN-1"})
    await ask(api, 200, "POST", f"{READY}/signoff", json={"unit": "01"})
    for named in ({"hall_id": FOREIGN}, {"unit": "79"}, {}):
        await ask(api, 403, "POST", f"{READY}/signoff", json=named)


@proves("GET", "/api/v1/conferences/{conference_id}/rehearsal")
async def reads_own_part_of_a_rehearsal(api: Api) -> None:
    """Own halls alone."""
    await rehearse(api)
    found = await ask(api, 200, "GET", "/api/v1/conferences/td/rehearsal")
    assert {hall["hall"]["hall_id"] for hall in found["halls"]} == OWN
    await ask(api, 403, "GET", "/api/v1/conferences/td/rehearsal?unit=79")


@proves("GET", "/api/v1/conferences/{conference_id}/delegates/codes")
async def prints_own_codes(api: Api) -> None:
    """Others are left out, and what is named must be reached."""
    await bring_delegates(api)
    page = (await ask(api, 200, "GET", f"{DELEGATES}/codes")).decode()
    assert ("Lan" in page, "Mai" in page, "Hùng" in page) == (True, True, False)
    for query in (f"hall={FOREIGN}", "unit=79"):
        await ask(api, 403, "GET", f"{DELEGATES}/codes?{query}")


@proves("GET", "/api/v1/conferences/{conference_id}/posters")
async def prints_own_posters(api: Api) -> None:
    """Others are left out, and what is named must be reached."""
    path = f"/api/v1/conferences/{CONFERENCE}/posters"
    page = (await ask(api, 200, "GET", path)).decode()
    assert ("HN-1" in page, FOREIGN in page) == (True, False)
    await ask(api, 403, "GET", f"{path}?hall={FOREIGN}")


def key(route: Route) -> tuple[str, str]:
    """How the tables name a route."""
    return route.method, route.path


def staff_of(route: Route) -> list[Role]:
    """Roles of staff that a route serves, in order."""
    return sorted((route.roles or frozenset()) & STAFF)


@pytest.fixture
async def country(api: Api) -> Api:
    """Two provinces with halls, and an open conference."""
    await api.expect(200, "POST", "/api/v1/units/import", data=serialize_units_csv(UNITS))
    await api.expect(200, "POST", "/api/v1/halls/import", data=serialize_halls_csv(HALLS))
    await api.expect(201, "POST", "/api/v1/conferences", json={"conference_id": CONFERENCE, "title": "Hội nghị"})
    await api.expect(200, "POST", f"/api/v1/conferences/{CONFERENCE}/phase", json={"phase": "open"})
    return api


def test_every_route_is_accounted_for() -> None:
    """A route is closed to who is bound to a unit, or is proven here, or is the same for everybody with a reason."""
    routes = api_routes()
    assert {key(route) for route in routes if route.roles is None} == set(PUBLIC)
    assert {key(route) for route in routes if route.scope == "open"} | set(PUBLIC) == set(OPEN)
    assert {key(route) for route in routes if route.scope == "reach"} == set(PROBES)
    assert all(staff_of(route) for route in routes if route.scope != "whole")


@pytest.mark.parametrize("named", sorted(PROBES), ids=" ".join)
async def test_a_route_keeps_to_the_subtree_of_its_caller(country: Api, named: tuple[str, str]) -> None:
    """What is named outside of it is refused, what is listed leaves it out."""
    await PROBES[named](country)


async def test_routes_about_the_whole_country_refuse_who_is_bound_to_a_unit(country: Api) -> None:
    """Before anything is read or done, in every role that they serve."""
    asked = 0
    for route in api_routes():
        if route.scope != "whole":
            continue
        path = re.sub(r"\{[a-z_]+\}", "any", route.path)
        for role in staff_of(route):
            status, problem = await country.call(route.method, path, role, unit="01")
            assert (status, problem["code"]) == (403, "access_denied"), key(route)
            asked += 1
    assert asked > 20
