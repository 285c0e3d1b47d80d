"""A storm of joins against a real coordinator process: a whole country of virtual halls (ảo) within a minute.

The coordinator, its journal and the HTTP are real; halls and relays are virtual and come from one process beside it
(`diemcau virtual`), so that both share this machine. Two times are told apart: `reply_ms`, from the moment when a join
left that process until its answer, and `seated_ms`, from the moment when the hall wanted to come, with its wait in the
load's own queue (`queued_ms_p99`), every refusal and every return: nothing is left out because the load was busy.

With `--stall` the store stands still for so many seconds in the middle: the file's write lock is held by another
process, as a disk does that does not answer; a Redis is stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from benchmarks.support.processes import answers, end, machine, usage
from bridges.importing import serialize_halls_csv
from bridges.synthetic import synthetic_halls
from bridges.unit_tables import serialize_units_csv
from bridges.vietnam import load_vietnam_units
from bridges.virtual import VirtualSummary
from conference.access import KeyRing
from conference.api_client import ApiClient, ApiUnreachableError
from conference.config import JOURNAL_FILE, KEY_FILE
from conference.demo.country import capacity
from conference.demo.measuring import metric_total, peak_rss_mb
from conference.layout import Document, coordinator_document, free_ports, write_document
from conference.planning.inputs import MadeUpRelays, Spot, regions_of
from conference.policy import Policy
from conference.secret_file import write_secret
from conference.starting import write_token
from conference.virtual_country import REGISTER_TIMEOUT_S

CONFERENCE = "storm"
HOST = "127.0.0.1"
TOKEN_S = 86_400
POLL_S = 0.5
# A seat and a standby for each hall, filled to the soft limit, and a third more.
ROOM = 2 * 1.35
LINKS_AT_ONCE = 10_000
# After the last hall came: refused ones return; and on a machine with other work all of it takes as long as it takes.
TAIL_S = 300.0
END_TIMEOUT_S = 60.0


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What storm to make; the fields are the command line's."""

    halls: int
    relays: int
    seconds: float
    curve: str
    headcounts: float
    stall: float
    redis: bool
    admission: str
    seed: int


async def measure(options: Options) -> dict[str, object]:
    """Run one storm and return its figures."""
    found = machine()
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store = await stack.enter_async_context(_redis(directory)) if options.redis else None
        server, coordinator = await stack.enter_async_context(serve_coordinator(directory, options, store))
        country = Country(directory, server, options)
        api = await stack.enter_async_context(ApiClient(server, country.token))
        say("registering")
        links = await country.register(api)
        say("starting relays")
        virtual, metrics = await stack.enter_async_context(country.virtual(links))
        events_before = metric_total(await api.metrics(), "diemcau_coordinator_journal_events_total")
        before, load_before = usage(coordinator.pid), usage(virtual.pid)
        say("the storm begins")
        begin_s = time.monotonic()
        virtual.send_signal(signal.SIGUSR1)
        stall = asyncio.create_task(_stall(options, directory, store))
        joined_s = await wait_joined(metrics, options, begin_s)
        after, load_after = usage(coordinator.pid), usage(virtual.pid)
        took_s = time.monotonic() - begin_s
        await stall
        exposition = await api.metrics()
        peak_mb = peak_rss_mb(coordinator.pid)
        say("the end of the conference")
        for phase in ("live", "ended"):
            await api.change_phase(CONFERENCE, phase)
        printed = await asyncio.wait_for(virtual.communicate(), END_TIMEOUT_S)
    summary = msgspec.json.decode(printed[0].splitlines()[-1], type=VirtualSummary)
    return {
        "benchmark": "join_storm",
        "machine": found,
        **msgspec.structs.asdict(options),
        "joined": summary.joined,
        "refusals": summary.refusals,
        "unreachable": summary.unreachable,
        "returns_max": summary.returns_max,
        "all_joined_s": joined_s,
        "reply_ms_p50": summary.reply_ms_p50,
        "reply_ms_p99": summary.reply_ms_p99,
        "reply_ms_max": summary.reply_ms_max,
        "seated_ms_p50": summary.seated_ms_p50,
        "seated_ms_p99": summary.seated_ms_p99,
        "seated_ms_max": summary.seated_ms_max,
        "queued_ms_p99": summary.queued_ms_p99,
        "coordinator_cpu_s": round(after.cpu_s - before.cpu_s, 1),
        "coordinator_cpu_us_per_join": round((after.cpu_s - before.cpu_s) * 1e6 / max(1, summary.joined)),
        "coordinator_peak_mb": peak_mb,
        "load_cpu_s": round(load_after.cpu_s - load_before.cpu_s, 1),
        # Of all cores, over the storm: beyond some 80 % the two hold each other up.
        "share_of_machine": round(
            (after.cpu_s - before.cpu_s + load_after.cpu_s - load_before.cpu_s) / took_s / (os.cpu_count() or 1), 2
        ),
        "journal_events": int(metric_total(exposition, "diemcau_coordinator_journal_events_total") - events_before),
        "journal_failures": int(metric_total(exposition, "diemcau_coordinator_journal_failures_total")),
        "headcounts": summary.headcounts,
    }


def say(what: str) -> None:
    """Tell people how far it is; the figures alone go to stdout."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


class Country:
    """The files and the registry of one storm."""

    def __init__(self, directory: Path, server: str, options: Options) -> None:
        self._directory = directory
        self._server = server
        self._options = options
        self._keys = KeyRing.load_or_create(directory / "state" / KEY_FILE)
        self._units = load_vietnam_units()
        self._halls = synthetic_halls(self._units, options.halls, options.seed)
        self.token = write_token(self._keys, directory / "organiser.token", "organiser", "storm", TOKEN_S)

    def _spots(self) -> Sequence[Spot]:
        seats = int(self._options.halls * ROOM / self._options.relays) + 8
        made_up = MadeUpRelays(count=self._options.relays, capacity=capacity(seats))
        return made_up.spots(regions_of(self._halls, self._units), Policy())

    async def register(self, api: ApiClient) -> dict[str, str]:
        """Import the country, open the conference, and make every hall's link."""
        await api.import_units(serialize_units_csv(self._units))
        await api.import_halls(serialize_halls_csv(self._halls))
        await api.create_conference(CONFERENCE, "Bão điểm cầu")
        await api.change_phase(CONFERENCE, "open")
        links: dict[str, str] = {}
        for start in range(0, len(self._halls), LINKS_AT_ONCE):
            hall_ids = [hall.hall_id for hall in self._halls[start : start + LINKS_AT_ONCE]]
            links |= await api.hall_links(hall_ids, CONFERENCE)
        return links

    @contextlib.asynccontextmanager
    async def virtual(self, links: dict[str, str]) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
        """Start the virtual relays and halls; yields their process and their metrics once all relays are registered."""
        spots = self._spots()
        entries = []
        for spot in spots:
            file = self._directory / f"{spot.relay_id}.token"
            write_token(self._keys, file, "relay", spot.relay_id, TOKEN_S)
            entries.append(
                {"relay_id": spot.relay_id, "token_file": str(file), "role": spot.role, "region": spot.region}
            )
        links_file = self._directory / "links.json"
        write_secret(links_file, msgspec.json.encode(links).decode())
        room = spots[0].capacity
        document: Document = {
            "program": "virtual",
            "coordinator_url": self._server,
            "relays": entries,
            "capacity": {"bits_per_s": room.bits_per_s, "packets_per_s": room.packets_per_s},
            "links_file": str(links_file),
            "wait_for_signal": True,
            "arrival_s": self._options.seconds,
            "arrival_curve": self._options.curve,
            "headcount_share": self._options.headcounts,
            "seed": self._options.seed,
        }
        config = self._directory / "virtual.yaml"
        write_document(config, document)
        port = free_ports(1)[0]
        arguments = ["virtual", "--config", str(config), "--metrics-port", str(port)]
        process = await start_program(self._directory, "virtual", arguments)
        try:
            metrics = f"http://{HOST}:{port}"
            await answers(f"{metrics}/readyz", process, timeout_s=2 * REGISTER_TIMEOUT_S)
            yield process, metrics
        finally:
            await end(process)


async def start_program(directory: Path, name: str, arguments: Sequence[str]) -> asyncio.subprocess.Process:
    """Start a program of ours, its log in a file of the folder."""
    with (directory / f"{name}.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "conference.cli.main", *arguments, stdout=asyncio.subprocess.PIPE, stderr=log
        )


@contextlib.asynccontextmanager
async def serve_coordinator(
    directory: Path, options: Options, store: _Redis | None
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """A coordinator's address and process, once it is ready."""
    (directory / "state").mkdir(mode=0o700)
    port = free_ports(1)[0]
    document = coordinator_document(HOST, port, directory / "state")
    if store is not None:
        document["journal"] = {"url": store.url}
    if options.admission:
        per_s, _, burst = options.admission.partition(",")
        document["admission"] = {"per_s": float(per_s), "burst": int(burst)}
    config = directory / "coordinator.yaml"
    write_document(config, document)
    process = await start_program(directory, "coordinator", ["coordinator", "--config", str(config)])
    try:
        server = f"http://{HOST}:{port}"
        await answers(f"{server}/readyz", process)
        yield server, process
    finally:
        await end(process)


async def wait_joined(metrics: str, options: Options, begin_s: float) -> float | None:
    """Seconds until every hall had joined; None where some had not long after the last one came."""
    async with ApiClient(metrics) as load:
        while (passed_s := time.monotonic() - begin_s) < options.seconds + TAIL_S:
            with contextlib.suppress(ApiUnreachableError):
                if metric_total(await load.metrics(), "diemcau_virtual_joins_total") >= options.halls:
                    return round(passed_s, 1)
            await asyncio.sleep(POLL_S)
    return None


async def _stall(options: Options, directory: Path, store: _Redis | None) -> None:
    """Hold the store up for the seconds asked for, in the middle of the storm."""
    if not options.stall:
        return
    await asyncio.sleep(options.seconds / 2 - options.stall / 2)
    say("the store stalls")
    if store is not None:
        store.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(options.stall)
        store.process.send_signal(signal.SIGCONT)
        return
    with contextlib.closing(sqlite3.connect(directory / "state" / JOURNAL_FILE, isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        await asyncio.sleep(options.stall)
        file.execute("ROLLBACK")


class _Redis(msgspec.Struct, frozen=True):
    url: str
    process: asyncio.subprocess.Process


@contextlib.asynccontextmanager
async def _redis(directory: Path) -> AsyncIterator[_Redis]:
    """A redis-server that syncs before it answers, on a free port."""
    port = free_ports(1)[0]
    arguments = ["--port", str(port), "--bind", HOST, "--dir", str(directory), "--save", ""]
    arguments += ["--appendonly", "yes", "--appendfsync", "always"]
    with (directory / "redis.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec("redis-server", *arguments, stdout=log, stderr=log)
    try:
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, port)
                writer.close()
                break
            if process.returncode is not None:
                raise RuntimeError("redis-server does not start")
            await asyncio.sleep(0.05)
        yield _Redis(f"redis://{HOST}:{port}", process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        await end(process)


def main() -> None:
    """Run the benchmark; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--halls", type=int, default=40_000)
    parser.add_argument("--relays", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60.0, help="within which all halls come")
    parser.add_argument("--curve", choices=("s", "flat"), default="s")
    parser.add_argument("--headcounts", type=float, default=0.0, help="share of halls that report one within 20 s")
    parser.add_argument("--stall", type=float, default=0.0, help="seconds for which the store stands still")
    parser.add_argument("--redis", action="store_true", help="the journal on a redis-server instead of a file")
    parser.add_argument("--admission", default="", help="PER_S,BURST instead of the coordinator's own")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    given = parser.parse_args()
    as_json = given.json
    del given.json
    figures = asyncio.run(measure(Options(**vars(given))))
    print(json.dumps(figures, indent=None if as_json else 2))


if __name__ == "__main__":
    main()
