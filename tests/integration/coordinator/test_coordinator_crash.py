from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from support.coordinator_harness import CONFERENCE, Api, connect_relay, eventually, register_message

import conference
from bridges.messages import Assignment
from conference.access import KeyRing
from conference.app import serve_coordinator
from conference.config import CoordinatorConfig
from conference.coordinator import Coordinator
from conference.journal.sqlite import SqliteJournal
from conference.policy import Policy
from conference.serving import ListenError
from conference.snapshot import fingerprint
from conference.state import State, apply
from conference.state_lock import StateDirError

pytestmark = pytest.mark.integration

# The program runs whether or not the project is installed where the tests are.
ROOT = str(Path(conference.__file__).parents[1])
PROGRAM = Path(__file__).with_name("coordinator_process.py")
HALLS = 300


@contextlib.asynccontextmanager
async def coordinator_process(state_dir: Path, snapshot_every: int = 100) -> AsyncIterator[tuple[Process, Api]]:
    """A coordinator in a process of its own; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAM),
        str(state_dir),
        str(snapshot_every),
        stdout=PIPE,
        env={**os.environ, "PYTHONPATH": ROOT},
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        keys = KeyRing.load_or_create(CoordinatorConfig(state_dir=state_dir).key_path)
        async with contextlib.aclosing(Api(line.decode().split()[-1], keys)) as api:
            yield process, api
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def fold(path: Path) -> State:
    """The state from the whole journal, without snapshots."""
    journal, state = SqliteJournal(path), State(Policy())
    async for record in journal.read({}):
        apply(state, record.event, record.at_ms, record.actor)
    await journal.close()
    return state


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_acknowledged_join_is_missing_after_kill_9(tmp_path: Path, seed: int) -> None:
    """Killed in the middle of joins, the coordinator comes back with every join that it had answered, unmoved."""
    acknowledged: dict[str, Assignment] = {}
    kill_after = random.Random(seed).randrange(20, HALLS - 50)
    async with coordinator_process(tmp_path) as (process, api):
        halls = await api.prepare(HALLS)
        async with connect_relay(api, register_message("edge-1")), connect_relay(api, register_message("edge-2")):

            async def join(hall_id: str) -> None:
                with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                    acknowledged[hall_id] = await api.join(hall_id)
                    if len(acknowledged) == kill_after:
                        process.kill()

            await asyncio.gather(*(join(hall_id) for hall_id in halls))
            await process.wait()
    assert kill_after <= len(acknowledged) < HALLS

    config = CoordinatorConfig(state_dir=tmp_path)
    folded = await fold(config.journal_path)
    restarted = Coordinator(SqliteJournal(config.journal_path), Policy())
    await restarted.start()
    assert fingerprint(restarted.state) == fingerprint(folded)
    await restarted.stop()
    seats = folded.conferences[CONFERENCE].seats
    for hall_id, assignment in acknowledged.items():
        assert (seats[hall_id].epoch, seats[hall_id].primary) == (assignment.epoch, assignment.primary.relay_id)

    async with coordinator_process(tmp_path) as (process, api):
        async with connect_relay(api, register_message("edge-1")), connect_relay(api, register_message("edge-2")):
            for hall_id, before in acknowledged.items():
                after = await api.assignment(hall_id)
                assert (after.epoch, after.primary.relay_id) == (before.epoch, before.primary.relay_id)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    """With no room left: 503 journal_unavailable, nothing of it remains; with room again the next command succeeds."""
    async with coordinator_process(tmp_path, snapshot_every=100_000) as (process, api):
        halls = await api.prepare(HALLS)
        async with connect_relay(api, register_message("edge-1")), connect_relay(api, register_message("edge-2")):
            acknowledged = [halls[0]]
            await api.join(halls[0])
            # A limit on the size of files stands for the disk: it fails the same system calls, and needs no rights.
            _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, hard))
            status, problem = await api.call("POST", "/api/v1/halls/join", hall=halls[1], json={})
            assert (status, problem["code"]) == (503, "journal_unavailable")
            assert (await api.call("GET", "/healthz", None))[0] == 200
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))

            async def ready() -> bool:
                status, _ = await api.call("GET", "/readyz", None)
                return status == 200

            await eventually(ready, "the coordinator is ready again")
            status, problem = await api.call("GET", "/api/v1/halls/assignment", hall=halls[1])
            assert (status, problem["code"]) == (409, "not_joined")
            for hall_id in halls[1:5]:
                await api.join(hall_id)
                acknowledged.append(hall_id)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0
    folded = await fold(CoordinatorConfig(state_dir=tmp_path).journal_path)
    assert sorted(folded.conferences[CONFERENCE].seats) == sorted(acknowledged)


async def test_another_writer_of_the_journal_fences_the_first(tmp_path: Path) -> None:
    """Once another process has taken the journal over, the coordinator writes nothing more and ends, to stand by."""
    async with coordinator_process(tmp_path) as (process, api):
        await api.prepare(2)
        journal = SqliteJournal(CoordinatorConfig(state_dir=tmp_path).journal_path)
        await journal.open_writer()
        await journal.close()
        body = {"conference_id": "other", "title": "Khác"}
        status, problem = await api.call("POST", "/api/v1/conferences", json=body)
        assert (status, problem["code"]) == (503, "stale_epoch")
        assert await asyncio.wait_for(process.wait(), 10) == 1


async def test_a_second_coordinator_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    """It ends with a sentence that names the folder and the first one's process; the first one serves on."""
    async with coordinator_process(tmp_path) as (process, api):
        with pytest.raises(StateDirError, match=f"{tmp_path}.*process {process.pid}"):
            async with serve_coordinator(CoordinatorConfig(port=0, state_dir=tmp_path)):
                pass
        await api.prepare(2)


async def test_a_port_that_is_taken_is_said_in_one_sentence(tmp_path: Path) -> None:
    """Two coordinators on one port: the second ends with an error that names the address."""
    async with coordinator_process(tmp_path) as (_, api):
        port = int(api.url.rpartition(":")[2])
        with pytest.raises(ListenError, match=str(port)):
            async with serve_coordinator(CoordinatorConfig(port=port, state_dir=tmp_path / "other")):
                pass
