"""Import and export of units (đơn vị) as tables; all or nothing, every bad row named in both languages.

A unit ends with its kind and with its parent, where the file does not say when. A code may stand twice with different
days: what stood under it before a merger, and after. What `unit_rows` gives, `parse_units` reads back as the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from bridges.cells import check_code, check_text, headings, parse_day
from bridges.tables import Column, Faults, Row, parse_table, serialize_table
from bridges.unit_kinds import TREE_WORDS, UnitKind, kind_of, parse_tree
from bridges.units import TreeName, Unit, with_version

UNIT_COLUMNS = (
    Column("code", ("mã", "code", "mã đơn vị", "unit code")),
    Column("name", ("tên", "name", "tên đơn vị", "unit name")),
    Column("kind", ("loại", "kind", "loại đơn vị", "cấp")),
    Column("parent", ("đơn vị cha", "parent", "mã đơn vị cha", "trực thuộc", "đơn vị cấp trên")),
    Column("tree", ("cây", "tree", "hệ thống"), required=False),
    Column("valid_from", ("hiệu lực từ", "valid_from", "từ ngày"), required=False),
    Column("valid_to", ("hiệu lực đến", "valid_to", "đến ngày"), required=False),
    Column("merged_into", ("sáp nhập vào", "merged_into", "nhập vào"), required=False),
    Column("", ("stt", "tt", "số thứ tự", "no."), required=False),
)

Kinds = Mapping[tuple[TreeName, str], UnitKind]


def parse_units(
    data: bytes | str, known: Mapping[str, Unit] | None = None, kinds: Kinds | None = None, *, sheet: str = ""
) -> list[Unit]:
    """Read units from CSV or XLSX; a parent may stand below its children.

    Args:
        data: the file.
        known: units that exist already. Given, each parent and successor must be one of them or in the file; left out,
            those outside the file are for the caller to check.
        kinds: kinds of units, by `unit_kinds.kinds_by_name`.
        sheet: name of the sheet of a workbook, "" for the first.

    Raises:
        ImportFailedError: with every bad row; nothing is to be imported.
    """
    faults = Faults()
    read = parse_table(data, UNIT_COLUMNS, faults, sheet=sheet)
    rows = _with_ends([_with_kinds_end(row.number, _unit(row, faults), kinds or {}, faults) for row in read])
    found: dict[str, Unit] = {}
    first_rows: dict[str, int] = {}
    for number, unit in rows:
        before = found.get(unit.code)
        found[unit.code] = with_version(before, unit)
        first = first_rows.setdefault(unit.code, number)
        if before is not None and unit.code and len(found[unit.code].former) <= len(before.former):
            reason_vi = f"mã trùng: dòng {first} và dòng {number}"
            faults.add(number, "code", unit.code, reason_vi, f"the same code in row {first} and row {number}")
    _check_links(rows, found, known, faults)
    if known is not None:
        _check_trees(rows, {**known, **found}, kinds or {}, faults)
    faults.raise_if_any("rows")
    return list(found.values())


def unit_rows(units: Iterable[Unit], language: Literal["vi", "en"] = "vi") -> Iterator[tuple[str, ...]]:
    """A row for each unit, and one for each that stood under its code before; columns as `UNIT_COLUMNS`."""
    word = 0 if language == "vi" else 1
    for unit in units:
        for each in unit.versions:
            days = (each.valid_from, each.valid_to, each.merged_into)
            yield (each.code, each.name, each.kind, each.parent, TREE_WORDS[each.tree][word], *days)


def serialize_units_csv(units: Iterable[Unit], *, language: Literal["vi", "en"] = "vi") -> bytes:
    """Units as a CSV file that `parse_units` reads back."""
    return serialize_table(headings(UNIT_COLUMNS, language), unit_rows(units, language))


def _unit(row: Row, faults: Faults) -> Unit:
    check_code(row, "code", faults)
    check_text(row, "name", 200, faults, required=True)
    check_text(row, "kind", 60, faults, required=True)
    for field in ("parent", "merged_into"):
        if row.cells[field]:
            check_code(row, field, faults)
    cells = row.cells
    unit = Unit(
        code=cells["code"],
        name=cells["name"],
        kind=cells["kind"],
        parent=cells["parent"],
        tree=parse_tree(row, faults),
        valid_from=parse_day(row, "valid_from", faults),
        valid_to=parse_day(row, "valid_to", faults),
        merged_into=cells["merged_into"],
    )
    if unit.valid_to and unit.valid_to < unit.valid_from:
        faults.add(row.number, "valid_to", unit.valid_to, "hết hiệu lực trước khi có", "it ends before it begins")
    if unit.merged_into == unit.code and unit.code:
        faults.add(row.number, "merged_into", unit.code, "không thể sáp nhập vào chính mình", "merged into itself")
    return unit


def _with_kinds_end(number: int, unit: Unit, kinds: Kinds, faults: Faults) -> tuple[int, Unit]:
    """The unit with the last day of its kind, where it has none of its own."""
    kind = kind_of(kinds, unit)
    if kind is None or not kind.valid_to or unit.valid_to == kind.valid_to:
        return number, unit
    if not unit.valid_to:
        return number, msgspec.structs.replace(unit, valid_to=kind.valid_to)
    if unit.valid_to > kind.valid_to:
        faults.add(
            number,
            "valid_to",
            unit.valid_to,
            f"không còn {kind.name} sau {kind.valid_to}",
            f"there was no {kind.name} after {kind.valid_to}",
        )
    return number, unit


def _with_ends(rows: list[tuple[int, Unit]]) -> list[tuple[int, Unit]]:
    """The units with the last day of the nearest unit above them that ended, where they have none of their own."""
    ends: dict[str, str] = {}
    for _, unit in rows:
        open_ended = not unit.valid_to or ends.get(unit.code) == ""
        ends[unit.code] = "" if open_ended else max(unit.valid_to, ends.get(unit.code, ""))
    parents = {unit.code: unit.parent for _, unit in rows}
    found = []
    for number, unit in rows:
        code, seen = unit.parent, {unit.code}
        while code in parents and not ends[code] and code not in seen:
            seen.add(code)
            code = parents[code]
        end = ends.get(code, "")
        inherits = not unit.valid_to and end > unit.valid_from
        found.append((number, msgspec.structs.replace(unit, valid_to=end) if inherits else unit))
    return found


def _check_links(
    rows: list[tuple[int, Unit]], found: Mapping[str, Unit], known: Mapping[str, Unit] | None, faults: Faults
) -> None:
    """Parents and successors exist, and nobody stands below itself."""
    parents = {unit.code: unit.parent for _, unit in rows}
    settled: set[str] = set()
    for number, unit in rows:
        if known is not None and unit.parent and unit.parent not in found and unit.parent not in known:
            faults.add(number, "parent", unit.parent, "đơn vị cha không tồn tại", "no such parent unit")
        if known is not None and unit.merged_into and unit.merged_into not in found and unit.merged_into not in known:
            faults.add(number, "merged_into", unit.merged_into, "đơn vị không tồn tại", "no such unit")
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


def _check_trees(rows: list[tuple[int, Unit]], units: Mapping[str, Unit], kinds: Kinds, faults: Faults) -> None:
    """A parent stands in the same tree, and not on a lower level."""
    for number, unit in rows:
        parent = units.get(unit.parent)
        if parent is None:
            continue
        if parent.tree != unit.tree:
            reason_vi = f"đơn vị cha {parent.code} thuộc cây {TREE_WORDS[parent.tree][0]}"
            faults.add(number, "parent", unit.parent, reason_vi, f"the parent stands in the tree of {parent.tree}")
        kind, above = kind_of(kinds, unit), kind_of(kinds, parent)
        if kind is not None and above is not None and above.level > kind.level:
            faults.add(
                number,
                "parent",
                unit.parent,
                f"{unit.kind} không thể trực thuộc {parent.kind} {parent.name}",
                f"a {unit.kind} cannot stand under a {parent.kind} ({parent.name})",
            )
