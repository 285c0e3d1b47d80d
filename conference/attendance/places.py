"""Where each hall stands in the two trees: units in pre-order, so that a unit and everything below it are a slice.

A hall keeps its row for good; the trees are made anew when they are asked for after units or halls changed. Whatever
the registry holds makes a forest here: a unit that was merged stands below the one that took it over, a parent that
nobody knows makes a root, a circle is cut, and a code that names no unit of the tree is a root of its own. Pure.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bridges.halls import Hall
from bridges.units import TreeName, Unit

_DAY_MS = 86_400_000
_AHEAD_MS = 7 * 3_600_000  # the clock of Việt Nam, all year round
UNASSIGNED = ""
"""The root that halls without a unit in a tree stand in (chưa xếp)."""


class TreeOrder:
    """One tree over the halls.

    Args:
        units: the units of this tree by code.
        halls: the hall of each row; None for one that is gone.
        tree: which.
        day: `YYYY-MM-DD`; a unit that was merged by then stands below its successor. "" for the end of time.

    Attributes:
        codes: every unit of the tree in pre-order, siblings ascending by code.
        ends: where the slice of each of these ends.
        positions: for each row of a hall, the place of its unit in `codes`.
        kinds: for each row, 1 for a virtual hall and 0 for any other.
    """

    __slots__ = ("_children", "_index", "_parents", "codes", "ends", "kinds", "positions")

    def __init__(self, units: Mapping[str, Unit], halls: Sequence[Hall | None], tree: TreeName, day: str = "") -> None:
        found = [UNASSIGNED if hall is None else unit_in(hall, tree) for hall in halls]
        self._children: dict[str | None, list[str]] = {None: list(set(found).difference(units))}
        self._parents = {code: parent_of(units[code], units, day) for code in sorted(units)}
        for code, parent in self._parents.items():
            self._children.setdefault(parent, []).append(code)
        self._children[None].sort()
        self.codes: list[str] = []
        self._index: dict[str, int] = {}
        ends: dict[int, int] = {}
        for root in self._children[None]:
            self._walk(root, ends)
        for code in sorted(set(units).difference(self._index)):  # what no root leads to runs in circles
            if code not in self._index:
                self._children[self._parents[code]].remove(code)
                self._parents[code] = None
                insort(self._children[None], code)
                self._walk(code, ends)
        self.ends = np.array([ends[place] for place in range(len(self.codes))], dtype=np.int64)
        self.positions = np.array([self._index[code] for code in found], dtype=np.int64)
        self.kinds = np.array([hall is not None and hall.virtual for hall in halls], dtype=np.int64)

    def _walk(self, root: str, ends: dict[int, int]) -> None:
        """Visit what stands below a root in pre-order, with a stack of our own; None ends what was begun last."""
        stack: list[str | None] = [root]
        begun: list[int] = []
        while stack:
            code = stack.pop()
            if code is None:
                ends[begun.pop()] = len(self.codes)
                continue
            begun.append(len(self.codes))
            self._index[code] = len(self.codes)
            self.codes.append(code)
            stack.append(None)
            stack.extend(reversed(self._children.get(code, [])))

    def __contains__(self, code: object) -> bool:
        return code in self._index

    def place(self, code: str) -> int:
        """Where a unit stands in `codes`.

        Raises:
            KeyError: it is not in this tree.
        """
        return self._index[code]

    def children(self, code: str | None) -> list[str]:
        """The units right below one, ascending by code; the roots for None."""
        return self._children.get(code, [])

    def path(self, code: str) -> list[str]:
        """The units above one, the root first, and the unit itself."""
        found = [code]
        while (above := self._parents.get(found[-1])) is not None:
            found.append(above)
        return found[::-1]


def parent_of(unit: Unit, units: Mapping[str, Unit], day: str) -> str | None:
    """The unit that another stands below on a day ("" for the end of time): its successor or its parent, if any."""
    is_merged = unit.merged_into and (not day or unit.valid_to < day)
    above = (unit.merged_into, unit.parent) if is_merged else (unit.parent,)
    return next((code for code in above if code in units and code != unit.code), None)


class HallPlaces:
    """The row of every hall, and both trees over the rows.

    Args:
        units: all units by code; read when a tree is made.
        halls: all halls by id; the same.
        gone: halls that were withdrawn, as they were last: they keep their places, for they may count in what is past.

    Attributes:
        rows: the row of each hall that was ever registered, from 0.
        hall_ids: the hall of each row.
        version: grows whenever a tree may have changed.
    """

    __slots__ = ("_day", "_gone", "_halls", "_next_day_ms", "_orders", "_units", "hall_ids", "rows", "version")

    def __init__(
        self, units: Mapping[str, Unit], halls: Mapping[str, Hall], gone: Mapping[str, Hall] | None = None
    ) -> None:
        self._units = units
        self._halls = halls
        self._gone = {} if gone is None else gone
        self.rows: dict[str, int] = {}
        self.hall_ids: list[str] = []
        self.version = 0
        self._orders: dict[TreeName, TreeOrder] = {}
        self._day = ""
        self._next_day_ms = 0
        self.change((*halls, *self._gone))

    def handle_time(self, at_ms: int) -> None:
        """Note the time of a record: on another day other units are merged. Time does not go back."""
        if at_ms >= self._next_day_ms:
            days = (at_ms + _AHEAD_MS) // _DAY_MS
            self._next_day_ms = (days + 1) * _DAY_MS - _AHEAD_MS
            self._day = str(np.datetime64(days, "D"))
            self.change()

    def change(self, hall_ids: Iterable[str] = ()) -> None:
        """Note that units changed, or that these halls are new or changed."""
        for hall_id in hall_ids:
            if hall_id not in self.rows:
                self.rows[hall_id] = len(self.hall_ids)
                self.hall_ids.append(hall_id)
        self.version += 1
        self._orders.clear()

    def order(self, tree: TreeName) -> TreeOrder:
        """A tree over the halls as they are now; some 20 ms for 40,000 halls after a change, else nothing."""
        order = self._orders.get(tree)
        if order is None:
            units = {code: unit for code, unit in self._units.items() if unit.tree == tree}
            halls = [self._halls.get(hall_id) or self._gone.get(hall_id) for hall_id in self.hall_ids]
            order = self._orders[tree] = TreeOrder(units, halls, tree, self._day)
        return order


def unit_in(hall: Hall, tree: TreeName) -> str:
    """The code of the unit that a hall stands in."""
    return hall.unit if tree == "territory" else hall.organisation
