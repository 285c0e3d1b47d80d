"""Virtual relays over real control connections: registered as virtual, present, gone for good after a goodbye."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from support.relays import CONFERENCE, FEED, ControlServer, Signer, control_server

from relay.messages import Capacity, CloseConference, Notify, SessionClosed, SessionOpened
from relay.net.control import LAST_RETRY_S
from relay.virtual import VirtualRelays

pytestmark = pytest.mark.integration
NAMES = [f"v{number}" for number in range(20)]


class Scene:
    """Twenty virtual relays and their coordinator."""

    def __init__(self, control: ControlServer, relays: VirtualRelays) -> None:
        self.control = control
        self.relays = relays

    async def until(self, count: int) -> None:
        """Return when so many presence deltas have come."""
        async with asyncio.timeout(10):
            while len(self.control.deltas) < count:
                await self.control.message()


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    """All of them registered."""
    async with control_server(Signer()) as control, aiohttp.ClientSession() as client:
        relays = VirtualRelays(client, control.url, rng=random.Random(1))
        for name in NAMES:
            relays.add(
                name,
                token="t",
                region="01",
                role="edge",
                capacity=Capacity(bits_per_s=1_000_000, packets_per_s=1_000),
            )
        made = Scene(control, relays)
        async with asyncio.timeout(10):
            while len(control.heartbeats) < len(NAMES):
                await control.message()
        yield made
        await relays.close()


async def test_they_say_that_they_are_virtual(scene: Scene) -> None:
    """Registered once each, with an address that never resolves."""
    assert sorted(scene.control.registrations) == sorted(NAMES)
    for name, register in scene.control.registered.items():
        assert register.virtual
        assert register.base_url == f"http://{name}.virtual.invalid"
    assert scene.relays.connected == len(scene.relays) == len(NAMES)


async def test_sessions_are_presence(scene: Scene) -> None:
    """Opened once, closed once, ended with the conference; an unknown relay opens nothing."""
    ended: list[str] = []
    scene.relays.on_ended = ended.append
    assert scene.relays.open_session("v1", "h1", CONFERENCE, FEED)
    assert scene.relays.open_session("v1", "h1", CONFERENCE, FEED)
    assert scene.relays.open_session("v1", "h2", CONFERENCE, FEED)
    assert not scene.relays.open_session("nobody", "h3", CONFERENCE, FEED)
    scene.relays.close_session("v1", "h1")
    await scene.until(3)
    await scene.control.send("v1", CloseConference(conference=CONFERENCE))
    await scene.until(4)
    one, two, three, four = scene.control.deltas
    assert isinstance(one, SessionOpened)
    assert isinstance(two, SessionOpened)
    assert isinstance(three, SessionClosed)
    assert isinstance(four, SessionClosed)
    assert (one.subject, two.subject, three.subject, four.subject) == ("h1", "h2", "h1", "h2")
    assert four.reason == "ended"
    assert ended == [CONFERENCE]


async def test_halls_are_told_of_a_new_assignment(scene: Scene) -> None:
    """Those that are there, and no others."""
    told: list[list[str]] = []
    scene.relays.on_notified = told.append
    scene.relays.open_session("v1", "h1", CONFERENCE, FEED)
    await scene.control.send("v1", Notify(subjects=["h1", "h9"]))
    async with asyncio.timeout(5):
        while not told:
            await scene.control.message()
    assert told == [["h1"]]


async def test_a_goodbye_is_the_last_word(scene: Scene) -> None:
    """One goodbye each; nobody registers again while others are still saying theirs."""
    await scene.relays.close()
    async with asyncio.timeout(LAST_RETRY_S):
        while len(scene.control.goodbyes) < len(NAMES):
            await scene.control.message()
    assert sorted(scene.control.goodbyes) == sorted(NAMES)
    assert len(scene.control.registrations) == len(NAMES)


async def test_a_killed_relay_says_nothing(scene: Scene) -> None:
    """No goodbye; it is not in the table any more."""
    scene.relays.open_session("v1", "h1", CONFERENCE, FEED)
    scene.relays.kill("v1")
    scene.relays.kill("v1")
    assert not scene.relays.open_session("v1", "h2", CONFERENCE, FEED)
    await scene.relays.close()
    assert "v1" not in scene.control.goodbyes
