"""Coordinators as programs of their own on one Redis: one leads, the others stand by."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from support.coordinator_harness import Api
from support.namespaces import LOCAL, Machine

import conference
from conference.access import KeyRing
from conference.config import KEY_FILE
from conference.layout import free_ports, write_document

# The program runs whether or not the project is installed where the tests are.
ROOT = str(Path(conference.__file__).parents[1])
WAIT_S = 30.0


class CoordinatorProgram:
    """One `diemcau coordinator`; made by `coordinator_program`.

    Attributes:
        process: the running program.
        api: its API, with tokens of the key that all share.
        log_file: what it logs.
    """

    def __init__(self, process: asyncio.subprocess.Process, api: Api, log_file: Path) -> None:
        self.process = process
        self.api = api
        self.log_file = log_file

    async def readiness(self) -> int:
        """Status of /readyz; 0 where nothing answers."""
        try:
            return (await self.api.call("GET", "/readyz", None))[0]
        except (aiohttp.ClientError, ConnectionError):
            return 0

    async def until_ready(self, within_s: float = WAIT_S) -> float:
        """Wait until it leads; returns after how many seconds."""
        return await self._until(200, within_s)

    async def until_standing_by(self) -> float:
        """Wait until it answers and does not lead."""
        return await self._until(503, WAIT_S)

    async def _until(self, status: int, within_s: float) -> float:
        started = asyncio.get_running_loop().time()
        while await self.readiness() != status:
            waited_s = asyncio.get_running_loop().time() - started
            assert waited_s < within_s, f"not {status} after {waited_s:.1f} s\n{self.log_file.read_text()[-3000:]}"
            assert self.process.returncode is None, self.log_file.read_text()[-3000:]
            await asyncio.sleep(0.02)
        return asyncio.get_running_loop().time() - started

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)


@contextlib.asynccontextmanager
async def coordinator_program(
    folder: Path, name: str, *, machine: Machine = LOCAL, **settings: object
) -> AsyncIterator[CoordinatorProgram]:
    """Start a coordinator in `folder/name` with the key in `folder`; killed at the end if it still runs."""
    state_dir = folder / name
    state_dir.mkdir(mode=0o700, exist_ok=True)
    keys = KeyRing.load_or_create(folder / KEY_FILE)
    shutil.copy2(folder / KEY_FILE, state_dir / KEY_FILE)
    port = free_ports(1)[0]
    place = {"host": machine.address, "port": port, "state_dir": str(state_dir)}
    document = {"program": "coordinator", **place, **settings}
    write_document(state_dir / "coordinator.yaml", document)
    log_file = state_dir / "log"
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(*machine.prefix, sys.executable, "-m", "conference.cli.main"),
            *("coordinator", "--config", str(state_dir / "coordinator.yaml")),
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": ROOT},
        )
    async with contextlib.aclosing(Api(f"http://{machine.address}:{port}", keys)) as api:
        try:
            yield CoordinatorProgram(process, api, log_file)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
