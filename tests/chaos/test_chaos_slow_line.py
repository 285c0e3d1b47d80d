"""A line of 200 ms each way between coordinators and their Redis."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from pathlib import Path

import pytest
from support.chaos_rounds import SEED
from support.coordinator_fleet import fleet
from support.coordinator_harness import connect_relay, register_message
from support.redis_servers import RedisServer
from support.tcp_line import Address, tcp_line

from conference.layout import free_ports

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

DELAY_S = 0.2
HALLS = 100
# Joins that come together share a round trip, or two; one after the other they would take 40 s.
ALL_JOINED_S = 20.0


async def test_redis_behind_a_slow_line(tmp_path: Path) -> None:
    """Halls that join together share round trips, no relay is lost, nobody takes over, and a follower still can."""
    server = RedisServer(tmp_path / "redis")
    port = free_ports(1)[0]

    async def store() -> Address:
        return "127.0.0.1", server.port

    journal = {"url": f"redis://127.0.0.1:{port}"}
    settings: dict[str, object] = {"journal": journal, "lease_s": 2.0, "heartbeat_s": 0.2}
    try:
        async with (
            tcp_line(port, store, delay_s=DELAY_S),
            fleet(tmp_path, ["one", "two"], random.Random(SEED), settings) as coordinators,
        ):
            leader, follower = await coordinators.leader(), coordinators.programs["two"]
            await follower.until_standing_by()
            halls = await leader.api.prepare(HALLS, provinces_only=True)
            async with connect_relay(leader.api, register_message("edge-1")) as relay:
                began = time.monotonic()
                joined = await asyncio.gather(*(leader.api.join(hall_id) for hall_id in halls))
                assert 2 * DELAY_S <= time.monotonic() - began < ALL_JOINED_S
                assert (relay.close_code, leader.process.returncode) == (None, None)
            leader.signal(signal.SIGKILL)
            await follower.until_ready()
            async with connect_relay(follower.api, register_message("edge-1")):
                for before in joined:
                    assert (await follower.api.assignment(before.hall_id)).epoch == before.epoch
    finally:
        server.kill()
