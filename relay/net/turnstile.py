"""Lets requests through a few at a time, so that a storm of them never holds up the media. Shell.

A request costs a relay about a millisecond, and the event loop serves all that have arrived before it looks at the
media's socket again: five hundred at once would be half a second of silence for everybody who is there already, and a
hall leaves its relay after 300 ms of it.
"""

from __future__ import annotations

import asyncio
from collections import deque

PER_TURN = 2  # about as long as the handshakes of one turn, see relay.net.sessions


class Turnstile:
    """First come, first served; after every `PER_TURN` the event loop turns, and reads its sockets."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_turning = False

    async def take(self) -> None:
        """Wait for one's turn. What the caller does up to its next suspension belongs to that turn of the loop."""
        loop = asyncio.get_running_loop()
        mine = loop.create_future()
        self._waiting.append(mine)
        if not self._is_turning:
            self._is_turning = True
            loop.call_soon(self._turn, loop)
        await mine

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        let_through = 0
        while self._waiting and let_through < PER_TURN:
            mine = self._waiting.popleft()
            if not mine.done():  # a client that went away has no turn
                mine.set_result(None)
                let_through += 1
        self._is_turning = bool(self._waiting)
        if self._waiting:
            loop.call_soon(self._turn, loop)
