"""Which module may know which."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("bridges", "conference", "configs", "monitoring", "relay")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# What lets a clock, a socket, a log or a metric into a decision.
IMPURE = {"aiohttp", "asyncio", "logging", "prometheus_client", "socket", "structlog", "threading", "time"}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _says_pure(path: Path) -> bool:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return "Pure." in docstring or "Pure:" in docstring or path.parent in {ROOT / "relay/wire", ROOT / "relay/core"}


PURE = [path for path in MODULES if _says_pure(path)]


def test_the_layers_hold() -> None:
    """Conference → (bridges | relay) → monitoring, as pyproject.toml says."""
    linter = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run([linter, "--no-logo"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_there_is_a_pure_core() -> None:
    """The next test is about something."""
    assert len(PURE) > 10


@pytest.mark.parametrize("path", PURE, ids=_name)
def test_what_says_that_it_is_pure_is(path: Path) -> None:
    """A module that calls itself pure imports no clock, socket, log, HTTP or metrics."""
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.partition(".")[0])
    assert not imported & IMPURE
