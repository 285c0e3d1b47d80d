"""A line for TCP in this process: it goes to whoever is chosen, and what one end sends reaches the other later."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

PIECE_BYTES = 65_536
Address = tuple[str, int]


@contextlib.asynccontextmanager
async def tcp_line(port: int, choose: Callable[[], Awaitable[Address]], *, delay_s: float = 0.0) -> AsyncIterator[None]:
    """Pass connections to a port of 127.0.0.1 on.

    Args:
        port: where to listen.
        choose: whereto a new connection goes; an `OSError` or a `TimeoutError` closes it.
        delay_s: how much later each piece arrives, in each direction.
    """
    ends: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.add(writer)
        with contextlib.suppress(TimeoutError, OSError, asyncio.CancelledError):  # cancelled: the test is over
            onward_reader, onward = await asyncio.open_connection(*await choose())
            ends.add(onward)
            await asyncio.gather(_pass_on(reader, onward, delay_s), _pass_on(onward_reader, writer, delay_s))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for end in ends:
            end.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    """Until one end closes; then both do."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def write() -> None:
        piece = b"begun"
        with contextlib.suppress(OSError):
            while piece:
                due, piece = await pieces.get()
                await asyncio.sleep(due - loop.time())
                writer.write(piece)
                await writer.drain()
        writer.close()

    writing = asyncio.create_task(write())
    piece = b"begun"
    while piece and not writing.done():
        try:
            piece = await reader.read(PIECE_BYTES)
        except OSError:
            piece = b""
        pieces.put_nowait((loop.time() + delay_s, piece))
    await writing
