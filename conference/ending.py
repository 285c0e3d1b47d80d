"""Ending tasks for certain."""

from __future__ import annotations

import asyncio

# A task that took a cancellation for something else is told again after so long.
AGAIN_S = 0.5


async def end(*tasks: asyncio.Task[None] | None) -> None:
    """Cancel tasks and return once all have ended, with whatever they ended.

    Before Python 3.12 `asyncio.wait_for` drops a cancellation that comes at the moment when what it waits for is done,
    and a task that serves for ever would then be waited for, for ever.
    """
    running = {task for task in tasks if task is not None}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=AGAIN_S)
    await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)
