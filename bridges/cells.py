"""Cells of registers: codes, texts, figures, days and yes or no, each with what is wrong in both languages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from bridges.tables import Column, Faults, Row, fold

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# First the word that an export uses, Vietnamese then English; all are compared by `fold`.
YES = ("có", "yes", "1", "true", "x", "ảo", "virtual")
NO = ("không", "no", "0", "false", "thật", "real", "")
_FOLDED_YES = frozenset(fold(word) for word in YES)
_FOLDED_NO = frozenset(fold(word) for word in NO)
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?: \d\d:\d\d)?")
_DAY_FIRST = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})")


def headings(columns: Sequence[Column], language: str) -> list[str]:
    """The headings of an export."""
    return [column.headings[0 if language == "vi" else 1] for column in columns if column.field]


def check_code(row: Row, field: str, faults: Faults) -> None:
    """Note a code that is empty or holds what codes do not."""
    value = row.cells[field]
    if not value:
        faults.add(row.number, field, "", "thiếu mã", "the code is missing")
    elif not CODE.fullmatch(value):
        faults.add(
            row.number,
            field,
            value,
            "mã chỉ gồm chữ không dấu, số, - _ . (bắt đầu bằng chữ hoặc số, tối đa 64)",
            "a code holds letters, digits, - _ . (begins with a letter or digit, at most 64)",
        )


def check_unique(row: Row, field: str, first_rows: dict[str, int], faults: Faults) -> None:
    """Note a code that stood in an earlier row; `first_rows` remembers them."""
    value = row.cells[field]
    if not value:
        return
    first = first_rows.setdefault(value, row.number)
    if first != row.number:
        reason_vi = f"mã trùng: dòng {first} và dòng {row.number}"
        faults.add(row.number, field, value, reason_vi, f"the same code in row {first} and row {row.number}")


def check_text(row: Row, field: str, limit: int, faults: Faults, *, required: bool = False) -> None:
    """Note a text that is too long, holds control characters, or is empty where it must not be."""
    value = row.cells[field]
    if not value:
        if required:
            faults.add(row.number, field, "", "không được để trống", "must not be empty")
    elif len(value) > limit:
        faults.add(row.number, field, value, f"dài quá {limit} ký tự", f"longer than {limit} characters")
    elif not value.isprintable():
        faults.add(row.number, field, value, "có ký tự điều khiển", "holds control characters")


def parse_figure(row: Row, field: str, limit: int, faults: Faults, *, required: bool = True) -> int:
    """A whole number from 0 to `limit`; 0 where it is wrong, or empty and not required."""
    value = row.cells[field]
    if not value and not required:
        return 0
    # int() would take "1_0", " 7" and digits of other scripts; "1.250" is 1250 here and 1.25 elsewhere, so neither.
    if value.isascii() and value.isdigit() and len(value) <= 9 and int(value) <= limit:
        return int(value)
    faults.add(
        row.number,
        field,
        value,
        f"phải là số nguyên từ 0 đến {limit}, không có dấu chấm phẩy",
        f"must be a whole number from 0 to {limit}, without separators",
    )
    return 0


def parse_yes_no(row: Row, field: str, faults: Faults) -> bool:
    """Yes or no; no where it is empty or wrong."""
    value = fold(row.cells[field])
    if value not in _FOLDED_YES and value not in _FOLDED_NO:
        faults.add(row.number, field, row.cells[field], "phải là có hoặc không", "must be yes or no")
    return value in _FOLDED_YES


def parse_day(row: Row, field: str, faults: Faults) -> str:
    """A day as `YYYY-MM-DD`, written so or as day/month/year; "" where it is empty or wrong."""
    value = row.cells[field]
    if not value:
        return ""
    if found := _ISO.fullmatch(value):
        year, month, day = map(int, found.groups())
    elif found := _DAY_FIRST.fullmatch(value):
        day, month, year = map(int, found.groups())
    else:
        year = month = day = 0
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        faults.add(
            row.number, field, value, "phải là ngày, ví dụ 2025-07-01 hoặc 01/07/2025", "must be a day, like 2025-07-01"
        )
        return ""
