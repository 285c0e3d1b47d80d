"""Servers and sources as processes of their own, and what they cost (Linux `/proc`)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import jwt
import msgspec
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from relay.access import ALGORITHM, AUDIENCE, ISSUER, Action

CONFERENCE, FEED = "bench", "program"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Usage(msgspec.Struct, frozen=True):
    """What a process has used: processor seconds (user and system), and resident memory in MiB."""

    cpu_s: float
    memory_mib: float


def usage(pid: int) -> Usage:
    """Read it from `/proc`."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    resident = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return Usage((int(fields[11]) + int(fields[12])) / _TICKS_PER_S, round(resident / 2**20, 1))


def machine() -> dict[str, str | int | float]:
    """What the figures were taken on, and how busy it was with other work."""
    model = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


class Signer:
    """Signs tokens that every relay of one benchmark takes.

    Attributes:
        public_key: PEM.
    """

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public_key = (
            self._key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    def token(self, action: Action, *, is_link: bool = False) -> str:
        """A token for the one feed; with `is_link`, for a relay below."""
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "bench",
            "conference": CONFERENCE,
            "feeds": [FEED],
            "action": action,
            "exp": int(time.time() + 3600),
            "link": is_link,
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)


class RelayUnderTest(msgspec.Struct, frozen=True):
    """A relay process of ours with a key of the benchmark's.

    Attributes:
        pid: of the process.
        base_url: of its HTTP.
        whip: where to publish.
        whep: where to play.
        publish_token_file: token for the one.
        play_token: token for the other.
    """

    pid: int
    base_url: str
    whip: str
    whep: str
    publish_token_file: Path
    play_token: str


@contextlib.asynccontextmanager
async def running(*command: str, env: dict[str, str] | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that is ended with SIGTERM; its output is read by whoever wants it."""
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **(env or {})}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        await end(process)


async def end(process: asyncio.subprocess.Process) -> bytes:
    """End a process in order and return what it printed."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    try:
        printed, _ = await asyncio.wait_for(process.communicate(), STOP_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        printed, _ = await process.communicate()
    return printed


@contextlib.asynccontextmanager
async def relay_under_test(
    directory: Path, *, signer: Signer | None = None, relay_id: str = "bench", coordinator_url: str = ""
) -> AsyncIterator[RelayUnderTest]:
    """Start a relay on free loopback ports and wait until it serves.

    Args:
        directory: for its files.
        signer: whose tokens it takes; by default one of its own.
        relay_id: its name.
        coordinator_url: who seats it in a tree; it is an origin without.
    """
    signer = signer or Signer()
    key_file, token_file = directory / f"{relay_id}.pem", directory / f"{relay_id}.token"
    key_file.write_text(signer.public_key, encoding="ascii")
    token_file.write_text(signer.token("publish"), encoding="ascii")
    http_port = free_port()
    config: dict[str, object] = {
        "program": "relay",
        "relay_id": relay_id,
        "role": "edge" if coordinator_url else "origin",
        "http": {"host": "127.0.0.1", "port": http_port},
        "media": {"host": "127.0.0.1", "port": 0},
        "public_key_files": [str(key_file)],
    }
    if coordinator_url:
        config["coordinator"] = {"url": coordinator_url, "token_file": str(token_file)}
    config_file = directory / f"{relay_id}.yaml"
    config_file.write_text(yaml.safe_dump(config), encoding="utf-8")
    base = f"http://127.0.0.1:{http_port}"
    # Logs go nowhere, so that a full pipe never holds the relay up.
    with (directory / f"{relay_id}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "conference.cli.main", "relay", "--config", str(config_file), stdout=log, stderr=log
        )
    try:
        await answers(f"{base}/healthz", process)
        feed = f"{base}/{CONFERENCE}/{FEED}"
        yield RelayUnderTest(process.pid, base, f"{feed}/whip", f"{feed}/whep", token_file, signer.token("play"))
    finally:
        await end(process)


@contextlib.asynccontextmanager
async def publishing(
    relay: RelayUnderTest, *, seed: int = 1, keyframe_interval_s: float = 10.0
) -> AsyncIterator[dict[str, int]]:
    """Publish the constant programme at a relay; what the source says at its end is in the mapping afterwards."""
    said: dict[str, int] = {}
    arguments = ["--whip", relay.whip, "--token-file", str(relay.publish_token_file), "--seed", str(seed)]
    arguments += ["--keyframe-interval", str(keyframe_interval_s)]
    async with running(sys.executable, "-m", "benchmarks.support.source", *arguments) as process:
        await publishes(relay)
        yield said
        said.update(json.loads((await end(process)).splitlines()[-1]))


async def publishes(relay: RelayUnderTest) -> None:
    """Return once a publisher is connected."""
    url = f"{relay.base_url}/metrics"
    deadline_s = time.monotonic() + START_TIMEOUT_S
    async with aiohttp.ClientSession() as client:
        while True:
            async with client.get(url) as response:
                lines = (await response.text()).splitlines()
            if any(line.startswith("diemcau_relay_publishers") and line.endswith(" 1.0") for line in lines):
                return
            if time.monotonic() > deadline_s:
                raise RuntimeError("the source did not come")
            await asyncio.sleep(0.1)


async def answers(url: str, process: asyncio.subprocess.Process, *, timeout_s: float = START_TIMEOUT_S) -> None:
    """Return once a server answers this address with 200.

    Raises:
        RuntimeError: it ended, or did not answer in time.
    """
    deadline_s = time.monotonic() + timeout_s
    async with aiohttp.ClientSession() as client:
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with client.get(url) as response:
                    if response.status == 200:
                        return
            if process.returncode is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"{url} does not answer (exit code {process.returncode})")
            await asyncio.sleep(0.05)


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
