"""A real coturn for tests, with a shared secret and nothing else: no accounts, no files of its own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from support.certificates import write_certificate

PORT, TLS_PORT = 3478, 5349
SECRET = "a secret of the test's TURN server"
START_TIMEOUT_S = 10.0


@contextlib.asynccontextmanager
async def turn_server(directory: Path, host: str) -> AsyncIterator[None]:
    """Serve TURN on `host` by UDP and TCP (3478) and by TLS (5349), until the block is left."""
    certificate, key = write_certificate(directory, host)
    options = {
        "listening-ip": host,
        "relay-ip": host,
        "listening-port": PORT,
        "tls-listening-port": TLS_PORT,
        "cert": certificate,
        "pkey": key,
        "realm": "diemcau.test",
        "static-auth-secret": SECRET,
        "userdb": directory / "turndb",
        "pidfile": directory / "turn.pid",
        "log-file": directory / "turn.log",
        "min-port": 50_000,
        "max-port": 50_100,
    }
    process = await asyncio.create_subprocess_exec(
        "turnserver",
        "-n",
        "--no-cli",
        "--simple-log",
        "--use-auth-secret",
        *(f"--{name}={value}" for name, value in options.items()),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(host, TLS_PORT)
                writer.close()
                break
            assert process.returncode is None, f"coturn ended with {process.returncode}"
            assert time.monotonic() < deadline, "coturn did not come up"
            await asyncio.sleep(0.05)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
