"""Three machines, each with a Redis, a Sentinel and a coordinator, and lines between them that are cut."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from support.coordinator_harness import connect_relay, register_message
from support.namespaces import needs_namespaces
from support.persistent_clients import clients
from support.three_machines import three_machines

pytestmark = [pytest.mark.integration, needs_namespaces]


async def test_of_two_sides_that_write_one_is_answered(tmp_path: Path) -> None:
    """Leader and master are cut off from the rest, halls ask both sides: nothing answered is lost or differs."""
    async with three_machines(tmp_path, random.Random(1)) as country:
        old = await country.until_leads(["m1"])
        async with clients(country.coordinators, country.witness, everybody=True):
            await country.until_answered(200)
            country.isolate("m1")
            await country.until_leads(["m2", "m3"])
            await country.until_answered(200)
            assert await old.readiness() == 503
            country.lines.heal()
            assert await asyncio.wait_for(old.process.wait(), 30) == 1
            await country.until_answered(200)
            await country.until_leads(["m2", "m3"])
        await country.witness.check()


async def test_a_leader_that_nobody_asked_anything_does_not_answer_from_the_past(tmp_path: Path) -> None:
    """Cut off with the master while nobody writes, it refuses what its successor has decided otherwise."""
    async with three_machines(tmp_path, random.Random(1)) as country:
        old = await country.until_leads(["m1"])
        hall = (await old.api.prepare(2, provinces_only=True))[0]
        async with connect_relay(old.api, register_message("edge-1")):
            await old.api.join(hall)
            country.isolate("m1")
            new = await country.until_leads(["m2", "m3"])
            assert (await new.api.call("POST", "/api/v1/halls/leave", hall=hall))[0] == 204
            status, answer = await old.api.call("POST", "/api/v1/halls/join", hall=hall, json={})
            assert (status, answer["code"]) == (503, "journal_unavailable")
            assert (await old.api.call("GET", "/api/v1/halls/assignment", hall=hall))[0] == 503
            assert await old.readiness() == 503
