"""Organisation units (đơn vị) of any depth: depth and kinds are data, never code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from bridges.errors import UnitTreeError, UnknownUnitError

# Việt Nam has 3,355 administrative units and about 90,000 villages below them; twice that, and a bound on memory.
MAX_UNITS = 200_000
# Deeper than any organisation; ends the walk to the root where old data holds a cycle.
_MAX_DEPTH = 64


# By territory (nước, tỉnh, xã), or by organisation (đảng ủy, đảng bộ, chi bộ); both stand over the same halls.
TreeName = Literal["territory", "organisation"]


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """One unit of the tree.

    Attributes:
        code: unique code, for example `01` (a province) or `00004` (a commune).
        name: official name in Vietnamese.
        kind: kind as written in the source, for example `tỉnh`, `phường`, `xã`, `đặc khu`.
        parent: code of the parent, or "" for a root.
        tree: which of the two trees it stands in; its parent stands in the same.
        valid_from: first day on which it exists, `YYYY-MM-DD`; "" where that is not known.
        valid_to: last day on which it exists, `YYYY-MM-DD`; "" while it does.
        merged_into: code of the unit that took its place after `valid_to`, or "".
    """

    code: str
    name: str
    kind: str
    parent: str = ""
    tree: TreeName = "territory"
    valid_from: str = ""
    valid_to: str = ""
    merged_into: str = ""


def root_of(units: Mapping[str, Unit], code: str) -> str:
    """Code of the root above a unit: its province. Units need not make a tree; an unknown one is its own root."""
    for _ in range(_MAX_DEPTH):
        unit = units.get(code)
        if unit is None or not unit.parent:
            break
        code = unit.parent
    return code


class UnitTree:
    """An immutable forest of units, of any depth; order of input is order among siblings.

    Units stand in pre-order, so that the descendants of one are a slice.

    Raises:
        UnitTreeError: a code twice, a parent that is not among the units, a cycle, or more than `MAX_UNITS`.
    """

    __slots__ = ("_children", "_end", "_index", "_order", "_root", "_roots", "_units")

    def __init__(self, units: Iterable[Unit]) -> None:
        self._units = _by_code(units)
        children: dict[str, list[Unit]] = {}
        for unit in self._units.values():
            children.setdefault(unit.parent, []).append(unit)
        orphans = [unit.code for unit in self._units.values() if unit.parent and unit.parent not in self._units]
        if orphans:
            raise UnitTreeError("unknown_parent", orphans, "đơn vị cha không tồn tại / parent does not exist")
        self._roots = tuple(children.pop("", ()))
        self._children = {code: tuple(found) for code, found in children.items()}
        self._order: list[Unit] = []
        self._index: dict[str, int] = {}
        self._end: dict[str, int] = {}
        self._root: dict[str, Unit] = {}
        for root in self._roots:
            self._walk(root)
        if len(self._order) < len(self._units):
            circling = [code for code in self._units if code not in self._index]
            raise UnitTreeError(
                "cycle", circling, "đơn vị thuộc vòng lặp / units that are their own ancestors, or below"
            )

    def _walk(self, root: Unit) -> None:
        """Visit a tree in pre-order with a stack of our own: depth is data, the interpreter's stack is not."""
        stack: list[tuple[Unit, bool]] = [(root, False)]
        while stack:
            unit, is_done = stack.pop()
            if is_done:
                self._end[unit.code] = len(self._order)
                continue
            self._index[unit.code] = len(self._order)
            self._order.append(unit)
            self._root[unit.code] = root
            stack.append((unit, True))
            stack.extend((child, False) for child in reversed(self._children.get(unit.code, ())))

    def __len__(self) -> int:
        return len(self._units)

    def __contains__(self, code: object) -> bool:
        return code in self._units

    @property
    def roots(self) -> tuple[Unit, ...]:
        """Units without a parent."""
        return self._roots

    @property
    def units(self) -> tuple[Unit, ...]:
        """All units, each parent before its children."""
        return tuple(self._order)

    def unit(self, code: str) -> Unit:
        """The unit with this code; raises `UnknownUnitError`."""
        try:
            return self._units[code]
        except KeyError:
            raise UnknownUnitError(code) from None

    def root_of(self, code: str) -> Unit:
        """The topmost ancestor (the province of a commune); a root's is itself. Raises `UnknownUnitError`."""
        return self._root[self.unit(code).code]

    def path(self, code: str) -> tuple[Unit, ...]:
        """From the root down to the unit itself; raises `UnknownUnitError`."""
        unit = self.unit(code)
        found = [unit]
        while unit.parent:
            unit = self._units[unit.parent]
            found.append(unit)
        return tuple(reversed(found))

    def children(self, code: str) -> tuple[Unit, ...]:
        """The units right below; raises `UnknownUnitError`."""
        return self._children.get(self.unit(code).code, ())

    def descendants(self, code: str) -> tuple[Unit, ...]:
        """All units below, without the unit itself, each parent before its children; raises `UnknownUnitError`."""
        return tuple(self._order[self._index[self.unit(code).code] + 1 : self._end[code]])


def _by_code(units: Iterable[Unit]) -> dict[str, Unit]:
    found: dict[str, Unit] = {}
    doubled: list[str] = []
    for number, unit in enumerate(units, start=1):
        if number > MAX_UNITS:
            raise UnitTreeError("too_many_units", [unit.code], f"quá {MAX_UNITS} đơn vị / more than {MAX_UNITS} units")
        if not unit.code or unit.code in found:
            doubled.append(unit.code)
        found[unit.code] = unit
    if doubled:
        raise UnitTreeError("duplicate_code", doubled, "mã đơn vị trùng hoặc trống / unit code twice or empty")
    return found
