"""Gateways as programs of their own, beside coordinators on one Redis."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from support.coordinator_harness import Api
from support.redis_coordinators import ROOT, CoordinatorProgram

from conference.access import KeyRing
from conference.config import KEY_FILE
from conference.layout import free_ports, write_document


class GatewayProgram(CoordinatorProgram):
    """One `diemcau gateway`; made by `gateway_program`."""


@contextlib.asynccontextmanager
async def gateway_program(
    folder: Path, gateway_id: str, redis_url: str, *, folder_name: str = "", **settings: object
) -> AsyncIterator[GatewayProgram]:
    """Start a gateway with the coordinators' key in `folder`; killed at the end if it still runs."""
    place = folder / (folder_name or gateway_id)
    place.mkdir(mode=0o700, exist_ok=True)
    keys = KeyRing.load_or_create(folder / KEY_FILE)
    port = free_ports(1)[0]
    document = {
        "program": "gateway",
        "gateway_id": gateway_id,
        "port": port,
        "key_file": str(folder / KEY_FILE),
        "journal": {"url": redis_url},
        **settings,
    }
    write_document(place / "gateway.yaml", document)
    log_file = place / "log"
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "conference.cli.main"),
            *("gateway", "--config", str(place / "gateway.yaml")),
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": ROOT},
        )
    async with contextlib.aclosing(Api(f"http://127.0.0.1:{port}", keys)) as api:
        try:
            yield GatewayProgram(process, api, log_file)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
