"""`diemcau plan`: the same input gives the same plan, and each kind of input is taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bridges.halls import Hall
from bridges.importing import serialize_halls_csv
from conference.cli.main import app

CONFIGS = Path(__file__).parents[3] / "configs"
DEAR_REGION = """
program: plan
halls: {"01": 1}
placement: {regions: {"01": {hall_bits_per_s: 9000000, hall_packets_per_s: 1}}}
"""


def plan(*arguments: str | Path) -> dict[str, Any]:
    """Run it with `--json`."""
    result = CliRunner().invoke(app, ["plan", *(str(argument) for argument in arguments), "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_synthetic_country_is_planned_alike_each_time() -> None:
    """Equal seeds, equal hashes; other seeds, others. Every promise of the figures holds."""
    first, again = (plan("--halls", "900", "--relays", "40", "--seed", "1", "--replans", "5") for _ in range(2))
    assert first["plan_hash"] == again["plan_hash"]
    assert first["plan_hash"] != plan("--halls", "900", "--relays", "40", "--seed", "2", "--replans", "0")["plan_hash"]
    assert (first["halls_without_backup"], first["survives_any_single_loss"]) == (0, True)
    assert (first["replans"], first["halls_moved_beyond_lost"]) == (5, 0)


def test_the_example_is_planned() -> None:
    """configs/plan.yaml: pins held, everybody has a backup."""
    figures = plan("--file", CONFIGS / "plan.yaml")
    assert (figures["halls"], figures["relays"], figures["halls_broken_pins"]) == (306, 6, 0)
    assert figures["survives_any_single_loss"]
    assert not figures["synthetic"]


def test_a_csv_of_halls_is_planned(tmp_path: Path) -> None:
    """As `halls export` writes it, with as many relays as are needed; also named by a YAML file beside it."""
    halls = [Hall(hall_id=f"h{n}", name=f"Hội trường {n}", unit="04", level="base", seats=80) for n in range(30)]
    (tmp_path / "halls.csv").write_bytes(serialize_halls_csv(halls))
    (tmp_path / "plan.yaml").write_text("program: plan\nhalls_csv: halls.csv\nmerge_parents: true\n")
    for name in ("halls.csv", "plan.yaml"):
        figures = plan("--file", tmp_path / name)
        assert (figures["halls"], figures["relays"], figures["in_region_share"]) == (30, 5, 1.0)


def test_the_coordinators_limits_are_taken(tmp_path: Path) -> None:
    """`--config` reads `placement` of the coordinator's file."""
    config = tmp_path / "coordinator.yaml"
    config.write_text("program: coordinator\nplacement: {hall_bits_per_s: 4400000, soft_limit: 0.5}\n")
    arguments = ("--halls", "2000", "--replans", "0")
    assert plan(*arguments, "--config", config)["relays"] > plan(*arguments)["relays"]


def test_people_get_sentences_tables_and_files(tmp_path: Path) -> None:
    """Without --json; the picture and the whole plan are written beside."""
    svg, out = tmp_path / "tree.svg", tmp_path / "plan.json"
    arguments = ["plan", "--halls", "200", "--replans", "2", "--svg", str(svg), "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "every hall has a backup" in result.stdout
    assert "worst single losses" in result.stdout
    assert svg.read_text(encoding="utf-8").startswith("<svg")
    assert len(json.loads(out.read_bytes())["halls"]) == 200


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("program: plan\n", "halls"),
        ("program: plan\nhalls: {'01': 1}\nhalls_csv: x.csv\n", "either"),
        ("program: plan\nhalls: {'01': -1}\n", "halls.01"),
        ("program: plan\nhalls: {'01': 1}\nrelays: [{relay_id: a}, {relay_id: a}]\n", "twice"),
        ("program: relay\n", "must be 'plan'"),
        (DEAR_REGION, "must not cost more"),
    ],
    ids=["no halls", "halls twice", "negative", "relay twice", "other program", "dear region"],
)
def test_files_that_are_refused(tmp_path: Path, text: str, word: str) -> None:
    """Exit code 1 and the mistake, no traceback."""
    file = tmp_path / "plan.yaml"
    file.write_text(text)
    result = CliRunner().invoke(app, ["plan", "--file", str(file)])
    assert result.exit_code == 1
    assert word in result.stderr


def test_a_csv_with_a_mistake_is_refused(tmp_path: Path) -> None:
    """The first bad row is named."""
    file = tmp_path / "halls.csv"
    hall = Hall(hall_id="h", name="Hội trường", unit="nowhere", level="base", seats=80)
    file.write_bytes(serialize_halls_csv([hall]))
    result = CliRunner().invoke(app, ["plan", "--file", str(file)])
    assert result.exit_code == 1
    assert "no such unit" in result.stderr


@pytest.mark.parametrize(
    "arguments", [["--halls", "0"], ["--relays", "-1"], ["--file", "a.yaml", "--registered"]], ids=" ".join
)
def test_wrong_usage(arguments: list[str]) -> None:
    """Exit code 2."""
    assert CliRunner().invoke(app, ["plan", *arguments]).exit_code == 2


def test_relays_that_carry_nobody_are_refused() -> None:
    """One sentence."""
    result = CliRunner().invoke(app, ["plan", "--relay-gbits", "0.001"])
    assert result.exit_code == 1
    assert "carries no hall" in result.stderr
