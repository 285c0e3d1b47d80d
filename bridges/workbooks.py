"""Registers as files of either form, CSV or XLSX: exports, and templates with an explained example.

In a template the rows that begin with `#` explain; an import passes them over, so that it may be filled in below them
and sent as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Literal, get_args

import msgspec

from bridges.cells import NO, YES, headings
from bridges.halls import Hall
from bridges.importing import HALL_COLUMNS, LEVEL_WORDS, MAX_BANDWIDTH_MBPS, MAX_SEATS, hall_rows
from bridges.tables import Column, serialize_table
from bridges.unit_kinds import KIND_COLUMNS, TREE_WORDS, UnitKind, load_unit_kinds
from bridges.unit_tables import UNIT_COLUMNS, unit_rows
from bridges.units import Unit
from bridges.xlsx_writing import Sheet, serialize_workbook

Form = Literal["csv", "xlsx"]
Language = Literal["vi", "en"]
Subject = Literal["halls", "units", "kinds"]
FORMS: tuple[str, ...] = get_args(Form)
SUBJECTS: tuple[str, ...] = get_args(Subject)
MEDIA: dict[Form, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class _Layout(msgspec.Struct, frozen=True, kw_only=True):
    """How a register looks as a table: titles, widths, an example, and what each column means, by field.

    `words` are those that a column allows; of them the example has the one at the place that `chosen` says.
    """

    columns: tuple[Column, ...]
    title: tuple[str, str]
    widths: tuple[float, ...]
    example: tuple[str, ...]
    words: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
    meaning: dict[str, tuple[str, str]]
    chosen: dict[str, int]


def _words(found: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    pairs = [(words[0], words[1]) for words in found]
    return tuple(vi for vi, _ in pairs), tuple(en for _, en in pairs)


_LEVEL = _words(LEVEL_WORDS.values())
_TREE = _words(TREE_WORDS.values())
_YES_NO = (YES[0], NO[0]), (YES[1], NO[1])
_DAY = ("ngày, ví dụ 2025-07-01 hoặc 01/07/2025; trống nếu không biết", "a day, like 2025-07-01; empty if unknown")
_CODE = "chữ không dấu, số, - _ . ; tối đa 64", "letters, digits, - _ . ; at most 64"

_HALLS = _Layout(
    columns=HALL_COLUMNS,
    title=("Điểm cầu", "Halls"),
    widths=(18, 36, 12, 12, 12, 36, 24, 18, 8, 14, 14, 14, 12, 36),
    example=(
        "# VN-00004-01",
        "Điểm cầu UBND phường Ba Đình",
        "00004",
        "",
        "72",
        "Số 2 Trúc Bạch",
        "Nguyễn Văn A",
        "0900 000 123",
        "",
        "",
        "leased",
        "VNPT",
        "50",
        "máy tính, máy chiếu, camera, micro",
    ),
    words={"level": _LEVEL, "virtual": _YES_NO},
    chosen={"level": list(LEVEL_WORDS).index("commune"), "virtual": 1},
    meaning={
        "hall_id": (f"bắt buộc, không trùng; {_CODE[0]}", f"required, unique; {_CODE[1]}"),
        "name": ("bắt buộc", "required"),
        "unit": ("bắt buộc; mã đơn vị hành chính, giữ số 0 ở đầu", "required; code of the unit, with leading zeros"),
        "level": ("bắt buộc", "required"),
        "seats": (f"bắt buộc; số đại biểu triệu tập, 0 đến {MAX_SEATS}", f"required; delegates, 0 to {MAX_SEATS}"),
        "address": ("địa chỉ", "address"),
        "contact_name": ("cán bộ trực kỹ thuật", "technician on duty"),
        "contact_phone": ("gọi số nào khi mất kết nối", "whom to phone when it is lost"),
        "virtual": ("điểm cầu mô phỏng; thường để trống", "a simulated hall; usually empty"),
        "organisation": ("mã đơn vị trong cây tổ chức, nếu có", "code in the tree of organisations, if any"),
        "line": ("ví dụ thuê riêng, FTTH, 4G", "like leased, FTTH, 4G"),
        "carrier": ("nhà mạng", "carrier"),
        "bandwidth_mbps": (f"Mbit/s theo hợp đồng, 0 đến {MAX_BANDWIDTH_MBPS}", "Mbit/s by contract"),
        "devices": ("thiết bị trong phòng", "devices in the room"),
    },
)
_UNITS = _Layout(
    columns=UNIT_COLUMNS,
    title=("Đơn vị", "Units"),
    widths=(14, 36, 24, 14, 14, 14, 14, 16),
    example=("# 00004", "Phường Ba Đình", "phường", "01", "", "2025-07-01", "", ""),
    words={"tree": _TREE},
    chosen={"tree": 0},
    meaning={
        "code": (f"bắt buộc; {_CODE[0]}", f"required; {_CODE[1]}"),
        "name": ("bắt buộc", "required"),
        "kind": ("bắt buộc; xem bảng loại đơn vị", "required; see the kinds of units"),
        "parent": ("mã đơn vị cha; trống nếu ở trên cùng", "code of the parent; empty at the top"),
        "tree": ("trống là lãnh thổ", "empty means territory"),
        "valid_from": _DAY,
        "valid_to": _DAY,
        "merged_into": ("mã đơn vị tiếp nhận khi sáp nhập", "code of the unit that it was merged into"),
    },
)
_KINDS = _Layout(
    columns=KIND_COLUMNS,
    title=("Loại đơn vị", "Kinds of units"),
    widths=(36, 14, 8, 14, 14),
    example=("# xã", "", "4", "", ""),
    words={"tree": _TREE},
    chosen={"tree": 0},
    meaning={
        "name": ("bắt buộc", "required"),
        "tree": ("bắt buộc", "required"),
        "level": ("bắt buộc; 1 là trên cùng", "required; 1 is the top"),
        "valid_from": _DAY,
        "valid_to": _DAY,
    },
)
_LAYOUTS: dict[Subject, _Layout] = {"halls": _HALLS, "units": _UNITS, "kinds": _KINDS}


def serialize_halls(halls: Iterable[Hall], form: Form, language: Language = "vi") -> bytes:
    """Halls as a file that `importing.parse_halls` reads back as the same halls."""
    return _serialize(_HALLS, hall_rows(halls, language), form, language)


def serialize_units(units: Iterable[Unit], form: Form, language: Language = "vi") -> bytes:
    """Units as a file that `unit_tables.parse_units` reads back as the same units."""
    return _serialize(_UNITS, unit_rows(units, language), form, language)


def serialize_kinds(kinds: Iterable[UnitKind], form: Form, language: Language = "vi") -> bytes:
    """Kinds of units as a file that `unit_kinds.parse_unit_kinds` reads back as the same."""
    return _serialize(_KINDS, _kind_rows(kinds, language), form, language)


def serialize_template(subject: Subject, form: Form, language: Language = "vi") -> bytes:
    """A file to fill in: headings, what each column takes, and an example; the kinds come as they are."""
    layout, word = _LAYOUTS[subject], 0 if language == "vi" else 1
    fields = [column.field for column in layout.columns if column.field]
    example = tuple(
        layout.words[field][word][layout.chosen[field]] if field in layout.words else cell
        for field, cell in zip(fields, layout.example, strict=True)
    )
    explained = tuple(_explained(layout, field, word) for field in fields)
    rows: Iterator[Sequence[str | int]] = iter([(f"# {explained[0]}", *explained[1:]), example])
    if subject == "kinds":
        rows = chain(rows, _kind_rows(load_unit_kinds(), language))
    return _serialize(layout, rows, form, language)


def _explained(layout: _Layout, field: str, word: int) -> str:
    """What a column takes, and the words that it allows."""
    meaning = layout.meaning[field][word]
    return f"{meaning}: {' | '.join(layout.words[field][word])}" if field in layout.words else meaning


def _kind_rows(kinds: Iterable[UnitKind], language: Language) -> Iterator[tuple[str | int, ...]]:
    word = 0 if language == "vi" else 1
    for kind in kinds:
        yield kind.name, TREE_WORDS[kind.tree][word], kind.level, kind.valid_from, kind.valid_to


def _serialize(layout: _Layout, rows: Iterable[Sequence[str | int]], form: Form, language: Language) -> bytes:
    titles, word = headings(layout.columns, language), 0 if language == "vi" else 1
    if form == "csv":
        return serialize_table(titles, ([str(cell) for cell in row] for row in rows))
    fields = [column.field for column in layout.columns]
    choices = {fields.index(field): words[word] for field, words in layout.words.items()}
    register = Sheet(
        name=layout.title[word], headings=titles, rows=rows, widths=layout.widths, choices=choices, wraps=False
    )
    about = Sheet(
        name="Hướng dẫn" if language == "vi" else "Guide",
        headings=("Cột", "Ý nghĩa", "Từ cho phép") if language == "vi" else ("Column", "Meaning", "Allowed words"),
        rows=[
            (title, layout.meaning[field][word], " | ".join(layout.words[field][word]) if field in layout.words else "")
            for title, field in zip(titles, fields, strict=False)
        ],
        widths=(24, 60, 60),
        wraps=True,
    )
    return serialize_workbook([register, about])
