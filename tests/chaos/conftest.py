"""Long random trials: `make chaos ROUNDS=20`. They are no part of the suite, which has a short set of each."""

from __future__ import annotations

import os

import pytest

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "0"))
collect_ignore_glob = [] if ROUNDS else ["test_*.py"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One round for each seed; CHAOS_SEED is the first, so that a round that failed can be repeated alone."""
    if "seed" in metafunc.fixturenames:
        first = int(os.environ.get("CHAOS_SEED", "1"))
        metafunc.parametrize("seed", range(first, first + ROUNDS))
