"""Groups of real Redis servers: a master with its replicas and Sentinels, and a Cluster of three masters."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from support.namespaces import LOCAL, Machine
from support.redis_servers import RedisServer

from conference.layout import free_ports

SERVICE = "hoi-nghi"
WAIT_S = 30.0
DOWN_AFTER_MS = 1_000


class SentinelGroup:
    """A master, two replicas and three Sentinels that agree by two.

    Args:
        folder: for their files.
        machines: of the three servers, the first of which is master, and of the three Sentinels.

    Attributes:
        servers: the three; whichever is master now.
        sentinels: the three.
    """

    def __init__(self, folder: Path, machines: Sequence[Machine] = (LOCAL, LOCAL, LOCAL)) -> None:
        first = RedisServer(folder / "redis-0", machine=machines[0])
        follow = ("--replicaof", first.machine.address, str(first.port), "--repl-diskless-sync-delay", "0")
        self.servers = [
            first,
            *(RedisServer(folder / f"redis-{number}", *follow, machine=machines[number]) for number in (1, 2)),
        ]
        self.sentinels: list[RedisServer] = []
        _wait(lambda: self._info(first).count(b"state=online") == 2, "the replicas are in step")
        for number, machine in enumerate(machines):
            home = folder / f"sentinel-{number}"
            home.mkdir(parents=True)
            file = home / "sentinel.conf"  # a Sentinel writes into it what it learns
            file.write_text(
                f"sentinel monitor {SERVICE} {first.machine.address} {first.port} 2\n"
                f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n"
                f"sentinel failover-timeout {SERVICE} 5000\n"
            )
            self.sentinels.append(
                RedisServer(home, config=file, binary="redis-sentinel", durable=False, machine=machine)
            )
        _wait(
            lambda: all(b"slaves=2,sentinels=3" in self._info(each) for each in self.sentinels),
            "the Sentinels know each other",
        )

    @property
    def url(self) -> str:
        """The journal's address."""
        sentinels = (f"{each.machine.address}:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://{','.join(sentinels)}/{SERVICE}"

    def master(self) -> RedisServer:
        """The server that says that it is master."""
        return next(each for each in self.servers if b"role:master" in self._info(each))

    def close(self) -> None:
        """End all of them."""
        for each in (*self.sentinels, *self.servers):
            each.kill()

    @staticmethod
    def _info(server: RedisServer) -> bytes:
        """What it says; nothing where it is dead or stands still."""
        return server.command_line("INFO", within_s=1.0)


class Cluster:
    """Three masters without replicas, all slots served.

    Attributes:
        servers: the three.
    """

    def __init__(self, folder: Path) -> None:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
        # The bus of each listens 10,000 above its port unless told otherwise.
        self.servers = [
            RedisServer(folder / f"node-{number}", *options, "--cluster-port", str(free_ports(1)[0]))
            for number in range(3)
        ]
        addresses = [f"127.0.0.1:{each.port}" for each in self.servers]
        for number, server in enumerate(self.servers):
            first, last = 16_384 * number // 3, 16_384 * (number + 1) // 3 - 1
            server.command_line("CLUSTER", "ADDSLOTSRANGE", str(first), str(last))
            for other in self.servers:
                bus = other.command_line("CONFIG", "GET", "cluster-port").split()[-1].decode()
                server.command_line("CLUSTER", "MEET", "127.0.0.1", str(other.port), bus)
        self.url = f"redis+cluster://{','.join(addresses[:2])}"
        _wait(lambda: all(self._is_whole(each) for each in self.servers), "the nodes know each other")

    def close(self) -> None:
        """End all of them."""
        for each in self.servers:
            each.kill()

    @staticmethod
    def _is_whole(server: RedisServer) -> bool:
        nodes = server.command_line("CLUSTER", "NODES")
        return b"cluster_state:ok" in server.command_line("CLUSTER", "INFO") and nodes.count(b" connected ") == 3


def _wait(question: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not question():
        assert time.monotonic() < deadline, f"did not come true: {what}"
        time.sleep(0.05)
