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
        former: what stood under the same code before, oldest first; codes are used again after a merger.
    """

    code: str
    name: str
    kind: str
    parent: str = ""
    tree: TreeName = "territory"
    valid_from: str = ""
    valid_to: str = ""
    merged_into: str = ""
    former: tuple[Unit, ...] = ()

    @property
    def versions(self) -> tuple[Unit, ...]:
        """What stood under this code over time, oldest first, each without what was before it."""
        return (*self.former, msgspec.structs.replace(self, former=()))

    def is_in_force(self, on: str) -> bool:
        """Whether it exists on a day, `YYYY-MM-DD`; "" means that it has not ended."""
        return (not self.valid_to or on <= self.valid_to) and self.valid_from <= on if on else not self.valid_to


def with_version(known: Unit | None, unit: Unit) -> Unit:
    """What is known under a code, after `unit` was registered: it follows, goes before, or replaces what overlaps."""
    versions = [] if known is None else list(known.versions)
    for added in unit.versions:
        versions = [each for each in versions if _are_apart(each, added)]
        versions.append(added)
    *former, newest = sorted(versions, key=lambda version: (version.valid_from, version.valid_to or "9"))
    return msgspec.structs.replace(newest, former=tuple(former))


def _are_apart(one: Unit, other: Unit) -> bool:
    """Whether one ended before the other began."""
    return bool(one.valid_to and one.valid_to < other.valid_from) or bool(
        other.valid_to and other.valid_to < one.valid_from
    )


def successor_of(units: Mapping[str, Unit], code: str, on: str) -> Unit | None:
    """The unit that stands on a day where this one stood: itself, or what it was merged into, over any number of times.

    None where nothing does, or nobody registered it.
    """
    for _ in range(_MAX_DEPTH):
        unit = units.get(code)
        if unit is None or not unit.valid_to or on <= unit.valid_to:
            return unit
        code = unit.merged_into
    return None


def units_on(units: Mapping[str, Unit], on: str, tree: TreeName) -> list[Unit]:
    """The units of one tree as they stood on a day (`YYYY-MM-DD`), in order of `units`; they make a `UnitTree`.

    A unit whose parent had ended stands under what that was merged into, or else as a root.
    """
    found: dict[str, Unit] = {}
    for unit in units.values():
        for version in reversed(unit.versions):
            if version.tree == tree and version.is_in_force(on):
                found[unit.code] = version
                break
    for code, unit in found.items():
        if unit.parent and unit.parent not in found:
            above = successor_of(units, unit.parent, on)
            parent = above.code if above is not None and above.code in found and above.code != code else ""
            found[code] = msgspec.structs.replace(unit, parent=parent)
    return list(found.values())


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
