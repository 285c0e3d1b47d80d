"""Rows of a CSV text (RFC 4180 with `,` or `;`, UTF-8 with or without a byte order mark), within bounds."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from bridges.errors import UnreadableTableError

MAX_LINE = 65_536  # a line of millions of empty cells costs far more memory than its bytes


def csv_records(data: bytes | str) -> Iterator[tuple[int, list[str]]]:
    """Each record with its number, as a spreadsheet counts rows from 1.

    Raises:
        UnreadableTableError: not UTF-8, a NUL byte, a line that is too long, broken quoting; raised while iterating.
    """
    text = _decode(data)
    found = re.search(r"\S[^\r\n]*", text)
    first = found.group(0)[:MAX_LINE] if found else ""
    delimiter = max((",", ";", "\t"), key=first.count)
    reader = csv.reader(_bounded_lines(text), delimiter=delimiter, strict=True)
    number = 0
    try:
        for number, record in enumerate(reader, start=1):
            yield number, record
    except csv.Error as error:
        raise UnreadableTableError(
            "malformed", number + 1, f"dấu nháy hoặc xuống dòng sai ({error})", f"broken quoting or line ({error})"
        ) from None


def _decode(data: bytes | str) -> str:
    try:
        raw = data.encode() if isinstance(data, str) else data
        if b"\0" in raw:
            row = raw.count(b"\n", 0, raw.index(b"\0")) + 1
            raise UnreadableTableError(
                "nul_byte", row, "có byte NUL; hãy lưu dạng CSV UTF-8", "a NUL byte; save the file as CSV UTF-8"
            )
        return raw.decode("utf-8-sig")
    except UnicodeError as error:
        start = error.start if isinstance(error, UnicodeDecodeError | UnicodeEncodeError) else 0
        row = (data.count("\n", 0, start) if isinstance(data, str) else data.count(b"\n", 0, start)) + 1
        reason_en = "the text is not UTF-8; save the file as CSV UTF-8"
        raise UnreadableTableError("encoding", row, "không phải UTF-8; hãy lưu dạng CSV UTF-8", reason_en) from None


def _bounded_lines(text: str) -> Iterator[str]:
    for number, line in enumerate(io.StringIO(text, newline=""), start=1):
        if len(line) > MAX_LINE:
            raise UnreadableTableError(
                "too_large", number, f"dòng dài hơn {MAX_LINE} ký tự", f"a line exceeds {MAX_LINE}", value=line
            )
        yield line
