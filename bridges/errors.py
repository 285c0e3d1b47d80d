"""Typed errors of the halls' package; one base class, a stable `code` on each."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class BridgesError(Exception):
    """Base of all errors that this package raises for input from outside.

    Attributes:
        code: stable snake_case word for machines.
    """

    code = "bridges_error"


class UnknownUnitError(BridgesError):
    """A code names no unit of the tree.

    Attributes:
        unit: the code that was asked for.
    """

    code = "unknown_unit"

    def __init__(self, unit: str) -> None:
        super().__init__(f"không có đơn vị mã {unit!r} / no unit has the code {unit!r}")
        self.unit = unit


class UnitTreeError(BridgesError):
    """Units do not make a tree.

    Attributes:
        code: `duplicate_code`, `unknown_parent`, `cycle` or `too_many_units`.
        units: codes concerned, in order of input; at most 100 of them.
        count: how many are concerned in all.
    """

    def __init__(self, code: str, units: Sequence[str], detail: str) -> None:
        shown = ", ".join(repr(unit) for unit in units[:5])
        super().__init__(f"{detail}: {shown}{' …' if len(units) > 5 else ''}")
        self.code = code
        self.units = list(units[:100])
        self.count = len(units)


class RowError(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one cell, row or file.

    Attributes:
        row: row as a spreadsheet counts it; 1 is the heading, 0 means the file as a whole.
        column: heading as written in the file, or "" for the row as a whole.
        value: what stood there, shortened to 200 characters.
        reason_vi: what is wrong, in Vietnamese.
        reason_en: the same in English.
    """

    row: int
    column: str
    value: str
    reason_vi: str
    reason_en: str


class ImportFailedError(BridgesError):
    """A file was not imported, no row of it.

    Attributes:
        code: `too_large`, `too_many_rows`, `encoding`, `nul_byte`, `malformed`, `empty`, `columns` or `rows`.
        errors: every bad row, in order of the file, at most `bridges.tables.MAX_ERRORS`.
        more: how many further errors were left off.
    """

    def __init__(self, code: str, errors: Sequence[RowError], *, more: int = 0) -> None:
        first = errors[0]
        where = f"dòng/row {first.row}: " if first.row else ""
        rest = len(errors) - 1 + more
        tail = f" (+{rest})" if rest else ""
        super().__init__(f"{where}{first.reason_vi} / {first.reason_en}{tail}")
        self.code = code
        self.errors = list(errors)
        self.more = more
