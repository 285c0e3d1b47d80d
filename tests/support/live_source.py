"""The test programme, published in this process for as long as a block lasts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from bridges.programme import Programme
from bridges.publish import publish


@contextlib.asynccontextmanager
async def live_source(whip_url: str, token: str, *, fps: int = 15) -> AsyncIterator[None]:
    """Publish so many pictures a second; the block begins once the relay takes them."""
    stop, live = asyncio.Event(), asyncio.Event()
    publishing = asyncio.create_task(
        publish(
            Programme(fps=fps),
            [whip_url],
            token,
            stop=stop,
            on_state=lambda state: live.set() if state == "live" else None,
        )
    )
    try:
        await asyncio.wait_for(live.wait(), 30)
        yield
    finally:
        stop.set()
        await publishing
