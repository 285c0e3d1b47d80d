import asyncio
from collections.abc import AsyncIterator

import pytest
from support.aiortc_relay import TestRelay, running_relays, until

from bridges.errors import PublishError
from bridges.programme import Programme
from bridges.publish import PublishCounts, PublishState, publish

pytestmark = pytest.mark.integration


@pytest.fixture
async def relays() -> AsyncIterator[list[TestRelay]]:
    """Two WHIP peers."""
    async with running_relays(2) as relays:
        yield relays


def urls(relays: list[TestRelay]) -> list[str]:
    """Their endpoints."""
    return [f"{relay.base_url}/c/program/whip" for relay in relays]


async def test_one_encoder_feeds_both(relays: list[TestRelay]) -> None:
    """Both decode every picture of one encoder: one set of frames, and the same SSRC in both offers."""
    stop, counts = asyncio.Event(), PublishCounts()
    task = asyncio.create_task(publish(Programme(fps=15), urls(relays), "t", stop=stop, counts=counts))
    async with asyncio.timeout(20):
        seen = [[await relay.timecodes.get() for _ in range(20)] for relay in relays]
    stop.set()
    await task
    both = {timecode.frame_number for timecode in seen[0]} & {timecode.frame_number for timecode in seen[1]}
    assert len(both) > 10
    ssrcs = [{line for line in relay.sdp[0].split() if line.startswith("a=ssrc:")} for relay in relays]
    assert len(ssrcs[0]) == 2, "one of sound, one of pictures, none for retransmission"
    assert ssrcs[0] == ssrcs[1]
    assert counts.frames["video"] < 1.5 * (max(t.frame_number for t in seen[0] + seen[1]) + 20)


async def test_a_lost_relay_leaves_the_other_alone(relays: list[TestRelay]) -> None:
    """The other goes on in one session; the lost one is connected again when it is back."""
    stop, counts, states = asyncio.Event(), PublishCounts(), list[PublishState]()
    port = int(relays[0].base_url.rpartition(":")[2])
    task = asyncio.create_task(
        publish(Programme(fps=15), urls(relays), "t", stop=stop, on_state=states.append, counts=counts)
    )
    await until(lambda: counts.sessions_up == 2)
    await relays[0].kill()
    await until(lambda: "partly" in states)
    async with asyncio.timeout(10):
        for _ in range(20):
            await relays[1].timecodes.get()
    await relays[0].start(port)
    await until(lambda: counts.sessions_up == 2)
    stop.set()
    summary = await task
    assert (summary.connections, counts.reconnections) == (3, 1)
    assert len(relays[1].sdp) == 1, "the other session was never touched"
    assert states[-3:] == ["partly", "live", "ended"]


async def test_what_one_relay_refuses_for_good_does_not_end_the_other(relays: list[TestRelay]) -> None:
    """A refusal ends that origin; when the last one refuses, the publication fails."""
    relays[0].refuse_with = 403
    stop, counts, states = asyncio.Event(), PublishCounts(), list[PublishState]()
    task = asyncio.create_task(
        publish(Programme(fps=15), urls(relays), "t", stop=stop, on_state=states.append, counts=counts)
    )
    await until(lambda: counts.sessions_up == 1)
    await until(lambda: "partly" in states or "live" in states)
    stop.set()
    await task
    relays[1].refuse_with = 403
    with pytest.raises(PublishError) as caught:
        await publish(Programme(fps=15), urls(relays), "t")
    assert caught.value.code == "refused"


async def test_origins_are_one_to_four_and_different(relays: list[TestRelay]) -> None:
    """None, five or the same one twice is an error of the caller, told at once."""
    url = urls(relays)[0]
    for wrong in ([], [url, url], [f"{url}/{n}" for n in range(5)]):
        with pytest.raises(PublishError) as caught:
            await publish(Programme(), wrong, "t")
        assert caught.value.code == "bad_origins"
