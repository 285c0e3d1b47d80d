"""What the import of a country's register costs: 40,000 halls of 3,355 units in a workbook, 200 of them wrong.

A real coordinator with its journal on a file takes the file with its errors, with its errors mended, and once more; the
same as CSV; then it exports. Meanwhile somebody asks for its health ten times a second: the longest answer says how
long the import held up everybody else. All over HTTP on this machine; times of the processor are the coordinator's.

    python -m benchmarks.registry --json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.support.processes import answers, end, machine, usage
from bridges.cells import headings
from bridges.halls import Hall
from bridges.importing import HALL_COLUMNS, hall_rows
from bridges.synthetic import synthetic_halls
from bridges.tables import serialize_table
from bridges.unit_tables import serialize_units_csv
from bridges.vietnam import load_vietnam_units
from bridges.xlsx_writing import Sheet, serialize_workbook
from conference.access import KeyRing
from conference.api_client import ApiClient, ApiError
from conference.config import KEY_FILE
from conference.layout import coordinator_document, free_ports, write_document
from conference.starting import write_token

HOST = "127.0.0.1"
PROBE_S = 0.1
CARRIERS = ("VNPT", "Viettel", "MobiFone", "FPT")
Cells = list[list[str | int]]


def country(count: int, seed: int) -> list[Hall]:
    """Halls of all units, with every field filled in."""
    chosen = random.Random(seed)
    return [
        msgspec.structs.replace(
            hall,
            virtual=False,
            address=f"Số {number % 400 + 1} đường Lê Lợi",
            contact_name=f"Nguyễn Văn {number % 977}",
            contact_phone=f"0900 {number:06}",
            line="FTTH",
            carrier=chosen.choice(CARRIERS),
            bandwidth_mbps=chosen.choice((50, 100, 300)),
            devices="máy tính, máy chiếu, camera, micro",
        )
        for number, hall in enumerate(synthetic_halls(load_vietnam_units(), count, seed))
    ]


def spoiled(rows: Cells, wrong: int, seed: int) -> Cells:
    """The rows with `wrong` of them spoiled, each in one of eight ways, none of which makes another row wrong."""
    spoils: list[tuple[int, Callable[[list[str | int]], str | int]]] = [
        (0, lambda row: f"{row[0]} !"),
        (0, lambda _row: ""),
        (1, lambda _row: ""),
        (1, lambda _row: "x" * 201),
        (2, lambda _row: "99999"),
        (3, lambda _row: "liên bang"),
        (4, lambda _row: "sáu mươi"),
        (8, lambda _row: "có lẽ"),
    ]
    found = [list(row) for row in rows]
    for number, position in enumerate(random.Random(seed).sample(range(len(rows)), wrong)):
        column, spoil = spoils[number % len(spoils)]
        found[position][column] = spoil(found[position])
    return found


class Watch:
    """How long a coordinator's answer to somebody else took at worst."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self.worst_s = 0.0

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            begun = time.perf_counter()
            await self._api.is_ready()
            self.worst_s = max(self.worst_s, time.perf_counter() - begun)
            await asyncio.sleep(PROBE_S)


async def measured(pid: int, watch: Watch, work: Callable[[], Awaitable[Any]]) -> tuple[Any, dict[str, float]]:
    """Do a piece of work; what it gave, seconds by the clock and of the coordinator's processor, and the worst wait."""
    watch.worst_s = 0.0
    before, begun = usage(pid).cpu_s, time.perf_counter()
    answer = await work()
    spent = {"s": time.perf_counter() - begun, "cpu_s": usage(pid).cpu_s - before, "others_waited_s": watch.worst_s}
    return answer, {name: round(value, 2) for name, value in spent.items()}


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """The whole measurement."""
    halls = country(options.halls, options.seed)
    titles = headings(HALL_COLUMNS, "vi")
    good: Cells = [list(row) for row in hall_rows(halls)]
    bad = spoiled(good, options.wrong, options.seed)
    made: dict[str, bytes] = {}
    for name, rows in (("bad", bad), ("good", good)):
        made[f"{name}.xlsx"] = serialize_workbook([Sheet(name="Điểm cầu", headings=titles, rows=rows)])
        made[f"{name}.csv"] = serialize_table(titles, ([str(cell) for cell in row] for row in rows))
    figures: dict[str, Any] = {"halls": options.halls, "wrong": options.wrong, "seed": options.seed}
    figures["file_mib"] = {name: round(len(data) / 2**20, 2) for name, data in made.items()}
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        keys = KeyRing.load_or_create(directory / "state" / KEY_FILE)
        token = write_token(keys, directory / "organiser.token", "organiser", "bench", 3600)
        port = free_ports(1)[0]
        config = directory / "coordinator.yaml"
        write_document(config, coordinator_document(HOST, port, directory / "state"))
        with (directory / "coordinator.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "conference.cli.main",
                "coordinator",
                "--config",
                str(config),
                stdout=log,
                stderr=log,
            )
        try:
            server = f"http://{HOST}:{port}"
            await answers(f"{server}/readyz", process)
            async with ApiClient(server, token) as api, ApiClient(server) as other:
                watch = Watch(other)
                watching = asyncio.create_task(watch.run())
                figures |= await steps(api, process.pid, watch, made)
                watching.cancel()
        finally:
            await end(process)
    return figures


async def steps(api: ApiClient, pid: int, watch: Watch, made: dict[str, bytes]) -> dict[str, Any]:
    """Each import and export, one after the other."""
    units = serialize_units_csv(load_vietnam_units())
    figures: dict[str, Any] = {"memory_before_mib": usage(pid).memory_mib}
    _, figures["units"] = await measured(pid, watch, lambda: api.import_units(units))
    for form in ("xlsx", "csv"):
        refused, spent = await measured(pid, watch, partial(refusal, api, made[f"bad.{form}"]))
        figures[f"refused_{form}"] = {**spent, "errors": refused, "halls_after": len(await api.halls())}
        if form == "csv":
            break
        for name, dry_run in (("dry_run", True), ("imported", False), ("again", False)):
            answer, spent = await measured(pid, watch, partial(api.import_halls, made["good.xlsx"], dry_run=dry_run))
            figures[f"{name}_xlsx"] = {**spent, "changed": answer["changed"]}
    answer, spent = await measured(pid, watch, lambda: api.import_halls(made["good.csv"]))
    figures["again_csv"] = {**spent, "changed": answer["changed"]}
    for form in ("xlsx", "csv"):
        exported, spent = await measured(pid, watch, partial(api.export_halls, form))
        answer = await api.import_halls(exported)
        figures[f"exported_{form}"] = {**spent, "changed_by_its_import": answer["changed"]}
    return {**figures, "memory_after_mib": usage(pid).memory_mib}


async def refusal(api: ApiClient, data: bytes) -> int:
    """How many errors an import is refused with."""
    try:
        await api.import_halls(data)
    except ApiError as error:
        return len(error.rows)
    return 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--halls", type=int, default=40_000)
    parser.add_argument("--wrong", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="on one line")
    options = parser.parse_args(arguments)
    figures = {"machine": machine(), **asyncio.run(run(options))}
    print(json.dumps(figures, ensure_ascii=False, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
