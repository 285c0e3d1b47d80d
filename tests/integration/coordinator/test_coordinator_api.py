from __future__ import annotations

import asyncio
import gzip
import time
from typing import Any

import jwt
import msgspec
import pytest
from openapi_spec_validator import validate
from support.coordinator_harness import CONFERENCE, Api, connect_relay, eventually, register_message

from conference.access import ApiClaims, KeyRing
from conference.api import bodies
from conference.api.server import api_routes
from conference.api_client import ApiClient
from conference.app import RunningCoordinator
from relay.access import verify_relay_token

pytestmark = pytest.mark.integration


async def test_a_conference_from_import_to_report(api: Api) -> None:
    """Units and halls are imported, halls join two live relays, report a headcount, and all shows in the report."""
    halls = await api.prepare(12)
    async with (
        connect_relay(api, register_message("origin", role="origin")),
        connect_relay(api, register_message("edge-1")),
        connect_relay(api, register_message("edge-2")),
    ):
        for hall_id in halls:
            assignment = await api.join(hall_id)
            assert {assignment.primary.relay_id, assignment.backup and assignment.backup.relay_id} == {
                "edge-1",
                "edge-2",
            }
            assert assignment.primary.whep_url.endswith(f"/{CONFERENCE}/program/whep")
            claims = verify_relay_token(assignment.primary.token, api.keys.public_keys, time.time())
            assert (claims.sub, claims.action, claims.feeds) == (hall_id, "play", ["program"])
        status, _ = await api.call(
            "POST", "/api/v1/halls/headcount", hall=halls[0], json={"summoned": 80, "present": 76, "excused": 4}
        )
        assert status == 204
        publisher = await api.expect(
            200, "POST", f"/api/v1/conferences/{CONFERENCE}/publishers", json={"feed": "program"}
        )
        assert publisher["whip_url"] == f"http://origin.test:8100/{CONFERENCE}/program/whip"
        assert publisher["whip_urls"] == [publisher["whip_url"]]
        await api.expect(200, "POST", f"/api/v1/conferences/{CONFERENCE}/phase", json={"phase": "live"})
        shown = await api.expect(200, "GET", f"/api/v1/conferences/{CONFERENCE}")
        assert shown["phase"] == "live"
        assert (shown["totals"]["halls"], shown["totals"]["headcount_present"]) == (12, 76)
        attendance = await api.expect(200, "GET", f"/api/v1/conferences/{CONFERENCE}/attendance")
        assert attendance["total"]["real"]["headcount"]["present"] == 76
        for form in ("json", "csv", "html", "text"):
            await api.expect(200, "GET", f"/api/v1/conferences/{CONFERENCE}/report", params={"format": form})
        status, _ = await api.call("POST", "/api/v1/halls/leave", hall=halls[0])
        assert status == 204
        left = await api.expect(200, "GET", "/api/v1/halls", params={"conference": CONFERENCE, "status": "left"})
        assert [hall["hall_id"] for hall in left["halls"]] == [halls[0]]


async def test_what_is_exported_imports_as_the_same_and_changes_nothing(api: Api) -> None:
    """The registry's CSV is read back: the same halls, none changed; a dry run writes nothing."""
    await api.prepare(30)
    exported = await api.expect(200, "GET", "/api/v1/halls/export")
    again = await api.expect(200, "POST", "/api/v1/halls/import", data=exported)
    assert (again["halls"], again["changed"], again["dry_run"]) == (30, 0, False)
    assert again["difference"]["unchanged_count"] == 30
    workbook = await api.expect(200, "GET", "/api/v1/halls/export", params={"format": "xlsx"})
    assert (await api.expect(200, "POST", "/api/v1/halls/import", data=workbook))["changed"] == 0
    changed = exported.replace("Điểm cầu".encode(), "Điểm họp".encode())
    dry = await api.expect(200, "POST", "/api/v1/halls/import", params={"dry_run": "1"}, data=changed)
    assert dry["changed"] > 0
    assert await api.expect(200, "GET", "/api/v1/halls/export") == exported


async def test_a_bad_import_names_its_rows_and_imports_none(api: Api) -> None:
    """One bad row refuses the whole file with 422 and says row, column, value and reason."""
    await api.prepare(3)
    data = "mã,tên,đơn vị,cấp,số đại biểu\nA-1,Điểm cầu A,01,tỉnh,80\nA-2,Điểm cầu B,nowhere,tỉnh,many\n".encode()
    problem = await api.expect(422, "POST", "/api/v1/halls/import", data=data)
    assert {(error["row"], error["value"]) for error in problem["errors"]} == {(3, "nowhere"), (3, "many")}
    assert len((await api.expect(200, "GET", "/api/v1/halls"))["halls"]) == 3


async def test_halls_are_listed_page_by_page(api: Api) -> None:
    """Each page begins behind the one before, filters hold over pages, and all pages are all halls in order."""
    hall_ids = await api.prepare(23)
    found: list[str] = []
    after = ""
    while True:
        page = await api.expect(200, "GET", "/api/v1/halls", params={"limit": "10", "after": after})
        found += [hall["hall_id"] for hall in page["halls"]]
        after = page["next"]
        if not after:
            break
        assert (len(page["halls"]), found[-1]) == (10, after)
    assert found == sorted(hall_ids)
    waiting = {"conference": CONFERENCE, "status": "waiting", "limit": "22"}
    page = await api.expect(200, "GET", "/api/v1/halls", params=waiting)
    assert (len(page["halls"]), page["next"]) == (22, sorted(hall_ids)[21])
    page = await api.expect(200, "GET", "/api/v1/halls", params={"limit": "23"})
    assert (len(page["halls"]), page["next"]) == (23, "")
    assert (await api.expect(200, "GET", "/api/v1/halls", params={"after": "zzz"}))["halls"] == []
    async with ApiClient(api.url, api.keys.issue_api_token(ApiClaims(sub="t", role="operator", exp=2**40))) as client:
        client_halls = [hall["hall_id"] for hall in await client.halls(conference=CONFERENCE)]
    assert client_halls == found


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"{", 400, "malformed_json"),
        (b"\xff\xfe", 400, "malformed_json"),
        (b'{"conference_id":"\xff","title":"x"}', 400, "malformed_json"),
        (b'{"conference_id":"a","title":"x","more":1}', 422, "bad_body"),
        (b'{"conference_id":1,"title":"x"}', 422, "bad_body"),
        (b'{"conference_id":"a b","title":"x"}', 422, "bad_id"),
        (b'{"conference_id":"a","title":"x","feeds":[]}', 422, "bad_body"),
        (b'{"conference_id":"a","title":"' + b"x" * 70_000 + b'"}', 413, "request_entity_too_large"),
        (b'{"feeds":' + b"[" * 30_000, 422, "bad_body"),
    ],
)
async def test_malformed_bodies_are_problems(api: Api, data: bytes, status: int, code: str) -> None:
    """Whatever a body holds, the answer is a problem document with a code, and nothing is created."""
    problem = await api.expect(status, "POST", "/api/v1/conferences", data=data)
    assert problem["code"] == code
    assert (await api.expect(200, "GET", "/api/v1/conferences")) == {"conferences": []}


async def test_a_body_without_a_length_is_bounded_too(api: Api) -> None:
    """A chunked body past the limit is refused with 413 although no length was announced."""

    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 4096

    problem = await api.expect(413, "POST", "/api/v1/conferences", data=endless())
    assert problem["status"] == 413


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
async def test_a_compressed_body_is_refused_unread(api: Api, encoding: str) -> None:
    """Whatever it is compressed with, and whether it is or not, the answer is 415 and the connection lives on."""
    for data in (b"not compressed", gzip.compress(b" " * 5_000_000)):
        headers = {"Content-Encoding": encoding}
        problem = await api.expect(415, "POST", "/api/v1/conferences", data=data, headers=headers)
        assert problem["code"] == "unsupported_media_type"


async def _begin_a_body(api: Api) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request whose body has begun and does not go on, on a connection of its own."""
    token = api.bearer("organiser")["Authorization"]
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    head = f"POST /api/v1/conferences HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 100\r\n\r\n"
    writer.write(head.encode() + b'{"conference_id":')
    await writer.drain()
    return reader, writer


async def _answered(api: Api, status: int) -> bool:
    _, text = await api.call("GET", "/metrics", role=None)
    return f'http_requests_total{{route="/api/v1/conferences",status="{status}"}} 1.0'.encode() in text


async def test_who_vanishes_in_the_middle_of_a_body_is_no_error_of_ours(api: Api) -> None:
    """A line that breaks during a request counts as the caller's 400: an operator is not sent to the log for it."""
    _, writer = await _begin_a_body(api)
    writer.close()
    await eventually(lambda: _answered(api, 400), "the request that broke off is counted")
    assert not await _answered(api, 500)


async def test_a_body_that_never_ends_is_not_waited_for(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bounded time the answer is 408, and the connection is closed."""
    monkeypatch.setattr(bodies, "BODY_TIMEOUT_S", 0.2)
    reader, writer = await _begin_a_body(api)
    async with asyncio.timeout(10):
        assert (await reader.read()).split()[1] == b"408"
    writer.close()


@pytest.mark.parametrize(
    ("method", "path", "role", "status"),
    [
        ("GET", "/api/v1/units", None, 401),
        ("GET", "/api/v1/units", "hall", 403),
        ("POST", "/api/v1/units/import", "technician", 403),
        ("POST", "/api/v1/halls/import", "operator", 403),
        ("POST", "/api/v1/conferences", "operator", 403),
        ("POST", "/api/v1/halls/join", "organiser", 403),
        ("GET", "/api/v1/relays", "technician", 403),
        ("GET", "/api/v1/relays/control", "organiser", 403),
        ("GET", "/api/v1/live", "hall", 403),
        ("GET", "/api/v1/discovery/prometheus", "organiser", 403),
        ("GET", "/api/v1/nothing", "organiser", 404),
        ("GET", "/static/../app.py", None, 404),
        ("GET", "/static/%2e%2e%2fapp.py", None, 404),
        ("DELETE", "/api/v1/units", "organiser", 405),
        ("GET", "/api/v1/conferences/none", "organiser", 404),
        ("GET", "/api/v1/halls?status=odd", "organiser", 422),
        ("GET", "/api/v1/halls?limit=0", "organiser", 422),
        ("GET", "/api/v1/halls?limit=5001", "organiser", 422),
        ("GET", "/api/v1/halls?limit=-1", "organiser", 422),
        ("GET", "/api/v1/halls?unit=odd", "organiser", 404),
        ("GET", "/api/v1/halls?conference=odd", "organiser", 404),
    ],
)
async def test_who_may_not_is_told_so(api: Api, method: str, path: str, role: Any, status: int) -> None:
    """Without a token 401, with another's role 403, unknown paths 404, methods 405: each a problem document."""
    hall = "h1" if role == "hall" else ""
    found, problem = await api.call(method, path, role, hall=hall)
    assert (found, problem["status"]) == (status, status)


async def test_forged_tokens_open_nothing(api: Api) -> None:
    """Expired tokens, other keys, other audiences, `none` and symmetric algorithms are all answered with 401."""
    soon = int(time.time()) + 60
    claims = {"iss": "diemcau", "aud": "api", "sub": "x", "role": "organiser", "exp": soon}
    public = api.keys.public_keys[0]
    forged = [
        "",
        "x",
        "a.b.c",
        "é" * 10,
        "y" * 5000,
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode(claims, "k" * 64, algorithm="HS256"),
        KeyRing.generate().issue_api_token(ApiClaims(sub="x", role="organiser", exp=soon)),
        api.keys.issue_api_token(ApiClaims(sub="x", role="organiser", exp=soon - 120)),
        api.keys.issue_api_token(ApiClaims(sub="x", role="hall", exp=soon)),
        api.keys.issue_relay_token(sub="x", conference="c", feeds=["program"], action="play", exp=soon),
    ]
    assert public.startswith("-----BEGIN PUBLIC KEY-----")
    for token in forged:
        headers = {"Authorization": f"Bearer {token}"}
        status, problem = await api.call("GET", "/api/v1/units", None, headers=headers)
        assert (status, problem["code"]) == (401, "access_denied"), token[:40]


async def test_a_halls_token_reaches_its_own_hall_only(api: Api) -> None:
    """The hall is taken from the token: a body cannot name another, and a link opens only what it was made for."""
    halls = await api.prepare(2)
    links = await api.expect(200, "POST", "/api/v1/halls/links", json={"conference_id": CONFERENCE, "hall_ids": halls})
    link = links["links"][halls[0]]
    assert link.startswith(f"{api.url}/hall#token=")
    async with connect_relay(api, register_message("edge-1")):
        headers = {"Authorization": f"Bearer {link.partition('#token=')[2]}"}
        status, body = await api.call("POST", "/api/v1/halls/join", None, headers=headers, json={"hall_id": halls[1]})
        assert (status, body["hall_id"]) == (200, halls[0])


async def test_joining_needs_an_open_conference_and_a_relay(api: Api) -> None:
    """Before the relays there is 503 with Retry-After, after the end 409 wrong_phase, for a stranger 404."""
    halls = await api.prepare(1)
    headers = api.bearer("hall", hall=halls[0])
    async with api.session.post("/api/v1/halls/join", headers=headers, json={}) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
        assert (await answer.json(content_type=None))["code"] == "no_relay"
    assert (await api.call("POST", "/api/v1/halls/join", hall="stranger", json={}))[0] == 404
    await api.expect(200, "POST", f"/api/v1/conferences/{CONFERENCE}/phase", json={"phase": "ended"})
    status, problem = await api.call("POST", "/api/v1/halls/join", hall=halls[0], json={})
    assert (status, problem["code"]) == (409, "wrong_phase")


async def test_every_answer_is_hardened(api: Api) -> None:
    """Pages, data, problems and streams all carry the strict headers, and pages allow no foreign script."""
    for path in ("/hall", "/live", "/static/nothing.js", "/api/v1/openapi.json", "/api/v1/units", "/healthz"):
        async with api.session.get(path) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff", path
            assert answer.headers["Referrer-Policy"] == "no-referrer", path
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"], path
            assert "unsafe-inline" not in answer.headers["Content-Security-Policy"], path


async def test_the_document_describes_every_route_and_is_valid(api: Api) -> None:
    """The OpenAPI document validates and holds exactly the operations of the table."""
    document = await api.expect(200, "GET", "/api/v1/openapi.json")
    validate(document)
    described = {(method.upper(), path) for path, found in document["paths"].items() for method in found}
    assert described == {(route.method, route.path) for route in api_routes()}
    ids = [found["operationId"] for path in document["paths"].values() for found in path.values()]
    assert len(set(ids)) == len(ids)


async def test_viewers_see_a_change_within_the_next_snapshot(api: Api) -> None:
    """A viewer gets a snapshot at once, and another when something changed."""
    async with api.session.get("/api/v1/live", headers=api.bearer("operator")) as stream, asyncio.timeout(10):
        first = await _next_snapshot(stream.content)
        assert first["conferences"] == []
        await api.prepare(5)
        while not (await _next_snapshot(stream.content))["conferences"]:
            pass


async def _next_snapshot(content: Any) -> Any:
    while True:
        line = await content.readline()
        if line.startswith(b"data: "):
            return msgspec.json.decode(line[6:])


async def test_metrics_count_joins_and_name_nobody(api: Api, running: RunningCoordinator) -> None:
    """Joins, commands, appends and requests are counted by closed labels; no hall's id is among them."""
    halls = await api.prepare(3)
    async with connect_relay(api, register_message("edge-1")):
        for hall_id in halls:
            await api.join(hall_id)
        async with api.session.get("/metrics") as answer:
            text = await answer.text()
    assert 'diemcau_coordinator_joins_total{result="ok"} 3.0' in text
    assert 'diemcau_coordinator_commands_total{command="JoinHall",result="ok"} 3.0' in text
    assert 'diemcau_coordinator_relays{status="live",virtual="false"} 1.0' in text
    assert 'diemcau_coordinator_halls{status="waiting",virtual="false"} 3.0' in text
    assert "diemcau_coordinator_journal_append_seconds_count" in text
    assert not any(hall_id in text for hall_id in halls)
