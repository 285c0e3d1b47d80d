"""Coordinators killed with SIGKILL over and over, while halls join, leave and report and relays tell presence.

The moments are drawn so that all parts of a coordinator's life are hit: its start, the fold of its journal, its first
answers, its work with group commits and snapshots, and (where others stand by) the takeover.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import aiohttp
import msgspec
from support.coordinator_fleet import Fleet, fleet
from support.coordinator_harness import CONFERENCE, connect_relay, register_message
from support.redis_coordinators import CoordinatorProgram
from support.witness import SESSION_EVERY_MS, SESSION_MS, Witness

from bridges.messages import Assignment
from conference.config import CoordinatorConfig, JournalConfig
from conference.journal.opening import open_journal
from relay.messages import PresenceAck, PresenceBatch, Registered, SessionClosed, SessionOpened

HALLS = 24
ANSWER_S = 8.0
PAUSE_S = 0.02
LEASE_S = 1.0
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


class Clients:
    """Halls and relays that do one thing after the other, each repeated until it is answered."""

    def __init__(self, coordinators: Fleet, witness: Witness, chance: random.Random) -> None:
        self._fleet = coordinators
        self._witness = witness
        self._chance = chance

    async def report(self, hall_id: str) -> None:
        """A technician who corrects the headcount again and again."""

        async def ask(program: CoordinatorProgram, number: int) -> None:
            body = {"summoned": 50, "present": number % 50, "note": str(number)}
            await _expect(program, 204, "POST", "/api/v1/halls/headcount", hall_id, json=body)

        await self._repeat(("headcount", hall_id), ask)

    async def join_and_leave(self, hall_id: str) -> None:
        """A hall that joins and leaves by turns."""

        async def ask(program: CoordinatorProgram, number: int) -> None:
            if number % 2 == 0:
                await _expect(program, 204, "POST", "/api/v1/halls/leave", hall_id)
                return
            body = await _expect(program, 200, "POST", "/api/v1/halls/join", hall_id, json={})
            self._witness.handle_assignment(msgspec.convert(body, Assignment))

        await self._repeat(("seat", hall_id), ask)

    async def observe(self, relay_id: str, hall_id: str) -> None:
        """A relay that saw a hall for a second, again and again; it sends what was not acknowledged once more."""
        number = 1
        while True:
            program = await self._fleet.leader()
            with contextlib.suppress(TimeoutError, RuntimeError, AssertionError, aiohttp.ClientError, ConnectionError):
                async with connect_relay(program.api, register_message(relay_id)) as client:
                    await client.wait_for(Registered)
                    while client.close_code is None:
                        self._witness.under_way["presence", relay_id] = number
                        await client.send(PresenceBatch(sequence=number, deltas=_session(relay_id, hall_id, number)))
                        await client.wait_for(PresenceAck)
                        self._witness.handle_answer(("presence", relay_id), number)
                        client.received.clear()
                        number += 1
                        await asyncio.sleep(PAUSE_S)
            self._fleet.doubt(program)
            await asyncio.sleep(PAUSE_S)

    async def _repeat(self, actor: tuple[str, str], ask: Callable[[CoordinatorProgram, int], Awaitable[None]]) -> None:
        number = 1
        while True:
            program = await self._fleet.leader()
            self._witness.under_way[actor] = number
            try:
                await asyncio.wait_for(ask(program, number), ANSWER_S)
            except (TimeoutError, RuntimeError, aiohttp.ClientError, ConnectionError):
                self._fleet.doubt(program)
                await asyncio.sleep(PAUSE_S)
                continue
            self._witness.handle_answer(actor, number)
            number += 1
            del self._witness.under_way[actor]
            await asyncio.sleep(PAUSE_S * 2 * self._chance.random())


class UnansweredError(RuntimeError):
    """The command was not done: to be repeated."""


async def _expect(
    program: CoordinatorProgram, status: int, method: str, path: str, hall_id: str, **keywords: Any
) -> Any:
    found, body = await program.api.call(method, path, hall=hall_id, **keywords)
    if found == 503:
        raise UnansweredError(body)
    assert found == status, body
    return body


def _session(relay_id: str, hall_id: str, number: int) -> list[SessionOpened | SessionClosed]:
    began_ms = number * SESSION_EVERY_MS
    opened = SessionOpened(
        session_id=f"{relay_id}:{number}", subject=hall_id, conference=CONFERENCE, feed="program", at_ms=began_ms
    )
    closed = SessionClosed(
        session_id=opened.session_id,
        subject=hall_id,
        conference=CONFERENCE,
        feed="program",
        at_ms=began_ms + SESSION_MS,
        reason="left",
    )
    return [opened, closed]


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


@contextlib.asynccontextmanager
async def clients(coordinators: Fleet, witness: Witness, chance: random.Random) -> AsyncIterator[None]:
    """Halls and relays at work."""
    halls = await (await coordinators.leader()).api.prepare(HALLS, provinces_only=True)
    at_work = Clients(coordinators, witness, chance)
    tasks = [asyncio.create_task(at_work.observe(f"edge-{number}", halls[number])) for number in (1, 2)]
    tasks += [asyncio.create_task(at_work.report(hall_id)) for hall_id in halls[: HALLS // 2]]
    tasks += [asyncio.create_task(at_work.join_and_leave(hall_id)) for hall_id in halls[HALLS // 2 :]]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def die(folder: Path, kills: int, seed: int, redis_url: str = "") -> Figures:
    """Kill so many coordinators, and hold the journal against what was answered after each.

    Args:
        folder: for files and logs.
        kills: how many.
        seed: of all chances.
        redis_url: where the journal is; a file of a single coordinator where it is "".

    Raises:
        AssertionError: something acknowledged is lost, or applied twice, or decided twice.
    """
    names = ["one", "two", "three"] if redis_url else ["one"]
    journal = {"url": redis_url, "lease_s": LEASE_S, "keep_records": 2_000} if redis_url else {}
    config = CoordinatorConfig(state_dir=folder / names[0], journal=JournalConfig(**journal))
    chance, began_s = random.Random(seed), time.monotonic()
    settings: dict[str, object] = {"journal": journal, "snapshot_every": 100, "lease_s": 20.0, "return_grace_s": 200.0}
    async with fleet(folder, names, chance, settings, away_s=0) as coordinators:
        await coordinators.leader()
        reading = open_journal(config)
        try:
            witness = Witness(reading)
            reaper = Reaper(coordinators, witness, chance)
            async with clients(coordinators, witness, chance):
                while reaper.kills.total() < kills:
                    await reaper.kill_next()
                await coordinators.leader()
            await witness.check()
        finally:
            await reading.close()
    waits = reaper.ready_s or [0.0]
    return Figures(
        journal="redis" if redis_url else "sqlite",
        seed=seed,
        kills=dict(reaper.kills),
        seconds=round(time.monotonic() - began_s, 1),
        ready_s=(round(sum(waits) / len(waits), 2), round(max(waits), 2)),
        verdict=witness.verdict,
    )
