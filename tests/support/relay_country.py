"""A conference over a small internet: a centre, edges that are hosts of their own, and a swarm of real halls.

The coordinator and the origin are at the centre, where this process publishes, the halls at a host of theirs, each edge
at a host of its own: so that each of them can be killed, stopped, or have its line pulled out.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import msgspec
from support.live_source import live_source
from support.namespaces import ROUTER, Network, network
from support.whole_conference import CONFERENCE, FEED, STOP_GRACE_S, WholeConference, until

from bridges.importing import serialize_halls_csv
from bridges.unit_tables import serialize_units_csv
from bridges.vietnam import load_vietnam_units
from conference.api_client import ApiClient
from conference.demo.country import RelaySpot, provinces_by_size, real_halls
from conference.demo.stage import open_stage
from conference.hall_swarm import HallSwarmSummary
from conference.starting import wait_ready
from conference.supervision import Program, ProgramSpec

CENTRE = "centre"
HALLS = "halls"
PLAY_WITHIN_S = 60.0


class RelayCountry:
    """The conference; made by `relay_country`.

    Attributes:
        whole: its programs and its API, without halls of its own.
        net: its hosts, each edge's named after the relay.
        hall_ids: of the halls that join.
    """

    def __init__(self, whole: WholeConference, net: Network, edges: Mapping[str, int], halls: int) -> None:
        self.whole = whole
        self.net = net
        self._edges = edges
        self._count = halls
        self.hall_ids: list[str] = []

    async def open(self) -> tuple[str, str]:
        """Start everything but publisher and halls, and launch the conference; where to publish, and the token."""
        units = load_vietnam_units()
        provinces = provinces_by_size(units)
        spots = [RelaySpot(name, "edge", provinces[region], 2 * self._count) for name, region in self._edges.items()]
        origin = RelaySpot("tram-goc", "origin", "")
        halls = real_halls(units, list({spot.region: spot for spot in spots}.values()), self._count)
        self.hall_ids = [hall.hall_id for hall in halls]
        whole, stage = self.whole, self.whole.stage
        await wait_ready(stage.coordinator_url, "coordinator")
        await whole.api.import_units(serialize_units_csv(units))
        await whole.api.import_halls(serialize_halls_csv(halls))
        await whole.api.create_conference(CONFERENCE, "Hội nghị", [FEED])
        await stage.start_relays([origin])
        for spot in spots:
            with self.net.inside(spot.relay_id):
                await stage.start_relays([spot], self.net.address(spot.relay_id))
        await whole.until_connected(len(spots) + 1)
        await whole.api.change_phase(CONFERENCE, "open")
        await whole.api.change_phase(CONFERENCE, "live")
        publisher = await whole.api.authorise_publisher(CONFERENCE, FEED)
        return str(publisher["whip_url"]), str(publisher["token"])

    async def join(self, *options: str, hall_ids: Sequence[str] = (), name: str = "swarm") -> Program:
        """Let halls come (all, unless named), as one process, and wait until they play and their standbys stand."""
        links = await self.whole.api.hall_links(list(hall_ids or self.hall_ids), CONFERENCE)
        file = self.whole.stage.folder / f"{name}.json"
        file.write_bytes(msgspec.json.encode(links))
        arguments = ["swarm", "--links", str(file), "--seconds", "600", "--ramp", "25", "--json", *options]
        with self.net.inside(HALLS):
            program = await self.whole.stage.supervisor.start(ProgramSpec(name, arguments))
        said = self.whole.stage.folder / "log" / f"{name}.err"
        await until(lambda: "(playing)" in said.read_text(), "all halls to play", PLAY_WITHIN_S)
        if "--no-standby" not in options:
            for relay_id in self._edges:
                await self.whole.until_sessions(relay_id)
        return program

    async def halls_on(self, relay_id: str) -> set[str]:
        """Halls whose primary is this relay, as the coordinator says."""
        return {hall for hall, (primary, _) in (await self.whole.placements()).items() if primary == relay_id}

    async def moves(self, program: Program, count: int) -> None:
        """Wait until a swarm has told of so many moves."""
        said = self.whole.stage.folder / "log" / f"{program.name}.err"
        await until(lambda: said.read_text().count("(moved)") >= count, f"{count} moves", PLAY_WITHIN_S)

    def strike(self, relay_id: str, fault: str) -> None:
        """One of the faults: `killed`, `stopped`, `unplugged`."""
        if fault == "killed":
            self.whole.stage.relays[relay_id].signal(signal.SIGKILL)
        elif fault == "stopped":
            self.whole.stage.relays[relay_id].signal(signal.SIGSTOP)
        else:
            self.net.run(ROUTER, f"ip link set {relay_id} down")

    async def until_left(self, relay_id: str) -> None:
        """Wait until the relay is lost, and every hall that had a seat there has a session at each of its new ones."""
        await self.whole.until_relay(relay_id, status="lost", halls=0)
        for name in self._edges:
            if (await self.whole.relay(name))["status"] == "live":
                await self.whole.until_sessions(name)

    async def until_suspected(self, relay_id: str, *, seconds: float) -> float:
        """Wait until the relay is suspected; returns how long that took."""
        started = time.monotonic()
        while not (await self.whole.relay(relay_id))["suspected_until_ms"]:
            assert time.monotonic() < started + seconds, f"{relay_id} is not suspected after {seconds} s"
            await asyncio.sleep(0.05)
        return time.monotonic() - started

    def mute(self, relay_id: str) -> None:
        """Let nothing of the relay's media through to the halls; all else of it works."""
        self.net.run(relay_id, f"iptables -A OUTPUT -p udp -d {self.net.address(HALLS)} -j DROP")

    def unmute(self, relay_id: str) -> None:
        """Mend that."""
        self.net.run(relay_id, f"iptables -D OUTPUT -p udp -d {self.net.address(HALLS)} -j DROP")

    async def leave(self, program: Program) -> HallSwarmSummary:
        """End the halls and take their figures."""
        program.signal(signal.SIGINT)
        await asyncio.wait_for(program.wait(), PLAY_WITHIN_S)
        return msgspec.json.decode(program.last_line(), type=HallSwarmSummary)


@contextlib.asynccontextmanager
async def relay_country(
    folder: Path, edges: Mapping[str, int], *, halls: int, fps: int = 15
) -> AsyncIterator[RelayCountry]:
    """A live conference whose halls have not come yet.

    Args:
        folder: for everything that it writes.
        edges: relay id to the number of its province, the largest is 0.
        halls: how many will come, spread evenly over the edges' provinces.
        fps: pictures a second of the programme, which this process publishes.
    """
    with network(CENTRE, HALLS, *edges) as net, net.inside(CENTRE):
        stage = await open_stage(folder, net.address(CENTRE))
        try:
            async with ApiClient(stage.coordinator_url, stage.organiser_token) as api:
                country = RelayCountry(WholeConference(stage, api), net, edges, halls)
                whip_url, token = await country.open()
                async with live_source(whip_url, token, fps=fps):
                    yield country
        finally:
            for program in stage.supervisor.programs.values():
                program.signal(signal.SIGCONT)
            await stage.supervisor.stop_all(grace_s=STOP_GRACE_S)
