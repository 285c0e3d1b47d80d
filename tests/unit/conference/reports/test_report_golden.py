"""Reports as they were when somebody looked at them last: every form, both languages, byte by byte.

After a change that is meant, look at `RENEW_GOLDEN=1 pytest tests/unit/conference/reports/test_report_golden.py` and
at the difference of `tests/data/reports/`. A workbook is kept as its cells, JSON in lines.
"""

import os
from pathlib import Path

import msgspec
import pytest
from support.report_inputs import dong_thap_2021, seal_of, small_country
from support.workbooks import cells_of

from conference.reports.building import build_report
from conference.reports.model import ReportInput, ReportKind
from conference.reports.rendering import ReportFormat, render
from conference.reports.words import Language

GOLDEN = Path(__file__).parents[3] / "data" / "reports"
CONFERENCES = {"dong-thap-2021": dong_thap_2021, "nho": small_country}
WRITTEN: list[tuple[str, ReportKind, Language]] = [
    ("dong-thap-2021", "summary", "vi"),
    ("nho", "summary", "vi"),
    ("nho", "summary", "en"),
    ("nho", "flash", "vi"),
]
FORMATS: list[ReportFormat] = ["json", "csv", "html", "text", "xlsx"]


def _given(conference: str, kind: ReportKind) -> ReportInput:
    given = CONFERENCES[conference]()
    return msgspec.structs.replace(given, heading=msgspec.structs.replace(given.heading, kind=kind))


def _dump(payload: bytes) -> bytes:
    """A line for each row of a workbook, formulas in braces behind their values."""
    lines: list[str] = []
    for sheet, rows in cells_of(payload).items():
        lines.append(f"## {sheet}")
        for row in rows:
            cells = [f"{cell.value}{{{cell.formula}}}" if cell.formula else cell.value for cell in row]
            lines.append(" | ".join([row[0].reference, *cells]) if row else "")
    return "\n".join([*lines, ""]).encode()


@pytest.mark.parametrize("report_format", FORMATS)
@pytest.mark.parametrize(("conference", "kind", "language"), WRITTEN)
def test_a_report_is_written_as_before(
    conference: str, kind: ReportKind, language: Language, report_format: ReportFormat
) -> None:
    """Nobody changes an official document by accident."""
    report = build_report(_given(conference, kind))
    canonical, seal = seal_of(report)
    written = render(report, canonical, report_format, language, seal)
    assert render(report, canonical, report_format, language, seal) == written
    if report_format == "xlsx":
        written = _dump(written)
    if report_format == "json":  # one line is no difference to look at
        written = msgspec.json.format(written, indent=1)
    path = GOLDEN / f"{conference}-{kind}-{language}.{report_format}{'.cells' if report_format == 'xlsx' else ''}"
    if os.environ.get("RENEW_GOLDEN"):
        path.write_bytes(written)
    assert written.decode().split("\n") == path.read_bytes().decode().split("\n"), "see the docstring above"
