"""A disk that does not answer for two seconds in the middle of a storm of joins."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest
from support.coordinator_harness import CONFERENCE, Api, connect_relay, register_message

from conference.app import serve_coordinator
from conference.config import JOURNAL_FILE, CoordinatorConfig

pytestmark = pytest.mark.integration
HALLS = 200
STALL_S = 2.0


async def test_a_stall_of_two_seconds_delays_the_storm_and_loses_nobody(tmp_path: Path) -> None:
    """Nobody is answered before it is on the disk, nobody is refused, relays keep their leases, and all are seated."""
    config = CoordinatorConfig(port=0, state_dir=tmp_path / "state")
    async with (
        serve_coordinator(config) as running,
        contextlib.aclosing(Api(running.url, running.services.keys)) as api,
    ):
        halls = await api.prepare(HALLS)
        async with (
            connect_relay(api, register_message("o1", role="origin")),
            connect_relay(api, register_message("e1")),
        ):
            with contextlib.closing(sqlite3.connect(tmp_path / "state" / JOURNAL_FILE, isolation_level=None)) as file:
                file.execute("BEGIN IMMEDIATE")  # whoever writes waits, as for a disk that does not answer
                joins = [asyncio.create_task(api.join(hall_id)) for hall_id in halls]
                answered, _ = await asyncio.wait(joins, timeout=STALL_S)  # this length of time is what is under test
                assert not answered
                file.execute("ROLLBACK")
            async with asyncio.timeout(20):
                assigned = await asyncio.gather(*joins)
            state = running.services.coordinator.state
            assert [relay.status for relay in state.relays.values()] == ["live", "live"]
            assert {each.hall_id for each in assigned} == set(state.conferences[CONFERENCE].seats) == set(halls)
    async with serve_coordinator(config) as again:
        assert set(again.services.coordinator.state.conferences[CONFERENCE].seats) == set(halls)
