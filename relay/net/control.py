"""The control connection of a relay: one WebSocket to the coordinator, opened again whenever it is lost.

Media never waits for it: while it is away the relay serves on with the keys and parents that it knows, and presence
waits in the outbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import aiohttp
import msgspec
import structlog

from relay.core.presence_outbox import PresenceOutbox
from relay.messages import (
    MAX_MESSAGE_BYTES,
    CoordinatorMessage,
    Goodbye,
    Heartbeat,
    PresenceAck,
    Refused,
    Register,
    Registered,
    RelayMessage,
)

CONTROL_PATH = "/api/v1/relays/control"
FIRST_RETRY_S = 0.2
LAST_RETRY_S = 5.0
ANSWER_TIMEOUT_S = 10.0
LEAST_HEARTBEAT_S = 0.05  # whatever the coordinator asks for

log = structlog.get_logger(__name__)


class ControlError(Exception):
    """The coordinator refused this relay, or spoke another protocol."""


class Controlled(Protocol):
    """What the control connection speaks for."""

    def register_message(self) -> Register:
        """The first message of a connection."""
        ...

    def heartbeat_message(self) -> Heartbeat:
        """The state of now."""
        ...

    def handle_message(self, message: CoordinatorMessage) -> None:
        """Take a message of the coordinator other than an acknowledgement; must not wait."""
        ...


class ControlSocket(Protocol):
    """What a connection to the coordinator can do: the part of a client's WebSocket that is used here."""

    @property
    def closed(self) -> bool:
        """Whether this end has closed it."""
        ...

    @property
    def close_code(self) -> int | None:
        """With which it was closed (RFC 6455, 7.4.1)."""
        ...

    async def receive(self) -> aiohttp.WSMessage:
        """The next frame; one of the closing kinds where the connection ends."""
        ...

    async def send_bytes(self, data: bytes) -> None:
        """Write one message.

        Raises:
            OSError, aiohttp.ClientError: the connection is gone.
        """
        ...

    async def close(self) -> bool:
        """End the connection."""
        ...


OpenControl = Callable[[], AbstractAsyncContextManager[ControlSocket]]
"""Opens a connection; raises `OSError` or `aiohttp.ClientError` where the coordinator cannot be reached."""


def websocket_to(session: aiohttp.ClientSession, url: str, token: str) -> OpenControl:
    """The way to a coordinator by WebSocket.

    Args:
        session: HTTP client of the program.
        url: base URL of the coordinator, `http(s)://host:port`.
        token: bearer token of role `relay`.
    """
    path = url.rstrip("/") + CONTROL_PATH
    headers = {"Authorization": f"Bearer {token}"}

    @contextlib.asynccontextmanager
    async def open_control() -> AsyncIterator[ControlSocket]:
        async with session.ws_connect(path, headers=headers, max_msg_size=MAX_MESSAGE_BYTES, heartbeat=10) as socket:
            yield socket

    return open_control


class ControlLink:
    """Keeps one relay registered.

    Attributes:
        connected: true while registered over a live connection.
    """

    def __init__(
        self,
        open_control: OpenControl,
        controlled: Controlled,
        outbox: PresenceOutbox,
        *,
        rng: random.Random,
        on_malformed: Callable[[], None] = lambda: None,
    ) -> None:
        """Make a link that `run` keeps up.

        Args:
            open_control: the way to the coordinator.
            controlled: the relay.
            outbox: its presence deltas.
            rng: jitter of reconnections, so that a country's relays do not return in one instant.
            on_malformed: called for each message that does not parse.
        """
        self._open_control = open_control
        self._controlled = controlled
        self._outbox = outbox
        self._rng = rng
        self._on_malformed = on_malformed
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(CoordinatorMessage)
        self._socket: ControlSocket | None = None
        self._leaving = asyncio.Event()
        self.connected = False

    async def run(self) -> None:
        """Keep the connection until cancelled, or until goodbye was said."""
        retry_s = FIRST_RETRY_S
        while not self._leaving.is_set():
            try:
                await self._serve_once()
                retry_s = FIRST_RETRY_S
            except (aiohttp.ClientError, OSError, TimeoutError, ControlError) as error:
                if not self._leaving.is_set():
                    log.warning("control connection lost", reason=str(error) or type(error).__name__)
            except Exception:  # a bug of ours in one message must not cut the relay off from its coordinator for ever
                log.exception("control connection failed")
            finally:
                was_connected, self.connected = self.connected, False
                self._socket = None
            if self._leaving.is_set():
                return
            if was_connected:
                retry_s = FIRST_RETRY_S
            await asyncio.sleep(retry_s * self._rng.uniform(0.5, 1.5))
            retry_s = min(retry_s * 2, LAST_RETRY_S)

    async def say_goodbye(self, reason: str) -> None:
        """Tell the coordinator, if it can be told, that this relay shuts down in order; waits for nothing else."""
        self._leaving.set()
        if self._socket is None or self._socket.closed:
            return
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with asyncio.timeout(2):
                await self._send_presence(self._socket)
                await self._send(self._socket, Goodbye(reason=reason))
                await self._socket.close()

    async def _serve_once(self) -> None:
        async with self._open_control() as socket:
            await self._send(socket, self._controlled.register_message())
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = self._decode(await socket.receive())
            if isinstance(answer, Refused):
                raise ControlError(f"refused: {answer.code}: {answer.detail}")
            if not isinstance(answer, Registered):
                raise ControlError("the first answer was not `registered`")
            self._controlled.handle_message(answer)
            self._socket = socket
            self.connected = True
            log.info("registered", epoch=answer.epoch)
            for batch in self._outbox.unacknowledged():
                await self._send(socket, batch)
            beating = asyncio.create_task(self._beat(socket, answer.heartbeat_s))
            try:
                await self._listen(socket)
            finally:
                beating.cancel()
                with contextlib.suppress(asyncio.CancelledError, aiohttp.ClientError, OSError):
                    await beating

    async def _listen(self, socket: ControlSocket) -> None:
        while True:
            frame = await socket.receive()
            if frame.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED}:
                raise ControlError(f"closed by the coordinator ({socket.close_code})")
            message = self._decode(frame)
            if isinstance(message, PresenceAck):
                self._outbox.acknowledge(message.sequence)
            else:
                self._controlled.handle_message(message)

    async def _beat(self, socket: ControlSocket, every_s: float) -> None:
        while True:
            await self._send_presence(socket)
            await self._send(socket, self._controlled.heartbeat_message())
            await asyncio.sleep(max(every_s, LEAST_HEARTBEAT_S))

    async def _send_presence(self, socket: ControlSocket) -> None:
        while (batch := self._outbox.next_batch()) is not None:
            await self._send(socket, batch)

    async def _send(self, socket: ControlSocket, message: RelayMessage) -> None:
        await socket.send_bytes(self._encoder.encode(message))

    def _decode(self, frame: aiohttp.WSMessage) -> CoordinatorMessage:
        if frame.type not in {aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT}:
            raise ControlError(f"connection ended ({frame.type.name.lower()})")
        try:
            message: CoordinatorMessage = self._decoder.decode(frame.data)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:  # ValueError: text that is not UTF-8
            self._on_malformed()
            raise ControlError(f"malformed message: {error}") from error
        return message
