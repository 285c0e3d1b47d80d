"""Tables as CSV text: headings in two languages, bounds before parsing, every bad row named.

Owns the file format (RFC 4180 with `,` or `;`, UTF-8 with or without a byte order mark) and the guard against formulas
in spreadsheets. Refuses, as `ImportFailedError` and nothing else, whatever is too large, wrongly encoded or ragged.
Knows nothing of units or halls; `bridges.importing` does.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from bridges.errors import ImportFailedError, RowError

MAX_BYTES = 32 * 1024 * 1024  # 200,000 rows of 160 bytes
MAX_ROWS = 200_000  # five times the largest conference that we size for
MAX_ERRORS = 10_000  # more than anybody corrects by hand, less than a reply that hurts
MAX_LINE = 65_536  # a line of millions of empty cells costs far more memory than its bytes
_SHOWN = 200
# What spreadsheets take for the beginning of a formula, full-width forms included, behind any number of our own quotes.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


class Column(msgspec.Struct, frozen=True):
    """A column that a table may have.

    Attributes:
        field: our name of it.
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

    def name_columns(self, headings: dict[str, str]) -> None:
        """From now on a field is reported by the heading that the file has for it."""
        self._headings = headings

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


def parse_table(data: bytes | str, columns: Sequence[Column], faults: Faults) -> Iterator[Row]:
    """Read a file row by row; ragged rows go to `faults` and are left out, blank ones are left out silently.

    Cells are normalised: Unicode NFC, one space for each run of white space, formula quotes removed.

    Raises:
        ImportFailedError: too large, not UTF-8, broken quoting, no or wrong headings; raised while iterating.
    """
    records = _records(_decode(data, faults), faults)
    heading_row, headings = next(records, (0, []))
    if not headings:
        raise faults.stop("empty", 0, "", "tệp trống, cần dòng tiêu đề", "the file is empty, a heading row is needed")
    fields = _match_headings(heading_row, headings, columns, faults)
    absent = {column.field: "" for column in columns if column.field not in fields}
    for count, (number, record) in enumerate(records, start=1):
        if count > MAX_ROWS:
            raise faults.stop("too_many_rows", number, "", f"quá {MAX_ROWS} dòng", f"more than {MAX_ROWS} rows")
        if len(record) != len(headings):
            faults.add(
                number,
                "",
                ",".join(record[:16]),
                f"dòng có {len(record)} ô, tiêu đề có {len(headings)}",
                f"the row has {len(record)} cells, the heading {len(headings)}",
            )
            continue
        cells = dict(absent)
        for field, cell in zip(fields, record, strict=True):
            if field:
                cells[field] = unescape_formula(cell)
            elif cell:
                faults.add(number, "", cell, "ô nằm ngoài các cột có tiêu đề", "a cell under an empty heading")
        yield Row(number, cells)


def _decode(data: bytes | str, faults: Faults) -> str:
    if len(data) > MAX_BYTES:
        raise faults.stop("too_large", 0, "", f"tệp lớn hơn {MAX_BYTES} byte", f"the file exceeds {MAX_BYTES} bytes")
    try:
        raw = data.encode() if isinstance(data, str) else data
        if b"\0" in raw:
            row = raw.count(b"\n", 0, raw.index(b"\0")) + 1
            raise faults.stop(
                "nul_byte", row, "", "có byte NUL; hãy lưu dạng CSV UTF-8", "a NUL byte; save the file as CSV UTF-8"
            )
        return raw.decode("utf-8-sig")
    except UnicodeError as error:
        start = error.start if isinstance(error, UnicodeDecodeError | UnicodeEncodeError) else 0
        row = (data.count("\n", 0, start) if isinstance(data, str) else data.count(b"\n", 0, start)) + 1
        reason_en = "the text is not UTF-8; save the file as CSV UTF-8"
        raise faults.stop("encoding", row, "", "không phải UTF-8; hãy lưu dạng CSV UTF-8", reason_en) from None


def _records(text: str, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    """Records with their numbers, cells normalised, without the blank ones."""
    found = re.search(r"\S[^\r\n]*", text)
    first = found.group(0)[:MAX_LINE] if found else ""
    delimiter = ";" if first.count(";") > first.count(",") else ","
    reader = csv.reader(_bounded_lines(text, faults), delimiter=delimiter, strict=True)
    number = 0
    try:
        for record in reader:
            number += 1
            cells = [" ".join(unicodedata.normalize("NFC", cell).split()) for cell in record]
            if any(cells):
                yield number, cells
    except csv.Error as error:
        raise faults.stop(
            "malformed", number + 1, "", f"dấu nháy hoặc xuống dòng sai ({error})", f"broken quoting or line ({error})"
        ) from None


def _bounded_lines(text: str, faults: Faults) -> Iterator[str]:
    for number, line in enumerate(io.StringIO(text, newline=""), start=1):
        if len(line) > MAX_LINE:
            raise faults.stop("too_large", number, line, f"dòng dài hơn {MAX_LINE} ký tự", f"a line exceeds {MAX_LINE}")
        yield line


def _match_headings(row: int, headings: list[str], columns: Sequence[Column], faults: Faults) -> list[str]:
    """Field of each column of the file, "" under an empty heading; all wrong headings are reported together."""
    known = {fold(heading): column.field for column in columns for heading in (column.field, *column.headings)}
    fields: list[str] = []
    named: dict[str, str] = {}
    for heading in headings:
        field = known.get(fold(unescape_formula(heading)), "")
        if heading and not field:
            faults.add(row, heading, heading, "cột không rõ nghĩa", "unknown column")
        elif field and field in named:
            first = named[field]
            faults.add(row, heading, heading, f"cột bị lặp với cột {first!r}", f"the column repeats {first!r}")
        elif field:
            named[field] = heading
        fields.append(field)
    for column in columns:
        if column.required and column.field not in named:
            names = " / ".join(column.headings[:2])
            faults.add(row, column.field, "", f"thiếu cột {names}", f"missing column {names}")
    faults.raise_if_any("columns")
    faults.name_columns(named)
    return fields


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "�" for letter in text)
