"""The examples in configs/ are complete and right."""

from pathlib import Path

import pytest
import yaml

from conference.program_files import load_any

CONFIGS = Path(__file__).parents[2] / "configs"
EXAMPLES = sorted(CONFIGS.rglob("*.yaml"))


def _is_ours(path: Path) -> bool:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return isinstance(document, dict) and "program" in document


OURS = [path for path in EXAMPLES if _is_ours(path)]


def test_there_are_examples() -> None:
    """A coordinator and relays can be started from them."""
    assert {path.stem for path in OURS} >= {"coordinator", "relay-origin", "relay-edge"}


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_an_example_loads(path: Path) -> None:
    """Each file of a program loads with that program's model."""
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["program"] == load_any(path).model_dump()["program"]
