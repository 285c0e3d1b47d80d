"""Coordinators that are started again whenever they end, and whoever of them leads."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from support.namespaces import LOCAL, Machine
from support.redis_coordinators import CoordinatorProgram, coordinator_program

LOOK_AGAIN_S = 0.05


class Fleet:
    """Coordinators by name, each of which is started again when it has ended; made by `fleet`.

    Attributes:
        chance: decides how long one that ended stays away.
        programs: those that run.
        started: the one that was started last; changes with every start.
    """

    def __init__(
        self,
        folder: Path,
        chance: random.Random,
        *,
        away_s: float,
        settings: dict[str, object],
        machines: Mapping[str, Machine],
    ) -> None:
        self.chance = chance
        self.programs: dict[str, CoordinatorProgram] = {}
        self.started: CoordinatorProgram | None = None
        self._folder = folder
        self._away_s = away_s
        self._settings = settings
        self._machines = machines
        self._leader: CoordinatorProgram | None = None
        self._looking = asyncio.Lock()

    async def keep_running(self, name: str) -> None:
        """Start a coordinator whenever it has ended."""
        machine = self._machines.get(name, LOCAL)
        while True:
            async with coordinator_program(self._folder, name, machine=machine, **self._settings) as program:
                self.programs[name] = self.started = program
                try:
                    await program.process.wait()
                finally:
                    del self.programs[name]
                    self.doubt(program)
            await asyncio.sleep(self.chance.random() * self._away_s)

    async def leader(self) -> CoordinatorProgram:
        """Whoever takes commands now."""
        async with self._looking:
            while self._leader is None:
                for program in list(self.programs.values()):
                    with contextlib.suppress(TimeoutError, RuntimeError):  # it may end, and its session, meanwhile
                        async with asyncio.timeout(2):
                            ready = await program.readiness() == 200
                        if ready:
                            self._leader = program
                            break
                else:
                    await asyncio.sleep(LOOK_AGAIN_S)
            return self._leader

    def is_leader(self, program: CoordinatorProgram) -> bool:
        """True where it was found to lead and nobody doubted it since."""
        return self._leader is program

    def doubt(self, program: CoordinatorProgram) -> None:
        """It did not answer as a leader does: look again."""
        if self._leader is program:
            self._leader = None

    async def next_start(self, before: CoordinatorProgram | None) -> CoordinatorProgram:
        """The program that was started last, once that is not the one named."""
        while self.started is None or self.started is before:  # noqa: ASYNC110 - a start rings no bell
            await asyncio.sleep(0.01)
        return self.started


@contextlib.asynccontextmanager
async def fleet(
    folder: Path,
    names: list[str],
    chance: random.Random,
    settings: dict[str, object],
    *,
    away_s: float = 1.0,
    machines: Mapping[str, Machine] | None = None,
) -> AsyncIterator[Fleet]:
    """Keep coordinators of these names running; the first leads at the beginning.

    Args:
        folder: of their state and logs.
        names: one each.
        chance: see `Fleet`.
        settings: of all of them.
        away_s: so long, at most, one that ended stays away.
        machines: where each runs; here unless it is named.
    """
    made = Fleet(folder, chance, away_s=away_s, settings=settings, machines=machines or {})
    keeping: list[asyncio.Task[None]] = []
    try:
        for name in names:
            keeping.append(asyncio.create_task(made.keep_running(name)))
            await made.next_start(made.started)
            await made.leader()
        yield made
    finally:
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)
