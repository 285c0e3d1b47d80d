"""The forms of a report: JSON, CSV and text for the terminal are made here; HTML in `page`, XLSX in `workbook`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, assert_never

from bridges.tables import serialize_table
from conference.reports.figures import MEASURES
from conference.reports.heading import heading_lines, seal_lines
from conference.reports.model import Report
from conference.reports.page import render_html
from conference.reports.sealing import Seal, sealed_json
from conference.reports.tables import Cell, Column, Line, Section, Table, narrowed, tables_of, without_silent_sources
from conference.reports.words import ABBREVIATIONS, Language, duration, moment, number, said
from conference.reports.workbook import render_workbook

ReportFormat = Literal["json", "csv", "html", "text", "xlsx"]
MEDIA_TYPES: dict[ReportFormat, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "text": "text/plain; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
TEXT_LIST_LIMIT = 40  # a terminal is for a glance; the other forms hold the whole
TEXT_UNIT_LIMIT = 200  # of a country the provinces alone
# What fits on a line of 160 columns; the other forms have all.
_TEXT_FIGURES = {
    ("registration", "halls"),
    ("registration", "seats"),
    ("connection", "present_now"),
    ("connection", "present_ever"),
    ("connection", "lost"),
    ("headcount", "halls_reported"),
    ("headcount", "summoned"),
    ("headcount", "present"),
    ("headcount", "excused"),
    ("headcount", "unexcused"),
    ("individual", "registered"),
    ("individual", "present"),
}
_TEXT_CELL = 48


def render(
    report: Report, canonical: bytes, report_format: ReportFormat, language: Language, seal: Seal, section: str = ""
) -> bytes:
    """Write a report.

    Args:
        report: what it says.
        canonical: its canonical JSON.
        report_format: the form.
        language: of all words; JSON has none.
        seal: of the report; every form shows it.
        section: of CSV, the one table to write, "" for all.
    """
    match report_format:
        case "json":
            return sealed_json(canonical, seal)
        case "csv":
            return render_csv(report, language, seal, section)
        case "html":
            return render_html(report, language, seal).encode()
        case "text":
            return render_text(report, language, seal).encode()
        case "xlsx":
            return render_workbook(report, language, seal)
        case _:
            assert_never(report_format)


def render_csv(report: Report, language: Language, seal: Seal, section: str = "") -> bytes:
    """All tables one after the other, each below its title and parted by an empty line; or one table alone.

    Cells are guarded against formulas, figures are bare numbers, and the heading of a figure names its source.
    """
    tables = {table.section: table for table in tables_of(report, language)}
    if section:
        found = [table for name, table in tables.items() if name == section]
        return b"".join(_csv_table(table, language) for table in found)
    head = [[text] for text, _ in heading_lines(report, language)] + [[text] for text in seal_lines(seal, language)]
    parts = [serialize_table(head[0], head[1:])]
    for table in tables.values():
        parts += [b"\r\n", serialize_table([table.title], []), _csv_table(table, language)]
    mark = "\ufeff".encode()
    return mark + b"".join(part.removeprefix(mark) for part in parts)


def _csv_table(table: Table, language: Language) -> bytes:
    headings = [f"{column.heading} [{column.group}]" if column.group else column.heading for column in table.columns]
    rows = ([_csv_cell(column, cell, language) for column, cell in _cells(table, line)] for line in table.lines)
    return serialize_table(headings, rows)


def _cells(table: Table, line: Line) -> Iterable[tuple[Column, Cell]]:
    return zip(table.columns, line.cells, strict=True)


def _csv_cell(column: Column, cell: Cell, language: Language) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    return str(cell) if column.kind == "number" else _shown(column, cell, language)


def _shown(column: Column, cell: Cell, language: Language) -> str:
    """A cell for people."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    match column.kind:
        case "time":
            return moment(cell, language)
        case "duration":
            return duration(cell)
        case _:
            return number(cell, language)


def render_text(report: Report, language: Language, seal: Seal) -> str:
    """The report for a terminal of 160 columns; long lists are cut, and of figures only the chief ones are shown."""
    lines = [_one_line(text) for text, _ in heading_lines(report, language)]
    for table in tables_of(report, language):
        if table.section != "halls":
            lines += ["", *_text_table(table, language)]
    return "\n".join([*lines, "", said(ABBREVIATIONS, language), *seal_lines(seal, language), ""])


def _text_table(table: Table, language: Language) -> list[str]:
    title = table.title if table.section in _SHORT else f"{table.title}: {number(len(table.lines), language)}"
    if not table.lines:
        return [title]
    table = without_silent_sources(_chief_figures(table))
    kept = _kept_lines(table)
    rows = [
        [
            _one_line("  " * line.depth * (place == 0) + _cut(_shown(column, cell, language)))
            for place, (column, cell) in enumerate(_cells(table, line))
        ]
        for line in kept
    ]
    columns = table.columns
    widths = [max(len(column.heading), *(len(row[place]) for row in rows)) for place, column in enumerate(columns)]
    lines = [title, *_text_groups(columns, widths)]
    lines.append(_text_row(columns, widths, [column.heading for column in columns]))
    lines += [_text_row(columns, widths, row) for row in rows]
    left = len(table.lines) - len(kept)
    if left:
        more = number(left, language)
        lines.append(said((f"… và {more} mục nữa", f"… and {more} more"), language))
    return lines


def _chief_figures(table: Table) -> Table:
    """Of a table with all figures, those that a terminal has room for."""
    if table.section not in ("levels", "units"):
        return table
    first = len(table.columns) - len(MEASURES)
    return narrowed(table, lambda place: place < first or MEASURES[place - first] in _TEXT_FIGURES)


def _kept_lines(table: Table) -> Sequence[Line]:
    if table.section == "units" and len(table.lines) > TEXT_UNIT_LIMIT:
        return [line for line in table.lines if line.is_sum or not line.depth]
    return table.lines if table.section in _SHORT else table.lines[:TEXT_LIST_LIMIT]


_SHORT: tuple[Section, ...] = ("totals", "levels", "units", "interruptions")


def _text_groups(columns: Sequence[Column], widths: Sequence[int]) -> list[str]:
    """A line with the source above the first of its figures; none where no column has one."""
    line, room, last = "", 0, ""
    for column, width in zip(columns, widths, strict=True):
        if column.group and column.group != last:
            line = f"{line:<{room}}[{column.group}]"
            last = column.group
        room += width + 2
    return [line] if line else []


def _text_row(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str]) -> str:
    aligned = [
        f"{cell:<{width}}" if column.kind == "text" else f"{cell:>{width}}"
        for column, width, cell in zip(columns, widths, cells, strict=True)
    ]
    return "  ".join(aligned).rstrip()


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_CELL else f"{text[: _TEXT_CELL - 1]}…"


def _one_line(text: str) -> str:
    """Text without control characters: a hall's name must not steer the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
