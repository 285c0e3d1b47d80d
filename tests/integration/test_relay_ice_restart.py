"""ICE restarts and trickled candidates by PATCH: RFC 9725 section 4.3 at a real relay."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from support.relays import RelayProcess, Signer, relay_process
from support.rtc_client import RtcClient, programme, rtc_client

from relay.net.negotiation import new_credentials
from relay.wire.demux import Kind, classify
from relay.wire.sdp_fragment import IceFragment, parse_fragment
from relay.wire.stun import BindingSuccess, parse_message, serialize_binding_request

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]
FRAGMENT_TYPE = "application/trickle-ice-sdpfrag"


class Scene:
    """One origin and a signer of tokens for it."""

    def __init__(self, relay: RelayProcess, signer: Signer) -> None:
        self.relay = relay
        self.play = signer.token("hall-1", "play")
        self.publish = signer.token("source", "publish")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """An origin for all tests of this file."""
    signer = Signer()
    directory: Path = tmp_path_factory.mktemp("restart")
    settings = {"fanout": "reference"}
    async with relay_process(directory, signer, relay_id="o", role="origin", settings=settings) as relay:
        yield Scene(relay, signer)


async def patch(
    client: RtcClient, token: str, body: str, *, if_match: str | None = "*", content_type: str = FRAGMENT_TYPE
) -> tuple[aiohttp.ClientResponse, str]:
    """A PATCH of a client's resource."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
    if if_match is not None:
        headers["If-Match"] = if_match
    async with (
        aiohttp.ClientSession() as http,
        http.patch(client.resource, data=body.encode(), headers=headers) as response,
    ):
        return response, await response.text()


def fragment(ufrag: str, pwd: str) -> str:
    """The least fragment with these credentials."""
    return f"a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n"


class OtherLine:
    """A socket elsewhere, from which the client that moved checks with new credentials."""

    def __init__(self, relay_address: tuple[str, int]) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)  # noqa: FBT003 (the standard library takes it so)
        self.socket.bind(("127.0.0.1", 0))
        self._relay_address = relay_address

    def check(self, username: str, password: str, *, nominates: bool) -> None:
        """Send one connectivity check."""
        datagram = serialize_binding_request(
            b"0123456789ab", username, priority=1, use_candidate=nominates, ice_controlling=7, password=password
        )
        self.socket.sendto(datagram, self._relay_address)

    async def next(self, kind: Kind) -> bytes:
        """The next datagram of this kind."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(5):
            while True:
                data = await loop.sock_recv(self.socket, 2048)
                if classify(data) is kind:
                    return data


async def test_a_hall_that_changed_its_line_keeps_its_session(scene: Scene) -> None:
    """Media goes to the old address until a new check nominates, then to the new one, under the same keys."""
    async with (
        rtc_client(scene.relay.endpoint("whip"), scene.publish, publishes=True) as source,
        rtc_client(scene.relay.endpoint("whep"), scene.play, publishes=False) as hall,
        programme(source),
    ):
        await hall.received(50)
        remote = new_credentials()
        response, body = await patch(hall, scene.play, fragment(remote.ufrag, remote.pwd))
        assert response.status == 200
        assert response.headers["Content-Type"] == FRAGMENT_TYPE
        local = parse_fragment(body)
        assert response.headers["ETag"] == f'"{local.ice_ufrag}"'
        assert f" {hall.relay_address[1]} typ host" in body
        line = OtherLine(hall.relay_address)
        with line.socket:
            line.check(f"{local.ice_ufrag}:{remote.ufrag}", local.ice_pwd, nominates=False)
            answer = parse_message(await line.next(Kind.STUN))
            assert isinstance(answer, BindingSuccess)
            assert answer.mapped_address == line.socket.getsockname()
            await hall.received(len(hall.packets) + 50)  # it still plays over the old line
            line.check(f"{local.ice_ufrag}:{remote.ufrag}", local.ice_pwd, nominates=True)
            packet = await line.next(Kind.RTP)
            assert packet
            assert hall.closed is None
            count = len(hall.packets)
            for _ in range(50):
                await line.next(Kind.RTP)
            assert len(hall.packets) - count <= 5, "the old line is not sent to any more"


async def test_a_publisher_restarts_too(scene: Scene) -> None:
    """Its packets are taken from the new address after the check; the session and its subscribers stay."""
    async with (
        rtc_client(scene.relay.endpoint("whip"), scene.publish, publishes=True) as source,
        rtc_client(scene.relay.endpoint("whep"), scene.play, publishes=False) as hall,
        programme(source),
    ):
        await hall.received(20)
        remote = new_credentials()
        response, body = await patch(source, scene.publish, fragment(remote.ufrag, remote.pwd))
        assert response.status == 200
        local = parse_fragment(body)
        line = OtherLine(source.relay_address)
        with line.socket:
            line.check(f"{local.ice_ufrag}:{remote.ufrag}", local.ice_pwd, nominates=True)
            await line.next(Kind.STUN)
            before, source.socket = source.socket, line.socket
            try:
                await hall.received(len(hall.packets) + 100)
            finally:
                source.socket = before
        metrics = await scene.relay.metrics()
        assert metrics["diemcau_relay_publishers"] == 1
        assert metrics["diemcau_relay_ice_restarts_total"] >= 1


async def test_trickled_candidates_are_welcome_and_change_nothing(scene: Scene) -> None:
    """204 with the entity tag of the session or `*`; the lite agent needs none of them."""
    async with rtc_client(scene.relay.endpoint("whep"), scene.play, publishes=False) as hall:
        assert hall.answer is not None
        tag = f'"{hall.answer.media[0].ice_ufrag}"'
        own = hall.credentials
        body = fragment(own.ufrag, own.pwd) + "a=candidate:1 1 udp 1 192.0.2.9 9 typ host\r\na=end-of-candidates\r\n"
        for if_match in (tag, "*", f'"other", {tag}'):
            response, text = await patch(hall, scene.play, body, if_match=if_match)
            assert (response.status, text) == (204, "")


async def test_an_outdated_entity_tag_is_refused(scene: Scene) -> None:
    """412 once ICE was restarted, for a weak tag too; 428 without any; the new tag is good."""
    async with rtc_client(scene.relay.endpoint("whep"), scene.play, publishes=False) as hall:
        assert hall.answer is not None
        first = f'"{hall.answer.media[0].ice_ufrag}"'
        remote = new_credentials()
        response, _ = await patch(hall, scene.play, fragment(remote.ufrag, remote.pwd), if_match=first)
        assert response.status == 200
        second = response.headers["ETag"]
        assert second != first
        body = fragment(remote.ufrag, remote.pwd)
        expected = {first: 412, f"W/{second}": 412, None: 428, second: 204}
        for if_match, status in expected.items():
            response, _ = await patch(hall, scene.play, body, if_match=if_match)
            assert response.status == status, if_match
        assert hall.closed is None


async def test_what_is_no_restart_is_refused(scene: Scene) -> None:
    """415 with Accept-Patch, 400 for what does not parse, 422 for half a restart; the session lives on."""
    async with rtc_client(scene.relay.endpoint("whep"), scene.play, publishes=False) as hall:
        new, own = new_credentials(), hall.credentials
        good = fragment(new.ufrag, new.pwd)
        response, _ = await patch(hall, scene.play, good, content_type="application/sdp")
        assert (response.status, response.headers["Accept-Patch"]) == (415, FRAGMENT_TYPE)
        response, _ = await patch(hall, scene.play, "v=0\r\n" + good)
        assert response.status == 400
        for half in (fragment(own.ufrag, new.pwd), fragment(new.ufrag, own.pwd)):
            response, _ = await patch(hall, scene.play, half)
            assert response.status == 422
        assert await hall.request("PUT", "/state", {"state": "active"}) == 204


async def test_only_the_owner_restarts(scene: Scene) -> None:
    """401 without a token; a session that is gone, or another's, is 404."""
    async with rtc_client(scene.relay.endpoint("whep"), scene.play, publishes=False) as hall:
        new = new_credentials()
        body = fragment(new.ufrag, new.pwd)
        response, _ = await patch(hall, "no.to.ken", body)
        assert response.status == 401
        assert await hall.request("DELETE") == 200
        response, _ = await patch(hall, scene.play, body)
        assert response.status == 404


async def test_the_answer_stands_where_the_question_did(scene: Scene) -> None:
    """A client that sorts its transport by m= line and mid finds them in the answer."""
    async with rtc_client(scene.relay.endpoint("whep"), scene.play, publishes=False) as hall:
        new = new_credentials()
        body = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n" + fragment(new.ufrag, new.pwd)
        response, text = await patch(hall, scene.play, body)
        assert response.status == 200
        found = parse_fragment(text)
        assert found == IceFragment(found.ice_ufrag, found.ice_pwd, "audio 9 UDP/TLS/RTP/SAVPF 111", "0")
