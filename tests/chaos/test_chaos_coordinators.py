"""Coordinators and their store are killed, frozen and started again at random while halls join.

Whatever happens: every join that was answered is in the journal, positions have no gap, epochs never fall, and the
state folded from the newest snapshot is that of the whole journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from support.coordinator_harness import CONFERENCE, connect_relay, register_message
from support.redis_coordinators import CoordinatorProgram, coordinator_program
from support.redis_groups import SentinelGroup
from support.redis_servers import RedisServer

from bridges.messages import Assignment
from conference.config import CoordinatorConfig, JournalConfig
from conference.journal.contract import Journal
from conference.journal.opening import open_journal
from conference.journal_fold import fold_journal
from conference.policy import Policy
from conference.snapshot import fingerprint
from conference.state import State, apply
from relay.messages import Refused

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

HALLS = 300
TROUBLES = 4
JOINERS = 8


class Trial:
    """One round: coordinators that are started again when they end, relays and halls that look for their leader."""

    def __init__(self, folder: Path, chance: random.Random, names: list[str], journal: dict[str, object]) -> None:
        self.chance = chance
        self.names = names
        self.acknowledged: dict[str, Assignment] = {}
        self.programs: dict[str, CoordinatorProgram] = {}
        self._folder = folder
        self._journal = journal

    async def keep_running(self, name: str) -> None:
        """Start a coordinator whenever it has ended."""
        while True:
            async with coordinator_program(
                self._folder, name, journal=self._journal, snapshot_every=100, lease_s=20.0, return_grace_s=200.0
            ) as program:
                self.programs[name] = program
                try:
                    await program.process.wait()
                finally:
                    del self.programs[name]
            await asyncio.sleep(self.chance.random())

    async def leader(self) -> CoordinatorProgram:
        """Whoever takes commands now."""
        while True:
            for program in list(self.programs.values()):
                with contextlib.suppress(TimeoutError, RuntimeError):  # it may end, and its session, meanwhile
                    if await asyncio.wait_for(program.readiness(), 2) == 200:
                        return program
            await asyncio.sleep(0.05)

    async def keep_relay(self, relay_id: str) -> None:
        """A relay that registers wherever there is a leader."""
        while True:
            program = await self.leader()
            with contextlib.suppress(Exception):
                async with connect_relay(program.api, register_message(relay_id)) as client:
                    if not any(isinstance(each, Refused) for each in client.received):
                        await client.wait_closed()
            await asyncio.sleep(0.1)

    async def join(self, hall_ids: list[str]) -> None:
        """Halls that try until they are answered."""
        while hall_ids:
            program = await self.leader()
            with contextlib.suppress(Exception):
                answer = await asyncio.wait_for(program.api.join(hall_ids[-1]), 8)
                self.acknowledged[hall_ids.pop()] = answer
            await asyncio.sleep(self.chance.random() * 0.3)

    async def strike_coordinator(self) -> None:
        """Kill or freeze a coordinator, most often the one that leads."""
        leader = await self.leader()
        program = leader if self.chance.random() < 0.8 else self.chance.choice([leader, *self.programs.values()])
        await strike(self.chance, program.signal)


async def strike(chance: random.Random, send: Callable[[signal.Signals], None]) -> None:
    """Kill, or freeze for a while."""
    with contextlib.suppress(ProcessLookupError):
        if chance.random() < 0.6:
            send(signal.SIGKILL)
            return
        send(signal.SIGSTOP)
        await asyncio.sleep(chance.uniform(0.5, 7.0))
        send(signal.SIGCONT)


async def strike_server(chance: random.Random, server: RedisServer) -> None:
    """Kill a Redis and start it again, or freeze it for a while."""
    killed = chance.random() < 0.6
    if not killed:
        server.signal(signal.SIGSTOP)
    else:
        server.kill()
    await asyncio.sleep(chance.uniform(0.2, 7.0))
    if killed:
        await asyncio.to_thread(server.start)
    else:
        server.signal(signal.SIGCONT)


async def run_trial(trial: Trial, troubles: list[Callable[[], Awaitable[None]]]) -> None:
    """Let halls join while troubles come, until all have joined."""
    background = [asyncio.create_task(trial.keep_running(name)) for name in trial.names]
    try:
        api = (await trial.leader()).api
        halls = await api.prepare(HALLS)
        background += [asyncio.create_task(trial.keep_relay(f"edge-{number}")) for number in (1, 2)]

        async def trouble() -> None:
            for _ in range(TROUBLES):
                await asyncio.sleep(trial.chance.uniform(0.5, 4.0))
                await trial.chance.choice(troubles)()

        joining = [trial.join(halls[number::JOINERS]) for number in range(JOINERS)]
        await asyncio.gather(trouble(), *joining)
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)


async def check(journal: Journal, acknowledged: dict[str, Assignment]) -> None:
    """What must be true whatever happened."""
    folded = await fold_journal(journal, Policy())
    whole, epoch = State(Policy()), 0
    async for record in journal.read({}):  # positions without a gap are the journal's own promise
        assert record.epoch >= epoch
        epoch = record.epoch
        apply(whole, record.event, record.at_ms)
    await journal.close()
    assert fingerprint(folded.state) == fingerprint(whole)
    assert len(acknowledged) == HALLS
    seats = whole.conferences[CONFERENCE].seats
    for hall_id, assignment in acknowledged.items():
        assert seats[hall_id].epoch >= assignment.epoch


async def test_a_coordinator_on_a_file(tmp_path: Path, seed: int) -> None:
    """One coordinator on SQLite."""
    trial = Trial(tmp_path, random.Random(seed), ["one"], {})
    await run_trial(trial, [trial.strike_coordinator])
    await check(open_journal(CoordinatorConfig(state_dir=tmp_path / "one")), trial.acknowledged)


async def test_coordinators_on_one_redis(tmp_path: Path, seed: int) -> None:
    """Three coordinators on one server."""
    server = RedisServer(tmp_path / "redis")
    try:
        trial = Trial(tmp_path, random.Random(seed), ["one", "two", "three"], {"url": server.url})
        await run_trial(trial, [trial.strike_coordinator, lambda: strike_server(trial.chance, server)])
        config = CoordinatorConfig(journal=JournalConfig(url=server.url))
        await check(open_journal(config), trial.acknowledged)
    finally:
        server.kill()


async def test_coordinators_behind_sentinels(tmp_path: Path, seed: int) -> None:
    """Three coordinators on a master with two replicas."""
    group = await asyncio.to_thread(SentinelGroup, tmp_path)
    try:
        trial = Trial(tmp_path, random.Random(seed), ["one", "two", "three"], {"url": group.url})
        servers = group.servers
        await run_trial(
            trial, [trial.strike_coordinator, lambda: strike_server(trial.chance, trial.chance.choice(servers))]
        )
        config = CoordinatorConfig(journal=JournalConfig(url=group.url, timeout_s=20))
        await check(open_journal(config), trial.acknowledged)
    finally:
        group.close()
