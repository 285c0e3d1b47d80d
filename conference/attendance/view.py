"""What the API tells of attendance: one unit of either tree and the units right below it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bridges.attendance import AttendanceRow
from bridges.units import TreeName, Unit
from conference.attendance.rollup import RollUp
from conference.roster import ConferenceState
from conference.state import State

# What a unit is called that stands for halls without one in a tree.
UNASSIGNED_NAME = "chưa xếp (unassigned)"


class UnitName(msgspec.Struct, frozen=True, kw_only=True):
    """A unit, for people; `code` is "" for the halls that have none in this tree."""

    code: str
    name: str
    kind: str


class UnitAttendance(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of one unit with all below it; `has_children`: there is more to see below."""

    code: str
    name: str
    kind: str
    has_children: bool
    attendance: AttendanceRow


class AttendanceView(msgspec.Struct, frozen=True, kw_only=True):
    """Attendance of a unit by each source apart; nothing here is a mixture of two.

    Attributes:
        at_ms: the moment that the figures are of.
        is_closing: they are those of the closing, whatever was corrected since.
        tree: the tree that is summed over.
        unit: whose attendance it is; "" for the whole country.
        path: the units above it, the root first, and the unit itself.
        total: the unit with all below it; real and virtual halls apart.
        own: the halls that stand right in it.
        children: the units right below it that have halls, by code, and last the halls without a unit. With `own` they
            make `total`, once all pages (`next`) are read.
        next: what `after` is to be for the children that follow, "" where there are none.
    """

    conference_id: str
    title: str
    phase: str
    at_ms: int
    is_closing: bool
    tree: TreeName
    unit: str
    path: list[UnitName]
    total: AttendanceRow
    own: AttendanceRow
    children: list[UnitAttendance]
    next: str = ""


class Summed(msgspec.Struct, frozen=True, kw_only=True):
    """The figures to tell of, as they are now or were at the closing, with the units that they are summed over.

    Attributes:
        at_ms: of which moment they are.
        is_closing: they are those of the closing.
    """

    rollup: RollUp
    units: Mapping[str, Unit]
    at_ms: int
    is_closing: bool = False


def summed_now(state: State, conference_id: str, now_ms: int) -> Summed:
    """The figures of a conference as they are now."""
    return Summed(rollup=state.rollups[conference_id], units=state.units, at_ms=now_ms)


def attendance_view(
    conference: ConferenceState,
    summed: Summed,
    tree: TreeName,
    unit: str = "",
    *,
    after: str = "",
    limit: int = 1_000,
) -> AttendanceView:
    """The attendance of a unit and of the units below it; a few milliseconds for a whole country.

    Args:
        conference: which.
        summed: its figures.
        tree: to sum over.
        unit: code of a unit of this tree, or "" for the whole country.
        after: only children with a greater code.
        limit: of children.

    Raises:
        KeyError: the unit is not in this tree.
    """
    rollup, of = summed.rollup, unit or None
    order = rollup.order(tree)
    total, children = rollup.total(tree, of), rollup.children(tree, of)
    # Those without a unit come last: their code is no cursor.
    shown = [row for row in children if row.unit > after] + [row for row in children if not row.unit]
    return AttendanceView(
        conference_id=conference.conference_id,
        title=conference.title,
        phase=conference.phase,
        at_ms=summed.at_ms,
        is_closing=summed.is_closing,
        tree=tree,
        unit=unit,
        path=[_named(summed, code) for code in order.path(unit)] if unit else [],
        total=total,
        own=rollup.own(tree, unit) if unit else AttendanceRow(unit=""),
        children=[
            UnitAttendance(
                **msgspec.structs.asdict(_named(summed, row.unit)),
                has_children=bool(row.unit and order.children(row.unit)),
                attendance=row,
            )
            for row in shown[:limit]
        ],
        next=shown[limit - 1].unit if len(shown) > limit else "",
    )


def _named(summed: Summed, code: str) -> UnitName:
    unit = summed.units.get(code)
    if unit is None:
        return UnitName(code=code, name=code or UNASSIGNED_NAME, kind="")
    return UnitName(code=code, name=unit.name, kind=unit.kind)
