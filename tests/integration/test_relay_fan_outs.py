"""A relay process carries a programme to receivers by whichever fan-out its configuration names."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.aiortc_relay import until
from support.relays import Signer, relay_process

from bridges.programme import Programme
from bridges.publish import PublishState, publish
from relay.swarm.swarm import SwarmOptions, run_swarm

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "settings",
    [
        {"fanout": "reference"},
        {"fanout": "kernel", "fanout_threads": 0},
        {"fanout": "kernel", "fanout_threads": 2},
    ],
    ids=["reference", "kernel on the event loop", "kernel with two threads"],
)
async def test_receivers_lose_nothing(tmp_path: Path, settings: dict[str, object]) -> None:
    """Five receivers of a real publisher open what they sample, lose no packet, and are counted by the relay."""
    signer, stop, states = Signer(), asyncio.Event(), list[PublishState]()
    async with relay_process(tmp_path, signer, relay_id="r1", role="origin", settings=settings) as relay:
        publishing = asyncio.create_task(
            publish(
                Programme(fps=15),
                [relay.endpoint("whip")],
                signer.token("p", "publish"),
                stop=stop,
                on_state=states.append,
            )
        )
        await until(lambda: "live" in states)
        summary = await run_swarm(
            relay.endpoint("whep"), signer.token("s", "play"), SwarmOptions(receivers=5, ramp_per_s=0), seconds=1.5
        )
        metrics = await relay.metrics()
        stop.set()
        await publishing
    assert (summary.connected, summary.failed, summary.lost) == (5, 0, 0)
    assert (summary.packets_lost, summary.packets_unauthentic) == (0, 0)
    assert summary.packets > 0
    assert metrics["diemcau_relay_packets_sent_total"] >= summary.packets
    assert metrics["diemcau_relay_packets_dropped_total"] == 0
