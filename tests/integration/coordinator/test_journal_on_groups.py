"""The journal behind Sentinel and in a Cluster, on real servers: a failover loses nothing acknowledged."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import pytest
from support.coordinator_harness import connect_relay, register_message
from support.redis_coordinators import coordinator_program
from support.redis_groups import Cluster, SentinelGroup

from conference.config import JournalConfig
from conference.errors import JournalError, StaleEpochError
from conference.events import HallLeft
from conference.journal.contract import Entry, Journal
from conference.journal.opening import open_redis

pytestmark = pytest.mark.integration


def entry(number: int) -> Entry:
    """Some event."""
    return Entry(at_ms=number, actor="test", event=HallLeft(conference_id="c", hall_id=f"h{number}"))


async def numbers(journal: Journal) -> list[int]:
    """What was written, by the times of the records."""
    return [record.at_ms async for record in journal.read({})]


async def write_on(journal: Journal, stop: asyncio.Event, acknowledged: list[int]) -> float:
    """Append one event after the other, as a coordinator does; returns the longest time without an answer, in s."""
    epoch, number, longest_s = await journal.open_writer(), 0, 0.0
    answered = time.monotonic()
    while not stop.is_set():
        number += 1
        try:
            await journal.append(epoch, [entry(number)])
        except StaleEpochError:
            raise
        except JournalError:
            while True:
                try:
                    epoch = await journal.open_writer(after=epoch)
                    break
                except StaleEpochError:
                    raise
                except JournalError:
                    await asyncio.sleep(0.1)
        else:
            acknowledged.append(number)
            longest_s, answered = max(longest_s, time.monotonic() - answered), time.monotonic()
    return longest_s


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "cut off"])
async def test_a_failover_loses_nothing_acknowledged(group: SentinelGroup, how: signal.Signals) -> None:
    """The master goes while events are written: what follows has all that was acknowledged, once and in order."""
    master = group.master()
    journal = open_redis(JournalConfig(url=group.url, timeout_s=3.0))
    acknowledged: list[int] = []
    stop = asyncio.Event()
    writing = asyncio.create_task(write_on(journal, stop, acknowledged))

    async def written_more(count: int) -> None:
        goal = len(acknowledged) + count
        while len(acknowledged) < goal:
            assert not writing.done()
            await asyncio.sleep(0.01)

    await written_more(200)
    master.signal(how)
    await written_more(200)
    assert group.master() is not master
    if how == signal.SIGSTOP:
        master.signal(signal.SIGCONT)  # it believes that it is the master still, for a moment
        await written_more(200)
    stop.set()
    await writing
    written = await numbers(journal)
    assert written == sorted(set(written))
    assert set(acknowledged) <= set(written)
    await journal.close()


async def test_a_coordinator_survives_a_failover(group: SentinelGroup, tmp_path: Path) -> None:
    """The master is killed: every hall that had joined has its seat, its relay is not lost, and halls join again."""
    journal = {"url": group.url, "timeout_s": 2.0}
    async with coordinator_program(tmp_path, "one", journal=journal, lease_s=2.0, heartbeat_s=0.2) as program:
        await program.until_ready()
        api = program.api
        halls = await api.prepare(20)
        async with connect_relay(api, register_message("edge-1")) as relay:
            before = [await api.join(hall_id) for hall_id in halls[:10]]
            group.master().kill()
            status = 0
            while status != 200:
                status, _ = await api.call("POST", "/api/v1/halls/join", hall=halls[10], json={})
                assert status in {200, 503}
                await asyncio.sleep(0.1)
            assert relay.close_code is None
            for hall_id, assignment in zip(halls, before, strict=False):
                assert (await api.assignment(hall_id)).epoch == assignment.epoch


async def test_a_journal_in_a_cluster_is_on_one_node(cluster: Cluster) -> None:
    """Journals of several names lie on their nodes, each whole, and are read from any."""
    names = ["hn1", "hn2", "hn3", "hn4", "hn5"]
    nodes: dict[str, int] = {}
    for name in names:
        journal = open_redis(JournalConfig(url=cluster.url, name=name, replicas=0))
        epoch = await journal.open_writer()
        await journal.append(epoch, [entry(1), entry(2)])
        reader = open_redis(
            JournalConfig(url=f"redis+cluster://127.0.0.1:{cluster.servers[2].port}", name=name, replicas=0)
        )
        assert await numbers(reader) == [1, 2]
        found = [
            number
            for number, server in enumerate(cluster.servers)
            if f"{{{name}}}:records".encode() in server.command_line("KEYS", f"{{{name}}}:*")
        ]
        assert len(found) == 1
        nodes[name] = found[0]
        for each in (journal, reader):
            await each.close()
    assert len(set(nodes.values())) > 1
