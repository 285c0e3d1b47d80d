"""What holds for all tests: who may run side by side (`pytest -n 3`), and what the machine must have.

A test marked `alone` measures time, or wants the machine's whole strength: while it runs, no other worker runs a test.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
from support.namespaces import require_namespaces

# Those that take long begin first, so that all workers end together. Within a kind the order stays random.
LONG = ("alone", "browser", "integration")

# What is true is tested here and how long it takes is not: another worker's browser may hold up any example.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put long tests first where several workers share the run."""
    if _is_worker(config):
        items.sort(key=_length)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Wait for this test's turn; outside of its time-out."""
    if not _is_worker(item.config):
        return (yield)
    with _turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Network namespaces can be made; see `support.namespaces.needs_namespaces`."""
    require_namespaces()


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _length(item: pytest.Item) -> int:
    return next((place for place, mark in enumerate(LONG) if item.get_closest_marker(mark)), len(LONG))


@contextlib.contextmanager
def _turn(*, alone: bool) -> Iterator[None]:
    """Hold the machine with other tests, or alone. A worker that dies lets go."""
    here = Path(__file__)
    with contextlib.ExitStack() as held:
        # Whoever waits for the machine keeps those behind it at the door, so that its turn comes.
        with _locked(here.parent, fcntl.LOCK_EX):
            held.enter_context(_locked(here, fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
        yield


@contextlib.contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)
