"""Import and export of halls as tables; all or nothing, every bad row named in both languages.

Owns the columns, the words for levels and the limits of each field; `bridges.tables` owns the file formats. A file with
one bad row imports nothing; a column that it does not have leaves what is registered. What `hall_rows` gives,
`parse_halls` reads back as the same halls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from bridges.cells import NO, YES, check_code, check_text, check_unique, headings, parse_figure, parse_yes_no
from bridges.halls import Hall, HallLevel
from bridges.tables import Column, Faults, Row, fold, parse_table, serialize_table
from bridges.units import TreeName, Unit, successor_of

MAX_SEATS = 100_000  # above the largest stadium; a greater figure is a slip of the keyboard
MAX_BANDWIDTH_MBPS = 1_000_000
_TEXT_LIMITS = {
    "address": 300,
    "contact_name": 120,
    "contact_phone": 60,
    "line": 60,
    "carrier": 60,
    "devices": 300,
}

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
    Column("organisation", ("tổ chức", "organisation", "mã tổ chức", "organization"), required=False),
    Column("line", ("đường truyền", "line", "loại đường truyền"), required=False),
    Column("carrier", ("nhà mạng", "carrier", "nhà cung cấp"), required=False),
    Column("bandwidth_mbps", ("băng thông (Mbps)", "bandwidth_mbps", "băng thông", "mbps"), required=False),
    Column("devices", ("thiết bị", "devices"), required=False),
    Column("", ("stt", "tt", "số thứ tự", "no."), required=False),
)

# First the word that an export uses, Vietnamese then English; all are compared by `fold`.
LEVEL_WORDS: dict[HallLevel, tuple[str, ...]] = {
    "central": ("trung ương", "central", "tw", "điểm cầu chính", "điểm cầu trung tâm"),
    "province": ("tỉnh", "province", "thành phố", "thành phố trực thuộc trung ương", "provincial"),
    "district": ("huyện", "district", "quận", "thị xã", "thành phố thuộc tỉnh"),
    "commune": ("xã", "commune", "phường", "đặc khu", "ward"),
    "base": ("cơ sở", "base", "điểm cầu cơ sở", "thôn", "tổ dân phố", "chi bộ"),
}
_LEVELS: dict[str, HallLevel] = {fold(word): level for level, words in LEVEL_WORDS.items() for word in words}


class HallUnits:
    """Which units halls may name on a day, and what to say of the others.

    Args:
        units: all units by code; only read.
        on: the day, `YYYY-MM-DD`; "" for one before which nothing has ended.
        follow_mergers: whether a unit that was merged stands for the one that it was merged into.
    """

    __slots__ = ("_follow", "_on", "_units", "followed")

    def __init__(self, units: Mapping[str, Unit], on: str = "", *, follow_mergers: bool = False) -> None:
        self._units = units
        self._on = on
        self._follow = follow_mergers
        self.followed = 0

    def resolve(self, row: Row, field: str, tree: TreeName, faults: Faults) -> str:
        """Code of the unit that a row names in one tree; what is wrong with it goes to `faults`."""
        code = row.cells[field]
        unit = self._units.get(code)
        if unit is None:
            faults.add(row.number, field, code, *self._unknown(code))
        elif unit.tree != tree:
            faults.add(row.number, field, code, "đơn vị thuộc cây khác", f"the unit is not in the tree of {tree}")
        elif unit.valid_to and self._on > unit.valid_to:
            heir = successor_of(self._units, code, self._on)
            if heir is not None and self._follow:
                self.followed += 1
                return heir.code
            faults.add(row.number, field, code, *_ended(unit, heir))
        return code

    def _unknown(self, code: str) -> tuple[str, str]:
        # A spreadsheet that takes a code for a number drops its zeros.
        for digits in (2, 3, 5):
            if code.isdigit() and code.zfill(digits) != code and code.zfill(digits) in self._units:
                meant = code.zfill(digits)
                return f"đơn vị không tồn tại; có phải {meant}?", f"no such unit; is it {meant}?"
        return "đơn vị không tồn tại", "no such unit"


def _ended(unit: Unit, heir: Unit | None) -> tuple[str, str]:
    if heir is None:
        return (
            f"{unit.name} hết hiệu lực sau ngày {unit.valid_to}",
            f"{unit.name} ended on {unit.valid_to} and was merged into none that is registered",
        )
    return (
        f"{unit.name} đã sáp nhập vào {heir.code} ({heir.name}) sau ngày {unit.valid_to}",
        f"{unit.name} was merged into {heir.code} ({heir.name}) after {unit.valid_to}",
    )


def parse_halls(
    data: bytes | str,
    units: HallUnits,
    known: Mapping[str, Hall] | None = None,
    *,
    sheet: str = "",
    reaches: Callable[[Hall], bool] | None = None,
) -> list[Hall]:
    """Read halls from CSV or XLSX; the unit of each must be known, and in force.

    Args:
        data: the file.
        units: the units that exist.
        known: halls as they are registered: they keep what the file has no column for.
        sheet: name of the sheet of a workbook, "" for the first.
        reaches: whether who imports may change a hall, as it is registered and as it shall be; None for every hall.

    Raises:
        ImportFailedError: with every bad row; nothing is to be imported.
    """
    faults = Faults()
    first_rows: dict[str, int] = {}
    halls: list[Hall] = []
    for row in parse_table(data, HALL_COLUMNS, faults, sheet=sheet):
        before = faults.count
        hall = _hall(row, units, faults)
        check_unique(row, "hall_id", first_rows, faults)
        if reaches is not None and faults.count == before:
            _check_reach(row, hall, None if known is None else known.get(hall.hall_id), reaches, faults)
        if not faults.errors:
            halls.append(hall)
    faults.raise_if_any("rows")
    kept = [column.field for column in HALL_COLUMNS if column.field and not faults.has_column(column.field)]
    if not known or not kept:
        return halls
    return [_keeping(hall, known.get(hall.hall_id), kept) for hall in halls]


def _check_reach(row: Row, hall: Hall, known: Hall | None, reaches: Callable[[Hall], bool], faults: Faults) -> None:
    if known is not None and not reaches(known):
        reason_vi, reason_en = "điểm cầu thuộc đơn vị khác", "the hall belongs to a unit that you do not reach"
        faults.add(row.number, "hall_id", hall.hall_id, reason_vi, reason_en)
    if not reaches(hall):
        reason_vi, reason_en = "đơn vị ngoài phạm vi của bạn", "you do not reach this unit"
        faults.add(row.number, "unit", hall.unit, reason_vi, reason_en)


def _keeping(hall: Hall, known: Hall | None, fields: Iterable[str]) -> Hall:
    if known is None:
        return hall
    return msgspec.structs.replace(hall, **{field: getattr(known, field) for field in fields})


def _hall(row: Row, units: HallUnits, faults: Faults) -> Hall:
    cells = row.cells
    check_code(row, "hall_id", faults)
    check_text(row, "name", 200, faults, required=True)
    for field, limit in _TEXT_LIMITS.items():
        check_text(row, field, limit, faults)
    unit = organisation = ""
    if not cells["unit"]:
        faults.add(row.number, "unit", "", "thiếu mã đơn vị", "the unit code is missing")
    else:
        unit = units.resolve(row, "unit", "territory", faults)
    if cells["organisation"]:
        organisation = units.resolve(row, "organisation", "organisation", faults)
    return Hall(
        hall_id=cells["hall_id"],
        name=cells["name"],
        unit=unit,
        level=_level(row, faults),
        seats=parse_figure(row, "seats", MAX_SEATS, faults),
        address=cells["address"],
        contact_name=cells["contact_name"],
        contact_phone=cells["contact_phone"],
        virtual=parse_yes_no(row, "virtual", faults),
        organisation=organisation,
        line=cells["line"],
        carrier=cells["carrier"],
        bandwidth_mbps=parse_figure(row, "bandwidth_mbps", MAX_BANDWIDTH_MBPS, faults, required=False),
        devices=cells["devices"],
    )


def hall_rows(halls: Iterable[Hall], language: Literal["vi", "en"] = "vi") -> Iterator[tuple[str | int, ...]]:
    """A row for each hall; columns as `HALL_COLUMNS`."""
    word = 0 if language == "vi" else 1
    for hall in halls:
        yield (
            hall.hall_id,
            hall.name,
            hall.unit,
            LEVEL_WORDS[hall.level][word],
            hall.seats,
            hall.address,
            hall.contact_name,
            hall.contact_phone,
            (YES if hall.virtual else NO)[word],
            hall.organisation,
            hall.line,
            hall.carrier,
            hall.bandwidth_mbps,
            hall.devices,
        )


def serialize_halls_csv(halls: Iterable[Hall], *, language: Literal["vi", "en"] = "vi") -> bytes:
    """Halls as a CSV file that `parse_halls` reads back as the same halls; cells cannot act as formulas."""
    rows = ([str(cell) for cell in row] for row in hall_rows(halls, language))
    return serialize_table(headings(HALL_COLUMNS, language), rows)


def _level(row: Row, faults: Faults) -> HallLevel:
    value = fold(row.cells["level"])
    level = _LEVELS.get(value) or _LEVELS.get(value.removeprefix("cap "))
    if level:
        return level
    words = ", ".join(words[0] for words in LEVEL_WORDS.values())
    english = ", ".join(LEVEL_WORDS)
    faults.add(row.number, "level", row.cells["level"], f"cấp phải là: {words}", f"the level must be one of: {english}")
    return "base"
