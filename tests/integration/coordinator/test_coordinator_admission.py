"""Newcomers beyond the pace are told when to come back, and are let in then; whoever has a seat is never held."""

from __future__ import annotations

import asyncio
import contextlib
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
PACE = AdmissionConfig(per_s=20, burst=5)
HALLS = 45


@pytest.fixture
async def paced(tmp_path: Path) -> AsyncIterator[Api]:
    """The API of a coordinator that lets 20 newcomers in a second."""
    config = CoordinatorConfig(port=0, state_dir=tmp_path / "state", admission=PACE)
    async with (
        serve_coordinator(config) as running,
        contextlib.aclosing(Api(running.url, running.services.keys)) as api,
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


async def test_a_crowd_is_let_in_each_at_its_first_return(paced: Api) -> None:
    """45 halls at once at 20 a second: 5 are in at once, each other when it comes back, the last within 3 seconds."""
    halls = await paced.prepare(HALLS)
    async with (
        connect_relay(paced, register_message("o1", role="origin")),
        connect_relay(paced, register_message("e1")),
    ):
        told: dict[str, list[float]] = {hall_id: [] for hall_id in halls}
        async with aiohttp.ClientSession() as http, asyncio.timeout(10):
            assigned = await asyncio.gather(*(_join(http, paced, hall_id, told[hall_id]) for hall_id in halls))
        assert sorted(each.hall_id for each in assigned) == sorted(halls)
        assert max(len(waits) for waits in told.values()) == 1
        refused = sum(len(waits) for waits in told.values())
        assert 35 <= refused <= HALLS - PACE.burst  # some slots come by while the crowd is being answered
        assert max(wait_s for waits in told.values() for wait_s in waits) <= 3
        _, text = await paced.call("GET", "/metrics", role=None)
        assert f'diemcau_coordinator_joins_total{{result="admission"}} {refused}.0'.encode() in text
        assert f'diemcau_coordinator_joins_total{{result="ok"}} {HALLS}.0'.encode() in text
        assert b"diemcau_coordinator_admission_waiting 0.0" in text


async def test_a_hall_with_a_seat_is_never_held(paced: Api) -> None:
    """While newcomers wait, those who are seated join again as often as they like; who left is a newcomer."""
    halls = await paced.prepare(PACE.burst + 3)
    async with (
        connect_relay(paced, register_message("o1", role="origin")),
        connect_relay(paced, register_message("e1")),
    ):
        seated = halls[: PACE.burst]
        for hall_id in seated:
            await paced.join(hall_id)
        statuses = [
            (await paced.call("POST", "/api/v1/halls/join", hall=hall_id, json={}))[0]
            for hall_id in (*halls[PACE.burst :], *seated, *seated)
        ]
        assert statuses.count(503) >= 1
        assert statuses[3:] == [200] * 2 * len(seated)
        assert (await paced.call("POST", "/api/v1/halls/leave", hall=seated[0]))[0] == 204
        status, problem = await paced.call("POST", "/api/v1/halls/join", hall=seated[0], json={})
        assert (status, problem["code"]) == (503, "admission")
