import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from support.aiortc_relay import TestCoordinator, TestRelay, link_of, running_relays, until

from bridges.agent import HallAgent
from bridges.errors import HallApiError
from bridges.messages import HeadcountReport

pytestmark = pytest.mark.integration


@pytest.fixture
async def relays() -> AsyncIterator[list[TestRelay]]:
    """Two relays with one programme each."""
    async with running_relays(2) as relays:
        yield relays


@pytest.fixture
async def coordinator(relays: list[TestRelay]) -> AsyncIterator[TestCoordinator]:
    """A coordinator that assigns relay a, then b."""
    coordinator = TestCoordinator(relays[0].access("a"), relays[1].access("b"))
    await coordinator.start()
    yield coordinator
    await coordinator.close()


async def until_pictures(agent: HallAgent, count: int) -> None:
    """Wait until the agent has decoded so many pictures more."""
    goal = agent.summary().frames_decoded + count
    await until(lambda: agent.summary().frames_decoded >= goal, say=agent.summary)


async def test_a_hall_plays_counts_and_leaves_in_order(relays: list[TestRelay], coordinator: TestCoordinator) -> None:
    """Decoded pictures with recent timecodes, the headcount after the first, all sessions deleted, no thread left."""
    threads = threading.active_count()
    agent = HallAgent(link_of(coordinator.base_url), headcount=HeadcountReport(summoned=60, present=57, excused=3))
    stop = asyncio.Event()
    task = asyncio.create_task(agent.run(stop))
    await until_pictures(agent, 45)
    headcount = await asyncio.wait_for(coordinator.headcounts.get(), 5)
    assert [played.switch.live for played in relays[0].played.values()] == [True]
    assert [played.switch.live for played in relays[1].played.values()] == [False]
    stop.set()
    summary = await asyncio.wait_for(task, 10)
    assert headcount.present == 57
    assert summary.hall_id == "h1"
    assert summary.relay == "a"
    assert summary.present
    assert not summary.ended
    assert summary.moves == []
    assert summary.errors == {}
    assert summary.timecodes > 10
    assert summary.glass_to_glass_ms_p50 is not None
    assert 0 < summary.glass_to_glass_ms_p50 < 1000
    assert summary.packets_lost == 0
    assert [relay.deleted for relay in relays] == [1, 1]
    assert coordinator.leaves == 1
    names = [thread.name for thread in threading.enumerate() if "decoder" in thread.name]
    assert names == [], threads


@pytest.mark.alone
async def test_a_hall_survives_its_relay(relays: list[TestRelay], coordinator: TestCoordinator) -> None:
    """The primary dies without a word: the hall plays from its backup within a second and reports the interruption."""
    agent = HallAgent(link_of(coordinator.base_url))
    stop = asyncio.Event()
    task = asyncio.create_task(agent.run(stop))
    await until_pictures(agent, 15)
    await relays[0].kill()
    report = await asyncio.wait_for(coordinator.moves.get(), 10)
    await until_pictures(agent, 5)
    stop.set()
    summary = await asyncio.wait_for(task, 10)
    assert (report.from_relay, report.to_relay) == ("a", "b")
    assert 0 <= report.interruption_ms < 1500
    assert summary.relay == "b"
    assert [(move.from_relay, move.to_relay) for move in summary.moves] == [("a", "b")]


async def test_a_silent_source_keeps_the_hall_where_it_is(
    relays: list[TestRelay], coordinator: TestCoordinator
) -> None:
    """Both relays are silent for a while: the hall waits, and its standby goes back to standby afterwards."""
    agent = HallAgent(link_of(coordinator.base_url))
    stop = asyncio.Event()
    task = asyncio.create_task(agent.run(stop))
    await until_pictures(agent, 15)
    for relay in relays:
        relay.switch.live = False
    (backup,) = relays[1].played.values()
    await until(lambda: backup.switch.live)
    relays[0].switch.live = True
    await until(lambda: not backup.switch.live)
    relays[1].switch.live = True
    await until_pictures(agent, 5)
    stop.set()
    summary = await asyncio.wait_for(task, 10)
    assert summary.moves == []
    assert summary.relay == "a"


async def test_a_notified_hall_follows_its_new_assignment(
    relays: list[TestRelay], coordinator: TestCoordinator
) -> None:
    """The coordinator exchanges the relays and notifies: the hall goes over without losing its picture."""
    agent = HallAgent(link_of(coordinator.base_url))
    stop = asyncio.Event()
    task = asyncio.create_task(agent.run(stop))
    await until_pictures(agent, 15)
    coordinator.primary, coordinator.backup = relays[1].access("b"), relays[0].access("a")
    coordinator.epoch += 1
    (played,) = relays[0].played.values()
    played.events.put_nowait("assignment")
    report = await asyncio.wait_for(coordinator.moves.get(), 10)
    stop.set()
    summary = await asyncio.wait_for(task, 10)
    assert report.reason == "assignment"
    assert report.interruption_ms < 200
    assert summary.relay == "b"


async def test_a_hall_ends_with_its_conference(relays: list[TestRelay], coordinator: TestCoordinator) -> None:
    """The relay says `ended`: the agent closes its sessions and returns by itself."""
    agent = HallAgent(link_of(coordinator.base_url))
    task = asyncio.create_task(agent.run(asyncio.Event()))
    await until_pictures(agent, 5)
    (played,) = relays[0].played.values()
    played.events.put_nowait("ended")
    summary = await asyncio.wait_for(task, 10)
    assert summary.ended


async def test_a_hall_with_a_wrong_token_is_told_so(coordinator: TestCoordinator) -> None:
    """A refused token ends the agent with the coordinator's sentence."""
    coordinator.refuse_with = (401, "access_denied")
    with pytest.raises(HallApiError) as caught:
        await asyncio.wait_for(HallAgent(link_of(coordinator.base_url)).run(asyncio.Event()), 10)
    assert caught.value.code == "access_denied"
