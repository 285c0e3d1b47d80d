"""How the kernel's functions are compiled: by Numba, without the interpreter's lock, kept on disk where that can be."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile at the first call, without the interpreter's lock; kept on disk where some folder can be written."""
    keyed = _keyed(cast("types.FunctionType", function))
    try:
        made: Any = njit(nogil=True, cache=True)(keyed)
    except RuntimeError:  # no folder for the cache: a few seconds at each start instead
        made = njit(nogil=True)(keyed)
    return cast("Function", made)  # it takes the same arguments


def _keyed(function: types.FunctionType) -> types.FunctionType:
    """The same function as a closure over the sources' digest, which it does not use.

    Numba finds what it kept by the file of the function alone, and would not notice that a function or a constant of
    another module has changed. What a closure holds is a part of its key.
    """
    code = function.__code__.replace(co_freevars=("sources",))
    cell = types.CellType(_digest_of_sources())
    keyed = types.FunctionType(code, function.__globals__, function.__name__, function.__defaults__, (cell,))
    return cast("types.FunctionType", functools.update_wrapper(keyed, function))


@functools.cache
def _digest_of_sources() -> str:
    """Of all modules whose functions and constants the kernel is made of."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


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
