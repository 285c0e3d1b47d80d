"""What a real relay answers over HTTP: WHIP by RFC 9725, WHEP by its draft, errors by RFC 9457."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from support.relays import CONFERENCE, FEED, RelayProcess, Signer, control_server, relay_process
from support.rtc_client import RtcClient, rtc_client

from relay.messages import CloseConference
from relay.wire.sdp import parse_session

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]
SDP = Path(__file__).parent.parent / "data" / "sdp"
MAX_SESSIONS = 6


class Scene:
    """An origin of few seats and an edge, both without a coordinator, and an HTTP client."""

    def __init__(self, signer: Signer, origin: RelayProcess, edge: RelayProcess, http: aiohttp.ClientSession) -> None:
        self.signer = signer
        self.origin = origin
        self.edge = edge
        self.http = http

    async def post(
        self,
        url: str,
        *,
        body: bytes | None = None,
        token: str | None = None,
        content_type: str = "application/sdp",
        authorization: str | None = None,
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        """Post an offer, by default a good one of Chromium with a good token."""
        action = "publish" if url.endswith("/whip") else "play"
        name = "offer_chromium.sdp" if action == "publish" else "whepoffer_chromium.sdp"
        token = self.signer.token("hall-1", action) if token is None else token
        headers = {
            "Authorization": f"Bearer {token}" if authorization is None else authorization,
            "Content-Type": content_type,
        }
        data = (SDP / name).read_bytes() if body is None else body
        async with self.http.post(url, data=data, headers=headers) as response:
            return response, await response.read()

    async def request(self, method: str, url: str, token: str = "", **options: object) -> aiohttp.ClientResponse:
        """Any other request."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.http.request(method, url, headers=headers, **options) as response:  # type: ignore[arg-type] # passed on
            await response.read()
            return response


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Two relays for all tests of this file."""
    signer, directory = Signer(), tmp_path_factory.mktemp("relays")
    async with (
        relay_process(
            directory, signer, relay_id="o", role="origin", settings={"max_sessions": MAX_SESSIONS}
        ) as origin,
        relay_process(directory, signer, relay_id="e", role="edge") as edge,
        aiohttp.ClientSession() as http,
    ):
        yield Scene(signer, origin, edge, http)


def is_problem(response: aiohttp.ClientResponse, body: bytes, code: str) -> bool:
    """Whether an answer is a problem document of this code that any page may read."""
    document = json.loads(body)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert document["type"] == "about:blank"
    assert document["status"] == response.status
    assert document["title"]
    assert document["detail"]
    return bool(document["code"] == code)


@pytest.mark.parametrize("protocol", ["whip", "whep"])
async def test_a_session_is_created_and_deleted(scene: Scene, protocol: str) -> None:
    """201 with Location, ETag and plain application/sdp; DELETE 200; a second DELETE 404."""
    response, body = await scene.post(scene.origin.endpoint(protocol))
    assert response.status == 201
    assert response.headers["Content-Type"] == "application/sdp"
    assert response.headers["ETag"].startswith('"')
    location = response.headers["Location"]
    assert location.startswith(f"/{CONFERENCE}/{FEED}/{protocol}/")
    answer = parse_session(body.decode())
    assert answer.ice_lite
    assert all(media.setup == "passive" for media in answer.media if not media.rejected)
    links = response.headers.getall("Link", [])
    assert len(links) == (2 if protocol == "whep" else 0)
    resource = f"{scene.origin.base_url}{location}"
    token = scene.signer.token("hall-1", "publish" if protocol == "whip" else "play")
    assert (await scene.request("DELETE", resource, token)).status == 200
    assert (await scene.request("DELETE", resource, token)).status == 404


@pytest.mark.parametrize("protocol", ["whip", "whep"])
async def test_another_subject_cannot_touch_a_session(scene: Scene, protocol: str) -> None:
    """A good token of another holder finds nothing; the wrong action is forbidden; the owner deletes."""
    response, _ = await scene.post(scene.origin.endpoint(protocol))
    resource = f"{scene.origin.base_url}{response.headers['Location']}"
    action, other = ("publish", "play") if protocol == "whip" else ("play", "publish")
    assert (await scene.request("DELETE", resource, scene.signer.token("hall-2", action))).status == 404
    assert (await scene.request("DELETE", resource, scene.signer.token("hall-1", other))).status == 403
    assert (await scene.request("DELETE", resource)).status == 401
    assert (await scene.request("DELETE", resource, scene.signer.token("hall-1", action))).status == 200


async def test_conferences_may_be_called_whip(scene: Scene) -> None:
    """Nothing is read from the words of a path but its place."""
    token = scene.signer.token("hall-1", "play", conference="whip")
    response, _ = await scene.post(f"{scene.origin.base_url}/whip/{FEED}/whep", token=token)
    assert response.status == 201
    assert (await scene.request("DELETE", scene.origin.base_url + response.headers["Location"], token)).status == 200


@pytest.mark.parametrize("body", [b"", b"hello", b"v=0\r\n", b"\xff\xfe", b"v=0\r\n" + b"a=x\r\n" * 9000], ids=range(5))
async def test_malformed_sdp_is_refused(scene: Scene, body: bytes) -> None:
    """400, and counted; the relay serves on."""
    before = (await scene.origin.metrics()).get('diemcau_relay_malformed_total{protocol="sdp"}', 0)
    response, answer = await scene.post(scene.origin.endpoint("whep"), body=body)
    assert response.status == 400
    assert is_problem(response, answer, "malformed")
    assert (await scene.origin.metrics())['diemcau_relay_malformed_total{protocol="sdp"}'] > before


async def test_without_a_good_token_nobody_enters(scene: Scene) -> None:
    """401 and how to authenticate, whatever the header holds."""
    good = scene.signer.token("hall-1", "play")
    head, _, tail = good.partition(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    deep = base64.urlsafe_b64encode(b"[" * 2_900).decode().rstrip("=")
    expired = scene.signer.token("hall-1", "play", lifetime_s=-1)
    for authorization in (
        "",
        "Bearer",
        "Bearer x",
        f"Basic {good}",
        f"Bearer {Signer().token('hall-1', 'play')}",
        f"Bearer {expired}",
        f"Bearer {none}.{tail.partition('.')[0]}.",
        f"Bearer {deep}.{deep[:8]}.x",
        f"Bearer {good}{'A' * 5000}",
        f"Bearer {head}.é.{tail}",
    ):
        response, body = await scene.post(scene.origin.endpoint("whep"), authorization=authorization)
        assert response.status == 401, authorization[:60]
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert is_problem(response, body, "access_denied")


async def test_a_token_for_something_else_is_forbidden(scene: Scene) -> None:
    """403: another conference, another action."""
    other = scene.signer.token("hall-1", "play", conference="hn2027")
    for token in (other, scene.signer.token("hall-1", "publish")):
        response, body = await scene.post(scene.origin.endpoint("whep"), token=token)
        assert response.status == 403
        assert is_problem(response, body, "access_denied")


async def test_an_edge_takes_no_publisher(scene: Scene) -> None:
    """409 not_an_origin."""
    response, body = await scene.post(scene.edge.endpoint("whip"))
    assert response.status == 409
    assert is_problem(response, body, "not_an_origin")


async def test_sizes_and_types_are_bounded(scene: Scene) -> None:
    """413 for a body beyond any offer, 415 for another type."""
    response, body = await scene.post(scene.origin.endpoint("whep"), body=b"v=0\r\n" + b"a" * 900_000)
    assert response.status == 413
    assert is_problem(response, body, "http_413")
    for content_type in ("application/json", "text/plain"):
        response, body = await scene.post(scene.origin.endpoint("whep"), content_type=content_type)
        assert response.status == 415
        assert is_problem(response, body, "http_415")


async def test_an_offer_of_nothing_to_carry_is_unprocessable(scene: Scene) -> None:
    """422: well formed, but it wants to send where it should receive."""
    offer = (SDP / "offer_chromium.sdp").read_bytes().replace(b"a=sendrecv", b"a=sendonly")
    response, body = await scene.post(scene.origin.endpoint("whep"), body=offer)
    assert response.status == 422
    assert is_problem(response, body, "unacceptable_offer")


async def test_unknown_paths_and_methods(scene: Scene) -> None:
    """404 for what is not there, 405 with Allow for what cannot be done."""
    token = scene.signer.token("hall-1", "play")
    assert (await scene.request("GET", f"{scene.origin.base_url}/nothing", token)).status == 404
    assert (await scene.request("POST", f"{scene.origin.base_url}/a%2Fb/{FEED}/whep", token)).status == 404
    resource = f"{scene.origin.endpoint('whep')}/nobody"
    assert (await scene.request("DELETE", resource, token)).status == 404
    for method, url, allowed in (
        ("GET", scene.origin.endpoint("whip"), "POST"),
        ("PUT", scene.origin.endpoint("whep"), "POST"),
        ("POST", resource, "PATCH"),
    ):
        response = await scene.request(method, url, token)
        assert response.status == 405
        assert allowed in response.headers["Allow"]


async def test_options_answer_any_origin(scene: Scene) -> None:
    """A page of the coordinator's origin may post, read Location, and sees what to post; no token needed."""
    resource = f"{scene.origin.endpoint('whep')}/nobody"
    urls = (scene.origin.endpoint("whip"), scene.origin.endpoint("whep"), resource, f"{resource}/state")
    for url in urls:
        response = await scene.request("OPTIONS", url)
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
        assert {"Location", "Link", "ETag"} <= set(response.headers["Access-Control-Expose-Headers"].split(", "))
        assert response.headers["Accept-Post"] == "application/sdp"


async def test_a_full_relay_says_when_to_come_again(scene: Scene) -> None:
    """503 with Retry-After when all seats are taken; a seat that is given back is there at once."""
    token = scene.signer.token("hall-1", "play")
    resources: list[str] = []
    response, body = await scene.post(scene.origin.endpoint("whep"))
    while response.status == 201 and len(resources) <= MAX_SESSIONS:
        resources.append(scene.origin.base_url + response.headers["Location"])
        response, body = await scene.post(scene.origin.endpoint("whep"))
    assert response.status == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert is_problem(response, body, "full")
    for resource in resources:
        assert (await scene.request("DELETE", resource, token)).status == 200
    response, _ = await scene.post(scene.origin.endpoint("whep"))
    assert response.status == 201
    await scene.request("DELETE", scene.origin.base_url + response.headers["Location"], token)


async def test_a_bad_offer_takes_no_seat(scene: Scene) -> None:
    """An offer that parses and cannot be answered leaves no session behind."""
    offer = (SDP / "whepoffer_chromium.sdp").read_bytes().replace(b"a=setup:actpass", b"a=setup:passive")
    for _ in range(MAX_SESSIONS + 1):
        response, _ = await scene.post(scene.origin.endpoint("whep"), body=offer)
        assert response.status == 400
    assert (await scene.origin.metrics())["diemcau_relay_subscribers"] == 0


async def test_the_state_of_a_session(scene: Scene) -> None:
    """204 for the two states, 400 and 422 for anything else, 404 for a publisher's resource."""
    token = scene.signer.token("hall-1", "play")
    response, _ = await scene.post(f"{scene.origin.endpoint('whep')}?standby=1")
    resource = scene.origin.base_url + response.headers["Location"]
    for body, status in (
        ({"state": "active"}, 204),
        ({"state": "standby"}, 204),
        ({"state": "asleep"}, 422),
        ({"state": 1}, 400),
        ({}, 400),
        ({"state": "active", "more": 1}, 400),
    ):
        assert (await scene.request("PUT", f"{resource}/state", token, json=body)).status == status
    assert (await scene.request("DELETE", resource, token)).status == 200
    assert (await scene.request("PUT", f"{resource}/state", token, json={"state": "active"})).status == 404


async def read_events(http: aiohttp.ClientSession, resource: str, token: str, begun: asyncio.Event) -> list[str]:
    """Names of the events of a session, until the relay ends the stream; `begun` is set once it answers."""
    async with http.get(f"{resource}/events", headers={"Authorization": f"Bearer {token}"}) as response:
        begun.set()
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        lines = [line.decode().strip() async for line in response.content]
    return [line.partition(": ")[2] for line in lines if line.startswith("event: ")]


async def test_a_deleted_session_ends_its_events_and_not_the_conference(scene: Scene) -> None:
    """The stream ends without `ended`: that word is for the end of the conference, and halls stop at it."""
    async with rtc_client(scene.origin.endpoint("whep"), scene.signer.token("hall-1", "play"), publishes=False) as hall:
        token = scene.signer.token("hall-1", "play")
        begun = asyncio.Event()
        reading = asyncio.create_task(read_events(scene.http, hall.resource, token, begun))
        await begun.wait()
        assert await hall.request("DELETE") == 200
        assert await asyncio.wait_for(reading, 5) == []
        await closed(hall)


async def closed(client: RtcClient) -> None:
    """Return when the client was told by close_notify."""
    while client.closed is None:
        await client.change()


async def test_the_end_of_a_conference(tmp_path: Path) -> None:
    """Its sessions hear `ended` and are closed; new ones get 410; other conferences go on."""
    signer = Signer()
    async with (
        control_server(signer) as control,
        relay_process(tmp_path, signer, relay_id="o", role="origin", coordinator_url=control.url) as origin,
        aiohttp.ClientSession() as http,
    ):
        token = signer.token("hall-1", "play")
        async with rtc_client(origin.endpoint("whep"), token, publishes=False) as hall:
            begun = asyncio.Event()
            reading = asyncio.create_task(read_events(http, hall.resource, token, begun))
            await begun.wait()
            await control.heard_from("o")
            await control.send("o", CloseConference(conference=CONFERENCE))
            assert await asyncio.wait_for(reading, 5) == ["ended"]
            await closed(hall)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        offer = (SDP / "whepoffer_chromium.sdp").read_bytes()
        async with http.post(origin.endpoint("whep"), data=offer, headers=headers) as response:
            assert response.status == 410
            assert is_problem(response, await response.read(), "conference_ended")
        async with rtc_client(
            f"{origin.base_url}/other/{FEED}/whep", signer.token("hall-1", "play", conference="other"), publishes=False
        ) as other:
            assert other.closed is None
