"""A real relay whose coordinator goes and comes back: media go on, presence is delivered afterwards, and once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from support.relays import ControlServer, Signer, control_server, free_port, relay_process
from support.rtc_client import programme, rtc_client

from relay.messages import SessionClosed, SessionOpened

pytestmark = pytest.mark.integration


async def deltas(control: ControlServer, count: int) -> None:
    """Return when so many presence deltas have come."""
    async with asyncio.timeout(15):
        while len(control.deltas) < count:
            await control.message()


async def test_presence_waits_for_the_coordinator(tmp_path: Path) -> None:
    """Halls come and go while it is away; afterwards each delta arrives with its time, acknowledged once."""
    signer = Signer()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    control = ControlServer(signer)
    async with relay_process(tmp_path, signer, relay_id="o", role="origin", coordinator_url=url) as relay:
        async with control_server(signer, port=port, server=control):
            await control.heard_from("o")
        async with (
            rtc_client(relay.endpoint("whip"), signer.token("p", "publish"), publishes=True) as publisher,
            programme(publisher),
        ):
            begin_ms = time.time() * 1000
            async with rtc_client(relay.endpoint("whep"), signer.token("h1", "play"), publishes=False) as left:
                await left.received(100)
                assert await left.request("DELETE") == 200
            end_ms = time.time() * 1000
            async with rtc_client(relay.endpoint("whep"), signer.token("h2", "play"), publishes=False) as stays:
                await stays.received(100)
                assert control.deltas == []
                async with control_server(signer, port=port, server=control):
                    await deltas(control, 3)
                    assert [delta.session_id for delta in control.registered["o"].sessions] == [
                        control.deltas[2].session_id
                    ]
                    await control.heard_from("o")
                    await control.heard_from("o")
                async with control_server(signer, port=port, server=control):
                    await control.heard_from("o")
                    await control.heard_from("o")
                await stays.received(len(stays.packets) + 50)
    first, second, third = control.deltas[:3]
    assert isinstance(first, SessionOpened)
    assert isinstance(second, SessionClosed)
    assert isinstance(third, SessionOpened)
    assert (first.subject, second.subject, third.subject) == ("h1", "h1", "h2")
    assert begin_ms - 1 <= first.at_ms <= second.at_ms <= end_ms + 1
    assert second.reason == "deleted"
    assert second.packets_sent >= 100
    assert control.batches == sorted(set(control.batches)), "what was acknowledged is not sent again"


async def test_what_was_not_acknowledged_is_sent_again(tmp_path: Path) -> None:
    """A coordinator that dies before it wrote a batch gets it again, under the same number."""
    signer = Signer()
    port = free_port()
    control = ControlServer(signer)
    control.acknowledges = False
    url = f"http://127.0.0.1:{port}"
    async with (
        relay_process(tmp_path, signer, relay_id="o", role="origin", coordinator_url=url) as relay,
        rtc_client(relay.endpoint("whip"), signer.token("p", "publish"), publishes=True) as publisher,
        programme(publisher),
        rtc_client(relay.endpoint("whep"), signer.token("h1", "play"), publishes=False) as hall,
    ):
        await hall.received(50)
        async with control_server(signer, port=port, server=control):
            await deltas(control, 1)
        async with control_server(signer, port=port, server=control):
            await deltas(control, 2)
    assert control.batches[:2] == [1, 1]
    assert control.deltas[0] == control.deltas[1]
