"""What of the compiled kernel is kept on disk is found again as long as its sources are the same."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from relay.fanout import compiling

SOURCE = """
from relay.fanout.compiling import compiled

@compiled
def doubled(number: int) -> int:
    '''Twice as much.'''
    return 2 * number
"""


def hits_and_misses(file: Path) -> tuple[int, int]:
    """Load a module as a new process would, call its function, and tell what its cache did."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.doubled(21) == 42
    return sum(module.doubled.stats.cache_hits.values()), sum(module.doubled.stats.cache_misses.values())


def test_what_was_kept_is_not_taken_when_another_module_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled once for these sources and read from then on; with other sources beside it compiled anew."""
    file = tmp_path / "doubling.py"
    file.write_text(SOURCE)
    assert [hits_and_misses(file) for _ in range(2)] == [(0, 1), (1, 0)]
    monkeypatch.setattr(compiling, "_digest_of_sources", lambda: "another")
    assert [hits_and_misses(file) for _ in range(2)] == [(0, 1), (1, 0)]
