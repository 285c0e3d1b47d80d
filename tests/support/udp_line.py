"""A line between one receiver and its relay that carries so much and no more: a UDP proxy with a drop-tail queue."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable

TICK_S = 0.002
QUEUE_OCTETS = 64_000  # the buffer of a small router


class _End(asyncio.DatagramProtocol):
    def __init__(self, handle: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._handle = handle

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """See `asyncio.DatagramProtocol`."""
        self._handle(data, addr)


class UdpLine:
    """Toward the receiver `rate_bps` holds, toward the relay nothing does.

    Attributes:
        port: the receiver sends here, and not to the relay.
        rate_bps: may be changed at any time; infinite at first.
        dropped: datagrams that found the queue full.
    """

    def __init__(self) -> None:
        self.port = 0
        self.relay: tuple[str, int] | None = None
        self.rate_bps = float("inf")
        self.dropped = 0
        self._receiver: tuple[str, int] | None = None
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._near: asyncio.DatagramTransport
        self._far: asyncio.DatagramTransport

    async def run(self) -> None:
        """Send on what waits, until cancelled."""
        loop = asyncio.get_running_loop()
        credit, before = 0.0, loop.time()
        while True:
            await asyncio.sleep(TICK_S)
            now = loop.time()
            credit = min(credit + (now - before) * self.rate_bps / 8, max(1500.0, 0.02 * self.rate_bps / 8))
            before = now
            while self._queue and len(self._queue[0]) <= credit:
                datagram = self._queue.popleft()
                self._queued -= len(datagram)
                credit -= len(datagram)
                self._deliver(datagram)

    def from_receiver(self, datagram: bytes, address: tuple[str, int]) -> None:
        """The receiver sends."""
        self._receiver = address
        self._far.sendto(datagram, self.relay)

    def from_relay(self, datagram: bytes) -> None:
        """The relay sends."""
        if self.rate_bps == float("inf") and not self._queue:
            self._deliver(datagram)
        elif self._queued + len(datagram) > QUEUE_OCTETS:
            self.dropped += 1
        else:
            self._queue.append(datagram)
            self._queued += len(datagram)

    def _deliver(self, datagram: bytes) -> None:
        if self._receiver is not None:
            self._near.sendto(datagram, self._receiver)

    async def open(self) -> None:
        """Bind both ends on loopback."""
        loop = asyncio.get_running_loop()
        self._near, _ = await loop.create_datagram_endpoint(lambda: _End(self.from_receiver), ("127.0.0.1", 0))
        self._far, _ = await loop.create_datagram_endpoint(
            lambda: _End(lambda datagram, _: self.from_relay(datagram)), ("127.0.0.1", 0)
        )
        self.port = self._near.get_extra_info("sockname")[1]

    def close(self) -> None:
        """Close both ends."""
        self._near.close()
        self._far.close()


@contextlib.asynccontextmanager
async def udp_line(relay_port: int) -> AsyncIterator[UdpLine]:
    """A line to the media port of a relay on loopback."""
    line = UdpLine()
    line.relay = ("127.0.0.1", relay_port)
    await line.open()
    task = asyncio.create_task(line.run())
    try:
        yield line
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        line.close()
