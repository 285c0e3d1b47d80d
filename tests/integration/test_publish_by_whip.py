import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from support.aiortc_relay import TestRelay, running_relays, until

from bridges.errors import PublishError
from bridges.programme import Programme
from bridges.publish import PublishState, publish

pytestmark = pytest.mark.integration


@pytest.fixture
async def relay() -> AsyncIterator[TestRelay]:
    """A WHIP peer."""
    async with running_relays(1) as relays:
        yield relays[0]


async def test_the_test_programme_arrives_with_readable_timecodes(relay: TestRelay) -> None:
    """Every timecode that the relay's side decodes is recent, and frame numbers grow."""
    stop = asyncio.Event()
    task = asyncio.create_task(publish(Programme(), [f"{relay.base_url}/c/program/whip"], "t", stop=stop))
    async with asyncio.timeout(15):
        seen = [await relay.timecodes.get() for _ in range(60)]
    ages_ms = [time.time_ns() // 1_000_000 - seen[-1].at_ms]
    stop.set()
    summary = await task
    assert ages_ms[0] < 3000
    numbers = [timecode.frame_number for timecode in seen]
    assert numbers == sorted(numbers)
    assert numbers[-1] - numbers[0] < 180  # a loaded machine skips frames, and does not play them late
    assert relay.sounds > 50
    assert relay.deleted == 1
    assert summary.connections == 1
    assert summary.packets_sent > 100
    assert relay.sdp[0].index("H264/90000") < relay.sdp[0].index("VP8/90000")


async def test_a_publisher_comes_back_after_the_relay_died(relay: TestRelay) -> None:
    """The relay dies and a new one takes its place: the publisher connects again and the programme goes on."""
    states: list[PublishState] = []
    stop = asyncio.Event()
    port = int(relay.base_url.rpartition(":")[2])
    task = asyncio.create_task(
        publish(Programme(fps=15), [f"{relay.base_url}/c/program/whip"], "t", stop=stop, on_state=states.append)
    )
    async with asyncio.timeout(40):
        before = await relay.timecodes.get()
        await relay.kill()
        await until(lambda: "lost" in states)
        while not relay.timecodes.empty():
            before = relay.timecodes.get_nowait()
        await relay.start(port)
        after = await relay.timecodes.get()
        stop.set()
        summary = await task
    assert after.frame_number > before.frame_number
    assert summary.connections == 2
    assert states[-1] == "ended"


async def test_a_relay_without_keys_is_waited_for(relay: TestRelay) -> None:
    """A relay that has just started refuses every token for a moment; the publisher comes through afterwards."""
    relay.refuse_with = 401
    stop = asyncio.Event()
    states: list[PublishState] = []
    task = asyncio.create_task(
        publish(Programme(fps=15), [f"{relay.base_url}/c/program/whip"], "t", stop=stop, on_state=states.append)
    )
    await until(lambda: "lost" in states)
    relay.refuse_with = 0
    await until(lambda: "live" in states)
    stop.set()
    assert (await task).connections == 1


async def test_a_refused_publisher_gives_up(relay: TestRelay) -> None:
    """A wrong token is an error at once, not a reason to try again."""
    relay.refuse_with = 403
    with pytest.raises(PublishError) as caught:
        await publish(Programme(), [f"{relay.base_url}/c/program/whip"], "t")
    assert caught.value.code == "refused"


async def test_a_publisher_without_a_relay_gives_up_when_its_patience_ends(relay: TestRelay) -> None:
    """Nobody listens: `unreachable` after the patience that was given."""
    await relay.kill()
    with pytest.raises(PublishError) as caught:
        await publish(Programme(), [f"{relay.base_url}/c/program/whip"], "t", patience_s=0.1)
    assert caught.value.code == "unreachable"
