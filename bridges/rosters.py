"""Rosters (danh sách đại biểu) as tables: who is summoned to which hall; every bad row named in both languages.

Owns the columns, the words for kinds and the limits of each field; `bridges.tables` owns the file format. A file with
one bad row gives nobody. What is wrong is told to whoever sent the file and to nobody else: it quotes names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from bridges.person import Person, PersonKind
from bridges.tables import Column, Faults, Row, fold, parse_table, serialize_table

ROSTER_COLUMNS = (
    Column("hall_id", ("mã điểm cầu", "hall_id", "điểm cầu", "hall", "hall code")),
    Column("name", ("họ và tên", "name", "họ tên", "full name", "đại biểu")),
    Column("external_id", ("số thẻ", "external_id", "mã đại biểu", "mã cán bộ", "số hiệu", "card"), required=False),
    Column("position", ("chức vụ", "position", "chức danh"), required=False),
    Column("organisation", ("đơn vị công tác", "organisation", "organization", "cơ quan", "đơn vị"), required=False),
    Column("kind", ("thành phần", "kind", "loại đại biểu", "loại"), required=False),
    Column("phone", ("điện thoại", "phone", "số điện thoại"), required=False),
)
# First the word that an export uses; all are compared by `fold`.
KIND_WORDS: dict[PersonKind, tuple[str, ...]] = {
    "delegate": ("đại biểu", "delegate", "triệu tập", "summoned", "đảng viên"),
    "guest": ("khách mời", "guest", "khách", "invited guest"),
}
_LIMITS = {"name": 120, "external_id": 40, "position": 120, "organisation": 200, "phone": 30}
_KINDS: dict[str, PersonKind] = {fold(word): kind for kind, words in KIND_WORDS.items() for word in words}

Known = Literal["known", "unknown", "out_of_reach"]


def parse_roster(data: bytes | str, hall: Callable[[str], Known], *, sheet: str = "") -> dict[int, Person]:
    """Read a roster.

    Args:
        data: the file, at most `bridges.tables.MAX_ROWS` people.
        hall: whether a hall exists, and whether the sender reaches it.
        sheet: of a workbook; the first that is shown unless given.

    Returns:
        People without numbers, by row, in order of the file; no two have the same identity.

    Raises:
        ImportFailedError: with every bad row; nobody is to be imported.
    """
    faults = Faults()
    first_rows: dict[bytes, int] = {}
    people: dict[int, Person] = {}
    for row in parse_table(data, ROSTER_COLUMNS, faults, sheet=sheet):
        cells = row.cells
        _check_texts(row, faults)
        _check_hall(row, hall, faults)
        person = Person(
            hall_id=cells["hall_id"],
            name=cells["name"],
            external_id=cells["external_id"],
            position=cells["position"],
            organisation=cells["organisation"],
            kind=_kind(row, faults),
            phone=cells["phone"],
        )
        _check_unique(row, person, first_rows, faults)
        if not faults.errors:
            people[row.number] = person
    faults.raise_if_any("rows")
    return people


def serialize_roster_template(*, language: Literal["vi", "en"] = "vi") -> bytes:
    """A roster to fill in: the headings and two rows of people who do not exist."""
    place = 0 if language == "vi" else 1
    rows = [
        (
            "VN-00004-01",
            "Nguyễn Văn A",
            "CB-0001",
            "Bí thư chi bộ",
            "Đảng ủy phường",
            KIND_WORDS["delegate"][place],
            "",
        ),
        ("VN-00004-01", "Trần Thị B", "", "Hiệu trưởng", "Trường tiểu học", KIND_WORDS["guest"][place], "0900000000"),
    ]
    return serialize_table([column.headings[place] for column in ROSTER_COLUMNS], rows)


def _check_texts(row: Row, faults: Faults) -> None:
    for field, limit in _LIMITS.items():
        value = row.cells[field]
        if field == "name" and not value:
            faults.add(row.number, field, "", "không được để trống", "must not be empty")
        elif len(value) > limit:
            faults.add(row.number, field, value, f"dài quá {limit} ký tự", f"longer than {limit} characters")
        elif not value.isprintable():
            faults.add(row.number, field, value, "có ký tự điều khiển", "holds control characters")


def _check_hall(row: Row, hall: Callable[[str], Known], faults: Faults) -> None:
    hall_id = row.cells["hall_id"]
    if not hall_id:
        faults.add(row.number, "hall_id", "", "thiếu mã điểm cầu", "the hall's code is missing")
        return
    match hall(hall_id):
        case "unknown":
            faults.add(row.number, "hall_id", hall_id, "điểm cầu không tồn tại", "no such hall")
        case "out_of_reach":
            reason_vi = "điểm cầu ngoài phạm vi của người nhập"
            faults.add(row.number, "hall_id", hall_id, reason_vi, "the hall is outside the sender's units")
        case _:
            pass


def _kind(row: Row, faults: Faults) -> PersonKind:
    value = row.cells["kind"]
    kind = _KINDS.get(fold(value)) if value else "delegate"
    if kind is None:
        reason_en = "must be delegate or guest"
        faults.add(row.number, "kind", value, "phải là: đại biểu, khách mời", reason_en)
        return "delegate"
    return kind


def _check_unique(row: Row, person: Person, first_rows: dict[bytes, int], faults: Faults) -> None:
    first = first_rows.setdefault(person.identity, row.number)
    if first == row.number or not person.name:
        return
    if person.external_id:
        reason_vi = f"số thẻ trùng: dòng {first} và dòng {row.number}"
        faults.add(row.number, "external_id", person.external_id, reason_vi, f"the same card as in row {first}")
    else:
        reason_vi = f"trùng họ tên, điểm cầu và chức vụ với dòng {first}; hãy thêm số thẻ"
        reason_en = f"the same name, hall and position as in row {first}; give each a card number"
        faults.add(row.number, "name", person.name, reason_vi, reason_en)
