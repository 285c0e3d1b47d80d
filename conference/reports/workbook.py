"""A report as an XLSX workbook: one sheet a table, whose totals are formulas over the rows below them.

Each formula carries the value that we computed, so that a reader without a calculator shows the same; a spreadsheet
that calculates anew must come to it again. A line of units sums the halls right under it (SUMIF over the sheet of
halls, by a number in its last columns, so that sorting or filtering that sheet changes nothing) and the units below.
Written row by row with bounded memory. Text never becomes a formula.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import msgspec
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name, xl_range_abs
from xlsxwriter.worksheet import Worksheet

from conference.reports.figures import MEASURES, measures
from conference.reports.heading import heading_lines, seal_lines, signature_lines
from conference.reports.model import Report
from conference.reports.sealing import Seal
from conference.reports.tables import Column, Kind, Line, Section, Table, hall_columns, tables_of
from conference.reports.words import ABBREVIATIONS, Language, Words, local_time, said

MAX_TEXT = 32_767  # of a cell, by the format
_MS_PER_DAY = 86_400_000
# What a spreadsheet takes for a formula once somebody edits the cell; see `bridges.tables`.
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_FIGURES = len(MEASURES)

SHEETS: dict[Section, Words] = {
    "totals": ("Tổng hợp", "Totals"),
    "levels": ("Theo cấp", "By level"),
    "units": ("Theo đơn vị", "By unit"),
    "halls": ("Điểm cầu", "Halls"),
    "outages": ("Mất kết nối", "Halls lost"),
    "interruptions": ("Gián đoạn", "Interruptions"),
    "discrepancies": ("Chênh lệch", "Discrepancies"),
    "corrections": ("Điều chỉnh", "Corrections"),
    "incidents": ("Sự cố", "Incidents"),
}
_LOOKS: dict[Kind, dict[str, Any]] = {
    "text": {"text_wrap": True},
    "number": {"num_format": "#,##0"},
    "time": {"num_format": "dd/mm/yyyy hh:mm:ss"},
    "duration": {"num_format": "[h]:mm:ss"},
}
_WIDTHS: dict[Kind, int] = {"text": 24, "number": 10, "time": 19, "duration": 12}


def render_workbook(report: Report, language: Language, seal: Seal) -> bytes:
    """The workbook's bytes; the same for the same report, language and seal."""
    buffer = io.BytesIO()
    _Workbook(buffer, report, language, seal).write()
    return buffer.getvalue()


class _Styles:
    """The formats of a workbook."""

    def __init__(self, book: xlsxwriter.Workbook) -> None:
        base: dict[str, Any] = {"font_name": "Times New Roman", "font_size": 11, "valign": "top"}
        cell: dict[str, Any] = {**base, "border": 1, "border_color": "#999999"}
        self._book = book
        self._cell = cell
        self._made: dict[tuple[str, bool, bool, int, bool], Format] = {}
        self.title = book.add_format({**base, "bold": True, "font_size": 16, "align": "center"})
        self.subtitle = book.add_format({**base, "bold": True, "align": "center"})
        self.centred = book.add_format({**base, "align": "center"})
        self.plain = book.add_format({**base, "text_wrap": True})
        self.head = book.add_format({**cell, "bold": True, "align": "center", "text_wrap": True, "bg_color": "#EEEEEE"})
        self.key = book.add_format({**base, "font_color": "#999999"})

    def of(self, column: Column, line: Line, *, guarded: bool = False) -> Format:
        """The format of a cell; `guarded` keeps its text a text whatever is done to it."""
        depth = line.depth if column.kind == "text" else 0
        key = (column.kind, line.virtual, line.is_sum, depth, guarded)
        made = self._made.get(key)
        if made is None:
            style = dict(self._cell)
            style |= _LOOKS[column.kind]
            style |= {"indent": min(depth, 15)} if depth else {}
            style |= {"bold": True} if line.is_sum else {}
            style |= {"italic": True, "font_color": "#666666"} if line.virtual else {}
            style |= {"quote_prefix": True} if guarded else {}
            made = self._made[key] = self._book.add_format(style)
        return made


class _Halls(msgspec.Struct, frozen=True, kw_only=True):
    """Where the sheet of halls has its rows: what formulas elsewhere refer to."""

    sheet: str
    first: int
    last: int
    figures: int

    def column(self, place: int) -> str:
        """A whole column, absolute."""
        return f"'{self.sheet}'!{xl_range_abs(self.first, place, self.last, place)}"

    def sum_if(self, key_column: int, key: str, figure: int) -> str:
        """The sum of a figure over the halls whose key is so."""
        return f"SUMIF({self.column(key_column)},{key},{self.column(self.figures + figure)})"


class _Workbook:
    """One workbook while it is written."""

    def __init__(self, buffer: io.BytesIO, report: Report, language: Language, seal: Seal) -> None:
        self._report = report
        self._language: Language = language
        self._seal = seal
        self._book = xlsxwriter.Workbook(buffer, {"constant_memory": True})
        self._book.calc_on_load = False  # values are here already: opening asks nobody to save
        made_at = local_time(report.heading.at_ms) or datetime(1970, 1, 1, tzinfo=UTC)
        self._book.set_properties(
            {"title": report.heading.title[:255], "comments": f"SHA-256 {seal.sha256}", "created": made_at}
        )
        self._styles = _Styles(self._book)
        self._places = {row.code: place for place, row in enumerate(report.by_unit)}
        self._levels = {row.level: place for place, row in enumerate(report.by_level)}
        labels = len(hall_columns(language))
        # Sheet "halls": two rows of headings; after its columns the keys of unit, level and kind.
        self._halls = (
            _Halls(sheet=said(SHEETS["halls"], language), first=2, last=1 + len(report.halls), figures=labels)
            if report.halls
            else None
        )

    def write(self) -> None:
        """Write all sheets in their order, and end the file."""
        tables = {table.section: table for table in tables_of(self._report, self._language)}
        # Sheets stand in the order in which they are made; each is written to its end before the next begins.
        sheets = {section: self._book.add_worksheet(said(SHEETS[section], self._language)) for section in tables}
        for section, table in tables.items():
            sheet = sheets[section]
            match section:
                case "totals":
                    self._write_totals(sheet, table, tables["units"])
                case "levels":
                    self._write_levels(sheet, table)
                case "units":
                    self._write_units(sheet, table)
                case "halls":
                    self._write_halls(sheet, table)
                case _:
                    self._begin(sheet, table.columns, row=0, filtered=len(table.lines))
                    for row, line in enumerate(table.lines, start=1):
                        self._write_line(sheet, row, table.columns, line)
        self._book.close()

    def _begin(
        self, sheet: Worksheet, columns: Sequence[Column], *, row: int, filtered: int = -1, print_from: int = 0
    ) -> int:
        """Set a sheet up and write its headings; returns the row of the first line."""
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        sheet.set_margins(left=0.4, right=0.4, top=0.6, bottom=0.6)
        sheet.fit_to_pages(1, 0)
        sheet.set_header(f"&L&8{_header_text(self._report.heading.title)}&R&8&A")
        sheet.set_footer(f"&L&8SHA-256 {self._seal.sha256}&R&8&P/&N")
        first = self._write_headings(sheet, row, columns)
        sheet.freeze_panes(first, 2 if len(columns) > 8 else 0)
        sheet.repeat_rows(print_from, first - 1)
        if filtered >= 0:
            sheet.autofilter(first - 1, 0, first - 1 + max(1, filtered), len(columns) - 1)
        return first

    def _write_headings(self, sheet: Worksheet, row: int, columns: Sequence[Column]) -> int:
        for place, column in enumerate(columns):
            sheet.set_column(place, place, _WIDTHS[column.kind])
        if any(column.group for column in columns):
            place = 0
            for group, members in groupby(columns, key=lambda column: column.group):
                count = len(list(members))
                if group and count > 1:
                    sheet.merge_range(row, place, row, place + count - 1, group, self._styles.head)
                else:
                    for blank in range(place, place + count):
                        sheet.write_string(row, blank, group, self._styles.head)
                place += count
            row += 1
        for place, column in enumerate(columns):
            sheet.write_string(row, place, column.heading, self._styles.head)
        return row + 1

    def _write_line(
        self,
        sheet: Worksheet,
        row: int,
        columns: Sequence[Column],
        line: Line,
        formulas: Sequence[str | None] = (),
        keys: Sequence[int] = (),
    ) -> None:
        """Write a row: `formulas` for its last columns, where they are not None; `keys` after them."""
        offset = len(columns) - len(formulas)
        for place, (column, cell) in enumerate(zip(columns, line.cells, strict=True)):
            style = self._styles.of(column, line)
            formula = formulas[place - offset] if place >= offset else None
            if isinstance(cell, str):
                if _FORMULA.match(cell):
                    style = self._styles.of(column, line, guarded=True)
                sheet.write_string(row, place, cell[:MAX_TEXT], style)
            elif cell is None:
                sheet.write_blank(row, place, None, style)
            elif formula is not None:
                sheet.write_formula(row, place, f"={formula}", style, cell)
            else:
                self._write_number(sheet, row, place, column, cell, style)
        for place, key in enumerate(keys, start=len(columns)):
            sheet.write_number(row, place, key, self._styles.key)

    @staticmethod
    def _write_number(sheet: Worksheet, row: int, place: int, column: Column, value: int, style: Format) -> None:
        if column.kind == "duration":
            sheet.write_number(row, place, value / _MS_PER_DAY, style)
            return
        if column.kind == "time":
            at = local_time(value)
            if at is not None and at.year >= 1900:
                sheet.write_datetime(row, place, at.replace(tzinfo=None), style)
            else:
                sheet.write_string(row, place, f"{value} ms", style)
            return
        sheet.write_number(row, place, value, style)

    def _write_totals(self, sheet: Worksheet, table: Table, units: Table) -> None:
        """The heading of the document, each figure with its source, places for signatures, and the seal."""
        last = len(table.columns) - 1
        row = 0
        for row, (text, weight) in enumerate(heading_lines(self._report, self._language)):
            style = {2: self._styles.title, 1: self._styles.subtitle}.get(weight, self._styles.centred)
            sheet.merge_range(row, 0, row, last, text[:MAX_TEXT], style)
        first = self._begin(sheet, table.columns, row=row + 2, print_from=row + 2)
        sheet.set_column(0, 1, 40)
        sheet.set_column(2, last, 18)
        sums = 3 + len(units.lines) - (2 if self._report.has_virtual else 1)  # row of the sums, as formulas count
        for figure, line in enumerate(table.lines):
            formulas: list[str | None] = []
            for kind in range(last - 1):
                if self._halls is not None:
                    formulas.append(self._halls.sum_if(self._kind_key, str(kind), figure))
                else:
                    column = xl_col_to_name(3 + figure)
                    formulas.append(f"'{said(SHEETS['units'], self._language)}'!${column}${sums + kind}")
            self._write_line(sheet, first + figure, table.columns, line, formulas)
        row = first + len(table.lines)
        sheet.merge_range(row, 0, row, last, said(ABBREVIATIONS, self._language), self._styles.plain)
        row += 2
        for left, right in signature_lines(self._language):
            sheet.merge_range(row, 0, row, 1, left, self._styles.centred)
            if last > 2:
                sheet.merge_range(row, 2, row, last, right, self._styles.centred)
            else:
                sheet.write_string(row, 2, right, self._styles.centred)
            row += 1
        row += 4
        for text in seal_lines(self._seal, self._language):
            sheet.merge_range(row, 0, row, last, text, self._styles.plain)
            row += 1

    @property
    def _unit_key(self) -> int:
        """Column of the sheet of halls: which unit's halls, and which kind."""
        return len(hall_columns(self._language)) + _FIGURES + 5

    @property
    def _level_key(self) -> int:
        return self._unit_key + 1

    @property
    def _kind_key(self) -> int:
        return self._unit_key + 2

    def _write_halls(self, sheet: Worksheet, table: Table) -> None:
        first = self._begin(sheet, table.columns, row=0, filtered=len(table.lines))
        headings = [("khóa đơn vị", "unit key"), ("khóa cấp", "level key"), ("khóa loại", "kind key")]
        for place, words in enumerate(headings, start=len(table.columns)):
            sheet.write_string(first - 1, place, said(words, self._language), self._styles.key)
        sheet.print_area(0, 0, first + len(table.lines) - 1, len(table.columns) - 1)
        for row, (line, hall) in enumerate(zip(table.lines, self._report.halls, strict=True), start=first):
            kind = int(hall.virtual)
            keys = (2 * self._places[hall.parent] + kind, 2 * self._levels[hall.level] + kind, kind)
            self._write_line(sheet, row, table.columns, line, keys=keys)

    def _write_levels(self, sheet: Worksheet, table: Table) -> None:
        first = self._begin(sheet, table.columns, row=0)
        lines = [line for line in table.lines if not line.is_sum]
        levels = _keys_of([(row.real.halls, row.virtual.halls) for row in self._report.by_level])
        key_column = len(table.columns)
        last = max(first, first + len(lines) - 1)
        for row, (line, key) in enumerate(zip(lines, levels, strict=True), start=first):
            formulas: list[str | None] = [None] * _FIGURES
            if self._halls is not None:
                cell = f"${xl_col_to_name(key_column)}{row + 1}"
                formulas = [self._halls.sum_if(self._level_key, cell, figure) for figure in range(_FIGURES)]
            self._write_line(sheet, row, table.columns, line, formulas, keys=(key, key % 2))
        self._write_sums(sheet, table, first, last, key_column + 1, 0)
        sheet.print_area(0, 0, first + len(table.lines) - 1, len(table.columns) - 1)

    def _write_units(self, sheet: Worksheet, table: Table) -> None:
        first = self._begin(sheet, table.columns, row=0)
        rows = self._report.by_unit
        lines = [line for line in table.lines if not line.is_sum]
        keys = _keys_of([(row.real.halls, row.virtual.halls) for row in rows])
        own = self._own_figures()
        parents = {row.parent for row in rows if row.parent in self._places}
        key_column, offset = len(table.columns), len(table.columns) - _FIGURES
        last = max(first, first + len(lines) - 1)
        for row, (line, key) in enumerate(zip(lines, keys, strict=True), start=first):
            unit = rows[key // 2]
            kind = key % 2
            key_cell = f"${xl_col_to_name(key_column)}{row + 1}"
            formulas: list[str | None] = []
            for figure in range(_FIGURES):
                parts: list[str] = []
                if any(own[key]):
                    in_halls = self._halls is not None
                    parts.append(
                        self._halls.sum_if(self._unit_key, key_cell, figure) if self._halls else str(own[key][figure])
                    )
                    if not in_halls and unit.code not in parents:
                        parts.clear()  # a figure that nothing in this workbook makes up is a figure
                if unit.code in parents:
                    below = (row + 1, key_column + 1, last, key_column + 1)
                    sums = (row + 1, offset + figure, last, offset + figure)
                    parts.append(f"SUMIF({xl_range_abs(*below)},{key_cell},{xl_range_abs(*sums)})")
                formulas.append("+".join(parts) or None)
            above = 2 * self._places[unit.parent] if unit.parent in self._places and unit.depth else -2
            sheet.set_row(row, None, None, {"level": min(unit.depth, 7)})
            self._write_line(sheet, row, table.columns, line, formulas, keys=(key, above + kind))
        self._write_sums(sheet, table, first, last, key_column + 1, -2)
        sheet.print_area(0, 0, first + len(table.lines) - 1, len(table.columns) - 1)

    def _write_sums(self, sheet: Worksheet, table: Table, first: int, last: int, key_column: int, key: int) -> None:
        """The lines of sums: over the lines above whose key is so (and one more for virtual halls)."""
        offset = len(table.columns) - _FIGURES
        sums = [line for line in table.lines if line.is_sum]
        for row, line in enumerate(sums, start=first + len(table.lines) - len(sums)):
            keys = xl_range_abs(first, key_column, last, key_column)
            formulas = [
                f"SUMIF({keys},{key + line.virtual},{xl_range_abs(first, place, last, place)})"
                for place in range(offset, offset + _FIGURES)
            ]
            self._write_line(sheet, row, table.columns, line, formulas)

    def _own_figures(self) -> list[tuple[int, ...]]:
        """By key, what a unit has beside the units below it that are shown: the halls right under it."""
        own = [list(measures(of)) for row in self._report.by_unit for of in (row.real, row.virtual)]
        for place, row in enumerate(self._report.by_unit):
            if row.depth and row.parent in self._places:
                above = 2 * self._places[row.parent]
                for kind, of in enumerate((row.real, row.virtual)):
                    for figure, value in enumerate(measures(of)):
                        own[above + kind][figure] -= value
            assert place == self._places[row.code]  # noqa: S101 - codes are unique; a bug of ours, not input
        return [tuple(values) for values in own]


def _keys_of(halls: Sequence[tuple[int, int]]) -> list[int]:
    """Twice the place and the kind, of each line that a table of figures has for these (real, virtual) halls."""
    return [
        2 * place + kind
        for place, (real, virtual) in enumerate(halls)
        for kind, has in ((0, real or not virtual), (1, virtual))
        if has
    ]


def _header_text(text: str) -> str:
    """Text for a page's header: `&` begins a command there, and all of it has at most 255 characters."""
    return " ".join(text.split())[:100].replace("&", "&&")
