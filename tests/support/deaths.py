"""Coordinators killed with SIGKILL over and over, while halls join, leave and report and relays tell presence.

The moments are drawn so that all parts of a coordinator's life are hit: its start, the fold of its journal, its first
answers, its work with group commits and snapshots, and (where others stand by) the takeover.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
from support.coordinator_fleet import Fleet, fleet
from support.persistent_clients import clients
from support.redis_coordinators import CoordinatorProgram
from support.witness import Witness

from conference.config import CoordinatorConfig, JournalConfig
from conference.journal.opening import open_journal

LEASE_S = 1.5
TELL_EVERY = 50
Moment = Literal["start", "fold", "first answers", "work", "takeover"]
MOMENTS: dict[Moment, int] = {"start": 2, "fold": 2, "first answers": 2, "work": 6, "takeover": 2}


class Figures(msgspec.Struct, kw_only=True):
    """What a trial came to; the rest is the witness's verdict.

    Attributes:
        journal: `sqlite` or `redis`.
        seed: of all chances.
        kills: by the moment in the life of the one that was killed.
        seconds: the whole.
        ready_s: from a death to the next readiness, mean and worst.
        verdict: see `support.witness`.
    """

    journal: str
    seed: int
    kills: dict[str, int]
    seconds: float
    ready_s: tuple[float, float]
    verdict: object


class Reaper:
    """Kills, and counts."""

    def __init__(self, coordinators: Fleet, witness: Witness, chance: random.Random) -> None:
        self.kills: Counter[str] = Counter()
        self.ready_s: list[float] = []
        self._fleet = coordinators
        self._witness = witness
        self._chance = chance
        self._seen: CoordinatorProgram | None = None
        self._died = 0.0

    async def kill_next(self) -> None:
        """One death, at a moment of its own kind."""
        weights = {moment: weight for moment, weight in MOMENTS.items() if self._has_takeovers or moment != "takeover"}
        moment = self._chance.choices(list(weights), list(weights.values()))[0]
        match moment:
            case "start" | "fold":
                await self._kill_starting(moment)
            case "first answers":
                await self._kill(await self._leader(), moment, self._chance.uniform(0, 0.05))
            case "work" | "takeover":
                leader = await self._leader()
                await self._witness.check()
                await self._kill(leader, "work", self._chance.uniform(0, 0.6))
                if moment == "takeover":
                    await asyncio.sleep(self._chance.uniform(0.9, 1.4) * LEASE_S)
                    await self._kill(self._chance.choice(list(self._fleet.programs.values())), moment, 0)

    @property
    def _has_takeovers(self) -> bool:
        return len(self._fleet.programs) > 1

    async def _leader(self) -> CoordinatorProgram:
        leader = await self._fleet.leader()
        if self._died:
            self.ready_s.append(time.monotonic() - self._died)
            self._died = 0.0
        return leader

    async def _kill_starting(self, moment: Moment) -> None:
        program = self._seen = await self._fleet.next_start(self._seen)
        if moment == "start":
            await self._kill(program, moment, self._chance.uniform(0, 1.2))
            return
        while program.process.returncode is None and not await program.readiness():  # noqa: ASYNC110 - asked by HTTP
            await asyncio.sleep(0.002)  # it listens before it folds
        await self._kill(program, moment, self._chance.uniform(0, 0.05))

    async def _kill(self, program: CoordinatorProgram, moment: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        if program.process.returncode is not None:
            return
        program.signal(signal.SIGKILL)
        if self._fleet.is_leader(program):
            self._witness.handle_death()
            self._died = time.monotonic()
        self._fleet.doubt(program)
        await program.process.wait()
        self.kills[moment] += 1


async def die(
    folder: Path, kills: int, seed: int, redis_url: str = "", *, tell: Callable[[Figures], None] = lambda _figures: None
) -> Figures:
    """Kill so many coordinators, and hold the journal against what was answered after each.

    Args:
        folder: for files and logs.
        kills: how many.
        seed: of all chances.
        redis_url: where the journal is; a file of a single coordinator where it is "".
        tell: hears how it stands now and then.

    Raises:
        AssertionError: something acknowledged is lost, or applied twice, or decided twice.
    """
    names = ["one", "two", "three"] if redis_url else ["one"]
    journal = {"url": redis_url, "lease_s": LEASE_S, "keep_records": 10_000} if redis_url else {}
    config = CoordinatorConfig(state_dir=folder / names[0], journal=JournalConfig(**journal))
    chance, began_s = random.Random(seed), time.monotonic()
    settings: dict[str, object] = {"journal": journal, "snapshot_every": 100, "lease_s": 20.0, "return_grace_s": 200.0}
    async with fleet(folder, names, chance, settings, away_s=0) as coordinators:
        reading = open_journal(config)
        try:
            witness = Witness(reading)
            reaper = Reaper(coordinators, witness, chance)

            def figures() -> Figures:
                waits = reaper.ready_s or [0.0]
                return Figures(
                    journal="redis" if redis_url else "sqlite",
                    seed=seed,
                    kills=dict(reaper.kills),
                    seconds=round(time.monotonic() - began_s, 1),
                    ready_s=(round(sum(waits) / len(waits), 2), round(max(waits), 2)),
                    verdict=witness.verdict,
                )

            async with clients(coordinators, witness):
                told = 0
                while reaper.kills.total() < kills:
                    await reaper.kill_next()
                    if reaper.kills.total() - told >= TELL_EVERY:
                        told = reaper.kills.total()
                        await coordinators.leader()
                        await witness.check()
                        tell(figures())
                await coordinators.leader()
            await witness.check()
            return figures()
        finally:
            await reading.close()
