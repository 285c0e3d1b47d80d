"""What stands before several coordinators, as a proxy of an operator does: each connection goes to whoever leads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from support.coordinator_fleet import Fleet

NO_LEADER_S = 1.0
PIECE_BYTES = 65_536


@contextlib.asynccontextmanager
async def leader_front(port: int, coordinators: Fleet) -> AsyncIterator[None]:
    """Pass connections to a port of 127.0.0.1 on to the leader; close those that come while nobody leads."""
    ends: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.add(writer)
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(NO_LEADER_S):
                leader = await coordinators.leader()
            address = urlsplit(leader.api.url)
            try:
                onward = await asyncio.open_connection(address.hostname, address.port)
            except OSError:
                coordinators.doubt(leader)
                raise
            ends.add(onward[1])
            await asyncio.gather(_pass_on(reader, onward[1]), _pass_on(onward[0], writer))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for end in ends:
            end.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one end closes; then both do."""
    try:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE_BYTES):
                writer.write(piece)
                await writer.drain()
    finally:
        writer.close()
