"""Three machines behind one router, each with a Redis, a Sentinel and a coordinator, and a fourth place for halls."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

from support.coordinator_fleet import Fleet, fleet
from support.namespaces import Network, network
from support.redis_coordinators import CoordinatorProgram
from support.redis_groups import SentinelGroup
from support.witness import Witness

from conference.config import JournalConfig
from conference.journal.opening import open_redis

NAMES = ["m1", "m2", "m3"]
LEASE_S = 2.0


class ThreeMachines:
    """All of it; made by `three_machines`.

    Attributes:
        lines: between the machines; halls reach all of them, whatever is cut between the machines.
        group: the servers; the master is on the first machine at the beginning.
        coordinators: by machine; the first leads at the beginning.
        witness: of what halls are told.
    """

    def __init__(self, lines: Network, group: SentinelGroup, coordinators: Fleet, witness: Witness) -> None:
        self.lines = lines
        self.group = group
        self.coordinators = coordinators
        self.witness = witness

    def isolate(self, name: str) -> None:
        """Cut one machine off from the two others; halls reach it still."""
        others = [each for each in NAMES if each != name]
        self.lines.cut([name], others)
        self.lines.cut(others, [name])

    def name_of(self, program: CoordinatorProgram) -> str:
        """The machine of a coordinator."""
        return next(name for name, each in self.coordinators.programs.items() if each is program)

    async def until_leads(self, names: list[str]) -> CoordinatorProgram:
        """Wait until one of these leads."""
        async with asyncio.timeout(30):
            while True:
                for name in names:
                    program = self.coordinators.programs.get(name)
                    if program is not None and await program.readiness() == 200:
                        return program
                await asyncio.sleep(0.05)

    async def until_answered(self, count: int) -> None:
        """Wait until halls were answered so many times more."""
        goal = self.witness.verdict.acknowledged + count
        async with asyncio.timeout(30):
            while self.witness.verdict.acknowledged < goal:  # noqa: ASYNC110 - answers ring no bell
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def three_machines(folder: Path, chance: random.Random) -> AsyncIterator[ThreeMachines]:
    """Start all of it; this thread is where the halls are meanwhile."""
    with network(*NAMES, "halls") as lines, lines.inside("halls"):
        machines = {name: lines.machine(name) for name in NAMES}
        group = SentinelGroup(folder, list(machines.values()))
        try:
            journal = {"url": group.url, "lease_s": LEASE_S}
            settings: dict[str, object] = {"journal": journal, "lease_s": 20.0, "return_grace_s": 200.0}
            async with fleet(folder, NAMES, chance, settings, away_s=0, machines=machines) as coordinators:
                reading = open_redis(JournalConfig(url=group.url, timeout_s=20.0))
                try:
                    yield ThreeMachines(lines, group, coordinators, Witness(reading))
                finally:
                    await reading.close()
        finally:
            group.close()
