"""Lines between three machines are cut at random, one way or both, while halls ask every coordinator."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from support.namespaces import needs_namespaces
from support.persistent_clients import clients
from support.three_machines import LEASE_S, NAMES, ThreeMachines, three_machines

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300), needs_namespaces]

TROUBLES = 4
SETTLED_S = 60.0


async def cut_somewhere(country: ThreeMachines, chance: random.Random) -> None:
    """Part one machine from one or both of the others, in one direction or both."""
    parted = chance.choice(NAMES)
    others = [name for name in NAMES if name != parted]
    if chance.random() < 0.3:
        others.pop(chance.randrange(2))
    directions = chance.choice(["both", "both", "out", "in"])
    if directions != "in":
        country.lines.cut([parted], others)
    if directions != "out":
        country.lines.cut(others, [parted])


async def test_partitions(tmp_path: Path, seed: int) -> None:
    """Nothing answered is lost or applied twice, no answer differs from the journal, and healed lines are enough."""
    chance = random.Random(seed)
    async with (
        three_machines(tmp_path, chance) as country,
        clients(country.coordinators, country.witness, everybody=True),
    ):
        for _ in range(TROUBLES):
            await asyncio.sleep(chance.uniform(0.5, 3))
            await cut_somewhere(country, chance)
            await asyncio.sleep(chance.uniform(2, 12))
            country.lines.heal()
            await asyncio.sleep(chance.uniform(0, 3))
        async with asyncio.timeout(SETTLED_S):
            await country.until_answered(100)
        await country.witness.check()


async def test_a_leader_that_has_the_master_still_goes_on(tmp_path: Path) -> None:
    """Cut off from the third machine alone, leader and master go on, and nobody takes over."""
    async with three_machines(tmp_path, random.Random(1)) as country:
        old = await country.until_leads(["m1"])
        async with clients(country.coordinators, country.witness, everybody=True):
            await country.until_answered(100)
            country.lines.cut(["m1"], ["m3"])
            country.lines.cut(["m3"], ["m1"])
            await asyncio.sleep(5 * LEASE_S)  # long enough for a takeover, if there were one
            await country.until_answered(100)
            assert await old.readiness() == 200
            country.lines.heal()
            await country.until_answered(100)
            assert old.process.returncode is None
        await country.witness.check()
