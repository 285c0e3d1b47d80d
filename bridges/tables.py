"""Tables from CSV or XLSX: headings in two languages, bounds before parsing, every bad row named.

What a file is shows in its first bytes; who imports does not know. Owns what rows and headings are, and the guard
against formulas in spreadsheets. Refuses, as `ImportFailedError` and nothing else, whatever is too large, broken or
ragged. Knows nothing of units or halls; `bridges.importing` does.

Rows above the headings (a title, a date) are passed over; headings may stand in two rows, one over several columns. A
row whose code begins with `#` is a remark.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest

import msgspec

from bridges.csv_records import csv_records
from bridges.errors import ImportFailedError, RowError, UnreadableTableError
from bridges.xlsx_records import MAGIC, xlsx_records

MAX_BYTES = 32 * 1024 * 1024  # 200,000 rows of 160 bytes
MAX_ROWS = 200_000  # five times the largest conference that we size for
MAX_ERRORS = 10_000  # more than anybody corrects by hand, less than a reply that hurts
# Files begin with a name of the authority, the title, a date; the headings come after a few such rows.
_ROWS_ABOVE = 20
_SHOWN = 200
_OLD_MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")  # of .xls, and of an .xlsx with a password
_ERROR_VALUES = frozenset(
    ("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!", "#GETTING_DATA")
)
# What spreadsheets take for the beginning of a formula, full-width forms included, or for an error, behind any number
# of our own quotes.
_FORMULA = re.compile(rf"'*(?:[=+\-@\t\r\n＝＋－＠]|(?:{'|'.join(map(re.escape, sorted(_ERROR_VALUES)))})\Z)")
# What comes with a copied cell and nobody sees: byte order mark, zero-width space, word joiner.
_UNSEEN = {0xFEFF: None, 0x200B: None, 0x2060: None}


class Column(msgspec.Struct, frozen=True):
    """A column that a table may have.

    Attributes:
        field: our name of it; a column named "" may stand in the file and is not read.
        headings: headings that mean it, the Vietnamese one for exports first, then the English one; compared by `fold`.
        required: the file must have it.
    """

    field: str
    headings: tuple[str, ...]
    required: bool = True


class Row(msgspec.Struct, frozen=True):
    """A row as read: `number` as a spreadsheet counts, `cells` by field ("" where a column is missing)."""

    number: int
    cells: dict[str, str]


class Faults:
    """Collects what is wrong with a file; bounded, the rest is counted."""

    __slots__ = ("_headings", "errors", "more")

    def __init__(self) -> None:
        self.errors: list[RowError] = []
        self.more = 0
        self._headings: dict[str, str] = {}

    @property
    def count(self) -> int:
        """How many there are, those that are only counted included."""
        return len(self.errors) + self.more

    def name_columns(self, headings: dict[str, str]) -> None:
        """From now on a field is reported by the heading that the file has for it."""
        self._headings = headings

    def has_column(self, field: str) -> bool:
        """Whether the file that is read has a column for a field."""
        return field in self._headings

    def add(self, row: int, field: str, value: str, reason_vi: str, reason_en: str) -> None:
        """Note one fault."""
        if len(self.errors) >= MAX_ERRORS:
            self.more += 1
            return
        column = self._headings.get(field, field)
        shown = _printable(value[:_SHOWN])
        self.errors.append(
            RowError(row=row, column=_printable(column), value=shown, reason_vi=reason_vi, reason_en=reason_en)
        )

    def raise_if_any(self, code: str) -> None:
        """Raise `ImportFailedError` with all faults in order of the file, if there are any."""
        if self.errors:
            self.errors.sort(key=lambda error: error.row)
            raise ImportFailedError(code, self.errors, more=self.more)

    def stop(self, code: str, row: int, value: str, reason_vi: str, reason_en: str) -> ImportFailedError:
        """The error for a file that cannot be read on; holds this fault even where the list is full."""
        del self.errors[MAX_ERRORS - 1 :]
        self.add(row, "", value, reason_vi, reason_en)
        return ImportFailedError(code, self.errors, more=self.more)


def fold(text: str) -> str:
    """A word for comparison: lower case, without marks (`Mã` and `ma` are one), `_` and `-` as spaces."""
    decomposed = unicodedata.normalize("NFD", text.casefold().replace("đ", "d"))
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return " ".join(re.sub(r"[_\-]", " ", bare).split())


def escape_formula(value: str) -> str:
    """A cell that no spreadsheet takes for a formula: a quote goes before what would begin one."""
    return f"'{value}" if _FORMULA.match(value) else value


def unescape_formula(value: str) -> str:
    """Undo `escape_formula`."""
    return value[1:] if value.startswith("'") and _FORMULA.match(value) else value


def serialize_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """A CSV file that spreadsheets open with Vietnamese letters whole: byte order mark, CRLF, cells guarded."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([escape_formula(heading) for heading in headings])
    writer.writerows([escape_formula(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig", "replace")


def parse_table(data: bytes | str, columns: Sequence[Column], faults: Faults, *, sheet: str = "") -> Iterator[Row]:
    """Read a file row by row; ragged rows go to `faults` and are left out, blank ones are left out silently.

    Cells are normalised: Unicode NFC, one space for each run of white space, formula quotes removed.

    Args:
        data: the file, CSV or XLSX.
        columns: what it may hold; the first is the code, at which remarks are known.
        faults: takes what is wrong.
        sheet: name of the sheet of a workbook; "" for the first.

    Raises:
        ImportFailedError: too large, broken, no or wrong headings; raised while iterating.
    """
    if len(data) > MAX_BYTES:
        raise faults.stop("too_large", 0, "", f"tệp lớn hơn {MAX_BYTES} byte", f"the file exceeds {MAX_BYTES} bytes")
    try:
        is_text = isinstance(data, str) or not data.startswith((MAGIC, _OLD_MAGIC))
        yield from _parse_rows(_clean(_records(data, sheet)), columns, faults, is_text=is_text)
    except UnreadableTableError as error:
        raise faults.stop(error.code, error.row, error.value, error.reason_vi, error.reason_en) from None


def _records(data: bytes | str, sheet: str) -> Iterator[tuple[int, list[str]]]:
    if isinstance(data, str) or not data.startswith((MAGIC, _OLD_MAGIC)):
        return csv_records(data)
    if data.startswith(_OLD_MAGIC):
        raise UnreadableTableError(
            "old_format",
            0,
            "tệp .xls cũ hoặc có mật khẩu; hãy lưu dạng .xlsx không mật khẩu",
            "an old .xls file, or one with a password; save it as .xlsx without one",
        )
    return xlsx_records(data, sheet, fold)


def _clean(records: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """Cells normalised, blank rows left out."""
    for number, record in records:
        cells = [_clean_cell(cell) for cell in record]
        if any(cells):
            yield number, cells


def _clean_cell(cell: str) -> str:
    if not cell.isascii():
        cell = unicodedata.normalize("NFC", cell.translate(_UNSEEN))
    return " ".join(cell.split())


def _parse_rows(
    records: Iterator[tuple[int, list[str]]], columns: Sequence[Column], faults: Faults, *, is_text: bool
) -> Iterator[Row]:
    heading_row, headings, records = _find_headings(records, columns, faults)
    fields = _match_headings(heading_row, headings, columns, faults)
    absent = {column.field: "" for column in columns if column.field not in fields}
    code = columns[0].field
    for count, (number, record) in enumerate(records, start=1):
        if count > MAX_ROWS:
            raise faults.stop("too_many_rows", number, "", f"quá {MAX_ROWS} dòng", f"more than {MAX_ROWS} rows")
        # A workbook keeps no empty cells at the end of a row; a line of text that is short lost a comma somewhere.
        if len(record) != len(headings) if is_text else any(record[len(headings) :]):
            faults.add(
                number,
                "",
                ",".join(record[:16]),
                f"dòng có {len(record)} ô, tiêu đề có {len(headings)}",
                f"the row has {len(record)} cells, the heading {len(headings)}",
            )
            continue
        cells = dict(absent)
        for position, field in enumerate(fields):
            cell = record[position] if position < len(record) else ""
            if field:
                cells[field] = unescape_formula(cell)
            elif cell and not headings[position]:
                faults.add(number, "", cell, "ô nằm ngoài các cột có tiêu đề", "a cell under an empty heading")
            if cell in _ERROR_VALUES:
                faults.add(number, field, cell, "công thức lỗi", "a formula that failed")
        if not cells[code].startswith("#") or cells[code] in _ERROR_VALUES:
            yield Row(number, cells)


def _find_headings(
    records: Iterator[tuple[int, list[str]]], columns: Sequence[Column], faults: Faults
) -> tuple[int, list[str], Iterator[tuple[int, list[str]]]]:
    """The row of headings, two rows taken together where they part one over several columns, and what comes after.

    Where no row has all that is required, the first is taken for them, to say what it lacks.
    """
    above: list[tuple[int, list[str]]] = []
    for number, record in records:
        upper = above[-1][1] if above else []
        both = [bottom or top for bottom, top in zip_longest(record, upper, fillvalue="")]
        best = max(record, both, key=lambda headings: _known(headings, columns))
        if _known(best, columns) and all(
            _names(column) & set(map(_folded, best)) for column in columns if column.required
        ):
            return number, best, records
        above.append((number, record))
        if len(above) > _ROWS_ABOVE:
            break
    if not above:
        raise faults.stop("empty", 0, "", "tệp trống, cần dòng tiêu đề", "the file is empty, a heading row is needed")
    (number, record), *rest = above
    return number, record, chain(rest, records)


def _known(headings: Sequence[str], columns: Sequence[Column]) -> int:
    """How many columns these headings name."""
    found = set(map(_folded, headings))
    return sum(1 for column in columns if _names(column) & found)


def _names(column: Column) -> set[str]:
    return {fold(name) for name in (column.field, *column.headings) if name}


def _folded(heading: str) -> str:
    return fold(unescape_formula(heading))


def _match_headings(row: int, headings: list[str], columns: Sequence[Column], faults: Faults) -> list[str]:
    """Field of each column of the file, "" under an empty heading; all wrong headings are reported together."""
    known = {name: column.field for column in columns for name in _names(column)}
    fields: list[str] = []
    named: dict[str, str] = {}
    for heading in headings:
        field = known.get(_folded(heading))
        if heading and field is None:
            faults.add(row, heading, heading, "cột không rõ nghĩa", "unknown column")
        elif field and field in named:
            first = named[field]
            faults.add(row, heading, heading, f"cột bị lặp với cột {first!r}", f"the column repeats {first!r}")
        elif field:
            named[field] = heading
        fields.append(field or "")
    for column in columns:
        if column.required and column.field not in named:
            names = " / ".join(column.headings[:2])
            faults.add(row, column.field, "", f"thiếu cột {names}", f"missing column {names}")
    faults.raise_if_any("columns")
    faults.name_columns(named)
    return fields


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "�" for letter in text)
