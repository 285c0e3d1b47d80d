from __future__ import annotations

import asyncio

from conference.ending import end


async def test_a_task_that_drops_a_cancellation_is_ended_all_the_same() -> None:
    """It is told until it has heard; one that has ended already, and none at all, are nothing to wait for."""
    dropped = 0

    async def deaf() -> None:
        nonlocal dropped
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                dropped += 1
                if dropped == 2:
                    raise

    async def failing() -> None:
        raise ValueError

    tasks = [asyncio.create_task(deaf()), asyncio.create_task(failing())]
    await asyncio.sleep(0)
    await asyncio.wait_for(end(*tasks, None), 10)
    assert dropped == 2
    assert all(task.done() for task in tasks)
