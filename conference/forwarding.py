"""The leader's side of gateways: one WebSocket each, speaking `conference.front.messages`.

A gateway has parsed, authenticated and limited what halls sent, and answers them itself. What is left here is to decide
a batch in one go and to say when it is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import assert_never

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from conference.access import ApiClaims
from conference.commands import Command, JoinHall, LeaveHall, ReportMove
from conference.coordinator import Coordinator
from conference.errors import JournalError, RejectedError
from conference.events import CONTROL, HallMoved
from conference.front.messages import (
    MAX_BATCH,
    MAX_MESSAGE_BYTES,
    SCHEMA,
    Batch,
    BatchAnswer,
    BatchFailed,
    Forwarded,
    ForwardedJoin,
    ForwardedLeave,
    ForwardedMove,
    GatewayMessage,
    Hello,
    LeaderMessage,
    Refusal,
    Welcome,
)
from monitoring.log_config import get_logger

HELLO_TIMEOUT_S = 10.0
# A gateway whose machine is gone is noticed after so long; it costs nothing but its socket.
PING_S = 10.0


class ForwardingDoor:
    """All gateways' connections.

    Args:
        coordinator: leads; where commands go.
        avoid: relays that no hall is newly sent to.
        observe_command: called with the kind of each command and its result.
        observe_move: called with what a hall that moved told of its interruption, in milliseconds.
        count_malformed: called for each message that does not parse or has no business here.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        avoid: Callable[[], frozenset[str]],
        *,
        observe_command: Callable[[str, str], None] = lambda _command, _result: None,
        observe_move: Callable[[float], None] = lambda _interruption_ms: None,
        count_malformed: Callable[[], None] = lambda: None,
    ) -> None:
        self._coordinator = coordinator
        self._avoid = avoid
        self._observe_command = observe_command
        self._observe_move = observe_move
        self._count_malformed = count_malformed
        self._log = get_logger("conference.forwarding")
        self._decoder: msgspec.json.Decoder[GatewayMessage] = msgspec.json.Decoder(GatewayMessage)
        self._sockets: set[web.WebSocketResponse] = set()
        self._gateways: dict[web.WebSocketResponse, Hello] = {}

    @property
    def gateways(self) -> list[Hello]:
        """How the gateways presented themselves that are connected."""
        return sorted(self._gateways.values(), key=lambda hello: hello.gateway_id)

    async def stop(self) -> None:
        """Send all gateways away; they look for our successor."""
        await asyncio.gather(*(_send_away(socket) for socket in list(self._sockets)))

    async def serve(self, request: web.Request, claims: ApiClaims) -> web.WebSocketResponse:
        """Serve one gateway's connection until it ends; `claims` are verified and have the role `gateway`.

        Raises:
            JournalError: this coordinator does not lead, or cannot read its journal.
        """
        if not self._coordinator.is_ready:
            raise JournalError("this coordinator does not lead now")
        socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE_BYTES, heartbeat=PING_S, compress=False)
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            hello = await self._receive_hello(socket, claims)
            if hello is not None:
                self._gateways[socket] = hello
                self._log.info("gateway connected", gateway_id=claims.sub)
                await _send(socket, Welcome(epoch=self._coordinator.epoch))
                await self._read(socket)
                self._log.info("gateway disconnected", gateway_id=claims.sub, close_code=socket.close_code)
        except ConnectionError:
            self._log.info("gateway lost", gateway_id=claims.sub)
        finally:
            self._sockets.discard(socket)
            self._gateways.pop(socket, None)
            if not socket.closed:
                await socket.close()
        return socket

    async def _receive_hello(self, socket: web.WebSocketResponse, claims: ApiClaims) -> Hello | None:
        try:
            frame = await asyncio.wait_for(socket.receive(), HELLO_TIMEOUT_S)
        except TimeoutError:
            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"no hello")
            return None
        message = await self._parse(socket, frame.type, frame.data)
        if message is None:
            return None
        if not isinstance(message, Hello) or message.schema != SCHEMA or message.gateway_id != claims.sub:
            await self._violate(socket, f"the first message is hello of the token's gateway, schema {SCHEMA}")
            return None
        return message

    async def _read(self, socket: web.WebSocketResponse) -> None:
        async for frame in socket:
            message = await self._parse(socket, frame.type, frame.data)
            if message is None:
                return
            if not isinstance(message, Batch) or len(message.requests) > MAX_BATCH:
                await self._violate(socket, f"a batch of at most {MAX_BATCH} is expected")
                return
            await _send(socket, await self._decide(message))

    async def _decide(self, batch: Batch) -> LeaderMessage:
        """Decide a batch in one go, and answer once it is durable."""
        avoid = self._avoid()
        commands = [_command_of(request, avoid) for request in batch.requests]
        refusals: dict[int, Refusal] = {}
        moves_ms: list[float] = []
        try:
            for place, (request, command) in enumerate(zip(batch.requests, commands, strict=True)):
                try:
                    events = self._coordinator.submit(command, request.actor)
                except RejectedError as error:
                    refusals[place] = Refusal(
                        code=error.code, detail=error.detail, status=error.status, retry_after_s=error.retry_after_s
                    )
                else:
                    moves_ms += [event.interruption_ms for event in events if isinstance(event, HallMoved)]
            position = self._coordinator.positions.get(CONTROL, 0)
            await self._coordinator.settled()
        except JournalError as error:
            for command in commands:
                self._observe_command(type(command).__name__, error.code)
            return BatchFailed(number=batch.number, code=error.code, detail=str(error))
        for place, command in enumerate(commands):
            self._observe_command(type(command).__name__, refusals[place].code if place in refusals else "ok")
        for interruption_ms in moves_ms:
            self._observe_move(interruption_ms)
        return BatchAnswer(number=batch.number, position=position, refusals=refusals)

    async def _parse(self, socket: web.WebSocketResponse, kind: WSMsgType, data: object) -> GatewayMessage | None:
        """One message, or None after the socket was closed for it."""
        if kind not in {WSMsgType.TEXT, WSMsgType.BINARY} or not isinstance(data, str | bytes):
            return None  # the socket is closing
        try:
            return self._decoder.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self._log.warning("malformed message of a gateway", error=str(error)[:200])
            await self._violate(socket, "malformed")
            return None

    async def _violate(self, socket: web.WebSocketResponse, reason: str) -> None:
        self._count_malformed()
        await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=reason.encode()[:120])


def _command_of(request: Forwarded, avoid: frozenset[str]) -> Command:
    match request:
        case ForwardedJoin():
            return JoinHall(
                conference_id=request.conference_id,
                hall_id=request.hall_id,
                virtual=request.virtual,
                avoid=avoid | frozenset(request.avoid),
            )
        case ForwardedMove():
            return ReportMove(
                conference_id=request.conference_id, hall_id=request.hall_id, report=request.report, avoid=avoid
            )
        case ForwardedLeave():
            return LeaveHall(conference_id=request.conference_id, hall_id=request.hall_id)
        case _:
            assert_never(request)


async def _send(socket: web.WebSocketResponse, message: LeaderMessage) -> None:
    await socket.send_bytes(msgspec.json.encode(message))


async def _send_away(socket: web.WebSocketResponse) -> None:
    """Close a socket because we stop; a gateway that does not answer is not waited for."""
    with contextlib.suppress(ConnectionError, TimeoutError):
        await asyncio.wait_for(socket.close(code=WSCloseCode.GOING_AWAY, message=b"coordinator stops"), 1.0)
