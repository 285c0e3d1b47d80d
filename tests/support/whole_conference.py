"""A whole conference of real programs: coordinator, origin, edges and a publisher as processes, halls that decode."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from bridges.agent import HallAgent
from bridges.hall_counts import HallSummary
from bridges.halls import Hall
from bridges.importing import serialize_halls_csv
from bridges.unit_tables import serialize_units_csv
from bridges.vietnam import load_vietnam_units
from conference.access import KeyRing
from conference.api_client import ApiClient, ApiUnreachableError, Document
from conference.config import JOURNAL_FILE, KEY_FILE
from conference.demo.country import RelaySpot, headcount_of, provinces_by_size, real_halls
from conference.demo.stage import PUBLISHER, Stage, open_stage
from conference.journal.contract import Record, Snapshot
from conference.journal.sqlite import SqliteJournal
from conference.policy import Policy
from conference.starting import wait_ready
from conference.state import State, apply
from conference.supervision import Program, ProgramSpec

CONFERENCE = "hn-2026"
FEED = "program"
# A whole conference starts on a machine that runs other tests beside it.
WAIT_S = 45.0
STOP_GRACE_S = 8.0


class SeatedHall:
    """A hall's agent in this process, with the moments at which it decoded pictures."""

    def __init__(self, link: str, hall_id: str, agent: HallAgent) -> None:
        self.link = link
        self.hall_id = hall_id
        self.agent = agent
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(agent.run(self.stop), name=f"hall-{hall_id}")

    @property
    def summary(self) -> HallSummary:
        """What it saw so far."""
        return self.agent.summary()

    async def leave(self) -> HallSummary:
        """Leave in order."""
        self.stop.set()
        return await asyncio.wait_for(self.task, WAIT_S)

    async def more_pictures(self, count: int) -> None:
        """Wait until it decoded so many pictures more."""
        goal = self.summary.frames_decoded + count
        await until(lambda: self.summary.frames_decoded >= goal, f"{count} more pictures at {self.hall_id}")


class WholeConference:
    """One conference on this machine; made by `whole_conference` or `empty_conference`.

    Attributes:
        stage: its programs.
        api: client of an organiser.
        halls: by hall id.
        publisher_token: opens the origin's WHIP endpoint.
        whip_url: that endpoint.
    """

    def __init__(self, stage: Stage, api: ApiClient) -> None:
        self.stage = stage
        self.api = api
        self.halls: dict[str, SeatedHall] = {}
        self.registered: list[Hall] = []
        self.whip_url = ""
        self.publisher_token = ""
        self._units = load_vietnam_units()

    @property
    def state_dir(self) -> Path:
        """The coordinator's."""
        return self.stage.folder / "coordinator"

    async def prepare(self, halls: int) -> None:
        """Start an origin and two edges, open and launch a conference, publish, and seat halls that have pictures."""
        links = await self.open(halls)
        await self.publish()
        for hall in self.registered:
            agent = HallAgent(links[hall.hall_id], headcount=headcount_of(hall, seed=1), seed=1)
            self.halls[hall.hall_id] = SeatedHall(links[hall.hall_id], hall.hall_id, agent)
        await self.until_settled()
        await self.until(self._headcounts_known, "all headcounts")

    async def open(self, halls: int) -> dict[str, str]:
        """Start an origin and two edges, launch a conference, authorise a publisher. Returns links by hall id."""
        regions = provinces_by_size(self._units)[:2]
        spots = [
            RelaySpot("tram-goc", "origin", ""),
            *(RelaySpot(f"tram-{number}", "edge", region) for number, region in enumerate(regions, start=1)),
        ]
        self.registered = real_halls(self._units, spots, halls)
        await wait_ready(self.stage.coordinator_url, "coordinator")
        await self.api.import_units(serialize_units_csv(self._units))
        await self.api.import_halls(serialize_halls_csv(self.registered))
        await self.api.create_conference(CONFERENCE, "Hội nghị", [FEED])
        await self.stage.start_relays(spots)
        await self.until(self._all_connected(3), "all relays to register")
        await self.api.change_phase(CONFERENCE, "open")
        await self.api.change_phase(CONFERENCE, "live")
        publisher = await self.api.authorise_publisher(CONFERENCE, FEED)
        self.whip_url, self.publisher_token = str(publisher["whip_url"]), str(publisher["token"])
        return await self.api.hall_links([hall.hall_id for hall in self.registered], CONFERENCE)

    async def publish(self) -> None:
        """Start the publisher."""
        await self.stage.start_publisher([self.whip_url], self.publisher_token)

    @property
    def publisher(self) -> Program:
        """The publisher's process."""
        return self.stage.supervisor.programs[PUBLISHER]

    async def add_edge(self, relay_id: str, region: str = "") -> None:
        """Start one more edge and wait until it is registered."""
        await self.stage.start_relays([RelaySpot(relay_id, "edge", region)])
        await self.until_relay(relay_id, status="live", connected=True)

    async def restart_coordinator(self) -> None:
        """Start it again with the same file: the same port and the same state."""
        arguments = ["coordinator", "--config", str(self.stage.folder / "coordinator.yaml")]
        await self.stage.supervisor.start(ProgramSpec("coordinator", arguments))
        await wait_ready(self.stage.coordinator_url, "coordinator")

    async def end(self, program: Program, number: signal.Signals) -> int:
        """Send a signal that ends a program, and wait for its end."""
        program.signal(number)
        return await asyncio.wait_for(program.wait(), WAIT_S)

    async def served_by(self, relay_id: str) -> list[SeatedHall]:
        """Halls that the coordinator has placed on a relay."""
        halls = await self.api.halls(conference=CONFERENCE)
        return [self.halls[hall["hall_id"]] for hall in halls if hall["primary"] == relay_id]

    async def placements(self) -> dict[str, tuple[str, str]]:
        """Primary and backup of each hall."""
        halls = await self.api.halls(conference=CONFERENCE)
        return {hall["hall_id"]: (hall["primary"], hall["backup"]) for hall in halls}

    async def relay(self, relay_id: str) -> Document:
        """What the API says of a relay."""
        return next(relay for relay in await self.api.relays() if relay["relay_id"] == relay_id)

    async def until_relay(self, relay_id: str, **expected: object) -> None:
        """Wait until the API says so of a relay."""

        async def so() -> bool:
            found = await self.relay(relay_id)
            return all(found[name] == value for name, value in expected.items())

        await self.until(so, f"{relay_id} to be {expected}")

    async def until_settled(self, *, with_backup: bool = True) -> None:
        """Wait until each hall is present with pictures, plays where it is placed, and keeps a standby."""

        async def settled() -> bool:
            halls = await self.api.halls(conference=CONFERENCE, status="present")
            return len(halls) == len(self.halls) and all(
                hall["primary"] == self.halls[hall["hall_id"]].summary.relay
                and (hall["backup"] != "" or not with_backup)
                and hall["backup"] != hall["primary"]
                for hall in halls
            )

        await self.until(settled, "all halls to play where they are placed")
        await asyncio.gather(*(hall.more_pictures(15) for hall in self.halls.values()))

    async def until_sessions(self, relay_id: str) -> None:
        """Wait until a relay has just the sessions that it is charged with: halls, standbys and child relays."""

        async def so() -> bool:
            relays = await self.api.relays()
            relay = next(relay for relay in relays if relay["relay_id"] == relay_id)
            children = [other for other in relays if relay_id in other["parents"]]
            return bool(relay["sessions"] == relay["halls_primary"] + relay["halls_backup"] + len(children))

        await self.until(so, f"{relay_id} to have the sessions that it is charged with")

    async def until(self, question: Callable[[], Awaitable[Any]], what: str) -> None:
        """Wait until the API says that something is so."""
        deadline = time.monotonic() + WAIT_S
        while True:
            with contextlib.suppress(ApiUnreachableError):
                if await question():
                    return
            assert time.monotonic() < deadline, f"waited {WAIT_S:.0f} s in vain for {what}: {await self._describe()}"
            await asyncio.sleep(0.1)

    async def _describe(self) -> str:
        lines = [f"\n  {hall.summary}" for hall in self.halls.values()]
        with contextlib.suppress(ApiUnreachableError):
            lines += [f"\n  {document}" for document in await self.api.relays()]
            lines += [f"\n  {document}" for document in await self.api.halls(conference=CONFERENCE)]
        return "".join(lines)

    def _all_connected(self, count: int) -> Callable[[], Awaitable[bool]]:
        async def so() -> bool:
            return len([relay for relay in await self.api.relays() if relay["connected"]]) == count

        return so

    async def until_connected(self, count: int) -> None:
        """Wait until so many relays have their control connection."""
        await self.until(self._all_connected(count), f"{count} relays to be connected")

    async def _headcounts_known(self) -> bool:
        totals = (await self.api.conference(CONFERENCE))["totals"]
        return int(totals["headcount_halls"]) == len(self.halls)

    # --- the journal ------------------------------------------------------------------------------------------------

    async def records(self) -> list[Record]:
        """Everything in the journal's file, read apart from the coordinator."""
        journal = SqliteJournal(self.state_dir / JOURNAL_FILE)
        try:
            return [record async for record in journal.read({})]
        finally:
            await journal.close()

    async def snapshot(self) -> Snapshot | None:
        """The newest snapshot in the journal's file."""
        journal = SqliteJournal(self.state_dir / JOURNAL_FILE)
        try:
            return await journal.latest_snapshot()
        finally:
            await journal.close()

    async def fold(self) -> State:
        """The state, folded here from the whole journal and from no snapshot."""
        return fold(await self.records())

    def keys(self) -> KeyRing:
        """The coordinator's key."""
        return KeyRing.load_or_create(self.state_dir / KEY_FILE)


def fold(records: Sequence[Record]) -> State:
    """The state that records make."""
    state = State(Policy())
    for record in records:
        apply(state, record.event, record.at_ms, record.actor)
    return state


async def until(question: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> float:
    """Wait until something in this process is so; returns how long that took in seconds."""
    started = time.monotonic()
    while not question():
        assert time.monotonic() < started + timeout_s, f"waited {timeout_s:.0f} s in vain for {what}"
        await asyncio.sleep(0.02)
    return time.monotonic() - started


async def relay_gauge(base_url: str, name: str) -> float:
    """One figure of a relay's own /metrics, summed over its labels."""
    async with aiohttp.ClientSession() as http, http.get(f"{base_url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    values = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return sum(float(value) for sample, value in values if sample.partition("{")[0] == f"diemcau_relay_{name}")


@contextlib.asynccontextmanager
async def conference_on(stage: Stage) -> AsyncIterator[WholeConference]:
    """A stage with a coordinator, and nothing else yet; nothing of what comes is left afterwards."""
    try:
        async with ApiClient(stage.coordinator_url, stage.organiser_token) as api:
            whole = WholeConference(stage, api)
            try:
                yield whole
            finally:
                for hall in whole.halls.values():
                    hall.stop.set()
                await asyncio.gather(*(hall.task for hall in whole.halls.values()), return_exceptions=True)
    finally:
        for program in stage.supervisor.programs.values():
            program.signal(signal.SIGCONT)
        await stage.supervisor.stop_all(grace_s=STOP_GRACE_S)


@contextlib.asynccontextmanager
async def empty_conference(folder: Path) -> AsyncIterator[WholeConference]:
    """A coordinator, and nothing else yet; nothing of what comes is left afterwards."""
    async with conference_on(await open_stage(folder)) as whole:
        yield whole


@contextlib.asynccontextmanager
async def whole_conference(folder: Path, *, halls: int) -> AsyncIterator[WholeConference]:
    """A live conference whose halls all have pictures, a standby and a headcount."""
    async with empty_conference(folder) as whole:
        await whole.prepare(halls)
        yield whole
