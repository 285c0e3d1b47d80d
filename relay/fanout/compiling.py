"""How the kernel's functions are compiled: by Numba, without the interpreter's lock, kept on disk where that can be."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile at the first call, without the interpreter's lock; kept on disk where some folder can be written."""
    try:
        made: Any = njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder for the cache: a few seconds at each start instead
        made = njit(nogil=True)(function)
    return cast("Function", made)  # it takes the same arguments


def entry_point(function: Function) -> Function:
    """The one compiled form of a function that was called before, without Numba's look at the type of each argument.

    That look costs more than everything else of a call. Whoever calls this answers for the types: those of that call.
    """
    dispatcher: Any = function
    (signature,) = dispatcher.signatures
    return cast("Function", dispatcher.get_overload(signature))


@contextlib.contextmanager
def compiling_alone() -> Iterator[None]:
    """Let one process at a time compile: relays that start together wait for the first and read what it kept."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a file system without locks: each compiles for itself
            source = stack.enter_context(Path(__file__).open("rb"))
            fcntl.flock(source, fcntl.LOCK_EX)  # let go when the file is closed, also by a crash
        yield
