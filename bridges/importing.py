"""Import and export of units and halls as CSV; all or nothing, every bad row named in both languages.

Owns the columns, the words for levels and the limits of each field; `bridges.tables` owns the file format. A file with
one bad row imports nothing. What `serialize_halls_csv` writes, `parse_halls_csv` reads back as the same halls.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from typing import Literal

from bridges.halls import Hall, HallLevel
from bridges.tables import Column, Faults, Row, fold, parse_table, serialize_table
from bridges.units import Unit

MAX_SEATS = 100_000  # above the largest stadium; a greater figure is a slip of the keyboard
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TEXT_LIMITS = {"name": 200, "kind": 60, "address": 300, "contact_name": 120, "contact_phone": 60}

UNIT_COLUMNS = (
    Column("code", ("mã", "code", "mã đơn vị", "unit code")),
    Column("name", ("tên", "name", "tên đơn vị", "unit name")),
    Column("kind", ("loại", "kind", "loại đơn vị", "cấp")),
    Column("parent", ("đơn vị cha", "parent", "mã đơn vị cha", "trực thuộc", "đơn vị cấp trên")),
)
HALL_COLUMNS = (
    Column("hall_id", ("mã", "hall_id", "code", "mã điểm cầu")),
    Column("name", ("tên", "name", "tên điểm cầu", "hall name")),
    Column("unit", ("đơn vị", "unit", "mã đơn vị", "unit code")),
    Column("level", ("cấp", "level", "cấp điểm cầu")),
    Column("seats", ("số đại biểu", "seats", "đại biểu", "triệu tập", "delegates", "summoned")),
    Column("address", ("địa chỉ", "address"), required=False),
    Column("contact_name", ("người phụ trách", "contact_name", "cán bộ kỹ thuật", "contact"), required=False),
    Column("contact_phone", ("điện thoại", "contact_phone", "số điện thoại", "phone"), required=False),
    Column("virtual", ("ảo", "virtual"), required=False),
)

# First the word that an export uses, Vietnamese then English; all are compared by `fold`.
LEVEL_WORDS: dict[HallLevel, tuple[str, ...]] = {
    "central": ("trung ương", "central", "tw", "điểm cầu chính", "điểm cầu trung tâm"),
    "province": ("tỉnh", "province", "thành phố", "thành phố trực thuộc trung ương", "provincial"),
    "commune": ("xã", "commune", "phường", "đặc khu", "ward"),
    "base": ("cơ sở", "base", "điểm cầu cơ sở", "thôn", "tổ dân phố", "chi bộ"),
}
_YES = ("có", "yes", "1", "true", "x", "ảo", "virtual")
_NO = ("", "không", "no", "0", "false", "thật", "real")


def parse_units_csv(data: bytes | str, known_units: Container[str] | None = None) -> list[Unit]:
    """Read units; a parent may stand below its children.

    Args:
        data: the file.
        known_units: codes that exist already. Given, each parent must be one of them or in the file; left out, parents
            outside the file are for the caller to check.

    Raises:
        ImportFailedError: with every bad row; nothing is to be imported.
    """
    faults = Faults()
    first_rows: dict[str, int] = {}
    found: list[tuple[int, Unit]] = []
    for row in parse_table(data, UNIT_COLUMNS, faults):
        _check_code(row, "code", faults)
        _check_texts(row, ("name", "kind"), faults)
        if row.cells["parent"]:
            _check_code(row, "parent", faults)
        _check_unique(row, "code", first_rows, faults)
        cells = row.cells
        unit = Unit(code=cells["code"], name=cells["name"], kind=cells["kind"], parent=cells["parent"])
        found.append((row.number, unit))
    _check_parents(found, known_units, faults)
    faults.raise_if_any("rows")
    return [unit for _, unit in found]


def parse_halls_csv(data: bytes | str, known_units: Container[str]) -> list[Hall]:
    """Read halls; the unit of each must be known.

    Args:
        data: the file.
        known_units: codes of the units that exist (a `UnitTree`, a set, a dict).

    Raises:
        ImportFailedError: with every bad row; nothing is to be imported.
    """
    faults = Faults()
    first_rows: dict[str, int] = {}
    halls: list[Hall] = []
    for row in parse_table(data, HALL_COLUMNS, faults):
        cells = row.cells
        _check_code(row, "hall_id", faults)
        _check_texts(row, ("name",), faults)
        _check_texts(row, ("address", "contact_name", "contact_phone"), faults, required=False)
        _check_unique(row, "hall_id", first_rows, faults)
        if not cells["unit"]:
            faults.add(row.number, "unit", "", "thiếu mã đơn vị", "the unit code is missing")
        elif cells["unit"] not in known_units:
            faults.add(row.number, "unit", cells["unit"], "đơn vị không tồn tại", "no such unit")
        level, seats, virtual = _level(row, faults), _seats(row, faults), _virtual(row, faults)
        if not faults.errors:
            halls.append(
                Hall(
                    hall_id=cells["hall_id"],
                    name=cells["name"],
                    unit=cells["unit"],
                    level=level,
                    seats=seats,
                    address=cells["address"],
                    contact_name=cells["contact_name"],
                    contact_phone=cells["contact_phone"],
                    virtual=virtual,
                )
            )
    faults.raise_if_any("rows")
    return halls


def serialize_units_csv(units: Iterable[Unit], *, language: Literal["vi", "en"] = "vi") -> bytes:
    """Units as a CSV file that `parse_units_csv` reads back."""
    rows = ((unit.code, unit.name, unit.kind, unit.parent) for unit in units)
    return serialize_table(_headings(UNIT_COLUMNS, language), rows)


def serialize_halls_csv(halls: Iterable[Hall], *, language: Literal["vi", "en"] = "vi") -> bytes:
    """Halls as a CSV file that `parse_halls_csv` reads back as the same halls; cells cannot act as formulas."""
    word = 0 if language == "vi" else 1
    rows = (
        (
            hall.hall_id,
            hall.name,
            hall.unit,
            LEVEL_WORDS[hall.level][word],
            str(hall.seats),
            hall.address,
            hall.contact_name,
            hall.contact_phone,
            _YES[word] if hall.virtual else _NO[1 + word],
        )
        for hall in halls
    )
    return serialize_table(_headings(HALL_COLUMNS, language), rows)


def _headings(columns: tuple[Column, ...], language: Literal["vi", "en"]) -> list[str]:
    return [column.headings[0 if language == "vi" else 1] for column in columns]


def _check_code(row: Row, field: str, faults: Faults) -> None:
    value = row.cells[field]
    if not value:
        faults.add(row.number, field, "", "thiếu mã", "the code is missing")
    elif not _CODE.fullmatch(value):
        faults.add(
            row.number,
            field,
            value,
            "mã chỉ gồm chữ không dấu, số, - _ . (bắt đầu bằng chữ hoặc số, tối đa 64)",
            "a code holds letters, digits, - _ . (begins with a letter or digit, at most 64)",
        )


def _check_unique(row: Row, field: str, first_rows: dict[str, int], faults: Faults) -> None:
    value = row.cells[field]
    if not value:
        return
    first = first_rows.setdefault(value, row.number)
    if first != row.number:
        reason_vi = f"mã trùng: dòng {first} và dòng {row.number}"
        faults.add(row.number, field, value, reason_vi, f"the same code in row {first} and row {row.number}")


def _check_texts(row: Row, fields: tuple[str, ...], faults: Faults, *, required: bool = True) -> None:
    for field in fields:
        value, limit = row.cells[field], _TEXT_LIMITS[field]
        if not value:
            if required:
                faults.add(row.number, field, "", "không được để trống", "must not be empty")
        elif len(value) > limit:
            faults.add(row.number, field, value, f"dài quá {limit} ký tự", f"longer than {limit} characters")
        elif not value.isprintable():
            faults.add(row.number, field, value, "có ký tự điều khiển", "holds control characters")


def _check_parents(found: list[tuple[int, Unit]], known_units: Container[str] | None, faults: Faults) -> None:
    parents = {unit.code: unit.parent for _, unit in found}
    settled: set[str] = set()
    for number, unit in found:
        if known_units is not None and unit.parent and unit.parent not in parents and unit.parent not in known_units:
            faults.add(number, "parent", unit.parent, "đơn vị cha không tồn tại", "no such parent unit")
        chain: list[str] = []
        on_chain: set[str] = set()
        code = unit.code
        while code in parents and code not in settled and code not in on_chain:
            chain.append(code)
            on_chain.add(code)
            code = parents[code]
        if code and code in on_chain:
            faults.add(number, "parent", unit.parent, "đơn vị cha tạo vòng lặp", "the parents run in a circle")
        settled.update(chain)


def _level(row: Row, faults: Faults) -> HallLevel:
    value = fold(row.cells["level"])
    level = _LEVELS.get(value) or _LEVELS.get(value.removeprefix("cap "))
    if level:
        return level
    words = ", ".join(words[0] for words in LEVEL_WORDS.values())
    english = ", ".join(LEVEL_WORDS)
    faults.add(row.number, "level", row.cells["level"], f"cấp phải là: {words}", f"the level must be one of: {english}")
    return "base"


def _seats(row: Row, faults: Faults) -> int:
    value = row.cells["seats"]
    # int() would take "1_0", " 7" and digits of other scripts; "1.250" is 1250 here and 1.25 elsewhere, so neither.
    if value.isascii() and value.isdigit() and len(value) <= 9 and int(value) <= MAX_SEATS:
        return int(value)
    faults.add(
        row.number,
        "seats",
        value,
        f"phải là số nguyên từ 0 đến {MAX_SEATS}, không có dấu chấm phẩy",
        f"must be a whole number from 0 to {MAX_SEATS}, without separators",
    )
    return 0


def _virtual(row: Row, faults: Faults) -> bool:
    value = row.cells["virtual"]
    if fold(value) in _FOLDED_YES:
        return True
    if fold(value) not in _FOLDED_NO:
        faults.add(row.number, "virtual", value, "phải là có hoặc không", "must be yes or no")
    return False


_LEVELS: dict[str, HallLevel] = {fold(word): level for level, words in LEVEL_WORDS.items() for word in words}
_FOLDED_YES = frozenset(fold(word) for word in _YES)
_FOLDED_NO = frozenset(fold(word) for word in _NO)
