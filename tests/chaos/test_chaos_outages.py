"""The store away for a minute: longer than any lease, and than anything that is tried again in the meantime."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from pathlib import Path

import pytest
from support.chaos_rounds import SEED
from support.coordinator_fleet import fleet
from support.coordinator_harness import CONFERENCE, connect_relay, register_message
from support.redis_servers import RedisServer

from relay.messages import SessionOpened

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

OUTAGE_S = 60.0
READY_S = 10.0
HALLS = 20


def watching(halls: list[str]) -> list[SessionOpened]:
    """Sessions of halls that watch."""
    at_ms = int(time.time() * 1000)
    return [
        SessionOpened(session_id=f"s-{hall_id}", subject=hall_id, conference=CONFERENCE, feed="program", at_ms=at_ms)
        for hall_id in halls
    ]


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_redis_away_for_a_minute(tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No relay and no hall is lost, nothing is answered meanwhile, ten seconds after its return all is as before."""
    server = RedisServer(tmp_path / "redis")
    try:
        settings: dict[str, object] = {"journal": {"url": server.url}, "lease_s": 2.0, "heartbeat_s": 0.2}
        async with fleet(tmp_path, ["one", "two"], random.Random(SEED), settings) as coordinators:
            leader, follower = await coordinators.leader(), coordinators.programs["two"]
            await follower.until_standing_by()
            api = leader.api
            halls = await api.prepare(HALLS, provinces_only=True)
            async with connect_relay(api, register_message("edge-1", sessions=watching(halls[:-1]))) as relay:
                for hall_id in halls[:-1]:
                    await api.join(hall_id)
                if how == "killed":
                    server.kill()
                else:
                    server.signal(signal.SIGSTOP)
                status, _ = await api.call("POST", "/api/v1/halls/join", hall=halls[-1], json={})
                assert status == 503
                await asyncio.sleep(OUTAGE_S)
                if how == "killed":
                    await asyncio.to_thread(server.start)
                else:
                    server.signal(signal.SIGCONT)
                ready_s = await leader.until_ready()
                with capsys.disabled():
                    sys.stdout.write(f"{how} for {OUTAGE_S:.0f} s: ready {ready_s:.2f} s after\n")
                assert ready_s <= READY_S
                assert await follower.readiness() == 503
                assert relay.close_code is None
                relays = await api.expect(200, "GET", "/api/v1/relays")
                assert [each["status"] for each in relays["relays"]] == ["live"]
                totals = (await api.expect(200, "GET", f"/api/v1/conferences/{CONFERENCE}"))["totals"]
                assert (totals["present"], totals["lost"]) == (HALLS - 1, 0)
                await api.join(halls[-1])
    finally:
        server.kill()
