"""One relay's control connection as the gateway holds it: what waits to be sent, and what waits to be written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from aiohttp import WSCloseCode, web

from conference.topology import Place
from relay.messages import CoordinatorMessage, Heartbeat, PresenceDelta

# Messages to a relay are few (topologies, notifications, acknowledgements); one that is so far behind is not reading.
MAX_WAITING_MESSAGES = 1_024
# A relay sends one batch a second: a quarter of an hour of a journal that is away.
MAX_WAITING_BATCHES = 1_024


class ControlConnection:
    """A registered relay's socket.

    Attributes:
        relay_id: the relay.
        epoch: of its registration; a later one replaces this connection.
        socket: the WebSocket.
        heartbeat: the latest one.
        presence: batches that wait to be durable: the sequence to acknowledge and the deltas.
        place: the topology that was sent last, without its tokens.
        topology_sent_ms: when, milliseconds since the epoch.
        said_goodbye: it shuts down in order.
    """

    def __init__(self, *, relay_id: str, epoch: int, socket: web.WebSocketResponse) -> None:
        self.relay_id = relay_id
        self.epoch = epoch
        self.socket = socket
        self.heartbeat: Heartbeat | None = None
        self.presence: asyncio.Queue[tuple[int, Sequence[PresenceDelta]]] = asyncio.Queue(MAX_WAITING_BATCHES)
        self.place: Place | None = None
        self.topology_sent_ms = 0
        self.said_goodbye = False
        self._outbox: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING_MESSAGES)
        self._closing: asyncio.Task[bool] | None = None

    def send(self, message: CoordinatorMessage) -> None:
        """Queue a message; a relay that does not read is disconnected and learns all when it registers again."""
        try:
            self._outbox.put_nowait(msgspec.json.encode(message).decode("utf-8"))
        except asyncio.QueueFull:
            self.close_soon(WSCloseCode.TRY_AGAIN_LATER, "not reading")

    async def send_forever(self) -> None:
        """Write what is queued, until cancelled or the socket is gone."""
        while not self.socket.closed:
            text = await self._outbox.get()
            try:
                await self.socket.send_str(text)
            except ConnectionError:
                return

    def close_soon(self, code: int, reason: str) -> None:
        """Close the socket without waiting for the other end; the reader then ends by itself."""
        if self._closing is None:
            self._closing = asyncio.create_task(self.socket.close(code=code, message=reason.encode("utf-8")[:120]))
