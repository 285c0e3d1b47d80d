"""The WebSockets of relays: each becomes a channel of the `RelayDesk`, as long as it stands.

Owns the sockets and the frames on them (`relay.messages` as JSON). What the messages mean is `conference.relay_desk`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import msgspec
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from conference.access import ApiClaims
from conference.relay_desk import RelayDesk
from monitoring.log_config import get_logger
from relay.messages import MAX_MESSAGE_BYTES, CoordinatorMessage, RelayMessage

_CLOSE_TIMEOUT_S = 1.0


class WebSocketChannel:
    """One relay's socket as the desk sees it; implements `conference.control_connection.RelayChannel`.

    Args:
        socket: prepared.
        decoder: of relays' messages.
        count_malformed: called for a message that does not parse.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        decoder: msgspec.json.Decoder[RelayMessage],
        count_malformed: Callable[[], None],
    ) -> None:
        self._socket = socket
        self._decoder = decoder
        self._count_malformed = count_malformed
        self._log = get_logger("conference.gateway")

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._socket.closed

    @property
    def close_code(self) -> int | None:
        """With which the socket was closed (RFC 6455, 7.4.1)."""
        return self._socket.close_code

    async def receive(self) -> RelayMessage | None:
        """The next message; None once the socket is closed."""
        return await self.parse(await self._socket.receive())

    async def parse(self, frame: WSMessage) -> RelayMessage | None:
        """One message (JSON, as text or as bytes), or None after the socket was closed for it with 1007."""
        if frame.type not in {WSMsgType.TEXT, WSMsgType.BINARY} or not isinstance(frame.data, str | bytes):
            return None  # the socket is closing
        try:
            return self._decoder.decode(frame.data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self._count_malformed()
            self._log.warning("malformed message of a relay", error=str(error)[:200])
            await self.close(WSCloseCode.INVALID_TEXT, f"malformed: {error}")
            return None

    async def send(self, message: CoordinatorMessage) -> None:
        """Write a message.

        Raises:
            ConnectionError: the socket is gone.
        """
        await self._socket.send_str(msgspec.json.encode(message).decode("utf-8"))

    async def close(self, code: int, reason: str) -> None:
        """Close the socket; returns when the other end has, or after aiohttp's time-out."""
        await self._socket.close(code=code, message=_close_reason(reason))

    async def send_away(self) -> None:
        """Close the socket because we stop; a relay that does not answer is not waited for."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(self.close(WSCloseCode.GOING_AWAY, "coordinator stops"), _CLOSE_TIMEOUT_S)


class Gateway:
    """The sockets of all relays.

    Args:
        desk: what they are served by.
        ping_s: how often a socket is tried that says nothing.
        count_malformed: called for each message that does not parse.
    """

    def __init__(self, desk: RelayDesk, *, ping_s: float, count_malformed: Callable[[], None] = lambda: None) -> None:
        self._desk = desk
        self._ping_s = ping_s
        self._count_malformed = count_malformed
        self._decoder: msgspec.json.Decoder[RelayMessage] = msgspec.json.Decoder(RelayMessage)
        self._channels: set[WebSocketChannel] = set()

    async def stop(self) -> None:
        """Close all sockets; relays keep their halls and come back to our successor."""
        await asyncio.gather(*(channel.send_away() for channel in list(self._channels)))

    async def serve(self, request: web.Request, claims: ApiClaims) -> web.WebSocketResponse:
        """Serve one relay's socket until it ends; `claims` are verified and have the role `relay`."""
        socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE_BYTES, heartbeat=self._ping_s, compress=False)
        await socket.prepare(request)
        channel = WebSocketChannel(socket, self._decoder, self._count_malformed)
        self._channels.add(channel)
        try:
            await self._desk.serve(channel, claims)
        finally:
            self._channels.discard(channel)
            if not socket.closed:
                await socket.close()
        return socket


def _close_reason(text: str) -> bytes:
    """A close frame holds at most 123 bytes of reason (RFC 6455, 5.5)."""
    return text.encode("utf-8", "replace")[:120].decode("utf-8", "ignore").encode("utf-8")
