"""SIGTERM of a real relay: goodbye, every session told, exit code 0."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest
from support.relays import Signer, control_server, relay_process
from support.rtc_client import programme, rtc_client

from relay.core.peer import CloseReason

pytestmark = pytest.mark.integration


async def events_of(http: aiohttp.ClientSession, resource: str, token: str) -> list[str]:
    """Names of a session's events until the stream ends."""
    async with http.get(f"{resource}/events", headers={"Authorization": f"Bearer {token}"}) as response:
        assert response.status == 200
        lines = [line.decode().strip() async for line in response.content]
    return [line.partition(": ")[2] for line in lines if line.startswith("event: ")]


async def test_a_relay_says_goodbye(tmp_path: Path) -> None:
    """The coordinator hears it, peers get close_notify, halls are sent for their assignment, the port is free."""
    signer = Signer()
    async with (
        control_server(signer) as control,
        aiohttp.ClientSession() as http,
        relay_process(tmp_path, signer, relay_id="o", role="origin", coordinator_url=control.url) as relay,
        rtc_client(relay.endpoint("whip"), signer.token("p", "publish"), publishes=True) as publisher,
        programme(publisher),
        rtc_client(relay.endpoint("whep"), signer.token("h", "play"), publishes=False) as hall,
    ):
        await hall.received(50)
        await control.heard_from("o")
        reading = asyncio.create_task(events_of(http, hall.resource, signer.token("h", "play")))
        await asyncio.wait_for(hall.received(len(hall.packets) + 100), 10)
        relay.process.terminate()
        assert await asyncio.wait_for(relay.process.wait(), 10) == 0
        assert control.goodbyes == ["o"]
        assert await asyncio.wait_for(reading, 5) == ["assignment"], "and not `ended`: the conference goes on"
        for client in (hall, publisher):
            async with asyncio.timeout(5):
                while client.closed is None:
                    await client.change()
            assert client.closed.reason is CloseReason.DTLS_CLOSED
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(hall.relay_address)


async def test_an_absent_coordinator_does_not_hold_a_relay(tmp_path: Path) -> None:
    """Without a coordinator at all a relay ends as well, and at once."""
    signer = Signer()
    async with relay_process(
        tmp_path, signer, relay_id="o", role="origin", coordinator_url="http://127.0.0.1:9"
    ) as relay:
        relay.process.terminate()
        assert await asyncio.wait_for(relay.process.wait(), 5) == 0
