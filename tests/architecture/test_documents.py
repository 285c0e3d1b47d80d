"""README and docs/ tell the truth about the command line, the metrics and the examples."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from conference.cli.main import app
from monitoring.metrics import (
    CoordinatorMetrics,
    Families,
    GatewayMetrics,
    HallMetrics,
    PublisherMetrics,
    Registry,
    RelayMetrics,
    VirtualMetrics,
)

FAMILIES: list[type[Families]] = [
    RelayMetrics,
    CoordinatorMetrics,
    GatewayMetrics,
    HallMetrics,
    PublisherMetrics,
    VirtualMetrics,
]
ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# A command stands in a block of code, after a prompt-like path, or alone between backquotes.
_SPAN = re.compile(r"`(diemcau [^`]+)`")
_LINE = re.compile(r"^(?:\S*/)?(diemcau .+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _spoken(page: Path) -> list[str]:
    """Every command line of ours that a page shows, without comments and `…`."""
    text = page.read_text(encoding="utf-8")
    found = [line for block in _BLOCK.findall(text) for line in _LINE.findall(block)]
    found += _SPAN.findall(_BLOCK.sub("", text))
    return [line for line in found if "…" not in line]


COMMANDS = sorted({(page.name, line) for page in PAGES for line in _spoken(page)})


def test_pages_show_commands() -> None:
    """The search below finds what it is for."""
    assert len(COMMANDS) > 20


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=str)
def test_a_command_in_a_page_exists(page: str, line: str) -> None:
    """Each command that a page shows is known to the command line, with every option that it is shown with."""
    words = [word for word in shlex.split(line, comments=True)[1:] if word != "&"]
    command = get_command(app)
    while words and not words[0].startswith("-") and hasattr(command, "commands"):
        if words[0] not in command.commands and hasattr(command, "default_command"):
            words.insert(0, command.default_command)
        assert words[0] in command.commands, f"{page}: {line}"
        command = command.commands[words.pop(0)]
    known = {"--help"} | {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known, f"{page}: {line}"


@pytest.mark.parametrize("families", FAMILIES)
def test_operations_name_every_metric(families: type[Families]) -> None:
    """An operator finds each family in docs/operations.md under the name that Prometheus shows."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    registry = Registry("test")
    families(registry)
    names = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in registry.collectors.collect()
        if family.name.startswith(f"diemcau_{families.program}_")
    }
    assert len(names) >= 5
    assert [name for name in sorted(names) if not re.search(rf"`{name}[`{{]", text)] == []


def test_operations_name_no_metric_that_is_gone() -> None:
    """Each family that docs/operations.md names is defined."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    registry = Registry("test")
    for families in FAMILIES:
        families(registry)
    defined = {family.name + ("_total" if family.type == "counter" else "") for family in registry.collectors.collect()}
    named = set(re.findall(r"`(diemcau_(?:relay|coordinator|gateway|hall|publisher|virtual)_[a-z_]+)", text))
    assert named - defined == set()
