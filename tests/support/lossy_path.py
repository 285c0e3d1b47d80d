"""A path that loses and delays: a UDP proxy between a relay and whoever it told the proxy's address."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import random
import socket
import time
from collections.abc import AsyncIterator

BUFFER_BYTES = 4 << 20
DATAGRAM_BYTES = 2_048
LATE_S = 0.015  # a timer of the event loop is a millisecond or two late where the machine has time

Address = tuple[str, int]


class LossyPath:
    """Passes datagrams on, both ways, each after a delay, save those that it loses.

    A peer has a socket of its own toward the relay, so that the relay tells peers apart by address. The order is kept.

    Attributes:
        port: what peers send to, on 127.0.0.1.
        relay: where the relay hears.
        loss: share of datagrams to lose in each direction; STUN and DTLS, whose own retransmissions take seconds, pass.
        lost: datagrams lost so far.
        passed: datagrams passed on so far.
        late_ms: when one was passed on much later than it was due, in ms since the epoch: the machine had no time.
    """

    def __init__(self, *, delay_s: float, seed: int) -> None:
        self.relay: Address = ("127.0.0.1", 0)
        self.loss = 0.0
        self.lost = 0
        self.passed = 0
        self.late_ms: list[float] = []
        self._delay_s = delay_s
        self._rng = random.Random(seed)
        self._front = _bound_socket()
        self._sides: dict[Address, socket.socket] = {}
        self._waiting: list[tuple[float, int, socket.socket, Address, bytes]] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self.port = int(self._front.getsockname()[1])
        asyncio.get_running_loop().add_reader(self._front.fileno(), self._read_front)

    def close(self) -> None:
        """Pass nothing on any more."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        for each in (self._front, *self._sides.values()):
            loop.remove_reader(each.fileno())
            each.close()

    def _read_front(self) -> None:
        for data, peer in _datagrams(self._front):
            side = self._sides.get(peer)
            if side is None:
                side = self._sides[peer] = _bound_socket()
                asyncio.get_running_loop().add_reader(side.fileno(), self._read_side, side, peer)
            self._take(data, side, self.relay)

    def _read_side(self, side: socket.socket, peer: Address) -> None:
        for data, _ in _datagrams(side):
            self._take(data, self._front, peer)

    def _take(self, data: bytes, sender: socket.socket, to: Address) -> None:
        if data[0] >= 128 and self._rng.random() < self.loss:
            self.lost += 1
            return
        self._count += 1
        heapq.heappush(self._waiting, (time.monotonic() + self._delay_s, self._count, sender, to, data))
        if self._timer is None:
            self._schedule()

    def _schedule(self) -> None:
        delay_s = max(0.0, self._waiting[0][0] - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._pass_on)

    def _pass_on(self) -> None:
        self._timer = None
        now = time.monotonic()
        if now - self._waiting[0][0] > LATE_S:
            self.late_ms.append(time.time() * 1_000)
        while self._waiting and self._waiting[0][0] <= now:
            _, _, sender, to, data = heapq.heappop(self._waiting)
            with contextlib.suppress(OSError):
                sender.sendto(data, to)
                self.passed += 1
        if self._waiting:
            self._schedule()


@contextlib.asynccontextmanager
async def lossy_path(*, delay_s: float, seed: int) -> AsyncIterator[LossyPath]:
    """A path without loss so far, and without a relay at its end."""
    path = LossyPath(delay_s=delay_s, seed=seed)
    try:
        yield path
    finally:
        path.close()


def free_udp_port() -> int:
    """A UDP port that was free a moment ago."""
    with _bound_socket() as probe:
        return int(probe.getsockname()[1])


def _bound_socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)  # noqa: FBT003 (the standard library takes it so)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    made.bind(("127.0.0.1", 0))
    return made


def _datagrams(sock: socket.socket) -> list[tuple[bytes, Address]]:
    found = []
    with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
        while True:
            found.append(sock.recvfrom(DATAGRAM_BYTES))
    return found
