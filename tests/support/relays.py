"""Real relays for tests: a signer of tokens, relay processes, and a control server that seats children."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import jwt
import msgspec
import yaml
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from relay.access import ALGORITHM, AUDIENCE, ISSUER
from relay.messages import (
    CoordinatorMessage,
    Goodbye,
    Heartbeat,
    Parent,
    PresenceAck,
    PresenceBatch,
    PresenceDelta,
    Pull,
    Register,
    Registered,
    RelayMessage,
    Topology,
)

T = TypeVar("T")
CONFERENCE = "hn2026"
FEED = "program"
START_TIMEOUT_S = 100.0  # the first relay of a fresh checkout compiles its fan-out, on a busy machine for a minute


class Signer:
    """Signs relay tokens with a key of its own."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public_key = (
            self._key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    def token(
        self, sub: str, action: str, *, link: bool = False, conference: str = CONFERENCE, lifetime_s: float = 600
    ) -> str:
        """A token for the feed `program`."""
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": sub,
            "conference": conference,
            "feeds": [FEED],
            "action": action,
            "exp": int(time.time() + lifetime_s),
            "link": link,
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)


class RelayProcess:
    """A relay as its own process."""

    def __init__(self, process: asyncio.subprocess.Process, base_url: str) -> None:
        self.process = process
        self.base_url = base_url

    def endpoint(self, protocol: str) -> str:
        """WHIP or WHEP endpoint of the feed `program`."""
        return f"{self.base_url}/{CONFERENCE}/{FEED}/{protocol}"

    def kill(self) -> None:
        """As by kill -9."""
        self.process.send_signal(signal.SIGKILL)

    def freeze(self) -> None:
        """As by SIGSTOP: the process is there and does nothing."""
        self.process.send_signal(signal.SIGSTOP)

    async def metrics(self) -> dict[str, float]:
        """The relay's own counters, by sample name with labels."""
        async with aiohttp.ClientSession() as client, client.get(f"{self.base_url}/metrics") as response:
            lines = (await response.text()).splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in samples}


def write_config(
    directory: Path,
    signer: Signer,
    relay_id: str,
    role: str,
    http_port: int,
    coordinator_url: str,
    settings: Mapping[str, object],
    *,
    host: str = "127.0.0.1",
) -> Path:
    """Write a relay's configuration and the files that it names; `settings` go on top."""
    directory.mkdir(parents=True, exist_ok=True)
    key_file = directory / "key.pem"
    key_file.write_text(signer.public_key)
    config: dict[str, object] = {
        "program": "relay",
        "relay_id": relay_id,
        "role": role,
        "http": {"host": host, "port": http_port},
        "media": {"host": host, "port": 0},
        "public_key_files": [str(key_file)],
    }
    if coordinator_url:
        token_file = directory / "token"
        token_file.write_text("a control server of a test asks for none")
        config["coordinator"] = {"url": coordinator_url, "token_file": str(token_file)}
    config.update(settings)
    config_file = directory / f"{relay_id}.yaml"
    config_file.write_text(yaml.safe_dump(config))
    return config_file


@contextlib.asynccontextmanager
async def relay_process(
    directory: Path,
    signer: Signer,
    *,
    relay_id: str,
    role: str,
    coordinator_url: str = "",
    settings: Mapping[str, object] | None = None,
    http_port: int = 0,
    host: str = "127.0.0.1",
) -> AsyncIterator[RelayProcess]:
    """Start a relay on free ports of an address of this machine, wait until it serves, and end it afterwards."""
    http_port = http_port or free_port(host)
    config_file = write_config(directory, signer, relay_id, role, http_port, coordinator_url, settings or {}, host=host)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "conference.cli.main", "relay", "--config", str(config_file), env=os.environ.copy()
    )
    relay = RelayProcess(process, f"http://{host}:{http_port}")
    try:
        await wait_until_up(relay.base_url, process)
        yield relay
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()


async def at_once(starting: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What these give, in their order; they run side by side, and all end when one fails."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in starting]
    return [task.result() for task in tasks]


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def free_udp_port() -> int:
    """A UDP port that was free a moment ago."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def wait_until_up(base_url: str, process: asyncio.subprocess.Process) -> None:
    """Return once `/healthz` answers."""
    deadline = time.monotonic() + START_TIMEOUT_S
    async with aiohttp.ClientSession() as client:
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with client.get(f"{base_url}/healthz") as response:
                    if response.status == 200:
                        return
            assert process.returncode is None, f"the relay ended with {process.returncode}"
            assert time.monotonic() < deadline, "the relay did not come up"
            await asyncio.sleep(0.05)


class ControlServer:
    """Speaks the coordinator's side of the control protocol: seats every edge below the parents given."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._decoder = msgspec.json.Decoder(RelayMessage)
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self.registered: dict[str, Register] = {}
        self.registrations: list[str] = []
        self.heartbeats: dict[str, Heartbeat] = {}
        self.deltas: list[PresenceDelta] = []
        self.batches: list[int] = []
        self.goodbyes: list[str] = []
        self.acknowledges = True
        self.parents: list[Parent] = []
        self.url = ""
        self._heard = asyncio.Event()

    async def message(self) -> None:
        """Return when any relay has said anything."""
        self._heard.clear()
        await self._heard.wait()

    async def heard_from(self, relay_id: str, *, within_s: float = 10) -> Heartbeat:
        """The next heartbeat of a relay."""
        self.heartbeats.pop(relay_id, None)
        async with asyncio.timeout(within_s):
            while relay_id not in self.heartbeats:
                await self.message()
        return self.heartbeats[relay_id]

    def application(self) -> web.Application:
        """The application with the one WebSocket route."""
        app = web.Application()
        app.router.add_get("/api/v1/relays/control", self._control)
        return app

    async def send(self, relay_id: str, message: CoordinatorMessage) -> None:
        """Send a message to a registered relay."""
        await self._sockets[relay_id].send_bytes(msgspec.json.encode(message))

    def topology(self) -> Topology:
        """The feed `program` from the parents."""
        token = self._signer.token("child", "play", link=True)
        return Topology(parents=self.parents, pulls=[Pull(conference=CONFERENCE, feed=FEED, token=token)])

    async def _control(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        relay_id = ""
        async for frame in socket:
            message = self._decoder.decode(frame.data)
            if isinstance(message, Register):
                relay_id = message.relay_id
                self.registered[relay_id] = message
                self.registrations.append(relay_id)
                self._sockets[relay_id] = socket
                keys = [self._signer.public_key]
                answer = Registered(epoch=1, lease_s=3.0, heartbeat_s=0.2, public_keys=keys)
                await self.send(relay_id, answer)
                if message.role == "edge":
                    await self.send(relay_id, self.topology())
            elif isinstance(message, Heartbeat):
                self.heartbeats[relay_id] = message
            elif isinstance(message, PresenceBatch):
                self.deltas += message.deltas
                self.batches.append(message.sequence)
                if self.acknowledges:
                    await self.send(relay_id, PresenceAck(sequence=message.sequence))
            elif isinstance(message, Goodbye):
                self.goodbyes.append(relay_id)
            self._heard.set()
        return socket


@contextlib.asynccontextmanager
async def control_server(
    signer: Signer, *, port: int = 0, server: ControlServer | None = None
) -> AsyncIterator[ControlServer]:
    """Serve a `ControlServer` on loopback; one that was served before goes on with what it knows."""
    server = server or ControlServer(signer)
    runner = web.AppRunner(server.application(), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()


def parent_of(relay: RelayProcess, relay_id: str) -> Parent:
    """A relay as a parent in a `Topology`."""
    return Parent(relay_id=relay_id, base_url=relay.base_url)
