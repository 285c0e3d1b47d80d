"""Rows of a sheet of an XLSX workbook, as the texts that a person sees, streamed and within bounds.

Numbers that Excel keeps as fractions are whole again (`12.0` is `12`), those shown with leading zeros have them, dates
are `YYYY-MM-DD`, and a formula is its value of when the workbook was saved.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from bridges.errors import UnreadableTableError
from bridges.xlsx_parts import MAX_CELL_CHARACTERS, Workbook, local_name, malformed, too_large

MAX_COLUMNS = 256  # any table of ours has less than thirty
MAX_ROW_NUMBER = 1_048_576  # the last row of a sheet
UNCALCULATED = "#CALC!"  # a formula without a value: whoever wrote the workbook did not calculate it
MAGIC = b"PK"

_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_LAST_DAY = 2_958_465  # 31 December 9999


def xlsx_records(data: bytes, sheet: str, fold: Callable[[str], str]) -> Iterator[tuple[int, list[str]]]:
    """Each row that holds anything, with its number from 1; cells up to the last that holds anything.

    Args:
        data: the workbook.
        sheet: name of the sheet, compared by `fold`; "" for the first that is shown.
        fold: how names are compared.

    Raises:
        UnreadableTableError: no workbook, a broken one, or one beyond the bounds; raised while iterating.
    """
    workbook = Workbook(data)
    reader = _SheetReader(workbook)
    for _ in workbook.parts.parse(workbook.sheet(sheet, fold), reader.start, reader.end, reader.text):
        yield from reader.rows
        reader.rows.clear()


class _SheetReader:
    """Collects the rows of one sheet from the elements `row`, `c`, `v`, `f` and `is` (ECMA-376 part 1, 18.3.1)."""

    __slots__ = (
        "_cells",
        "_collecting",
        "_column",
        "_columns",
        "_has_formula",
        "_kind",
        "_length",
        "_pieces",
        "_row",
        "_silent",
        "_style",
        "_workbook",
        "rows",
    )

    def __init__(self, workbook: Workbook) -> None:
        self.rows: list[tuple[int, list[str]]] = []
        self._workbook = workbook
        self._columns: dict[str, int] = {}
        self._row = 0
        self._column = -1
        self._cells: dict[int, str] = {}
        self._kind = ""
        self._style = ""
        self._has_formula = False
        self._collecting = False
        self._silent = False
        self._pieces: list[str] = []
        self._length = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        if ":" in name:
            name = local_name(name)
        if name == "c":
            position = attributes.get("r", "")
            self._column = self._column_of(position.rstrip("0123456789")) if position else self._column + 1
            self._kind = attributes.get("t", "n")
            self._style = attributes.get("s", "")
            self._has_formula = False
            self._pieces.clear()
            self._length = 0
        elif name in {"v", "t"}:
            self._collecting = not self._silent
        elif name == "f":
            self._has_formula = True
        elif name == "row":
            self._begin_row(attributes.get("r", ""))
        elif name == "rPh":
            self._silent = True

    def text(self, piece: str) -> None:
        """Characters within an element."""
        if self._collecting:
            self._length += len(piece)
            if self._length > MAX_CELL_CHARACTERS:
                raise self._too_long()
            self._pieces.append(piece)

    def end(self, name: str) -> None:
        """An element ends."""
        if ":" in name:
            name = local_name(name)
        if name in {"v", "t"}:
            self._collecting = False
        elif name == "c":
            text = self._value()
            if text:
                if self._column >= MAX_COLUMNS:
                    raise too_large(f"quá {MAX_COLUMNS} cột", f"more than {MAX_COLUMNS} columns", self._row)
                self._cells[self._column] = text
        elif name == "row":
            if self._cells:
                cells = self._cells
                self.rows.append((self._row, [cells.get(column, "") for column in range(max(cells) + 1)]))
                self._cells = {}
        elif name == "rPh":
            self._silent = False

    def _begin_row(self, number: str) -> None:
        if number and not (number.isascii() and number.isdecimal() and len(number) < 8):
            raise malformed("row")
        self._row = int(number) if number else self._row + 1
        if not 1 <= self._row <= MAX_ROW_NUMBER:
            raise malformed("row")
        self._column = -1

    def _column_of(self, letters: str) -> int:
        column = self._columns.get(letters)
        if column is None:
            if not (1 <= len(letters) <= 3 and letters.isascii() and letters.isalpha()):
                raise malformed("cell reference")
            column = 0
            for letter in letters.upper():
                column = column * 26 + ord(letter) - 64
            column -= 1
            self._columns[letters] = column
        return column

    def _value(self) -> str:
        text = "".join(self._pieces)
        match self._kind:
            case "s":
                strings = self._workbook.strings
                if not (text.isascii() and text.isdecimal() and len(text) < 9 and int(text) < len(strings)):
                    if not text:
                        return ""
                    raise malformed("shared string")
                text = strings[int(text)]
                if len(text) > MAX_CELL_CHARACTERS:
                    raise self._too_long()
                return _unescape(text)
            case "str" | "inlineStr":
                return _unescape(text)
            case "b" | "e":
                return text
            case "d":
                return text.partition("T")[0]
            case _:
                if text:
                    return self._number(text)
                return UNCALCULATED if self._has_formula else ""

    def _number(self, text: str) -> str:
        style = int(self._style) if self._style.isdecimal() and len(self._style) < 6 else 0
        workbook = self._workbook
        try:
            number = float(text)
        except ValueError:
            raise malformed("number") from None
        if not math.isfinite(number):
            raise malformed("number")
        if style < len(workbook.dates):
            if workbook.dates[style]:
                return _date(number + (1_462 if workbook.from_1904 else 0), text)
            if workbook.zeros[style] and number.is_integer() and 0 <= number < 1e15:
                return str(int(number)).zfill(workbook.zeros[style])
        if number.is_integer() and abs(number) < 1e15:
            return str(int(number))
        return f"{number:.15g}"  # as many digits as a spreadsheet shows

    def _too_long(self) -> UnreadableTableError:
        return too_large(
            f"ô dài hơn {MAX_CELL_CHARACTERS} ký tự", f"a cell exceeds {MAX_CELL_CHARACTERS} characters", self._row
        )


def _unescape(text: str) -> str:
    """Characters that XML cannot hold stand as `_x000D_` in a workbook (ECMA-376 part 1, 22.4.2.4)."""
    return _ESCAPED.sub(_character, text) if "_x" in text else text


def _character(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return "\ufffd" if 0xD800 <= number < 0xE000 else chr(number)


def _date(days: float, text: str) -> str:
    """Days since the end of 1899 as a date, with hours and minutes where there are any; else the number as it is."""
    if not 1 <= days <= _LAST_DAY:
        return text
    # In workbooks 1900 has a 29 February, after the Lotus 1-2-3 of old.
    moment = datetime(1899, 12, 30) + timedelta(days=days + (days < 60))  # noqa: DTZ001 - a date in a table has no zone
    moment = (moment + timedelta(seconds=30)).replace(second=0, microsecond=0)
    return moment.strftime("%Y-%m-%d %H:%M" if (moment.hour or moment.minute) else "%Y-%m-%d")
