"""A control connection within the simulation: a relay's `ControlLink` at one end, the coordinator's desk at the other.

Messages cross as the bytes that a WebSocket would carry, in order, each after the line's delay. While the line is cut
they wait; each end gives the connection up by itself when its pings stay unanswered, as the real ones do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec
from aiohttp import WSMessage, WSMsgType

from conference.simulation.lines import Lines, UnreachableError
from relay.messages import CoordinatorMessage, RelayMessage
from relay.net.control import ControlSocket, OpenControl

_CENTRE = ""
# A relay's socket pings every 10 s and gives up after half of that more (`relay.net.control`, aiohttp's `heartbeat`).
RELAY_GIVES_UP_S = 15.0
# aiohttp's time-out for a connection that nobody accepts.
_CONNECT_PATIENCE_S = 30.0
_ABNORMAL = 1006  # RFC 6455, 7.4.1: it ended without a close frame


class Desk(Protocol):
    """Who takes connections at the other end; another one after each restart of the coordinator."""

    def accept(self, relay_id: str, wire: Wire) -> bool:
        """Serve a relay; false where no coordinator runs."""
        ...


class _End:
    """What has arrived at one end of a wire."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.close_code: int | None = None

    def hang_up(self, code: int) -> None:
        """Nothing more arrives here."""
        if self.close_code is None:
            self.close_code = code
            self.inbox.put_nowait(None)


class _Way:
    """One direction: bytes (or the close code) on their way, in order."""

    def __init__(self, lines: Lines, region: str, end: _End) -> None:
        self._lines = lines
        self._region = region
        self._end = end
        self._under_way: deque[bytes | int] = deque()
        self._last_at_s = 0.0
        self._held = 0

    def send(self, what: bytes | int) -> None:
        """Put a message, or a close code, on its way."""
        self._under_way.append(what)
        if self._lines.reaches(self._region, _CENTRE):
            self._deliver_later()
        else:
            self._held += 1

    def mended(self) -> None:
        """The line is back: what was held goes on."""
        held, self._held = self._held, 0
        for _ in range(held):
            self._deliver_later()

    def _deliver_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._last_at_s = max(self._last_at_s, loop.time() + self._lines.delay_s())
        loop.call_at(self._last_at_s, self._deliver)

    def _deliver(self) -> None:
        what = self._under_way.popleft()
        if isinstance(what, int):
            self._end.hang_up(what)
        elif self._end.close_code is None:
            self._end.inbox.put_nowait(what)


class Wire:
    """One connection; this object is the relay's end (`relay.net.control.ControlSocket`).

    Attributes:
        at_desk: the coordinator's end.
    """

    def __init__(self, lines: Lines, region: str, decoder: msgspec.json.Decoder[RelayMessage]) -> None:
        self._region = region
        self._here, there = _End(), _End()
        self._up, self._down = _Way(lines, region, there), _Way(lines, region, self._here)
        self.at_desk = DeskEnd(there, self._down, decoder)

    @property
    def closed(self) -> bool:
        """Whether this end is closed."""
        return self._here.close_code is not None

    @property
    def close_code(self) -> int | None:
        """With which."""
        return self._here.close_code

    async def receive(self) -> WSMessage:
        """The next frame."""
        data = None if self.closed and self._here.inbox.empty() else await self._here.inbox.get()
        if data is None:
            return WSMessage(WSMsgType.CLOSED, None, None)
        return WSMessage(WSMsgType.BINARY, data, None)

    async def send_bytes(self, data: bytes) -> None:
        """Write a message."""
        if self.closed:
            raise UnreachableError("the connection is closed")
        self._up.send(data)

    async def close(self) -> bool:
        """Hang up in order; also what the kernel does for a process that died."""
        if self.closed:
            return False
        self._here.hang_up(1000)
        self._up.send(1000)
        return True

    def break_off(self) -> None:
        """The relay's end gives up; nobody at the other end hears of it."""
        self._here.hang_up(_ABNORMAL)

    def mended(self) -> None:
        """The line is back."""
        self._up.mended()
        self._down.mended()


class DeskEnd:
    """The coordinator's end of a wire (`conference.control_connection.RelayChannel`)."""

    def __init__(self, end: _End, down: _Way, decoder: msgspec.json.Decoder[RelayMessage]) -> None:
        self._end = end
        self._down = down
        self._decoder = decoder

    @property
    def closed(self) -> bool:
        """Whether this end is closed."""
        return self._end.close_code is not None

    @property
    def close_code(self) -> int | None:
        """With which."""
        return self._end.close_code

    async def receive(self) -> RelayMessage | None:
        """The next message; None at the end."""
        data = None if self.closed and self._end.inbox.empty() else await self._end.inbox.get()
        return None if data is None else self._decoder.decode(data)

    async def send(self, message: CoordinatorMessage) -> None:
        """Write a message."""
        if self.closed:
            raise UnreachableError("the connection is closed")
        self._down.send(msgspec.json.encode(message))

    async def close(self, code: int, reason: str) -> None:
        """Hang up."""
        del reason
        if not self.closed:
            self._end.hang_up(code)
            self._down.send(code)

    def break_off(self) -> None:
        """This end gives up; nobody at the other end hears of it."""
        self._end.hang_up(_ABNORMAL)


class ControlWires:
    """All control connections.

    Args:
        lines: what they run over.
        desk: who takes them.
        desk_gives_up_s: when the coordinator's end drops a connection on which nothing arrives.
    """

    def __init__(self, lines: Lines, desk: Desk, desk_gives_up_s: float) -> None:
        self._lines = lines
        self._desk = desk
        self._desk_gives_up_s = desk_gives_up_s
        self._decoder: msgspec.json.Decoder[RelayMessage] = msgspec.json.Decoder(RelayMessage)
        self._standing: dict[Wire, tuple[str, str]] = {}
        lines.on_change.append(self._handle_line)

    def to(self, relay_id: str, region: str) -> OpenControl:
        """The way of one relay to the coordinator."""

        @asynccontextmanager
        async def open_control() -> AsyncIterator[ControlSocket]:
            await self._lines.cross(region, _CENTRE, _CONNECT_PATIENCE_S)
            wire = Wire(self._lines, region, self._decoder)
            if not self._desk.accept(relay_id, wire):
                raise UnreachableError("connection refused")
            self._standing[wire] = (relay_id, region)
            try:
                yield wire
            finally:
                await wire.close()
                del self._standing[wire]

        return open_control

    def break_off(self, relay_id: str) -> None:
        """The relay's machine is gone: the coordinator hears nothing more, and gives up by itself."""
        for wire in [wire for wire, (whose, _) in self._standing.items() if whose == relay_id]:
            wire.break_off()
            asyncio.get_running_loop().call_later(self._desk_gives_up_s, wire.at_desk.break_off)

    def _handle_line(self, region: str) -> None:
        loop = asyncio.get_running_loop()
        for wire in [wire for wire, (_, where) in self._standing.items() if where == region]:
            if self._lines.reaches(region, _CENTRE):
                wire.mended()
            else:
                for give_up, after_s in (
                    (wire.break_off, RELAY_GIVES_UP_S),
                    (wire.at_desk.break_off, self._desk_gives_up_s),
                ):
                    loop.call_later(after_s, self._give_up, region, give_up)

    def _give_up(self, region: str, give_up: Callable[[], None]) -> None:
        # A line that came back and went again within the time is given up a little early: nobody measures that.
        if not self._lines.reaches(region, _CENTRE):
            give_up()
