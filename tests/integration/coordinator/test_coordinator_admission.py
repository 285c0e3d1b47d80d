"""Newcomers beyond the pace are told when to come back, and are let in then; whoever has a seat is never held."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from support.coordinator_harness import Api, connect_relay, register_message

from bridges.errors import HallApiError
from bridges.hall_api import HallApi
from bridges.messages import Assignment, JoinRequest
from conference.app import serve_coordinator
from conference.config import AdmissionConfig, CoordinatorConfig

pytestmark = pytest.mark.integration
BURST = 5
HALLS = 45


@contextlib.asynccontextmanager
async def paced(folder: Path, per_s: float) -> AsyncIterator[Api]:
    """The API of a coordinator that lets so many newcomers in a second, with two relays."""
    pace = AdmissionConfig(per_s=per_s, burst=BURST)
    async with (
        serve_coordinator(CoordinatorConfig(port=0, state_dir=folder / "state", admission=pace)) as running,
        contextlib.aclosing(Api(running.url, running.services.keys)) as api,
        connect_relay(api, register_message("o1", role="origin")),
        connect_relay(api, register_message("e1")),
    ):
        yield api


async def _join(http: aiohttp.ClientSession, api: Api, hall_id: str, told: list[float]) -> Assignment:
    """Join as a hall does: come back when told."""
    token = api.bearer("hall", hall=hall_id)["Authorization"].removeprefix("Bearer ")
    hall = HallApi(http, api.url, token)
    while True:
        try:
            return await hall.join(JoinRequest())
        except HallApiError as error:
            refusal = error
        assert (refusal.status, refusal.code) == (503, "admission")
        assert refusal.retry_after_s >= 1
        told.append(refusal.retry_after_s)
        await asyncio.sleep(refusal.retry_after_s)  # the length of time that the server asks for is under test


async def test_a_crowd_is_let_in_each_at_its_first_return(tmp_path: Path) -> None:
    """45 halls at once at 20 a second: 5 are in at once, each other when it comes back, and none before its turn."""
    async with paced(tmp_path, per_s=20) as api, aiohttp.ClientSession() as http, asyncio.timeout(20):
        halls = await api.prepare(HALLS)
        told: dict[str, list[float]] = {hall_id: [] for hall_id in halls}
        began_s = time.monotonic()
        assigned = await asyncio.gather(*(_join(http, api, hall_id, told[hall_id]) for hall_id in halls))
        assert time.monotonic() - began_s > (HALLS - BURST) / 20 - 0.1
        assert sorted(each.hall_id for each in assigned) == sorted(halls)
        waits = [wait_s for each in told.values() for wait_s in each]
        assert max(len(each) for each in told.values()) <= 1
        assert max(waits, default=0) <= 3
        _, text = await api.call("GET", "/metrics", role=None)
        assert f'diemcau_coordinator_joins_total{{result="admission"}} {len(waits)}.0'.encode() in text
        assert f'diemcau_coordinator_joins_total{{result="ok"}} {HALLS}.0'.encode() in text
        assert b"diemcau_coordinator_admission_waiting 0.0" in text


async def test_a_hall_with_a_seat_is_never_held(tmp_path: Path) -> None:
    """While newcomers wait, those who are seated join again as often as they like; who left is a newcomer."""
    async with paced(tmp_path, per_s=0.01) as api:  # nobody's turn comes while this test runs
        halls = await api.prepare(BURST + 3)
        seated, newcomers = halls[:BURST], halls[BURST:]
        for hall_id in seated:
            await api.join(hall_id)
        for hall_id in (*seated, *seated):
            await api.join(hall_id)
        for hall_id in newcomers:
            status, problem = await api.call("POST", "/api/v1/halls/join", hall=hall_id, json={})
            assert (status, problem["code"]) == (503, "admission")
        for hall_id in seated:
            await api.join(hall_id)
        assert (await api.call("POST", "/api/v1/halls/leave", hall=seated[0]))[0] == 204
        status, problem = await api.call("POST", "/api/v1/halls/join", hall=seated[0], json={})
        assert (status, problem["code"]) == (503, "admission")
