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


class UnreadableTableError(BridgesError):
    """A file cannot be read on as a table.

    Attributes:
        code: `too_large`, `encoding`, `nul_byte`, `malformed`, `old_format` or `no_sheet`.
        row: row at which it ends, as a spreadsheet counts it; 0 for the file as a whole.
        reason_vi: why, in Vietnamese.
        reason_en: the same in English.
        value: what stood there.
    """

    def __init__(self, code: str, row: int, reason_vi: str, reason_en: str, *, value: str = "") -> None:
        super().__init__(f"{reason_vi} / {reason_en}")
        self.code = code
        self.row = row
        self.reason_vi = reason_vi
        self.reason_en = reason_en
        self.value = value


class ImportFailedError(BridgesError):
    """A file was not imported, no row of it.

    Attributes:
        code: `too_many_rows`, `empty`, `columns`, `rows`, or a code of `UnreadableTableError`.
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


class PublishError(BridgesError):
    """A source cannot be published, or the relay does not take it.

    Attributes:
        code: `bad_source` (missing or unreadable), `no_media`, `bad_size`, `cannot_loop`,
            `refused`, `token_expired` or `unreachable`.
    """

    code = "bad_source"

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class CheckinCodeError(BridgesError):
    """What was scanned is no delegate's code of this version; says why, and not what it was."""

    code = "bad_code"


class LinkError(BridgesError):
    """A hall's link is not `<public_url>/hall#token=<jwt>` with a hall and a conference in its token."""

    code = "bad_link"


class ResourceError(BridgesError):
    """A relay did not do what a WHIP or WHEP client asked for.

    Attributes:
        code: the problem's code, for example `full` or `conference_ended`, or `relay_refused` where the relay gave
            none; `relay_unreachable` (no answer), `malformed` (an answer that is none), `no_media_path` (ICE or DTLS
            did not come up), `no_network`, `not_open`.
        status: HTTP status, or 0 when there was no answer.
        retry_after_s: how long the relay asks to wait; 0 if it does not.
    """

    code = "relay_refused"

    def __init__(
        self, detail: str, *, code: str = "relay_refused", status: int = 0, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s


class HallApiError(BridgesError):
    """The coordinator did not do what a hall asked for.

    Attributes:
        code: the problem's code, for example `wrong_phase` or `no_relay`; `unreachable` when there was no answer.
        status: HTTP status, or 0 when there was no answer.
        retry_after_s: how long the coordinator asks to wait; 0 if it does not.
    """

    code = "unreachable"

    def __init__(self, code: str, detail: str, *, status: int = 0, retry_after_s: float = 0.0) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def decisive(self) -> bool:
        """The coordinator answered and meant no: asking again soon gives the same answer."""
        return 400 <= self.status < 500 and self.status != 429
