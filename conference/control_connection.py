"""One relay's control connection as the desk holds it: what waits to be sent, and what waits to be written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from conference.topology import Place
from relay.messages import CoordinatorMessage, Heartbeat, PresenceDelta, RelayMessage

# Messages to a relay are few (topologies, notifications, acknowledgements); one that is so far behind is not reading.
MAX_WAITING_MESSAGES = 1_024
# A relay sends one batch a second: a quarter of an hour of a journal that is away.
MAX_WAITING_BATCHES = 1_024

# Why a channel is closed, in the codes of a WebSocket (RFC 6455, 7.4.1).
POLICY_VIOLATION = 1008
TRY_AGAIN_LATER = 1013


class RelayChannel(Protocol):
    """What carries the messages of one relay: a WebSocket, or a queue within one process."""

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        ...

    @property
    def close_code(self) -> int | None:
        """With which it was closed; None while it stands, and as long as that is not known."""
        ...

    async def receive(self) -> RelayMessage | None:
        """The next message; None once the channel is closed, from whichever end."""
        ...

    async def send(self, message: CoordinatorMessage) -> None:
        """Give a message to the relay.

        Raises:
            ConnectionError: the channel is gone.
        """
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close the channel, with a code of RFC 6455; `receive` then returns None."""
        ...


class ControlConnection:
    """A registered relay's channel.

    Attributes:
        relay_id: the relay.
        epoch: of its registration; a later one replaces this connection.
        channel: what carries its messages.
        heartbeat: the latest one.
        presence: batches that wait to be durable: the sequence to acknowledge and the deltas.
        place: the topology that was sent last, without its tokens.
        topology_sent_ms: when, milliseconds since the epoch.
        said_goodbye: it shuts down in order.
    """

    def __init__(self, *, relay_id: str, epoch: int, channel: RelayChannel) -> None:
        self.relay_id = relay_id
        self.epoch = epoch
        self.channel = channel
        self.heartbeat: Heartbeat | None = None
        self.presence: asyncio.Queue[tuple[int, Sequence[PresenceDelta]]] = asyncio.Queue(MAX_WAITING_BATCHES)
        self.place: Place | None = None
        self.topology_sent_ms = 0
        self.said_goodbye = False
        self._outbox: asyncio.Queue[CoordinatorMessage] = asyncio.Queue(MAX_WAITING_MESSAGES)
        self._closing: asyncio.Task[None] | None = None

    def send(self, message: CoordinatorMessage) -> None:
        """Queue a message; a relay that does not read is disconnected and learns all when it registers again."""
        try:
            self._outbox.put_nowait(message)
        except asyncio.QueueFull:
            self.close_soon(TRY_AGAIN_LATER, "not reading")

    async def send_forever(self) -> None:
        """Write what is queued, until cancelled or the channel is gone."""
        while not self.channel.closed:
            message = await self._outbox.get()
            try:
                await self.channel.send(message)
            except ConnectionError:
                return

    def close_soon(self, code: int, reason: str) -> None:
        """Close the channel without waiting for the other end; the reader then ends by itself."""
        if self._closing is None:
            self._closing = asyncio.create_task(self.channel.close(code, reason))
