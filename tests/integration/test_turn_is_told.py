"""Who is told of the TURN servers: halls by the coordinator, any WHIP or WHEP client by its relay."""

from __future__ import annotations

import base64
import hmac
import re
import time
from pathlib import Path

import aiohttp
import pytest
from support.coordinator_harness import Api, connect_relay, register_message
from support.relays import Signer, relay_process

from bridges.messages import IceServer
from bridges.whip_client import delete_resource, post_offer
from conference.app import serve_coordinator
from conference.config import CoordinatorConfig
from configs.turn import TurnServers

pytestmark = pytest.mark.integration

SECRET = "phía bắc"
URLS = ("turn:turn.test:3478?transport=tcp", "turns:turn.test:443?transport=tcp")
SDP = Path(__file__).parent.parent / "data" / "sdp"


def is_good(username: str, credential: str, holder: str) -> bool:
    """Whether a TURN server with our secret would let this holder in now."""
    expires_at_s, _, name = username.partition(":")
    password = base64.b64encode(hmac.digest(SECRET.encode(), username.encode(), "sha1")).decode()
    return name == holder and int(expires_at_s) > time.time() and credential == password


async def test_halls_are_told_when_they_join_and_afterwards(tmp_path: Path) -> None:
    """The join and each assignment carry the servers with credentials of the hall's own."""
    secret_file = tmp_path / "secret"
    secret_file.write_text(SECRET)
    config = CoordinatorConfig(
        port=0,
        state_dir=tmp_path / "state",
        lease_s=0.6,
        heartbeat_s=0.05,
        turn=TurnServers(urls=URLS, secret_file=secret_file),
    )
    async with serve_coordinator(config) as running:
        api = Api(running.url, running.services.keys)
        try:
            hall_id = (await api.prepare(1))[0]
            async with connect_relay(api, register_message("edge-1")):
                for assignment in (await api.join(hall_id), await api.assignment(hall_id)):
                    (server,) = assignment.ice_servers
                    assert isinstance(server, IceServer)
                    assert tuple(server.urls) == URLS
                    assert is_good(server.username, server.credential, hall_id)
        finally:
            await api.aclose()


@pytest.mark.parametrize("protocol", ["whip", "whep"])
async def test_a_relay_tells_in_link_headers(tmp_path: Path, protocol: str) -> None:
    """One `ice-server` link for each server (RFC 9725 section 4.6), none for a child relay; our own clients cope."""
    signer, secret_file = Signer(), tmp_path / "secret"
    secret_file.write_text(SECRET)
    settings = {"turn": {"urls": list(URLS), "secret_file": str(secret_file)}, "fanout": "reference"}
    action, name = ("publish", "offer") if protocol == "whip" else ("play", "whepoffer")
    offer = (SDP / f"{name}_chromium.sdp").read_text()
    async with (
        relay_process(tmp_path, signer, relay_id="o", role="origin", settings=settings) as relay,
        aiohttp.ClientSession() as http,
    ):
        url = relay.endpoint(protocol)
        for link, expected in ((False, list(URLS)), (True, [])):
            token = signer.token("hall-1", action, link=link)
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
            async with http.post(url, data=offer.encode(), headers=headers) as response:
                links = [each for each in response.headers.getall("Link", []) if 'rel="ice-server"' in each]
            assert [each.partition(">")[0].removeprefix("<") for each in links] == expected
            for each in links:
                values = dict(re.findall(r'([a-z-]+)="([^"]*)"', each))
                assert is_good(values["username"], values["credential"], "hall-1")
                assert values["credential-type"] == "password"
        resource = await post_offer(http, url, signer.token("hall-1", action), offer)
        assert await delete_resource(http, resource)
