"""The programs of a demo: their configuration in a temporary directory, and starting each of them.

Every program is started through the command line with a file, as an operator would; there is no second code path.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bridges.halls import Hall
from conference.access import KeyRing
from conference.config import KEY_FILE
from conference.demo.country import RelaySpot, capacity, headcount_of
from conference.layout import coordinator_document, free_ports, relay_document, write_document
from conference.secret_file import write_secret
from conference.starting import wait_ready, write_token
from conference.supervision import Program, ProgramSpec, Supervisor

HOST = "127.0.0.1"
TOKEN_S = 2 * 86_400
VIRTUAL = "virtual"
PUBLISHER = "publisher"


@dataclass(slots=True)
class Stage:
    """A running demo's programs.

    Attributes:
        folder: temporary directory; everything that the demo writes is in it.
        supervisor: of all children.
        coordinator_url: address of the coordinator.
        organiser_token: bearer token for the API.
        operator_token: for the live page.
        host: address of this machine at which the coordinator serves.
        halls: real halls' programs by hall id.
        relays: real relays' programs by relay id.
    """

    folder: Path
    supervisor: Supervisor
    coordinator_url: str
    organiser_token: str
    operator_token: str
    host: str = HOST
    halls: dict[str, Program] = field(default_factory=dict)
    relays: dict[str, Program] = field(default_factory=dict)

    @property
    def coordinator(self) -> Program:
        """The coordinator's process."""
        return self.supervisor.programs["coordinator"]

    async def start_relays(self, spots: Sequence[RelaySpot], host: str = "") -> None:
        """Start the real relays on free ports of `host` (the coordinator's unless given); wait until they are ready."""
        host = host or self.host
        ports = free_ports(2 * len(spots), host)
        addresses: list[str] = []
        for spot, http_port, media_port in zip(spots, ports[::2], ports[1::2], strict=True):
            room = capacity(spot.seats)
            document = relay_document(
                spot.relay_id,
                spot.role,
                spot.region,
                host=host,
                http_port=http_port,
                media_port=media_port,
                coordinator_url=self.coordinator_url,
                token_file=self._relay_token(spot),
                bits_per_s=room.bits_per_s,
                packets_per_s=room.packets_per_s,
            )
            self.relays[spot.relay_id] = await self._start("relay", spot.relay_id, document)
            addresses.append(f"http://{host}:{http_port}")
        for spot, address in zip(spots, addresses, strict=True):
            await wait_ready(address, spot.relay_id)

    async def start_publisher(self, whip_urls: Sequence[str], token: str) -> None:
        """Publish the test programme (chương trình thử)."""
        token_file = self.folder / "publisher.token"
        write_secret(token_file, token)
        addresses = [argument for url in whip_urls for argument in ("--whip", url)]
        arguments = ["publish", "test", *addresses, "--token-file", str(token_file)]
        await self.supervisor.start(ProgramSpec(PUBLISHER, arguments))

    async def start_halls(self, halls: Sequence[Hall], links: Mapping[str, str], seed: int) -> None:
        """Start one process for each real hall."""
        for hall in halls:
            link_file = self.folder / f"{hall.hall_id}.link"
            write_secret(link_file, links[hall.hall_id])
            figures = headcount_of(hall, seed)
            arguments = ["hall", "--link-file", str(link_file)]
            for name in ("summoned", "present", "excused", "unexcused", "exempt"):
                arguments += [f"--{name}", str(getattr(figures, name))]
            self.halls[hall.hall_id] = await self.supervisor.start(ProgramSpec(hall.hall_id, arguments))

    async def start_virtual(
        self,
        spots: Sequence[RelaySpot],
        halls: Sequence[Hall],
        links: Mapping[str, str],
        *,
        arrival_s: float,
        seed: int,
    ) -> Program:
        """Start the virtual (ảo) relays, one process for all; the halls wait in it for `let_virtual_halls_come`."""
        links_file, seats_file = self.folder / "virtual-links.json", self.folder / "virtual-seats.json"
        entries: list[dict[str, str]] = []
        for spot in spots:
            token_file = self._relay_token(spot)
            entry = {"relay_id": spot.relay_id, "token_file": str(token_file), "role": spot.role, "region": spot.region}
            entries.append(entry)
        own = {hall.hall_id: links[hall.hall_id] for hall in halls}
        await asyncio.to_thread(write_secret, links_file, msgspec.json.encode(own).decode())
        seats_file.write_bytes(msgspec.json.encode({hall.hall_id: hall.seats for hall in halls}))
        document: dict[str, object] = {
            "program": "virtual",
            "coordinator_url": self.coordinator_url,
            "relays": entries,
            "links_file": str(links_file),
            "seats_file": str(seats_file),
            "wait_for_signal": True,
            "arrival_s": arrival_s,
            "seed": seed,
        }
        return await self._start("virtual", VIRTUAL, document)

    def let_virtual_halls_come(self) -> None:
        """Begin the arrival of the virtual halls; their relays must be registered."""
        self.supervisor.programs[VIRTUAL].signal(signal.SIGUSR1)

    def _relay_token(self, spot: RelaySpot) -> Path:
        keys = KeyRing.load_or_create(self.folder / "coordinator" / KEY_FILE)
        file = self.folder / f"{spot.relay_id}.token"
        write_token(keys, file, "relay", spot.relay_id, TOKEN_S)
        return file

    async def _start(self, command: str, name: str, document: Mapping[str, object]) -> Program:
        file = self.folder / f"{name}.yaml"
        write_document(file, document)
        return await self.supervisor.start(ProgramSpec(name, [command, "--config", str(file)]))


async def open_stage(folder: Path, host: str = HOST) -> Stage:
    """Make the directory's keys and tokens, start the coordinator at this address, and wait until it is ready."""
    logs, state = folder / "log", folder / "coordinator"
    for path in (logs, state):
        path.mkdir(mode=0o700)
    keys = KeyRing.load_or_create(state / KEY_FILE)
    port = free_ports(1, host)[0]
    stage = Stage(
        folder=folder,
        supervisor=Supervisor(logs),
        coordinator_url=f"http://{host}:{port}",
        organiser_token=write_token(keys, folder / "organiser.token", "organiser", "demo", TOKEN_S),
        operator_token=write_token(keys, folder / "operator.token", "operator", "demo", TOKEN_S),
        host=host,
    )
    file = folder / "coordinator.yaml"
    write_document(file, coordinator_document(host, port, state))
    await stage.supervisor.start(ProgramSpec("coordinator", ["coordinator", "--config", str(file)]))
    return stage
