"""Makes a report: plain inputs to a plain value (`conference.reports.model`). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bridges.attendance import AttendanceRow, discrepancies
from bridges.presence import merge_intervals
from conference.reports.figures import MEASURES, Sums, figures_of, measures, summed, table_of
from conference.reports.losses import absences_ms, durations_of, gaps_of, outages_of
from conference.reports.model import (
    HallRow,
    Heading,
    LevelRow,
    Report,
    ReportHall,
    ReportInput,
    ReportUnit,
    Total,
    UnitRow,
)

LEVELS = ("central", "province", "district", "commune", "base")
"""Levels in their order; the district is gone since July 2025, reports of older conferences have it."""
_MAX_DEPTH = 64  # deeper than any organisation; old data may hold a cycle


def build_report(given: ReportInput) -> Report:
    """Sum up a conference; the order of the halls does not matter."""
    heading = given.heading
    units = _Forest(given.units, heading.unit)
    for found in given.halls:
        units.add(found.parent)
    places = units.places()
    halls = sorted(given.halls, key=lambda found: (found.hall.virtual, places[found.parent], found.hall.hall_id))
    table = table_of(halls)
    kinds = [int(found.hall.virtual) for found in halls]
    both = summed(table, kinds, 2)
    total = AttendanceRow(unit=heading.unit, real=figures_of(both[0]), virtual=figures_of(both[1]))
    found_discrepancies = discrepancies(found.attendance for found in sorted(halls, key=_by_hall))
    outages, outage_count = outages_of(halls, heading)
    return Report(
        heading=heading,
        total=total,
        totals=_totals(total),
        by_level=_by_level(halls, table, kinds),
        by_unit=_by_unit(units, places, halls, table, flash=heading.kind == "flash"),
        halls=[] if heading.kind == "flash" else [_hall_row(found, heading) for found in halls],
        outages=outages,
        outage_count=outage_count,
        interruptions=durations_of("hall", halls, lambda found: found.interruptions_ms),
        absences=durations_of("connection", halls, lambda found: absences_ms(found.intervals)),
        discrepancies=found_discrepancies,
        discrepancy_counts=dict(
            sorted(Counter(found.code for found in found_discrepancies if not found.virtual).items())
        ),
        corrections=sorted(given.corrections, key=lambda each: (each.virtual, each.hall_id, each.source, each.figure)),
        incidents=[]
        if heading.kind == "flash"
        else sorted(given.incidents, key=lambda each: (each.at_ms, each.code, each.subject)),
    )


class _Forest:
    """The units that have halls, and those above them, down from the scope of the report."""

    def __init__(self, units: Sequence[ReportUnit], scope: str) -> None:
        self._given: Mapping[str, ReportUnit] = {unit.code: unit for unit in units}
        self._scope = scope
        self.units: dict[str, ReportUnit] = {}

    @property
    def is_scoped(self) -> bool:
        """Whether one unit is above all."""
        return bool(self._scope)

    def add(self, code: str) -> None:
        """Take a unit in, and those above it; an unknown one is a root of that name."""
        walked: set[str] = set()
        while code not in self.units:
            walked.add(code)
            unit = self._given.get(code) or ReportUnit(code=code, name=code)
            is_top = code == self._scope or unit.parent not in self._given or unit.parent in walked
            above = "" if is_top or len(walked) >= _MAX_DEPTH else unit.parent
            self.units[code] = ReportUnit(code=code, name=unit.name, kind=unit.kind, parent=above)
            if not above:
                return
            code = above

    def path(self, code: str) -> list[str]:
        """The unit and those above it, upwards."""
        found = [code]
        while self.units[code].parent:
            code = self.units[code].parent
            found.append(code)
        return found

    def places(self) -> dict[str, int]:
        """Where each unit stands when each comes before those below it, siblings by code, no unit last."""
        paths = {code: [(not each, each) for each in reversed(self.path(code))] for code in self.units}
        return {code: place for place, code in enumerate(sorted(self.units, key=lambda code: paths[code]))}


def _by_hall(found: ReportHall) -> tuple[bool, str]:
    return (found.hall.virtual, found.hall.hall_id)


def _totals(total: AttendanceRow) -> list[Total]:
    pairs = zip(MEASURES, measures(total.real), measures(total.virtual), strict=True)
    return [Total(figure=name, source=source, real=real, virtual=virtual) for (source, name), real, virtual in pairs]


def _by_level(halls: Sequence[ReportHall], table: Sums, kinds: Sequence[int]) -> list[LevelRow]:
    order = {level: place for place, level in enumerate(LEVELS)}
    levels = sorted({found.level for found in halls}, key=lambda level: (order.get(level, order["base"] - 0.5), level))
    row_of = {level: 2 * row for row, level in enumerate(levels)}
    groups = [row_of[found.level] + kind for found, kind in zip(halls, kinds, strict=True)]
    sums = summed(table, groups, 2 * len(levels))
    return [
        LevelRow(level=level, real=figures_of(sums[row]), virtual=figures_of(sums[row + 1]))
        for level, row in row_of.items()
    ]


def _by_unit(
    units: _Forest, places: Mapping[str, int], halls: Sequence[ReportHall], table: Sums, *, flash: bool
) -> list[UnitRow]:
    groups = [2 * places[found.parent] + found.hall.virtual for found in halls]
    sums = summed(table, groups, 2 * len(places))
    codes = list(places)
    for code in reversed(codes):  # those below come after: each is complete when it is added to the one above
        above = units.units[code].parent
        if above:
            for kind in (0, 1):
                sums[2 * places[above] + kind] += sums[2 * places[code] + kind]
    rows = [
        UnitRow(
            code=code,
            name=units.units[code].name,
            kind=units.units[code].kind,
            parent=units.units[code].parent,
            depth=len(units.path(code)) - 1,
            real=figures_of(sums[2 * place]),
            virtual=figures_of(sums[2 * place + 1]),
        )
        for code, place in places.items()
    ]
    deepest = 1 if units.is_scoped else 0
    return [row for row in rows if row.depth <= deepest] if flash else rows


def _hall_row(found: ReportHall, heading: Heading) -> HallRow:
    union = merge_intervals(found.intervals)
    gaps = gaps_of(found, heading)
    return HallRow(
        hall_id=found.hall.hall_id,
        name=found.hall.name,
        parent=found.parent,
        unit_name=found.unit_name,
        province_name=found.province_name,
        level=found.level,
        virtual=found.hall.virtual,
        seats=found.hall.seats,
        status=found.status,
        seen=found.seen,
        headcount=found.headcount,
        individual=found.individual,
        first_seen_ms=union[0].start_ms if union else None,
        present_ms=sum(interval.length_ms for interval in union),
        outages=len(gaps),
        outage_ms=sum(max(0, (heading.at_ms if end_ms is None else end_ms) - start_ms) for start_ms, end_ms in gaps),
    )
