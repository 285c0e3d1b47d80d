"""An event loop whose clock stands still while anything is to be done and jumps to the next timer when nothing is.

An hour of a conference costs only what its events cost. Nothing from outside ever wakes this loop: no socket, no
thread, no signal. Work that a program hands to an executor is done at once, on the loop, so that a run is repeatable.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")


class StandstillError(RuntimeError):
    """Everybody waits for something, and no timer will ever bring it."""


class _NoSelector(selectors.SelectSelector):
    """Waits for nobody: where the loop would sleep, its clock goes on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StandstillError("every task waits, and no timer is set")
        if timeout > 0:
            self.now_s += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop under virtual time, which begins at 0."""

    def __init__(self) -> None:
        self._virtual = _NoSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual.now_s

    def run_in_executor(  # type: ignore[override] # typeshed has a generic signature; this takes the same arguments
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Do the work now, on the loop."""
        del executor
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is the caller's, as with a thread
            future.set_exception(error)
        return future


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end under virtual time; like `asyncio.run`, what is left over is cancelled.

    Raises:
        StandstillError: it waits for something that cannot come.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
