import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.aiortc_relay import TestCoordinator, link_of, until
from support.relays import RelayProcess, Signer, control_server, parent_of, relay_process

from bridges.agent import HallAgent
from bridges.messages import RelayAccess
from bridges.programme import Programme
from bridges.publish import publish

pytestmark = pytest.mark.integration


@contextlib.asynccontextmanager
async def country(directory: Path, signer: Signer) -> AsyncIterator[dict[str, RelayProcess]]:
    """An origin with a programme on it, and two edges below it, `a` and `b`; real relays, each its own process."""
    async with contextlib.AsyncExitStack() as stack:
        control = await stack.enter_async_context(control_server(signer))
        relays = {}
        for relay_id in ("origin", "a", "b"):
            relays[relay_id] = await stack.enter_async_context(
                relay_process(
                    directory / relay_id,
                    signer,
                    relay_id=relay_id,
                    role="origin" if relay_id == "origin" else "edge",
                    coordinator_url=control.url,
                )
            )
            if relay_id == "origin":
                control.parents = [parent_of(relays[relay_id], "origin")]
        stop = asyncio.Event()
        token = signer.token("publisher", "publish")
        publishing = asyncio.create_task(publish(Programme(), [relays["origin"].endpoint("whip")], token, stop=stop))
        try:
            yield relays
        finally:
            stop.set()
            await publishing


@pytest.mark.parametrize("fate", ["killed", "frozen"])
async def test_a_hall_survives_its_relay(tmp_path: Path, fate: str) -> None:
    """Programme, origin, two edges, hall: the loss of the hall's edge costs less than a second and a half of picture.

    A killed relay breaks its connections off; a frozen one says nothing at all.
    """
    signer = Signer()
    async with country(tmp_path, signer) as relays:
        access = {
            name: RelayAccess(
                relay_id=name,
                whep_url=relays[name].endpoint("whep"),
                token=signer.token("h1", "play"),
                expires_at_ms=0,
            )
            for name in "ab"
        }
        coordinator = TestCoordinator(access["a"], access["b"])
        await coordinator.start()
        agent = HallAgent(link_of(coordinator.base_url))
        stop = asyncio.Event()
        task = asyncio.create_task(agent.run(stop))
        try:
            await until(lambda: agent.summary().timecodes > 60, say=agent.summary)
            before = agent.summary()
            if fate == "killed":
                relays["a"].kill()
            else:
                relays["a"].freeze()
            report = await asyncio.wait_for(coordinator.moves.get(), 10)
            pictures = agent.summary().frames_decoded
            await until(lambda: agent.summary().frames_decoded > pictures + 30, say=agent.summary)
        finally:
            stop.set()
            summary = await asyncio.wait_for(task, 10)
            await coordinator.close()
    assert before.relay == "a"
    assert before.glass_to_glass_ms_p50 is not None
    assert 0 < before.glass_to_glass_ms_p50 < 1000
    assert (report.from_relay, report.to_relay, report.reason) == ("a", "b", "silence")
    assert report.interruption_ms < 1500
    assert summary.relay == "b"
    assert summary.packets_lost < 20
