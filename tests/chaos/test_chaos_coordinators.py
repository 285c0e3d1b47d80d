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
from support.coordinator_fleet import Fleet, fleet
from support.coordinator_harness import CONFERENCE, connect_relay, register_message
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
NAMES = ["one", "two", "three"]


class Trial:
    """One round: relays and halls that look for their leader.

    Attributes:
        acknowledged: halls' assignments.
    """

    def __init__(self, coordinators: Fleet) -> None:
        self.acknowledged: dict[str, Assignment] = {}
        self._fleet = coordinators
        self._chance = coordinators.chance

    async def keep_relay(self, relay_id: str) -> None:
        """A relay that registers wherever there is a leader."""
        while True:
            program = await self._fleet.leader()
            with contextlib.suppress(Exception):  # whatever it is, the relay tries again: the journal is judged
                async with connect_relay(program.api, register_message(relay_id)) as client:
                    if not any(isinstance(each, Refused) for each in client.received):
                        await client.wait_closed()
            self._fleet.doubt(program)
            await asyncio.sleep(0.1)

    async def join(self, hall_ids: list[str]) -> None:
        """Halls that try until they are answered."""
        while hall_ids:
            program = await self._fleet.leader()
            try:
                async with asyncio.timeout(8):
                    answer = await program.api.join(hall_ids[-1])
                self.acknowledged[hall_ids.pop()] = answer
            except Exception:  # noqa: BLE001 - whatever it is, the hall tries again
                self._fleet.doubt(program)
            await asyncio.sleep(self._chance.random() * 0.3)

    async def strike_coordinator(self) -> None:
        """Kill or freeze a coordinator, most often the one that leads."""
        leader = await self._fleet.leader()
        others = [leader, *self._fleet.programs.values()]
        program = leader if self._chance.random() < 0.8 else self._chance.choice(others)
        await strike(self._chance, program.signal)


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


async def run_trial(
    folder: Path,
    names: list[str],
    chance: random.Random,
    journal: dict[str, object],
    strike_store: Callable[[], Awaitable[None]] | None = None,
) -> dict[str, Assignment]:
    """Let halls join while troubles come, until all have joined; returns what they were answered."""
    settings: dict[str, object] = {"journal": journal, "snapshot_every": 100, "lease_s": 20.0, "return_grace_s": 200.0}
    async with fleet(folder, names, chance, settings) as coordinators:
        trial = Trial(coordinators)
        troubles = [trial.strike_coordinator, *([strike_store] if strike_store else [])]
        halls = await (await coordinators.leader()).api.prepare(HALLS)
        relays = [asyncio.create_task(trial.keep_relay(f"edge-{number}")) for number in (1, 2)]

        async def trouble() -> None:
            for _ in range(TROUBLES):
                await asyncio.sleep(chance.uniform(0.5, 4.0))
                await chance.choice(troubles)()

        try:
            joining = [trial.join(halls[number::JOINERS]) for number in range(JOINERS)]
            await asyncio.gather(trouble(), *joining)
        finally:
            for task in relays:
                task.cancel()
            await asyncio.gather(*relays, return_exceptions=True)
        return trial.acknowledged


async def check(journal: Journal, acknowledged: dict[str, Assignment]) -> None:
    """What must be true whatever happened."""
    folded = await fold_journal(journal, Policy())
    whole, epoch = State(Policy()), 0
    async for record in journal.read({}):  # positions without a gap are the journal's own promise
        assert record.epoch >= epoch
        epoch = record.epoch
        apply(whole, record.event, record.at_ms, record.actor)
    await journal.close()
    assert fingerprint(folded.state) == fingerprint(whole)
    assert len(acknowledged) == HALLS
    seats = whole.conferences[CONFERENCE].seats
    for hall_id, assignment in acknowledged.items():
        assert seats[hall_id].epoch >= assignment.epoch


async def test_a_coordinator_on_a_file(tmp_path: Path, seed: int) -> None:
    """One coordinator on SQLite."""
    acknowledged = await run_trial(tmp_path, ["one"], random.Random(seed), {})
    await check(open_journal(CoordinatorConfig(state_dir=tmp_path / "one")), acknowledged)


async def test_coordinators_on_one_redis(tmp_path: Path, seed: int) -> None:
    """Three coordinators on one server."""
    chance = random.Random(seed)
    server = RedisServer(tmp_path / "redis")
    try:
        acknowledged = await run_trial(
            tmp_path, NAMES, chance, {"url": server.url}, lambda: strike_server(chance, server)
        )
        await check(open_journal(CoordinatorConfig(journal=JournalConfig(url=server.url))), acknowledged)
    finally:
        server.kill()


async def test_coordinators_behind_sentinels(tmp_path: Path, seed: int) -> None:
    """Three coordinators on a master with two replicas."""
    chance = random.Random(seed)
    group = await asyncio.to_thread(SentinelGroup, tmp_path)
    try:
        acknowledged = await run_trial(
            tmp_path, NAMES, chance, {"url": group.url}, lambda: strike_server(chance, chance.choice(group.servers))
        )
        config = CoordinatorConfig(journal=JournalConfig(url=group.url, timeout_s=20))
        await check(open_journal(config), acknowledged)
    finally:
        group.close()
