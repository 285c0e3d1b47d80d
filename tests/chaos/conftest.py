"""Long random trials: `make chaos ROUNDS=20`. They are no part of the suite, which has a short set of each."""

from __future__ import annotations

import pytest
from support.chaos_rounds import ROUNDS, SEED

collect_ignore_glob = [] if ROUNDS else ["test_*.py"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One round for each seed; CHAOS_SEED is the first, so that a round that failed can be repeated alone."""
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(SEED, SEED + ROUNDS))
