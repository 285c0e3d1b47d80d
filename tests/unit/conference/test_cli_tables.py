"""Tables on the command line: templates without a server, lists of errors to send back, what an import changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridges.importing import HALL_COLUMNS
from bridges.tables import Column, Faults, parse_table
from bridges.unit_kinds import parse_unit_kinds
from conference.cli import rows
from conference.cli.main import app

runner = CliRunner()
ERROR_COLUMNS = (
    Column("row", ("Dòng (row)",)),
    Column("column", ("Cột (column)",)),
    Column("value", ("Giá trị (value)",)),
    Column("vi", ("Lỗi",)),
    Column("en", ("Error",)),
)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_template_needs_no_server(tmp_path: Path, form: str) -> None:
    """It is written at once, its headings are those of an import, and it holds no halls."""
    file = tmp_path / f"mau.{form}"
    result = runner.invoke(app, ["halls", "template", "--format", form, "--output", str(file)])
    assert result.exit_code == 0, result.output
    faults = Faults()
    assert list(parse_table(file.read_bytes(), HALL_COLUMNS, faults)) == []
    assert not faults.errors
    result = runner.invoke(app, ["units", "template", "--kinds", "--format", form, "--output", str(file)])
    assert result.exit_code == 0, result.output
    assert any(kind.name == "đặc khu" for kind in parse_unit_kinds(file.read_bytes()))


def test_the_example_of_a_template_fits_its_columns() -> None:
    """A phường is a commune by territory, and a real hall."""
    lines = runner.invoke(app, ["halls", "template"]).stdout.splitlines()
    assert lines[2].startswith("# VN-00004-01,Điểm cầu UBND phường Ba Đình,00004,xã,72,")
    assert runner.invoke(app, ["units", "template", "--kinds"]).stdout.splitlines()[2].startswith("# xã,lãnh thổ,4")


def test_another_form_is_wrong_usage() -> None:
    """There are two forms."""
    assert runner.invoke(app, ["halls", "template", "--format", "ods"]).exit_code == 2


@pytest.mark.parametrize("name", ["loi.csv", "loi.xlsx", "LOI.XLSX"])
def test_errors_are_written_for_whoever_made_the_file(tmp_path: Path, name: str) -> None:
    """All of them, by row and column, with the reason in both languages, also where a value looks like a formula."""
    errors = [
        {"row": row, "column": "đơn vị", "value": "=1+1", "reason_vi": "không tồn tại", "reason_en": "no such unit"}
        for row in range(2, 202)
    ]
    rows._write_errors(tmp_path / name, errors)
    found = [row.cells for row in parse_table((tmp_path / name).read_bytes(), ERROR_COLUMNS, Faults())]
    assert len(found) == 200
    assert found[0] == {"row": "2", "column": "đơn vị", "value": "=1+1", "vi": "không tồn tại", "en": "no such unit"}


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """The command ends with 1 and says which file."""
    result = runner.invoke(app, ["halls", "template", "--output", str(tmp_path / "none" / "mau.csv")])
    assert result.exit_code == 1
    assert "mau.csv" in result.output


def test_a_difference_is_told_in_a_few_lines() -> None:
    """The counts of all, and the first changes field by field."""
    changes = [{"code": f"H{n}", "changes": [{"field": "seats", "before": "5", "after": "6"}]} for n in range(60)]
    lines = rows.describe_difference(
        {"new_count": 3, "changed_count": 75, "unchanged_count": 2, "absent_count": 1, "changed": changes}
    )
    assert "mới (new): 3" in lines[0]
    assert lines[1] == "  H0: seats: '5' -> '6'"
    assert len(lines) == 2 + rows.SHOWN_ROWS
    assert "25" in lines[-1]


@pytest.mark.parametrize("option", [["--reporting", "both"], ["--starts-at", "tomorrow"]])
def test_a_conference_reports_in_one_of_two_trees_and_begins_at_a_time(option: list[str]) -> None:
    """Anything else is wrong usage, and no server is asked."""
    assert runner.invoke(app, ["conference", "create", "hn", "--title", "x", *option]).exit_code == 2
