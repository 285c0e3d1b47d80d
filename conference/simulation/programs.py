"""A program within the simulation: tasks that die together, as those of a process do.

Whatever a program's task starts belongs to the program too. A kill ends all of them at once; nobody outside is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

T = TypeVar("T")

_PROGRAM: ContextVar[Program | None] = ContextVar("program", default=None)


class Program:
    """The tasks of one modelled process.

    Attributes:
        is_alive: until it was killed.
    """

    def __init__(self) -> None:
        self.is_alive = True
        self._tasks: dict[asyncio.Task[Any], None] = {}  # in the order of their start, so that a kill is repeatable

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine as this program's, with all tasks that it starts itself."""
        context = copy_context()
        context.run(_PROGRAM.set, self)
        return asyncio.get_running_loop().create_task(work, context=context)

    def kill(self) -> None:
        """End all tasks, as kill -9 ends a process."""
        self.is_alive = False
        for task in list(self._tasks):
            task.cancel()

    def _enrol(self, task: asyncio.Task[Any]) -> None:
        self._tasks[task] = None
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not self.is_alive and not task.cancelled():
            task.exception()  # it died with its program; nobody needs to hear of what


def make_task(
    loop: asyncio.AbstractEventLoop, work: Any, *, context: Context | None = None, **keywords: Any
) -> asyncio.Task[Any]:
    """Make a task as asyncio does, and enrol it in the program that starts it."""
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context, **keywords)
    program = _PROGRAM.get() if context is None else context.get(_PROGRAM)
    if program is not None:
        program._enrol(task)  # noqa: SLF001 - the two are one idea
    return task
