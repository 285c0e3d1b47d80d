from __future__ import annotations

import asyncio
from collections.abc import Sequence

from conference.api.turns import AT_ONCE, in_turns


async def test_work_on_many_gives_others_their_turn_and_keeps_the_order() -> None:
    """Results are in the order of the items, no step takes more than its share, and others run between the steps."""
    steps: list[int] = []
    turns: list[int] = []

    async def other() -> None:
        while True:
            turns.append(len(steps))
            await asyncio.sleep(0)

    def double(items: Sequence[int]) -> list[int]:
        steps.append(len(items))
        return [2 * item for item in items]

    waiting = asyncio.create_task(other())
    count = 3 * AT_ONCE + 1
    assert await in_turns(range(count), double) == [2 * item for item in range(count)]
    waiting.cancel()
    assert steps == [AT_ONCE] * 3 + [1]
    assert set(turns) >= {1, 2, 3}


async def test_nothing_needs_no_turn() -> None:
    """No items, no work."""
    assert await in_turns([], list) == []
