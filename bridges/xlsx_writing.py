"""XLSX workbooks (ECMA-376): sheets with frozen headings, texts that stay texts, and lists of the allowed words.

Rows are written as they come, so that a country's halls never stand in memory as cells.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import xlsxwriter

from bridges.tables import escape_formula

_DEFAULT_WIDTH = 16.0
_VALIDATED_ROWS = 50_000  # beyond the largest country; Excel itself goes to a million
_OPTIONS = {
    "constant_memory": True,
    # A text is written as the text that it is, whatever it looks like.
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """One sheet of a workbook.

    Attributes:
        name: at most 31 characters.
        headings: its first row, kept in sight.
        rows: the rows below; a text is a text (also `=1+1` and `01`), a number can be summed.
        widths: of the columns, in characters; those that are left out get a usual one.
        choices: by column, the words that a cell may hold; Excel offers them.
        wraps: whether long texts go over several lines.
    """

    name: str
    headings: Sequence[str]
    rows: Iterable[Sequence[str | int]]
    widths: Sequence[float] = ()
    choices: Mapping[int, Sequence[str]] = {}
    wraps: bool = False


def serialize_workbook(sheets: Iterable[Sheet]) -> bytes:
    """The workbook as bytes of an XLSX file, which `bridges.tables.parse_table` reads back."""
    out = io.BytesIO()
    workbook = xlsxwriter.Workbook(out, _OPTIONS)
    heading = workbook.add_format({"bold": True, "bg_color": "#DDEBF7", "border": 1, "text_wrap": True})
    # Also for cells that somebody fills in later: "01" stays "01", and what begins with "=" is no formula.
    text = workbook.add_format({"num_format": "@", "quote_prefix": True, "valign": "top"})
    wrapped = workbook.add_format({"num_format": "@", "quote_prefix": True, "valign": "top", "text_wrap": True})
    for sheet in sheets:
        written = workbook.add_worksheet(sheet.name)
        written.freeze_panes(1, 0)
        usual = wrapped if sheet.wraps else text
        for column, _ in enumerate(sheet.headings):
            width = sheet.widths[column] if column < len(sheet.widths) else _DEFAULT_WIDTH
            written.set_column(column, column, width, usual)
        for column, words in sheet.choices.items():
            written.data_validation(
                1, column, _VALIDATED_ROWS, column, {"validate": "list", "source": list(words), "error_type": "warning"}
            )
        for column, title in enumerate(sheet.headings):
            written.write_string(0, column, title, heading)
        for number, row in enumerate(sheet.rows, start=1):
            for column, cell in enumerate(row):
                if isinstance(cell, int):
                    written.write_number(number, column, cell)
                elif cell:
                    written.write_string(number, column, _guarded(cell), usual)
    workbook.close()
    return out.getvalue()


def _guarded(text: str) -> str:
    """A text that reads back as itself: one that looks like a guarded one, or like an error, is guarded."""
    return escape_formula(text) if text.startswith(("'", "#")) else text
