"""What a join and a headcount cost the leading coordinator: asked by halls itself, and behind two gateways.

A coordinator and two gateways are processes of their own on one redis-server that syncs before it answers; halls and
relays are virtual (ảo) and live in this process. The halls are taken in blocks, by turns at the leader and at the
gateways, so that other work on the machine meets both alike. The figure is processor time, since all processes share
the machine's cores: how many joins a second pass follows from the process that is full first. What the programs use
while nobody asks is measured before, and taken off by the length of each block.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp
import msgspec

from benchmarks.support.processes import answers, end, machine, usage
from bridges.importing import serialize_halls_csv
from bridges.synthetic import synthetic_halls
from bridges.unit_tables import serialize_units_csv
from bridges.vietnam import load_vietnam_units
from conference.access import ApiClaims, KeyRing
from conference.api_client import ApiClient
from conference.config import KEY_FILE
from conference.layout import coordinator_document, free_ports, write_document
from conference.starting import write_token
from relay.messages import Capacity, Heartbeat, Register

CONFERENCE = "gateways"
HOST = "127.0.0.1"
TOKEN_S = 86_400
GATEWAYS = 2
RELAYS = 4
# So many halls ask at the same time: enough for batches, and no more than two gateways hold connections for.
AT_ONCE = 64
IDLE_S = 6.0  # the system counts in hundredths of a second

Process = asyncio.subprocess.Process


class Site(msgspec.Struct, frozen=True):
    """The programs under test.

    Attributes:
        leader: its process.
        gateways: their processes.
        leader_url: where halls reach the leader.
        gateway_urls: where halls reach the gateways.
    """

    leader: Process
    gateways: list[Process]
    leader_url: str
    gateway_urls: list[str]


class Block(msgspec.Struct, frozen=True):
    """What one block of requests cost.

    Attributes:
        leader_us: processor time of the leader for a request.
        gateways_us: of all gateways together.
        per_s: requests a second, with everything on this machine.
    """

    leader_us: float
    gateways_us: float
    per_s: float


async def measure(halls: int, rounds: int, seed: int) -> dict[str, object]:
    """Run all blocks and return the figures.

    Args:
        halls: of a block.
        rounds: pairs of blocks.
        seed: of the made-up halls.
    """
    found = machine()
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (directory / "state").mkdir(mode=0o700)
        keys = KeyRing.load_or_create(directory / "state" / KEY_FILE)
        site = await stack.enter_async_context(_site(directory))
        hall_ids = await _register(directory, keys, site, 2 * rounds * halls, seed)
        client = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)))
        await stack.enter_async_context(_relays(client, keys, site, seats=4 * rounds * halls))
        requests = _Requests(client, keys)
        idle = await _idle(site)
        joins: dict[str, list[Block]] = {"alone": [], "gateways": []}
        headcounts: dict[str, list[Block]] = {"alone": [], "gateways": []}
        for kind, ask, blocks in (("joins", requests.join, joins), ("headcounts", requests.report, headcounts)):
            for number in range(rounds):
                for place, (side, urls) in enumerate((("alone", [site.leader_url]), ("gateways", site.gateway_urls))):
                    start = (2 * number + place) * halls
                    block = await _run_block(site, idle, urls, ask, hall_ids[start : start + halls])
                    blocks[side].append(block)
                    print(f"{kind} {side} {block}", file=sys.stderr, flush=True)
    return {
        "benchmark": "gateways",
        "machine": found,
        "halls": halls,
        "rounds": rounds,
        "seed": seed,
        "idle_share_of_a_core": [round(each, 4) for each in idle],
        "joins": _figures(joins),
        "headcounts": _figures(headcounts),
    }


def _figures(blocks: dict[str, list[Block]]) -> dict[str, object]:
    """Medians over the blocks, and how much cheaper the leader is behind gateways."""
    alone, behind = ([block.leader_us for block in blocks[side]] for side in ("alone", "gateways"))
    return {
        "leader_us_alone": [round(each) for each in alone],
        "leader_us_behind_gateways": [round(each) for each in behind],
        "gateways_us": [round(block.gateways_us) for block in blocks["gateways"]],
        "leader_ratio": round(statistics.median(alone) / statistics.median(behind), 2),
        "per_s_alone": [round(block.per_s) for block in blocks["alone"]],
        "per_s_gateways": [round(block.per_s) for block in blocks["gateways"]],
        # What the leader could take if it had a core of its own, and gateways enough before it.
        "leader_per_s_of_a_core": {
            "alone": round(1e6 / statistics.median(alone)),
            "behind_gateways": round(1e6 / statistics.median(behind)),
        },
    }


class _Requests:
    """What halls ask."""

    def __init__(self, client: aiohttp.ClientSession, keys: KeyRing) -> None:
        self._client = client
        self._keys = keys

    async def join(self, url: str, hall_id: str) -> None:
        """Join once."""
        await self._post(url, hall_id, "join", {"virtual": True}, 200)

    async def report(self, url: str, hall_id: str) -> None:
        """Report figures once."""
        await self._post(url, hall_id, "headcount", {"summoned": 90, "present": 80, "excused": 10}, 204)

    async def _post(self, url: str, hall_id: str, what: str, body: dict[str, object], status: int) -> None:
        claims = ApiClaims(
            sub=hall_id, role="hall", hall=hall_id, conference=CONFERENCE, exp=int(time.time()) + TOKEN_S
        )
        headers = {"Authorization": f"Bearer {self._keys.issue_api_token(claims)}"}
        async with self._client.post(f"{url}/api/v1/halls/{what}", json=body, headers=headers) as answer:
            if answer.status != status:
                raise RuntimeError(f"{what}: {answer.status} {await answer.text()}")
            await answer.read()


async def _idle(site: Site) -> list[float]:
    """The share of a core that the leader and each gateway use while nobody asks."""
    processes = [site.leader, *site.gateways]
    before = [usage(each.pid).cpu_s for each in processes]
    await asyncio.sleep(IDLE_S)
    return [(usage(each.pid).cpu_s - was) / IDLE_S for each, was in zip(processes, before, strict=True)]


async def _run_block(
    site: Site,
    idle: Sequence[float],
    urls: Sequence[str],
    ask: Callable[[str, str], Awaitable[None]],
    hall_ids: Sequence[str],
) -> Block:
    waiting = list(enumerate(hall_ids))

    async def work() -> None:
        while waiting:
            number, hall_id = waiting.pop()
            await ask(urls[number % len(urls)], hall_id)

    processes = [site.leader, *site.gateways]
    before = [usage(each.pid).cpu_s for each in processes]
    begin_s = time.monotonic()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    took_s = time.monotonic() - begin_s
    # What follows an answer belongs to it: the leader folds what gateways wrote a quarter of a second later.
    await asyncio.sleep(1.0)
    lasted_s = time.monotonic() - begin_s
    spent = [
        usage(each.pid).cpu_s - was - share * lasted_s for each, was, share in zip(processes, before, idle, strict=True)
    ]
    scale = 1e6 / len(hall_ids)
    return Block(leader_us=spent[0] * scale, gateways_us=sum(spent[1:]) * scale, per_s=len(hall_ids) / took_s)


@contextlib.asynccontextmanager
async def _site(directory: Path) -> AsyncIterator[Site]:
    store_port, leader_port, *gateway_ports = free_ports(2 + GATEWAYS)
    journal = {"url": f"redis://{HOST}:{store_port}"}
    document = coordinator_document(HOST, leader_port, directory / "state")
    write_document(
        directory / "coordinator.yaml",
        {**document, "journal": journal, "admission": {"per_s": 100_000, "burst": 100_000}},
    )
    async with contextlib.AsyncExitStack() as stack:
        arguments = ["--port", str(store_port), "--bind", HOST, "--dir", str(directory), "--save", ""]
        await stack.enter_async_context(
            _running(directory, "redis", "redis-server", *arguments, "--appendonly", "yes", "--appendfsync", "always")
        )
        leader = await stack.enter_async_context(_program(directory, "coordinator", directory / "coordinator.yaml"))
        gateways = []
        for number, port in enumerate(gateway_ports, start=1):
            config = directory / f"gateway-{number}.yaml"
            write_document(
                config,
                {
                    "program": "gateway",
                    "gateway_id": f"gateway-{number}",
                    "port": port,
                    "key_file": str(directory / "state" / KEY_FILE),
                    "journal": journal,
                },
            )
            gateways.append(await stack.enter_async_context(_program(directory, "gateway", config)))
        urls = [f"http://{HOST}:{port}" for port in (leader_port, *gateway_ports)]
        for url, process in zip(urls, [leader, *gateways], strict=True):
            await answers(f"{url}/readyz", process)
        yield Site(leader, gateways, urls[0], urls[1:])


def _program(directory: Path, program: str, config: Path) -> contextlib.AbstractAsyncContextManager[Process]:
    words = (sys.executable, "-m", "conference.cli.main", program, "--config", str(config))
    return _running(directory, config.stem, *words)


@contextlib.asynccontextmanager
async def _running(directory: Path, name: str, *words: str) -> AsyncIterator[Process]:
    with (directory / f"{name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*words, stdout=log, stderr=log)
    try:
        yield process
    finally:
        await end(process)


async def _register(directory: Path, keys: KeyRing, site: Site, halls: int, seed: int) -> list[str]:
    """Import units and halls and open the conference; the halls' ids."""
    units = load_vietnam_units()
    made = synthetic_halls(units, halls, seed, virtual=True)
    token = write_token(keys, directory / "organiser.token", "organiser", "bench", TOKEN_S)
    async with ApiClient(site.leader_url, token) as api:
        await api.import_units(serialize_units_csv(units))
        await api.import_halls(serialize_halls_csv(made))
        await api.create_conference(CONFERENCE, "Cổng điểm cầu")
        await api.change_phase(CONFERENCE, "open")
    return [hall.hall_id for hall in made]


@contextlib.asynccontextmanager
async def _relays(client: aiohttp.ClientSession, keys: KeyRing, site: Site, *, seats: int) -> AsyncIterator[None]:
    """Virtual relays with room for everybody, which send heartbeats."""
    async with contextlib.AsyncExitStack() as stack:
        sockets = []
        for number in range(RELAYS):
            relay_id = f"relay-{number}"
            claims = ApiClaims(sub=relay_id, role="relay", exp=int(time.time()) + TOKEN_S)
            headers = {"Authorization": f"Bearer {keys.issue_api_token(claims)}"}
            address = f"{site.leader_url}/api/v1/relays/control"
            socket = await stack.enter_async_context(client.ws_connect(address, headers=headers))
            register = Register(
                relay_id=relay_id,
                instance_id="bench",
                region="",
                role="origin" if number == 0 else "edge",
                virtual=True,
                base_url=f"http://{relay_id}.test",
                metrics_url=f"http://{relay_id}.test/metrics",
                capacity=Capacity(bits_per_s=seats * 2_200_000, packets_per_s=seats * 300),
                sessions=[],
            )
            await socket.send_bytes(msgspec.json.encode(register))
            sockets.append(socket)

        async def beat(socket: aiohttp.ClientWebSocketResponse) -> None:
            beat = Heartbeat(at_ms=0, sessions=0, packets_sent=0, packets_received=0, feeds=[])
            while not socket.closed:
                await socket.send_bytes(msgspec.json.encode(beat))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(socket.receive(), 0.5)

        beating = [asyncio.create_task(beat(socket)) for socket in sockets]
        try:
            await asyncio.sleep(1.0)  # the relays have their places in the tree
            yield
        finally:
            for task in beating:
                task.cancel()
            await asyncio.gather(*beating, return_exceptions=True)


def main() -> None:
    """Run the benchmark; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--halls", type=int, default=1_000, help="of a block")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of blocks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    figures = asyncio.run(measure(options.halls, options.rounds, options.seed))
    print(json.dumps(figures, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
