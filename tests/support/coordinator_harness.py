"""What the coordinator's tests share: its API with tokens of every role, and relays that speak the control protocol."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import aiohttp
import msgspec

from bridges.importing import serialize_halls_csv
from bridges.messages import Assignment
from bridges.synthetic import synthetic_halls
from bridges.unit_tables import serialize_units_csv
from bridges.vietnam import load_vietnam_units
from conference.access import ApiClaims, KeyRing, Role
from relay.messages import (
    Capacity,
    CoordinatorMessage,
    Heartbeat,
    Refused,
    Register,
    Registered,
    RelayMessage,
    RelayRole,
    SessionOpened,
)

T = TypeVar("T")
WAIT_S = 10.0
CONFERENCE = "hn-2026"


class Api:
    """The HTTP API of one coordinator, with tokens signed by its key."""

    def __init__(self, url: str, keys: KeyRing) -> None:
        self.url = url
        self.keys = keys
        self.session = aiohttp.ClientSession(url)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.session.close()

    def bearer(
        self, role: Role, *, sub: str = "test", hall: str = "", unit: str = "", lifetime_s: int = 600
    ) -> dict[str, str]:
        """Headers with a token of a role, for staff bound to a unit where one is named."""
        conference = CONFERENCE if hall else ""
        exp = int(time.time()) + lifetime_s
        claims = ApiClaims(sub=hall or sub, role=role, hall=hall, conference=conference, unit=unit, exp=exp)
        return {"Authorization": f"Bearer {self.keys.issue_api_token(claims)}"}

    async def call(
        self,
        method: str,
        path: str,
        role: Role | None = "organiser",
        *,
        hall: str = "",
        unit: str = "",
        **keywords: Any,
    ) -> tuple[int, Any]:
        """One request; returns the status and the decoded answer (bytes where it is not JSON)."""
        headers = dict(keywords.pop("headers", {}))
        if role is not None:
            headers |= self.bearer("hall" if hall else role, hall=hall, unit=unit)
        async with self.session.request(method, path, headers=headers, **keywords) as answer:
            body = await answer.read()
            if "json" in answer.headers.get("Content-Type", ""):
                return answer.status, msgspec.json.decode(body)
            return answer.status, body

    async def expect(self, status: int, method: str, path: str, role: Role = "organiser", **keywords: Any) -> Any:
        """One request that must be answered with `status`."""
        found, body = await self.call(method, path, role, **keywords)
        assert found == status, body
        return body

    async def prepare(self, halls: int, *, virtual: bool = False, provinces_only: bool = False) -> list[str]:
        """Import Việt Nam's units and so many halls, and open a conference; returns the halls' ids."""
        units = [unit for unit in load_vietnam_units() if not (provinces_only and unit.parent)]
        made = synthetic_halls(units, halls, seed=1, virtual=virtual)
        await self.expect(200, "POST", "/api/v1/units/import", data=serialize_units_csv(units))
        await self.expect(200, "POST", "/api/v1/halls/import", data=serialize_halls_csv(made))
        await self.expect(201, "POST", "/api/v1/conferences", json={"conference_id": CONFERENCE, "title": "Hội nghị"})
        await self.expect(200, "POST", f"/api/v1/conferences/{CONFERENCE}/phase", json={"phase": "open"})
        return [hall.hall_id for hall in made]

    async def join(self, hall_id: str, *, virtual: bool = False) -> Assignment:
        """A hall joins."""
        status, body = await self.call("POST", "/api/v1/halls/join", hall=hall_id, json={"virtual": virtual})
        assert status == 200, body
        return msgspec.convert(body, Assignment)

    async def assignment(self, hall_id: str) -> Assignment:
        """What a hall is to follow now."""
        status, body = await self.call("GET", "/api/v1/halls/assignment", hall=hall_id)
        assert status == 200, body
        return msgspec.convert(body, Assignment)


def register_message(
    relay_id: str,
    *,
    instance_id: str = "one",
    role: RelayRole = "edge",
    virtual: bool = False,
    seats: int = 1_000,
    sessions: list[SessionOpened] | None = None,
) -> Register:
    """The first message of a relay with room for about so many halls."""
    return Register(
        relay_id=relay_id,
        instance_id=instance_id,
        region="",
        role=role,
        virtual=virtual,
        base_url=f"http://{relay_id}.test:8100",
        metrics_url=f"http://{relay_id}.test:8100/metrics",
        capacity=Capacity(bits_per_s=seats * 2_200_000, packets_per_s=seats * 300),
        sessions=sessions or [],
    )


class RelayClient:
    """A relay's end of the control connection, without media.

    Attributes:
        received: every message of the coordinator, in order.
        close_code: with which the socket was closed, or None while it is open.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.received: list[CoordinatorMessage] = []
        self.close_code: int | None = None
        self._changed = asyncio.Condition()
        self._tasks = [asyncio.create_task(self._read())]

    async def _read(self) -> None:
        decoder: msgspec.json.Decoder[CoordinatorMessage] = msgspec.json.Decoder(CoordinatorMessage)
        async for frame in self.socket:
            async with self._changed:
                self.received.append(decoder.decode(frame.data))
                self._changed.notify_all()
        async with self._changed:
            self.close_code = self.socket.close_code
            self._changed.notify_all()

    async def send(self, message: RelayMessage) -> None:
        """Send one message."""
        await self.socket.send_bytes(msgspec.json.encode(message))

    def beat(self, every_s: float = 0.05) -> None:
        """Send heartbeats from now on."""

        async def beat() -> None:
            while not self.socket.closed:
                with contextlib.suppress(ConnectionError):
                    await self.send(
                        Heartbeat(
                            at_ms=int(time.time() * 1000), sessions=7, packets_sent=0, packets_received=0, feeds=[]
                        )
                    )
                await asyncio.sleep(every_s)

        self._tasks.append(asyncio.create_task(beat()))

    async def wait_for(self, kind: type[T], condition: Callable[[T], bool] = lambda _: True) -> T:
        """The first message of a kind for which `condition` holds, now or later."""

        def found() -> T | None:
            return next((each for each in self.received if isinstance(each, kind) and condition(each)), None)

        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(lambda: found() is not None)
        message = found()
        assert message is not None
        return message

    async def wait_closed(self) -> int | None:
        """The close code, once the socket is closed."""
        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(lambda: self.close_code is not None)
        return self.close_code

    async def vanish(self) -> None:
        """Close without a goodbye."""
        for task in self._tasks[1:]:
            task.cancel()
        await self.socket.close()
        self._tasks[0].cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def connect_relay(api: Api, register: Register, *, beating: bool = True) -> AsyncIterator[RelayClient]:
    """A relay that has registered, and sends heartbeats unless told otherwise."""
    headers = api.bearer("relay", sub=register.relay_id)
    client = RelayClient(await api.session.ws_connect("/api/v1/relays/control", headers=headers))
    try:
        await client.send(register)
        answer = await client.wait_for(object)
        assert isinstance(answer, Registered | Refused), answer
        if beating and isinstance(answer, Registered):
            client.beat()
        yield client
    finally:
        await client.vanish()


async def eventually(question: Callable[[], Any], what: str) -> Any:
    """Wait until an awaitable question is answered with something true, and return that."""
    try:
        async with asyncio.timeout(WAIT_S):
            while not (answer := await question()):  # noqa: ASYNC110 - the answer comes over HTTP and rings no bell
                await asyncio.sleep(0.02)
            return answer
    except TimeoutError:
        raise AssertionError(f"did not come true: {what}") from None
