"""The leader's door for gateways: what is no batch of a gateway is refused and counted, and nothing comes of it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
from support.coordinator_harness import CONFERENCE, Api, connect_relay, register_message

from conference.app import RunningCoordinator, serve_coordinator
from conference.config import CoordinatorConfig
from conference.front.messages import (
    MAX_BATCH,
    MAX_MESSAGE_BYTES,
    PATH,
    Batch,
    BatchAnswer,
    Forwarded,
    ForwardedJoin,
    ForwardedLeave,
    Hello,
    LeaderMessage,
    Welcome,
)

pytestmark = pytest.mark.integration

VIOLATION, TOO_BIG = 1008, 1009


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningCoordinator]:
    """A coordinator that serves."""
    async with serve_coordinator(CoordinatorConfig(port=0, state_dir=tmp_path)) as running:
        yield running


@pytest.fixture
async def api(running: RunningCoordinator) -> AsyncIterator[Api]:
    """Its API."""
    async with contextlib.aclosing(Api(running.url, running.services.keys)) as api:
        yield api


@contextlib.asynccontextmanager
async def connected(api: Api, gateway_id: str = "gateway-1") -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A socket with the token of a gateway."""
    async with api.session.ws_connect(PATH, headers=api.bearer("gateway", sub=gateway_id)) as socket:
        yield socket


async def ask(socket: aiohttp.ClientWebSocketResponse, message: object) -> LeaderMessage:
    """Send a message and decode the answer."""
    await socket.send_bytes(msgspec.json.encode(message))
    frame = await socket.receive(timeout=10)
    assert frame.type is aiohttp.WSMsgType.BINARY, frame
    decoder: msgspec.json.Decoder[LeaderMessage] = msgspec.json.Decoder(LeaderMessage)
    return decoder.decode(frame.data)


async def close_code(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    """With which the leader closed the socket."""
    while (await socket.receive(timeout=10)).type not in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}:
        pass
    return socket.close_code


def join(hall_id: str) -> ForwardedJoin:
    """A hall joins."""
    return ForwardedJoin(actor=f"hall:{hall_id}", conference_id=CONFERENCE, hall_id=hall_id, virtual=False)


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"\xff",
        b"{}",
        b'{"type":"hello"}',
        msgspec.json.encode(Hello(gateway_id="another")),
        msgspec.json.encode(Hello(gateway_id="gateway-1", schema=2)),
        msgspec.json.encode(Batch(number=1, requests=[])),
        b'{"type":"welcome","epoch":1}',
        b"[" * 100_000,
    ],
    ids=lambda first: first[:40].decode(errors="replace"),
)
async def test_who_does_not_say_hello_is_sent_away(api: Api, first: bytes) -> None:
    """The first message is the hello of the token's gateway; anything else closes the socket and is counted."""
    async with connected(api) as socket:
        await socket.send_bytes(first)
        assert await close_code(socket) == VIOLATION
    text = (await api.call("GET", "/metrics", None))[1].decode()
    assert 'diemcau_coordinator_malformed_total{source="gateway"} 1.0' in text


@pytest.mark.parametrize(
    "later",
    [
        b"{}",
        msgspec.json.encode(Hello(gateway_id="gateway-1")),
        msgspec.json.encode(Batch(number=1, requests=[join("x")] * (MAX_BATCH + 1))),
        b'{"type":"batch","number":1,"requests":[{"type":"end"}]}',
        b'{"type":"batch","number":1,"requests":[{"type":"join","actor":"x","conference_id":7}]}',
    ],
    ids=lambda later: later[:60].decode(errors="replace"),
)
async def test_what_is_no_batch_ends_the_connection(api: Api, later: bytes) -> None:
    """A gateway that says anything else than a batch of bounded size is sent away."""
    async with connected(api) as socket:
        assert isinstance(await ask(socket, Hello(gateway_id="gateway-1")), Welcome)
        await socket.send_bytes(later)
        assert await close_code(socket) == VIOLATION


async def test_a_message_has_a_bound(api: Api) -> None:
    """More than a mebibyte is not even read to its end."""
    async with connected(api) as socket:
        assert isinstance(await ask(socket, Hello(gateway_id="gateway-1")), Welcome)
        await socket.send_bytes(b" " * (MAX_MESSAGE_BYTES + 1))
        assert await close_code(socket) == TOO_BIG


async def test_a_batch_is_decided_in_order_and_each_refusal_has_its_place(api: Api) -> None:
    """Those that came about are durable at the position; a batch that is sent again changes nothing."""
    halls = await api.prepare(3)
    async with connect_relay(api, register_message("edge-1")), connected(api) as socket:
        assert isinstance(await ask(socket, Hello(gateway_id="gateway-1")), Welcome)
        leave = ForwardedLeave(actor="hall:x", conference_id=CONFERENCE, hall_id=halls[2])
        requests: list[Forwarded] = [join(halls[0]), join("nowhere"), join(halls[1]), join(halls[2]), leave]
        first = await ask(socket, Batch(number=1, requests=requests))
        assert isinstance(first, BatchAnswer)
        assert {place: refusal.code for place, refusal in first.refusals.items()} == {1: "unknown_hall"}
        assert (await api.assignment(halls[0])).primary.relay_id == "edge-1"
        assert (await api.call("GET", "/api/v1/halls/assignment", hall=halls[2]))[0] == 409
        again = await ask(socket, Batch(number=2, requests=requests[:3]))
        assert isinstance(again, BatchAnswer)
        assert again.position == first.position
        assert list(again.refusals) == [1]


async def test_only_gateways_come_in(api: Api) -> None:
    """No other role opens this door, and a gateway's token opens no other."""
    for role in ("organiser", "operator", "technician", "relay"):
        assert (await api.call("GET", PATH, role))[0] == 403
    assert (await api.call("GET", PATH, None))[0] == 401
    for path in ("/api/v1/halls", "/api/v1/relays", "/api/v1/live"):
        assert (await api.call("GET", path, "gateway"))[0] == 403
