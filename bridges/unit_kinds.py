"""Kinds of units (loại đơn vị) as data: which tree they stand in, at which level, and from when to when they existed.

The district level ended on 30 June 2025; units of its kinds in an older file end with it. A kind that is in no list is
taken as it is: organisations have kinds of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files

import msgspec

from bridges.cells import check_text, parse_day, parse_figure
from bridges.tables import Column, Faults, Row, fold, parse_table
from bridges.units import TreeName, Unit

MAX_LEVEL = 16
TREE_WORDS: dict[TreeName, tuple[str, ...]] = {
    "territory": ("lãnh thổ", "territory", "hành chính", "địa bàn"),
    "organisation": ("tổ chức", "organisation", "organization", "đảng"),
}
_TREES: dict[str, TreeName] = {fold(word): tree for tree, words in TREE_WORDS.items() for word in words}
KIND_COLUMNS = (
    Column("name", ("loại", "kind", "tên loại", "name")),
    Column("tree", ("cây", "tree", "hệ thống")),
    Column("level", ("cấp", "level", "bậc")),
    Column("valid_from", ("hiệu lực từ", "valid_from", "từ ngày"), required=False),
    Column("valid_to", ("hiệu lực đến", "valid_to", "đến ngày"), required=False),
)


class UnitKind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of unit.

    Attributes:
        name: as units name it, for example `tỉnh`; compared by `bridges.tables.fold`.
        tree: the tree that it stands in.
        level: 1 at the top; a unit never stands under one of a greater level.
        valid_from: first day on which there were any, `YYYY-MM-DD`, or "".
        valid_to: last such day, or "".
    """

    name: str
    tree: TreeName
    level: int
    valid_from: str = ""
    valid_to: str = ""


def load_unit_kinds() -> list[UnitKind]:
    """The kinds that come with the product."""
    return parse_unit_kinds(files("bridges").joinpath("data", "unit_kinds.csv").read_bytes())


def kinds_by_name(kinds: Iterable[UnitKind]) -> dict[tuple[TreeName, str], UnitKind]:
    """Kinds by tree and folded name."""
    return {(kind.tree, fold(kind.name)): kind for kind in kinds}


def kind_of(kinds: Mapping[tuple[TreeName, str], UnitKind], unit: Unit) -> UnitKind | None:
    """The kind of a unit, where it is known."""
    return kinds.get((unit.tree, fold(unit.kind)))


def parse_unit_kinds(data: bytes | str) -> list[UnitKind]:
    """Read kinds of units from CSV or XLSX.

    Raises:
        ImportFailedError: with every bad row.
    """
    faults = Faults()
    found: list[UnitKind] = []
    for row in parse_table(data, KIND_COLUMNS, faults):
        check_text(row, "name", 60, faults, required=True)
        kind = UnitKind(
            name=row.cells["name"],
            tree=parse_tree(row, faults),
            level=parse_figure(row, "level", MAX_LEVEL, faults),
            valid_from=parse_day(row, "valid_from", faults),
            valid_to=parse_day(row, "valid_to", faults),
        )
        found.append(kind)
    faults.raise_if_any("rows")
    return found


def parse_tree(row: Row, faults: Faults) -> TreeName:
    """The tree that a row names; that of territory where it names none."""
    value = fold(row.cells["tree"])
    if value and value not in _TREES:
        reason_vi, reason_en = (", ".join(words[place] for words in TREE_WORDS.values()) for place in (0, 1))
        faults.add(
            row.number, "tree", row.cells["tree"], f"cây phải là: {reason_vi}", f"the tree must be one of: {reason_en}"
        )
    return _TREES.get(value, "territory")
