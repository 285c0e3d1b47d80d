"""Rows of a sheet of an XLSX workbook (ECMA-376), as the texts that a person sees: read by openpyxl, within bounds.

The bounds are held before openpyxl sees the file, because it keeps in memory what it reads of styles and shared texts,
and a whole row. Numbers that Excel keeps as fractions are whole again (`12.0` is `12`), those shown with leading zeros
have them, dates are `YYYY-MM-DD`, and a formula is its value of when the workbook was saved.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from typing import IO, Any

import openpyxl
from openpyxl.utils.escape import unescape

from bridges.errors import UnreadableTableError

MAGIC = b"PK"
MAX_MEMBERS = 1_000  # a workbook with a hundred sheets and pictures has a few hundred
MAX_UNPACKED_BYTES = 256 * 1024 * 1024  # 200,000 rows of 16 cells are some 150 MiB of XML
MAX_SHARED_STRINGS = 1_500_000  # 200,000 rows of seven different texts each
MAX_COLUMNS = 256  # any table of ours has less than thirty
MAX_ROW_NUMBER = 1_048_576  # the last row of a sheet
MAX_CELL_CHARACTERS = 4_000  # several times the longest field that we know
# Cells up to the last of each row, empty ones included: twice those of the largest table; each costs some microseconds.
_MAX_CELLS = 8_000_000
# No row or text is so long, nor all that is neither (styles, for example); openpyxl holds each of them as a tree.
_MAX_STRETCH = 1024 * 1024
_PIECE = 256 * 1024
_CENTRAL_HEADER = b"PK\x01\x02"
_UNIT = re.compile(rb"<(?:[A-Za-z0-9]{1,20}:)?(row|si)[\s/>]")
_ZEROS = re.compile(r"0{2,15}")


def xlsx_records(data: bytes, sheet: str, fold: Callable[[str], str]) -> Iterator[tuple[int, list[str]]]:
    """Each row that holds anything, with its number from 1; cells up to the last that holds anything.

    Args:
        data: the workbook.
        sheet: name of the sheet, compared by `fold`; "" for the first that is shown.
        fold: how names are compared.

    Raises:
        UnreadableTableError: no workbook, a broken one, or one beyond the bounds; raised while iterating.
    """
    try:
        _check_bounds(data)
        yield from _rows(data, sheet, fold)
    except UnreadableTableError:
        raise
    except Exception as error:  # a broken workbook makes zipfile, expat and openpyxl raise whatever they do
        raise _malformed(str(error)[:80] or type(error).__name__) from error


def _rows(data: bytes, sheet: str, fold: Callable[[str], str]) -> Iterator[tuple[int, list[str]]]:
    workbook = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    try:
        chosen = _sheet(workbook, sheet, fold)
        chosen.reset_dimensions()  # what a file says of its size need not be true
        cells = 0
        for number, row in enumerate(chosen.iter_rows(), start=1):
            cells += len(row)
            if number > MAX_ROW_NUMBER or cells > _MAX_CELLS:
                raise _too_large("trang tính quá lớn", "the sheet is too large", number)
            texts = [_text(cell, number) for cell in row]
            while texts and not texts[-1]:
                texts.pop()
            if len(texts) > MAX_COLUMNS:
                raise _too_large(f"quá {MAX_COLUMNS} cột", f"more than {MAX_COLUMNS} columns", number)
            if texts:
                yield number, texts
    finally:
        workbook.close()


def _sheet(workbook: Any, wanted: str, fold: Callable[[str], str]) -> Any:
    for sheet in workbook.worksheets:
        if fold(sheet.title) == fold(wanted) if wanted else sheet.sheet_state == "visible":
            return sheet
    names = ", ".join(sheet.title[:40] for sheet in workbook.worksheets[:10])
    raise UnreadableTableError(
        "no_sheet", 0, f"không có trang tính {wanted[:80]!r}; có: {names}", f"no such sheet; there are: {names}"
    )


def _check_bounds(data: bytes) -> None:
    """Refuse what would cost too much memory to open.

    `zipfile` unpacks no more of a part than its header says, so what is checked of the headers holds.
    """
    # The directory is counted before it is parsed: each entry would cost some hundreds of bytes of memory.
    if data.count(_CENTRAL_HEADER) > MAX_MEMBERS:
        raise _too_large(f"tệp XLSX có quá {MAX_MEMBERS} phần", f"more than {MAX_MEMBERS} parts in the XLSX file")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(info.file_size for info in archive.infolist()) > MAX_UNPACKED_BYTES:
            size = MAX_UNPACKED_BYTES // (1024 * 1024)
            raise _too_large(f"tệp XLSX giải nén ra hơn {size} MiB", f"the XLSX file unpacks to more than {size} MiB")
        strings = 0
        for info in archive.infolist():
            if info.file_size > _MAX_STRETCH and not info.filename.startswith("xl/media/"):
                with archive.open(info) as part:
                    strings += _check_part(part)
        if strings > MAX_SHARED_STRINGS:
            raise _too_large("quá nhiều chuỗi trong tệp XLSX", "too many texts in the XLSX file")


def _check_part(part: IO[bytes]) -> int:
    """How many shared texts a part holds; no stretch of it without a row or a text is too long."""
    strings = stretch = 0
    before = b""
    while piece := part.read(_PIECE):
        window = before + piece
        last = 0
        for found in _UNIT.finditer(window):
            stretch += found.end() - last
            if stretch > _MAX_STRETCH:
                break
            last, stretch = found.end(), 0
            strings += found[1] == b"si"
        keep = max(last, len(window) - 32)  # a tag may lie across two pieces
        stretch += keep - last
        before = window[keep:]
        if stretch > _MAX_STRETCH:
            raise _too_large("một dòng hoặc phần của tệp XLSX quá dài", "a row or a part of the XLSX file is too long")
    return strings


def _text(cell: Any, row: int) -> str:
    """What the cell shows."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, str):
        if len(value) > MAX_CELL_CHARACTERS:
            raise _too_large(
                f"ô dài hơn {MAX_CELL_CHARACTERS} ký tự", f"a cell exceeds {MAX_CELL_CHARACTERS} characters", row
            )
        # Characters that XML cannot hold stand as `_x000D_` (ECMA-376 part 1, 22.4.2.4); halves of one are none.
        return unescape(value).encode("utf-8", "replace").decode() if "_x" in value else value
    if isinstance(value, int | float):  # of which bool is one
        return _number(value, cell)
    if isinstance(value, datetime):
        # Excel's fractions of a day are not whole minutes.
        value = (value + timedelta(seconds=30)).replace(second=0, microsecond=0)
        return value.strftime("%Y-%m-%d %H:%M" if (value.hour or value.minute) else "%Y-%m-%d")
    if isinstance(value, date | time | timedelta):
        return str(value)
    raise _malformed(type(value).__name__)


def _number(value: float, cell: Any) -> str:
    if not math.isfinite(value):
        raise _malformed("number")
    if value != int(value) or abs(value) >= 1e15:
        return f"{value:.15g}"  # as many digits as a spreadsheet shows
    digits = str(int(value))
    shown_as = str(cell.number_format)
    return digits.zfill(len(shown_as)) if value >= 0 and _ZEROS.fullmatch(shown_as) else digits


def _malformed(detail: str) -> UnreadableTableError:
    """The error for a file that is no workbook, or a broken one."""
    return UnreadableTableError("malformed", 0, f"tệp XLSX hỏng ({detail})", f"a broken XLSX file ({detail})")


def _too_large(vi: str, en: str, row: int = 0) -> UnreadableTableError:
    """The error for a workbook beyond a bound."""
    return UnreadableTableError("too_large", row, vi, en)
