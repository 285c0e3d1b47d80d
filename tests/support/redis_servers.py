"""Real redis-server processes on free ports, with their files in a folder of the test."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path

from support.namespaces import LOCAL, Machine

from conference.layout import free_ports

WAIT_S = 20.0
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


class RedisServer:
    """One redis-server; started when made.

    Args:
        folder: for its files; made if missing.
        options: of its command line beyond address and folder; durable by default.
        port: a free one unless given.
        binary: `redis-server` or `redis-sentinel`.
        config: a configuration file, which a Sentinel needs.
        machine: where it runs.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        port: int = 0,
        binary: str = "redis-server",
        durable: bool = True,
        config: Path | None = None,
        machine: Machine = LOCAL,
    ) -> None:
        self.folder = folder
        self.machine = machine
        self.port = port or free_ports(1)[0]
        self._program = [binary, *([str(config)] if config else [])]
        self._options = (*(DURABLE if durable else ()), *(() if config else ("--save", "")), *options)
        folder.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://{self.machine.address}:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it has read its files and answers."""
        with (self.folder / "log").open("ab") as log:
            place = ("--port", str(self.port), "--bind", self.machine.address, "--protected-mode", "no")
            words = [*self._program, *self._options, *place, "--dir", str(self.folder), "--daemonize", "no"]
            self._process = subprocess.Popen([*self.machine.prefix, *words], stdout=log, stderr=log)
        deadline = time.monotonic() + WAIT_S
        while self.ask("PING") != b"+PONG":
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "it does not answer"
            time.sleep(0.02)

    def ask(self, *words: str) -> bytes:
        """First line of the answer to a command; b"" where nothing answers."""
        try:
            with socket.create_connection((self.machine.address, self.port), timeout=5) as connection:
                connection.sendall(" ".join(words).encode() + b"\r\n")
                return connection.makefile("rb").readline().strip()
        except OSError:
            return b""

    def command_line(self, *words: str, within_s: float = 10.0) -> bytes:
        """The whole answer to a command, as redis-cli prints it; b"" where none comes in time."""
        arguments = [*self.machine.prefix, "redis-cli", "-h", self.machine.address, "-p", str(self.port), *words]
        try:
            return subprocess.run(arguments, capture_output=True, check=False, timeout=within_s).stdout
        except subprocess.TimeoutExpired:
            return b""

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait()

    def kill(self) -> None:
        """End it as a crash does, whatever state it is in."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
