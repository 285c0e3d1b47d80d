import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable

import aiohttp
import msgspec
import pytest
from aiohttp import web
from support.aiortc_relay import until
from support.assignments import access, assignment

from bridges.messages import HeadcountReport, MovedReport
from bridges.virtual import WORKERS, VirtualHalls, plausible_headcount

pytestmark = pytest.mark.integration


class PresenceRelays:
    """Virtual relays that only remember who is there; all of them in one conference and feed."""

    def __init__(self) -> None:
        self.on_notified: Callable[[list[str]], None] = lambda _: None
        self.on_ended: Callable[[str], None] = lambda _: None
        self.sessions: dict[str, set[str]] = {"a": set(), "b": set()}

    def open_session(self, relay_id: str, hall_id: str, conference: str, feed: str) -> bool:  # noqa: ARG002 - the interface's
        """Seat a hall."""
        if relay_id not in self.sessions:
            return False
        self.sessions[relay_id].add(hall_id)
        return True

    def close_session(self, relay_id: str, hall_id: str) -> None:
        """Let a hall go."""
        self.sessions[relay_id].discard(hall_id)


class Coordinator:
    """A coordinator of two relays, over real HTTP."""

    def __init__(self) -> None:
        self.primary = "a"
        self.epoch = 1
        self.busy = 0
        self.joined: set[str] = set()
        self.left: set[str] = set()
        self.moves: list[MovedReport] = []
        self.headcounts: dict[str, HeadcountReport] = {}
        self.link = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.add_routes([web.route("*", "/api/v1/halls/{what}", self._handle)])
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=512).start()
        self.link = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hall#token="

    async def close(self) -> None:
        """Stop."""
        if self._runner is not None:
            await self._runner.cleanup()

    def links(self, count: int) -> dict[str, str]:
        """Links of so many halls."""
        return {f"h{i}": self.link + token_of(f"h{i}") for i in range(count)}

    async def _handle(self, request: web.Request) -> web.Response:
        hall = request.headers["Authorization"].split(".")[1]
        hall_id = msgspec.json.decode(base64.urlsafe_b64decode(hall + "=="))["hall"]
        body = await request.read()
        match request.match_info["what"]:
            case "join":
                if self.busy:
                    self.busy -= 1
                    problem = b'{"code":"no_relay","detail":"full"}'
                    return web.Response(status=503, body=problem, headers={"Retry-After": "1"})
                self.joined.add(hall_id)
            case "moved":
                self.moves.append(msgspec.json.decode(body, type=MovedReport))
            case "headcount":
                self.headcounts[hall_id] = msgspec.json.decode(body, type=HeadcountReport)
                return web.Response(status=204)
            case "leave":
                self.left.add(hall_id)
                return web.Response(status=204)
        other = "b" if self.primary == "a" else "a"
        now = assignment(access(self.primary), access(other), epoch=self.epoch, hall_id=hall_id)
        return web.Response(body=msgspec.json.encode(now))


def token_of(hall_id: str) -> str:
    """A token that names a hall."""
    claims = msgspec.json.encode({"hall": hall_id, "conference": "c"})
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


@pytest.fixture
async def coordinator() -> AsyncIterator[Coordinator]:
    """A running coordinator."""
    coordinator = Coordinator()
    await coordinator.start()
    yield coordinator
    await coordinator.close()


async def test_a_district_joins_moves_and_leaves(coordinator: Coordinator) -> None:
    """300 halls join though the coordinator is full at first, follow a notification, survive a relay, and leave."""
    coordinator.busy = 20
    relays = PresenceRelays()
    stop = asyncio.Event()
    async with aiohttp.ClientSession() as http:
        halls = VirtualHalls(http, coordinator.links(300), relays, arrival_s=1, headcount_share=0.0)
        task = asyncio.create_task(halls.run(stop))
        await until(lambda: len(relays.sessions["a"]) == 300)
        coordinator.primary, coordinator.epoch = "b", 2
        relays.on_notified(list(relays.sessions["a"]))
        await until(lambda: len(relays.sessions["b"]) == 300 and not relays.sessions["a"])
        await until(lambda: len(coordinator.moves) == 300)
        del relays.sessions["b"]
        coordinator.primary, coordinator.epoch = "a", 3
        halls.handle_relay_lost("b")
        await until(lambda: len(coordinator.moves) == 600)
        stop.set()
        summary = await asyncio.wait_for(task, 20)
    assert summary.joined == summary.halls == summary.present == 300
    assert summary.refused == 20
    assert summary.refusals == {"no_relay": 20}
    assert summary.returns_max >= 1
    assert summary.moved == 600
    assert 0 < summary.reply_ms_p50 <= summary.reply_ms_p99 <= summary.reply_ms_max
    assert 0 < summary.seated_ms_p50 <= summary.seated_ms_p99 <= summary.seated_ms_max
    assert summary.seated_ms_max > 1000  # who was refused waited the second that Retry-After asked for
    told = {(move.from_relay, move.to_relay, move.reason, move.interruption_ms) for move in coordinator.moves}
    assert told == {("a", "b", "assignment", 0.0), ("b", "a", "silence", 0.0)}
    assert len(coordinator.left) == 300
    assert relays.sessions["a"] == set()


async def test_the_end_sends_everybody_home(coordinator: Coordinator) -> None:
    """After `ended` the halls are done by themselves, and say so."""
    relays = PresenceRelays()
    async with aiohttp.ClientSession() as http:
        halls = VirtualHalls(http, coordinator.links(50), relays, arrival_s=0)
        task = asyncio.create_task(halls.run(asyncio.Event()))
        await until(lambda: len(relays.sessions["a"]) == 50)
        relays.on_ended("c")
        summary = await asyncio.wait_for(task, 10)
    assert summary.ended
    assert summary.present == 50
    assert coordinator.left == set()


async def test_eleven_thousand_halls_fit_one_process(coordinator: Coordinator) -> None:
    """11,655 halls join within a minute of processor time, client and server together."""
    relays = PresenceRelays()
    stop = asyncio.Event()
    started = time.process_time()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=WORKERS)) as http:
        halls = VirtualHalls(http, coordinator.links(11_655), relays, arrival_s=1, headcount_share=0.2)
        task = asyncio.create_task(halls.run(stop))
        await until(lambda: len(relays.sessions["a"]) == 11_655, seconds=90)
        await until(lambda: len(coordinator.headcounts) > 10, seconds=30)
        relays.on_ended("c")
        summary = await asyncio.wait_for(task, 30)
    assert summary.joined == 11_655
    assert summary.refused == summary.unreachable == 0
    assert time.process_time() - started < 60


@pytest.mark.parametrize("seats", [0, 1, 60, 1250])
def test_headcounts_add_up(seats: int) -> None:
    """Present, excused, unexcused and exempt make the summoned, and none is negative."""
    for seed in range(50):
        figures = plausible_headcount("h1", seats, seed)
        parts = [figures.present, figures.excused, figures.unexcused, figures.exempt]
        assert sum(parts) == figures.summoned == seats
        assert min(parts) >= 0
    assert plausible_headcount("h1", seats, 1) == plausible_headcount("h1", seats, 1)
