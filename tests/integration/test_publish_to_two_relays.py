import asyncio
import time
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


class Arrivals:
    """Stands before a relay's SRTP: notes the packets of video that come, and loses some of them."""

    def __init__(self, relay: TestRelay, *, drop_every: int) -> None:
        self.packets: dict[int, bytes] = {}
        self.again: dict[int, bytes] = {}
        self.dropped: set[int] = set()
        self._drop_every = drop_every
        self._ssrc = int(relay.sdp[0].split("m=video")[1].split("a=ssrc:")[1].split()[0]).to_bytes(4, "big")
        transport = relay.published[0].getReceivers()[0].transport.transport
        self._receive = transport._recv
        transport._recv = self._next

    async def _next(self) -> bytes:
        while True:
            data = await self._receive()
            if data[8:12] != self._ssrc or 192 <= data[1] <= 223:  # RTCP (RFC 5761 section 4)
                return data
            number = data[2] << 8 | data[3]
            if self.packets.setdefault(number, data) is not data:
                self.again[number] = data
            if not self._drop_every or number % self._drop_every or number in self.dropped:
                return data
            self.dropped.add(number)


def urls(relays: list[TestRelay]) -> list[str]:
    """Their endpoints."""
    return [f"{relay.base_url}/c/program/whip" for relay in relays]


async def test_one_encoder_feeds_both(relays: list[TestRelay]) -> None:
    """Both decode every picture of one encoder: one set of frames, and the same SSRC in both offers."""
    stop, counts = asyncio.Event(), PublishCounts()
    task = asyncio.create_task(publish(Programme(fps=15), urls(relays), "t", stop=stop, counts=counts))
    frames: list[set[int]] = [set() for _ in relays]
    async with asyncio.timeout(20):
        # One may be connected long before the other: it is what both decode that tells of one encoder.
        while len(frames[0] & frames[1]) <= 10:
            for relay, numbers in zip(relays, frames, strict=True):
                numbers.add((await relay.timecodes.get()).frame_number)
    stop.set()
    await task
    ssrcs = [{line for line in relay.sdp[0].split() if line.startswith("a=ssrc:")} for relay in relays]
    assert len(ssrcs[0]) == 2, "one of sound, one of pictures, none for retransmission"
    assert ssrcs[0] == ssrcs[1]
    assert counts.frames["video"] < 1.5 * (max(frames[0] | frames[1]) + 20)


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


async def test_a_storm_of_keyframe_requests_makes_one_a_second(relays: list[TestRelay]) -> None:
    """Two relays that ask all the time get a keyframe each second from the one encoder, and no more."""
    stop, counts = asyncio.Event(), PublishCounts()
    task = asyncio.create_task(publish(Programme(fps=15), urls(relays), "t", stop=stop, counts=counts))
    await until(lambda: counts.sessions_up == 2 and all(relay.keyframes for relay in relays))
    before, begun_at = relays[0].keyframes, time.monotonic()
    while (elapsed_s := time.monotonic() - begun_at) < 4.0:
        for relay in relays:
            for receiver in relay.published[0].getReceivers():
                ssrcs = [int(line.split()[0]) for line in relay.sdp[0].split("a=ssrc:")[1:]]
                for ssrc in ssrcs:
                    await receiver._send_rtcp_pli(ssrc)
        await relays[0].timecodes.get()
    made = relays[0].keyframes - before
    stop.set()
    await task
    assert 2 <= made <= elapsed_s + 2, f"{made} keyframes in {elapsed_s} s"


async def test_what_one_relay_misses_is_sent_to_it_again(relays: list[TestRelay]) -> None:
    """NACKs are answered with the very packet, to whom asked; the other one is sent nothing twice."""
    stop, counts = asyncio.Event(), PublishCounts()
    task = asyncio.create_task(publish(Programme(fps=15), urls(relays), "t", stop=stop, counts=counts))
    await until(lambda: counts.sessions_up == 2)
    arrivals = [Arrivals(relay, drop_every=drop_every) for relay, drop_every in zip(relays, (7, 0), strict=True)]
    await until(lambda: len(arrivals[0].again) > 5)
    stop.set()
    await task
    assert set(arrivals[0].again) <= arrivals[0].dropped
    assert all(data == arrivals[0].packets[number] for number, data in arrivals[0].again.items()), "byte for byte"
    assert not arrivals[1].again


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
