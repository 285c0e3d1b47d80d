"""Appends that wait for a Redis journal, and the one task that writes them.

While one group is on its way to the disk the next fills up (group commit): the round trip and the sync are shared by
all who wait. A group is one script and is written wholly or not at all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from conference.errors import JournalError
from conference.journal.redis.scripts import Argument

# Each record is four fields. One script keeps the server from everybody else for some ten milliseconds at this size; a
# larger append goes alone.
GROUP_FIELDS = 4 * 2_000

Write = Callable[[int, list[Argument]], Awaitable[None]]


class _Append:
    """An append that waits."""

    __slots__ = ("done", "epoch", "fields")

    def __init__(self, epoch: int, fields: list[Argument]) -> None:
        self.epoch = epoch
        self.fields = fields
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def resolve(self, error: BaseException | None) -> None:
        """Answer, unless the caller has gone."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class AppendQueue:
    """Appends in their order.

    Args:
        write: writes the fields of a group with its epoch, and returns once they are durable.
    """

    def __init__(self, write: Write) -> None:
        self._write = write
        self._waiting: deque[_Append] = deque()
        self._task: asyncio.Task[None] | None = None

    async def append(self, epoch: int, fields: list[Argument]) -> None:
        """Return once durable; a caller that is cancelled takes nothing back.

        Raises:
            JournalError: as `write` raises.
        """
        job = _Append(epoch, fields)
        self._waiting.append(job)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_all(), name="journal-writer")
        await job.done

    async def drained(self) -> None:
        """Return once nothing waits."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _write_all(self) -> None:
        while self._waiting:
            group = self._next_group()
            error: BaseException | None = None
            try:
                await self._write(group[0].epoch, [field for job in group for field in job.fields])
            except JournalError as failure:
                error = failure
            except BaseException as failure:
                error = JournalError(f"the journal failed: {failure}")
                raise
            finally:
                for job in group:
                    job.resolve(error)

    def _next_group(self) -> list[_Append]:
        """The first that waits, and those of the same epoch behind it that fit."""
        group = [self._waiting.popleft()]
        size = len(group[0].fields)
        while self._waiting and self._waiting[0].epoch == group[0].epoch:
            size += len(self._waiting[0].fields)
            if size > GROUP_FIELDS:
                break
            group.append(self._waiting.popleft())
        return group
