"""Work on a whole country without holding up the halls that join meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
ResultT = TypeVar("ResultT")

# A few milliseconds of what is done here to one hall.
AT_ONCE = 500


async def turns(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """So many items at a time, with a turn for everybody else after each."""
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]
        await asyncio.sleep(0)


async def in_turns(items: Sequence[T], work: Callable[[Sequence[T]], list[ResultT]]) -> list[ResultT]:
    """Do `work` on so many items at a time, with a turn for everybody else between; the results in order.

    What `work` reads may change between its calls: each result is of the moment at which it was made.
    """
    found: list[ResultT] = []
    async for some in turns(items):
        found += work(some)
    return found
