"""The check-in of a whole country: a real coordinator process, real SQLite, real HTTP over loopback.

Every delegate has a code that was really signed and is really checked, and every answer comes after its sync. Halls
arrive by an S-shaped curve of an hour (few at first and at last), compressed in time to what the machine carries: the
load keeps `--width` requests under way and sends the next when one is answered. Most delegates come in batches of their
hall, a share by themselves one by one. Some batches are sent twice. Meanwhile a unit's totals are asked for again and
again. At the end the coordinator is killed (SIGKILL) with requests under way, and processes of their own fold its
journal, without and with a snapshot, and compare it with what was acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import uvloop

from benchmarks.join_storm import HOST, say, start_program
from benchmarks.support.attendance_load import Connection, Load, RefusedError, in_parallel, some_again
from benchmarks.support.delegations import Batch, batches, first_numbers, rosters
from benchmarks.support.issued_codes import IssuedCodes, issue
from benchmarks.support.percentiles import percentile_ms
from benchmarks.support.processes import answers, end, machine, usage
from bridges.synthetic import synthetic_halls
from bridges.vietnam import load_vietnam_units
from conference.access import ApiClaims, KeyRing
from conference.checkin.events import DelegateBlock, DelegatesEnrolled
from conference.config import JOURNAL_FILE, KEY_FILE
from conference.demo.measuring import peak_rss_mb
from conference.events import ConferenceCreated, Event, HallsImported, PhaseChanged, UnitsImported
from conference.journal.contract import Entry
from conference.journal.sqlite import SqliteJournal
from conference.layout import coordinator_document, free_ports, write_document

CONFERENCE = "bench"
DAYS = {"july2022": (11_661, 1_089_000), "feb2026": (31_000, 1_930_000), "largest": (40_000, 2_500_000)}
SPAN_MS = 3_600_000
OPENED_BEFORE_MS = 4 * SPAN_MS
ENROLLED_AT_ONCE = 4_000
QUERY_EVERY_S = 0.05
SINGLES_WIDTH = 64


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What day to replay; the fields are the command line's."""

    halls: int
    delegates: int
    singles: int
    width: int
    again: float
    seed: int


class Figures(msgspec.Struct, kw_only=True):
    """What was measured while the coordinator ran."""

    batched_s: float = 0.0
    batched: int = 0
    singles_s: float = 0.0
    batched_cpu_s: float = 0.0
    singles_cpu_s: float = 0.0
    batch_ns: list[int] = []
    again_ns: list[int] = []
    single_ns: list[int] = []
    query_ns: list[int] = []
    visible_ns: list[int] = []


class Day:
    """The files and the roster of one run."""

    def __init__(self, directory: Path, options: Options) -> None:
        self.directory = directory
        self.options = options
        self.state_dir = directory / "state"
        self.state_dir.mkdir(mode=0o700)
        self.keys = KeyRing.load_or_create(self.state_dir / KEY_FILE)
        self.units = load_vietnam_units()
        self.halls = synthetic_halls(self.units, options.halls, options.seed, virtual=False)
        self.sizes = rosters(len(self.halls), options.delegates, options.seed)
        self.firsts = first_numbers(self.sizes)
        self.opened_ms = int(time.time() * 1000) - OPENED_BEFORE_MS
        self.journal = self.state_dir / JOURNAL_FILE

    def issue_codes(self) -> IssuedCodes:
        """Sign a code for everybody."""
        path = self.directory / "codes"
        issue(self.state_dir / KEY_FILE, path, CONFERENCE, self.options.delegates)
        return IssuedCodes(path)

    async def write_register(self) -> None:
        """What stood in the journal before the day: units, halls, the conference and its rosters."""
        journal = SqliteJournal(self.journal)
        epoch = await journal.open_writer()
        blocks = [
            DelegateBlock(hall.hall_id, first, size)
            for hall, first, size in zip(self.halls, self.firsts, self.sizes, strict=True)
        ]
        events: list[Event] = [
            UnitsImported(units=self.units),
            HallsImported(halls=self.halls),
            ConferenceCreated(conference_id=CONFERENCE, title="Hội nghị toàn quốc", feeds=["program"]),
            *(
                DelegatesEnrolled(conference_id=CONFERENCE, blocks=blocks[start : start + ENROLLED_AT_ONCE])
                for start in range(0, len(blocks), ENROLLED_AT_ONCE)
            ),
            PhaseChanged(conference_id=CONFERENCE, phase="open"),
        ]
        await journal.append(epoch, [Entry(at_ms=self.opened_ms, actor="user:bench", event=each) for each in events])
        await journal.close()

    @contextlib.asynccontextmanager
    async def coordinator(self) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
        """The coordinator's port and process, once it is ready."""
        port = free_ports(1)[0]
        config = self.directory / "coordinator.yaml"
        write_document(config, coordinator_document(HOST, port, self.state_dir))
        process = await start_program(self.directory, "coordinator", ["coordinator", "--config", str(config)])
        try:
            await answers(f"http://{HOST}:{port}/readyz", process)
            yield port, process
        finally:
            await end(process)

    async def fold(self, *arguments: str) -> dict[str, object]:
        """Fold the journal in a process of its own; what it printed."""
        command = [sys.executable, "-m", "benchmarks.support.attendance_fold", str(self.journal), CONFERENCE]
        process = await asyncio.create_subprocess_exec(*command, *arguments, stdout=asyncio.subprocess.PIPE)
        printed, _ = await process.communicate()
        found: dict[str, object] = msgspec.json.decode(printed.splitlines()[-1])
        return found


async def measure(options: Options) -> dict[str, object]:
    """Run one day and return its figures."""
    found = machine()
    with tempfile.TemporaryDirectory() as folder:
        day = Day(Path(folder), options)
        say("signing codes")
        codes = day.issue_codes()
        await day.write_register()
        figures = Figures()
        sent_file = day.directory / "sent.npz"
        async with day.coordinator() as (port, process):
            load = Load(HOST, port, day.keys, codes, CONFERENCE, [hall.hall_id for hall in day.halls])
            load.expect(options.delegates)
            before, load_before, begun = usage(process.pid), time.process_time(), time.perf_counter()
            await _replay(day, load, figures, process.pid)
            spent_s, peak_mb = usage(process.pid).cpu_s - before.cpu_s, peak_rss_mb(process.pid)
            load_s, took_s = time.process_time() - load_before, time.perf_counter() - begun
            await _kill_under_load(day, load, process)
        load.save(sent_file)
        codes.close()
        say("folding")
        without = await day.fold("--without-snapshot", "--sent", str(sent_file), "--save")
        with_snapshot = await day.fold("--sent", str(sent_file))
        journal_mb = round(day.journal.stat().st_size / 1e6, 1)
    every_ns = sorted([*figures.batch_ns, *figures.again_ns, *figures.single_ns])
    return {
        "benchmark": "attendance",
        "machine": found,
        **msgspec.structs.asdict(options),
        "curve": "3x^2-2x^3 over one hour, compressed to what the machine carries",
        "batched_checkins_per_s": round(figures.batched / figures.batched_s),
        "single_checkins_per_s": round(options.singles / figures.singles_s) if figures.singles_s else 0,
        "reply_ms_p99": percentile_ms(every_ns, 0.99),
        "reply_ms_max": percentile_ms(every_ns, 1.0),
        "batch_ms_p50": percentile_ms(figures.batch_ns, 0.5),
        "batch_ms_p99": percentile_ms(figures.batch_ns, 0.99),
        "again_ms_p99": percentile_ms(figures.again_ns, 0.99),
        "single_ms_p50": percentile_ms(figures.single_ns, 0.5),
        "single_ms_p99": percentile_ms(figures.single_ns, 0.99),
        "unit_query_ms_p50": percentile_ms(sorted(figures.query_ns), 0.5),
        "unit_query_ms_p99": percentile_ms(sorted(figures.query_ns), 0.99),
        "rollup_visible_s": (percentile_ms(sorted(figures.visible_ns), 1.0) or 0) / 1000,
        "counted": load.counted,
        "other_results": load.results,
        "coordinator_cpu_us_per_batched": round(figures.batched_cpu_s * 1e6 / max(1, figures.batched), 1),
        "coordinator_cpu_us_per_single": round(figures.singles_cpu_s * 1e6 / max(1, options.singles), 1),
        "load_cpu_us_per_checkin": round(load_s * 1e6 / max(1, load.counted), 1),
        # Of all cores; what other programs took from these two shows in the rates.
        "share_of_machine": round((spent_s + load_s) / took_s / (os.cpu_count() or 1), 2),
        "rss_mb": peak_mb,
        "journal_mb": journal_mb,
        "fold_seconds": without["seconds"],
        "fold_cpu_s": without["cpu_s"],
        "fold_rss_mb": without["rss_mb"],
        "fold_snapshot_seconds": with_snapshot["seconds"],
        "fold_snapshot_cpu_s": with_snapshot["cpu_s"],
        "fold_snapshot_rss_mb": with_snapshot["rss_mb"],
        "snapshot_mb": without["snapshot_mb"],
        "acknowledged": without["acknowledged"],
        "present": without["present"],
        "lost_acknowledged": max(_number(without, "lost_acknowledged"), _number(with_snapshot, "lost_acknowledged")),
        "double_counted": max(_number(without, "double_counted"), _number(with_snapshot, "double_counted")),
        "counts_equal_a_recount": without["counts_equal_a_recount"] and with_snapshot["counts_equal_a_recount"],
        "root_equals_leaves": without["present"] == without["present_of_root"] == with_snapshot["present"],
    }


def _number(found: dict[str, object], name: str) -> int:
    value = found[name]
    assert isinstance(value, int)
    return value


def _split(day: Day) -> tuple[list[Batch], list[tuple[int, int]], list[Batch]]:
    """Batches of the day, singles (hall, number), and the batches that are under way at the end."""
    every = batches(day.sizes, SPAN_MS, day.options.seed)
    last = max(1, len(every) // 50)
    every, dying = every[:-last], every[-last:]
    singles: list[tuple[int, int]] = []
    while every and len(singles) < day.options.singles:
        batch = every.pop()
        singles += [(batch.hall, number) for number in range(batch.first, batch.end)]
    return every, singles[: day.options.singles], dying


async def _replay(day: Day, load: Load, figures: Figures, pid: int) -> None:
    every, singles, _ = _split(day)

    async def batch(connection: Connection, job: Batch) -> None:
        await load.send_batch(connection, job, day.opened_ms)

    async def single(connection: Connection, job: tuple[int, int]) -> None:
        hall, number = job
        await load.send_single(connection, hall, number, int(time.time() * 1000), is_self=number % 2 == 0)

    asking = asyncio.create_task(_ask_units(day, load, figures))
    say(f"{len(every)} batches")
    begun, spent = time.perf_counter(), usage(pid).cpu_s
    figures.batch_ns = await in_parallel(every, load, day.options.width, batch)
    figures.batched_s, figures.batched = time.perf_counter() - begun, load.counted
    figures.batched_cpu_s = usage(pid).cpu_s - spent
    say("some of them again")
    figures.again_ns = await in_parallel(some_again(every, day.options.again, day.options.seed), load, 4, batch)
    say(f"{len(singles)} singles")
    begun, spent = time.perf_counter(), usage(pid).cpu_s
    figures.single_ns = await in_parallel(singles, load, SINGLES_WIDTH, single)
    figures.singles_s, figures.singles_cpu_s = time.perf_counter() - begun, usage(pid).cpu_s - spent
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    figures.visible_ns = await _watch_rollup(day, load)


async def _ask_units(day: Day, load: Load, figures: Figures) -> None:
    """Ask for the totals of one unit after the other, as people at screens do."""
    connection, token = load.connection(), _staff_token(day)
    codes = itertools.cycle([unit.code for unit in day.units][:: max(1, len(day.units) // 100)])
    try:
        for code in codes:
            begun_ns = time.perf_counter_ns()
            await connection.ask("GET", f"/api/v1/conferences/{CONFERENCE}/attendance?unit={code}", token)
            figures.query_ns.append(time.perf_counter_ns() - begun_ns)
            await asyncio.sleep(QUERY_EVERY_S)
    finally:
        connection.close()


async def _watch_rollup(day: Day, load: Load) -> list[int]:
    """How long after its answer a check-in is in the country's totals, some times."""
    connection, token, took = load.connection(), _staff_token(day), list[int]()
    missing = _split(day)[2][:10]
    try:
        for batch in missing:
            before = await _present(connection, token)
            await load.send_single(connection, batch.hall, batch.first, day.opened_ms, is_self=False)
            begun_ns = time.perf_counter_ns()
            while await _present(connection, token) == before:
                pass
            took.append(time.perf_counter_ns() - begun_ns)
    finally:
        connection.close()
    return took


async def _present(connection: Connection, token: str) -> int:
    answer = msgspec.json.decode(await connection.ask("GET", f"/api/v1/conferences/{CONFERENCE}/attendance", token))
    return int(answer["total"]["real"]["individual"]["present"])


def _staff_token(day: Day) -> str:
    return day.keys.issue_api_token(ApiClaims(sub="bench", role="organiser", exp=int(time.time()) + 86_400))


async def _kill_under_load(day: Day, load: Load, process: asyncio.subprocess.Process) -> None:
    """Kill the coordinator while the last batches are under way."""
    dying = _split(day)[2]
    say("kill -9 under load")

    async def send(part: Sequence[Batch]) -> None:
        connection = load.connection()
        with contextlib.suppress(OSError, RefusedError):
            for batch in part:
                await load.send_batch(connection, batch, day.opened_ms)
        connection.close()

    width = min(len(dying), day.options.width)
    tasks = [asyncio.create_task(send(dying[place::width])) for place in range(width)]
    counted = load.counted
    while load.counted == counted and not all(task.done() for task in tasks):
        await asyncio.wait(tasks, timeout=0.001)
    process.kill()
    await asyncio.gather(*tasks)
    await process.wait()


def main() -> None:
    """Run the benchmark; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--day", choices=sorted(DAYS), help="a day that was: halls and delegates by press reports")
    parser.add_argument("--halls", type=int, default=0)
    parser.add_argument("--delegates", type=int, default=0)
    parser.add_argument("--singles", type=int, default=-1, help="delegates who come one by one; 4 %% by default")
    parser.add_argument(
        "--width", type=int, default=3, help="batches under way at once; these keep the coordinator busy"
    )
    parser.add_argument("--again", type=float, default=0.02, help="share of batches that are sent twice")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    given = parser.parse_args()
    halls, delegates = DAYS[given.day or "largest"]
    halls, delegates = given.halls or halls, given.delegates or delegates
    options = Options(
        halls=halls,
        delegates=delegates,
        singles=delegates // 25 if given.singles < 0 else given.singles,
        width=given.width,
        again=given.again,
        seed=given.seed,
    )
    figures = uvloop.run(measure(options))
    print(json.dumps(figures, indent=None if given.json else 2))


if __name__ == "__main__":
    main()
