"""`diemcau simulate`: the same day makes the same report, and what must never happen ends with 1."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from typer.testing import CliRunner

from conference.cli.main import app

SMALL = """
program: simulate
title: "Một ngày <nhỏ>"
halls: 40
relays: {count: 6}
arrival_s: 5
duration_s: 40
happenings:
  - {at_s: 15, kind: relay_crash, count: 1, back_after_s: 10}
  - {at_s: 20, kind: coordinator_crash}
"""
PAPER = """
program: simulate
on_paper: true
halls: 500
"""
DARK = """
program: simulate
halls: 10
relays: {count: 3, origins: 1}
arrival_s: 2
duration_s: 20
happenings:
  - {at_s: 10, kind: relay_crash, role: origin}
"""


def simulate(path: Path, *arguments: str) -> dict[str, Any]:
    """Run it with `--json`."""
    result = CliRunner().invoke(app, ["simulate", str(path), *arguments, "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def written(folder: Path, text: str) -> Path:
    """A scenario's file."""
    path = folder / "day.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_report_does_not_depend_on_the_process(tmp_path: Path) -> None:
    """Byte for byte the same, whatever Python's hashes are seeded with."""
    path = written(tmp_path, SMALL)
    reports = []
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "conference.cli.main", "simulate", str(path), "--json"]
        done = subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True, timeout=60
        )
        reports.append(json.dumps(json.loads(done.stdout)["report"]))
    assert reports[0] == reports[1]


def test_the_day_is_told_and_drawn(tmp_path: Path) -> None:
    """In words with the cost beside, and as a picture that is well-formed whatever the title."""
    path, svg = written(tmp_path, SMALL), tmp_path / "day.svg"
    result = CliRunner().invoke(app, ["simulate", str(path), "--svg", str(svg)])
    assert result.exit_code == 0, result.output
    assert "40 điểm cầu (halls)" in result.stdout
    assert "relay_crash" in "".join(ET.parse(svg).getroot().itertext())


def test_another_seed_is_another_day(tmp_path: Path) -> None:
    """`--seed` goes before the file's."""
    path = written(tmp_path, SMALL)
    assert simulate(path, "--seed", "7")["report"]["seed"] == 7


def test_a_country_on_paper_is_planned(tmp_path: Path) -> None:
    """Servers, traffic and the depth of the tree; the picture is the tree."""
    path, svg = written(tmp_path, PAPER), tmp_path / "tree.svg"
    report = simulate(path, "--svg", str(svg))["report"]
    assert report["figures"]["halls"] == 500
    assert (report["figures"]["survives_any_single_loss"], report["broken"]) == (True, [])
    assert svg.read_text(encoding="utf-8").startswith("<svg")


def test_what_must_never_happen_ends_with_one(tmp_path: Path) -> None:
    """With its only origin a country loses its picture for good."""
    result = CliRunner().invoke(app, ["simulate", str(written(tmp_path, DARK))])
    assert result.exit_code == 1
    assert "không có hình" in result.output


def test_a_wrong_scenario_is_told_with_every_mistake(tmp_path: Path) -> None:
    """By key path, as with every configuration; also what only the country knows."""
    wrong = "program: simulate\nhalls: 0\nhappenings: [{at_s: 1, kind: relay_crush}, {at_s: 2, kind: store_down}]\n"
    result = CliRunner().invoke(app, ["config", "check", str(written(tmp_path, wrong))])
    assert result.exit_code == 1
    for words in ("halls", "happenings[0]", "happenings[1]", "for_s"):
        assert words in result.output
    nowhere = SMALL.replace("count: 1, back_after_s: 10", "relays: [nowhere]")
    result = CliRunner().invoke(app, ["simulate", str(written(tmp_path, nowhere))])
    assert result.exit_code == 1
    assert "nowhere" in result.output
