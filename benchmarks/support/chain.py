"""A chain of relay processes, the first an origin, each other one below the one before; with who seats them there."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
from aiohttp import web

from benchmarks.support.processes import CONFERENCE, FEED, RelayUnderTest, Signer, relay_under_test
from relay.messages import (
    CoordinatorMessage,
    Parent,
    PresenceAck,
    PresenceBatch,
    Pull,
    Register,
    Registered,
    RelayMessage,
    Topology,
)

LEASE_S, HEARTBEAT_S = 30.0, 1.0


class _Seats:
    """Speaks the coordinator's side of the control protocol: one parent for every relay.

    Attributes:
        parents: by the child's relay id.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._decoder = msgspec.json.Decoder(RelayMessage)
        self.parents: dict[str, Parent] = {}

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one relay until it goes."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for frame in socket:
            for answer in self._answers(self._decoder.decode(frame.data)):
                await socket.send_bytes(msgspec.json.encode(answer))
        return socket

    def _answers(self, message: RelayMessage) -> list[CoordinatorMessage]:
        if isinstance(message, PresenceBatch):
            return [PresenceAck(sequence=message.sequence)]
        if not isinstance(message, Register):
            return []
        pull = Pull(conference=CONFERENCE, feed=FEED, token=self._signer.token("play", is_link=True))
        return [
            Registered(epoch=1, lease_s=LEASE_S, heartbeat_s=HEARTBEAT_S, public_keys=[self._signer.public_key]),
            Topology(parents=[self.parents[message.relay_id]], pulls=[pull]),
        ]


@contextlib.asynccontextmanager
async def relay_chain(directory: Path, depth: int) -> AsyncIterator[list[RelayUnderTest]]:
    """Start so many relays, the origin first, each the parent of the next."""
    signer = Signer()
    seats = _Seats(signer)
    app = web.Application()
    app.router.add_get("/api/v1/relays/control", seats.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        relays = [await stack.enter_async_context(relay_under_test(directory, signer=signer))]
        for level in range(2, depth + 1):
            relay_id = f"level-{level}"
            seats.parents[relay_id] = Parent(relay_id=f"level-{level - 1}", base_url=relays[-1].base_url)
            below = relay_under_test(directory, signer=signer, relay_id=relay_id, coordinator_url=url)
            relays.append(await stack.enter_async_context(below))
        yield relays
