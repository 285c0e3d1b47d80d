"""How a fuzz target runs: as a program, on instrumented code; or over its corpus among other tests, as it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any


def instrumented(module_name: str, *packages: str) -> AbstractContextManager[Any]:
    """Within it a program imports these packages with counters in them; other tests should not be slowed down."""
    if module_name != "__main__":
        return nullcontext()
    import atheris  # noqa: PLC0415 (the corpus runs without it)

    within: AbstractContextManager[Any] = atheris.instrument_imports(include=list(packages))
    return within


def fuzz(fuzz_one: Callable[[bytes], None]) -> None:
    """Feed a target with inputs, as the command line says."""
    import atheris  # noqa: PLC0415 (the same)

    atheris.Setup(sys.argv, fuzz_one)
    atheris.Fuzz()
