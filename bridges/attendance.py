"""Attendance of halls, rolled up over the units: each source stands for itself and none is ever merged into another.

Owns the figures of the three sources (connection: what relays saw delivered; headcount: what technicians reported;
individual: delegates who checked in one by one) beside what was registered, how they sum over the tree, and where they
contradict each other. Virtual halls are counted apart from real ones at every level.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from bridges.halls import Hall
from bridges.units import UnitTree

HallStatus = Literal["waiting", "present", "lost", "left"]
DiscrepancyCode = Literal[
    "connected_without_headcount",
    "headcount_never_connected",
    "present_exceeds_summoned",
    "figures_exceed_summoned",
    "not_yet_marked",
    "connected_but_empty",
    "summoned_differs_from_registration",
    "roster_differs_from_summoned",
    "check_ins_differ_from_headcount",
    "check_ins_never_connected",
    "checked_in_elsewhere",
    "marked_absent_but_checked_in",
]


class Headcount(msgspec.Struct, frozen=True, kw_only=True):
    """A technician's figures for one hall: triệu tập, có mặt, vắng có lý do, vắng không lý do, miễn sinh hoạt."""

    summoned: int
    present: int
    excused: int = 0
    unexcused: int = 0
    exempt: int = 0


class ConnectionTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Halls by connection. `present_now + lost + waiting + left` is the number of halls.

    Attributes:
        present_now: receive media now.
        present_ever: received media at any time, whatever they do now.
        lost: received media, do not now, and are expected to.
        waiting: never received media.
        left: said goodbye, or stopped receiving when the conference ended.
    """

    present_now: int = 0
    present_ever: int = 0
    lost: int = 0
    waiting: int = 0
    left: int = 0

    def __add__(self, other: ConnectionTotals) -> ConnectionTotals:
        return ConnectionTotals(
            present_now=self.present_now + other.present_now,
            present_ever=self.present_ever + other.present_ever,
            lost=self.lost + other.lost,
            waiting=self.waiting + other.waiting,
            left=self.left + other.left,
        )


class HeadcountTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Delegates by headcount, over the `halls_reported` halls that reported; `seats_reported` is their registration."""

    halls_reported: int = 0
    seats_reported: int = 0
    summoned: int = 0
    present: int = 0
    excused: int = 0
    unexcused: int = 0
    exempt: int = 0

    def __add__(self, other: HeadcountTotals) -> HeadcountTotals:
        return HeadcountTotals(
            halls_reported=self.halls_reported + other.halls_reported,
            seats_reported=self.seats_reported + other.seats_reported,
            summoned=self.summoned + other.summoned,
            present=self.present + other.present,
            excused=self.excused + other.excused,
            unexcused=self.unexcused + other.unexcused,
            exempt=self.exempt + other.exempt,
        )


class IndividualTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Delegates by individual check-in, over the `halls_enrolled` halls that have a roster.

    Attributes:
        halls_enrolled: halls with delegates on their roster; 1 in the figures of such a hall.
        registered: delegates on the roster (not those withdrawn).
        present: counted once each: by a scan of theirs or by the technician's mark.
        excused: marked absent with a reason, and not present.
        unexcused: marked absent without one, and not present.
        exempt: marked exempt, and not present.
        by_qr: of `present`, by a scanned code or its number typed.
        by_proxy: of `present`, by the technician's mark alone.
        by_self: of `present`, by the delegate's own device.
        conflicts: delegates of the roster who were scanned at another hall as well, or at another one only.
    """

    halls_enrolled: int = 0
    registered: int = 0
    present: int = 0
    excused: int = 0
    unexcused: int = 0
    exempt: int = 0
    by_qr: int = 0
    by_proxy: int = 0
    by_self: int = 0
    conflicts: int = 0

    def __add__(self, other: IndividualTotals) -> IndividualTotals:
        return IndividualTotals(
            halls_enrolled=self.halls_enrolled + other.halls_enrolled,
            registered=self.registered + other.registered,
            present=self.present + other.present,
            excused=self.excused + other.excused,
            unexcused=self.unexcused + other.unexcused,
            exempt=self.exempt + other.exempt,
            by_qr=self.by_qr + other.by_qr,
            by_proxy=self.by_proxy + other.by_proxy,
            by_self=self.by_self + other.by_self,
            conflicts=self.conflicts + other.conflicts,
        )


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a set of halls that are all real or all virtual.

    Attributes:
        halls: registered halls.
        seats: delegates summoned at registration.
        connection: first source.
        headcount: second source.
        individual: third source.
    """

    halls: int = 0
    seats: int = 0
    connection: ConnectionTotals = ConnectionTotals()
    headcount: HeadcountTotals = HeadcountTotals()
    individual: IndividualTotals = IndividualTotals()

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            halls=self.halls + other.halls,
            seats=self.seats + other.seats,
            connection=self.connection + other.connection,
            headcount=self.headcount + other.headcount,
            individual=self.individual + other.individual,
        )


class AttendanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """The attendance of one unit (with all below it, once rolled up); "" as unit means the whole country."""

    unit: str
    real: Figures = Figures()
    virtual: Figures = Figures()

    @property
    def halls(self) -> int:
        """Halls registered, real and virtual."""
        return self.real.halls + self.virtual.halls

    def plus(self, other: AttendanceRow) -> AttendanceRow:
        """Both sums, under this row's unit."""
        return AttendanceRow(unit=self.unit, real=self.real + other.real, virtual=self.virtual + other.virtual)


class HallAttendance(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one hall.

    Attributes:
        hall: the hall.
        status: by connection; see `status_of`.
        headcount: the latest figures, or None.
        individual: of the delegates on its roster, with `halls_enrolled` 1; None where it has no roster.
        seen: it received media at some time; only a hall that left needs to be told apart by it.
        marked_absent: delegates who count as present by a scan and whom the technician marked absent or exempt.
    """

    hall: Hall
    status: HallStatus
    headcount: Headcount | None = None
    individual: IndividualTotals | None = None
    seen: bool = False
    marked_absent: int = 0

    @property
    def ever_present(self) -> bool:
        """It received media at any time."""
        return self.seen or self.status in {"present", "lost"}


class Discrepancy(msgspec.Struct, frozen=True, kw_only=True):
    """Two figures of one hall that do not fit together; for people to settle, never corrected by us."""

    hall_id: str
    name: str
    unit: str
    virtual: bool
    code: DiscrepancyCode
    reason_vi: str
    reason_en: str


def status_of(*, is_open: bool, ever_seen: bool, left: bool = False, expected: bool = True) -> HallStatus:
    """How a hall stands by connection.

    waiting (chưa vào): never received media. present (có mặt): receives media. lost (mất kết nối): received media,
    does not now, and is `expected` to. left (đã rời): said goodbye, or is not expected any more.
    """
    if left:
        return "left"
    if is_open:
        return "present"
    if not ever_seen:
        return "waiting"
    return "lost" if expected else "left"


def figures_of(hall: HallAttendance) -> Figures:
    """What a single hall adds to the figures of its kind, real or virtual."""
    counted = hall.headcount
    return Figures(
        halls=1,
        seats=hall.hall.seats,
        connection=ConnectionTotals(
            present_now=int(hall.status == "present"),
            present_ever=int(hall.ever_present),
            lost=int(hall.status == "lost"),
            waiting=int(hall.status == "waiting"),
            left=int(hall.status == "left"),
        ),
        headcount=HeadcountTotals()
        if counted is None
        else HeadcountTotals(
            halls_reported=1,
            seats_reported=hall.hall.seats,
            summoned=counted.summoned,
            present=counted.present,
            excused=counted.excused,
            unexcused=counted.unexcused,
            exempt=counted.exempt,
        ),
        individual=hall.individual or IndividualTotals(),
    )


def row_of(hall: HallAttendance) -> AttendanceRow:
    """The row of a single hall, under its reporting unit."""
    figures = figures_of(hall)
    if hall.hall.virtual:
        return AttendanceRow(unit=hall.hall.unit, virtual=figures)
    return AttendanceRow(unit=hall.hall.unit, real=figures)


def total_of(rows: Iterable[AttendanceRow], unit: str = "") -> AttendanceRow:
    """The sum of rows under a name; rows must not contain one another (no rolled-up parent beside its children)."""
    total = AttendanceRow(unit=unit)
    for row in rows:
        total = total.plus(row)
    return total


def roll_up(tree: UnitTree, rows: Iterable[AttendanceRow]) -> dict[str, AttendanceRow]:
    """Sum rows over the tree: each unit holds its own rows and all below it, each row counted once at each level.

    Args:
        tree: the units.
        rows: not rolled up; several may name one unit.

    Returns:
        A row for every unit of the tree that has halls in it or below it, parents before children.

    Raises:
        UnknownUnitError: a row names a unit outside the tree.
    """
    sums: dict[str, AttendanceRow] = {}
    for row in rows:
        code = tree.unit(row.unit).code
        sums[code] = sums.get(code, AttendanceRow(unit=code)).plus(row)
    for unit in reversed(tree.units):  # children before parents
        if unit.parent and unit.code in sums:
            sums[unit.parent] = sums.get(unit.parent, AttendanceRow(unit=unit.parent)).plus(sums[unit.code])
    return {unit.code: sums[unit.code] for unit in tree.units if unit.code in sums}


def discrepancies(halls: Iterable[HallAttendance]) -> list[Discrepancy]:
    """Where the sources and the registration contradict each other, in the order of the halls."""
    return [
        Discrepancy(
            hall_id=entry.hall.hall_id,
            name=entry.hall.name,
            unit=entry.hall.unit,
            virtual=entry.hall.virtual,
            code=code,
            reason_vi=reason_vi,
            reason_en=reason_en,
        )
        for entry in halls
        for code, reason_vi, reason_en in (*_headcount_contradictions(entry), *_individual_contradictions(entry))
    ]


def _individual_contradictions(entry: HallAttendance) -> Iterator[tuple[DiscrepancyCode, str, str]]:
    """The third source against the others, and what is odd within it."""
    individual, counted = entry.individual, entry.headcount
    if individual is None:
        return
    summoned = entry.hall.seats if counted is None else counted.summoned
    registered, present = individual.registered, individual.present
    if registered != summoned:
        yield (
            "roster_differs_from_summoned",
            f"danh sách {registered} đại biểu, triệu tập {summoned}",
            f"{registered} on the roster, {summoned} summoned",
        )
    if counted is not None and present != counted.present:
        yield (
            "check_ins_differ_from_headcount",
            f"điểm danh từng người {present}, báo {counted.present} có mặt",
            f"{present} checked in, {counted.present} reported present",
        )
    if present and not entry.ever_present:
        yield (
            "check_ins_never_connected",
            f"điểm danh {present} người nhưng chưa từng kết nối",
            f"{present} checked in but was never connected",
        )
    if individual.conflicts:
        yield (
            "checked_in_elsewhere",
            f"{individual.conflicts} đại biểu được quét ở điểm cầu khác",
            f"{individual.conflicts} delegates scanned at another hall",
        )
    if entry.marked_absent:
        yield (
            "marked_absent_but_checked_in",
            f"{entry.marked_absent} đại biểu đánh dấu vắng hoặc miễn nhưng đã quét mã",
            f"{entry.marked_absent} marked absent or exempt but scanned",
        )


def _headcount_contradictions(entry: HallAttendance) -> Iterator[tuple[DiscrepancyCode, str, str]]:
    """Headcount, connection and registration against each other."""
    counted = entry.headcount
    if counted is None:
        if entry.ever_present:
            yield (
                "connected_without_headcount",
                "đã kết nối nhưng chưa báo số đại biểu",
                "was connected but reported no headcount",
            )
        return
    present, summoned = counted.present, counted.summoned
    if not entry.ever_present:
        yield (
            "headcount_never_connected",
            f"báo {present} có mặt nhưng chưa từng kết nối",
            f"reported {present} present but was never connected",
        )
    elif present == 0:
        yield "connected_but_empty", "đã kết nối nhưng báo 0 có mặt", "was connected but reported nobody present"
    accounted = present + counted.excused + counted.unexcused
    if present > summoned:
        yield (
            "present_exceeds_summoned",
            f"có mặt {present} nhiều hơn triệu tập {summoned}",
            f"{present} present exceed {summoned} summoned",
        )
    elif accounted > summoned:
        yield (
            "figures_exceed_summoned",
            f"có mặt và vắng cộng lại {accounted}, nhiều hơn triệu tập {summoned}",
            f"present and absent sum to {accounted}, more than {summoned} summoned",
        )
    elif accounted + counted.exempt < summoned:
        # Exempt members are counted among the summoned by some organisations and not by others: either sum is fair.
        missing = summoned - accounted - counted.exempt
        yield "not_yet_marked", f"còn {missing} chưa điểm danh", f"{missing} not yet marked"
    if summoned != entry.hall.seats:
        yield (
            "summoned_differs_from_registration",
            f"triệu tập {summoned}, đăng ký {entry.hall.seats}",
            f"{summoned} summoned, {entry.hall.seats} registered",
        )
