"""The flash report (báo cáo nhanh): who took part, by each source apart, minutes after the end or at any moment.

Pure: plain inputs to a plain value. Each total names its source; real and virtual halls are never added together;
contradictions between the sources are listed and left standing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from bridges.attendance import (
    AttendanceRow,
    Discrepancy,
    Figures,
    HallAttendance,
    HallStatus,
    Headcount,
    discrepancies,
    row_of,
    total_of,
)
from bridges.halls import Hall
from bridges.presence import Interval, merge_intervals

SCHEMA = 1

Source = Literal["registration", "connection", "headcount", "hall"]
"""Who says so: the register, the relays, the technicians, or the halls' own agents and pages."""

LEVELS: dict[str, tuple[str, str]] = {
    "central": ("Trung ương", "Central"),
    "province": ("Cấp tỉnh", "Provincial"),
    "commune": ("Cấp xã", "Commune"),
    "base": ("Cơ sở", "Base"),
}
_LEVEL_ORDER = {level: place for place, level in enumerate(LEVELS)}


class FlashHall(msgspec.Struct, frozen=True, kw_only=True):
    """What the report needs of one hall.

    Attributes:
        hall: as registered.
        unit_name: its reporting unit.
        province: code of the root of that unit.
        province_name: name of that root.
        level: usually `hall.level`; any other word (older data has districts) makes a level of its own.
        status: by connection.
        intervals: when it received media (connection), as `HallPresence.intervals` gives them.
        interruptions_ms: how long the picture was gone at each move, as the hall measured it.
        headcount: the technician's latest figures, or None.
    """

    hall: Hall
    unit_name: str
    province: str
    province_name: str
    level: str
    status: HallStatus
    intervals: list[Interval] = []
    interruptions_ms: list[float] = []
    headcount: Headcount | None = None


class FlashInput(msgspec.Struct, frozen=True, kw_only=True):
    """A conference at the moment `at_ms`; times in milliseconds since the epoch.

    Attributes:
        started_at_ms: when it went live, or None.
        ended_at_ms: when it ended, or None.
    """

    conference_id: str
    title: str
    phase: str
    at_ms: int
    started_at_ms: int | None
    ended_at_ms: int | None
    halls: Sequence[FlashHall]


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """One total, with its source beside it; virtual halls apart."""

    key: str
    label_vi: str
    label_en: str
    source: Source
    real: int
    virtual: int


class GroupRow(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one province or one level."""

    code: str
    name_vi: str
    name_en: str
    real: Figures
    virtual: Figures


class LostHall(msgspec.Struct, frozen=True, kw_only=True):
    """A hall that received media and does not now, since when, and whom to phone."""

    hall_id: str
    name: str
    unit_name: str
    province_name: str
    contact_name: str
    contact_phone: str
    virtual: bool
    since_ms: int | None
    lost_ms: int


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """How many, and how long (nearest rank, milliseconds; None where there are none)."""

    count: int
    halls: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None


class DurationsBySource(msgspec.Struct, frozen=True, kw_only=True):
    """Durations of real and of virtual halls, with who measured them."""

    source: Source
    real: Durations
    virtual: Durations


class FlashReport(msgspec.Struct, frozen=True, kw_only=True):
    """The flash report.

    Attributes:
        totals: each with its source.
        by_province: ascending by code.
        by_level: central first; levels of older data last.
        lost: real halls first, the longest loss first.
        interruptions: at moves between relays, as the halls measured them.
        absences: gaps between two presences, as the relays saw them.
        discrepancies: contradictions between sources, real halls first, by hall.
        discrepancy_counts: by code, real halls only.
    """

    schema: int = SCHEMA
    conference_id: str
    title: str
    phase: str
    at_ms: int
    started_at_ms: int | None
    ended_at_ms: int | None
    totals: list[Total]
    total: AttendanceRow
    by_province: list[GroupRow]
    by_level: list[GroupRow]
    lost: list[LostHall]
    interruptions: DurationsBySource
    absences: DurationsBySource
    discrepancies: list[Discrepancy]
    discrepancy_counts: dict[str, int]


def build_flash_report(given: FlashInput) -> FlashReport:
    """Sum up a conference; the order of the halls does not matter."""
    halls = sorted(given.halls, key=lambda found: (found.hall.virtual, found.hall.hall_id))
    known = [_attendance(found) for found in halls]
    rows = [row_of(attendance) for attendance in known]
    total = total_of(rows)
    listed = discrepancies(known)
    return FlashReport(
        conference_id=given.conference_id,
        title=given.title,
        phase=given.phase,
        at_ms=given.at_ms,
        started_at_ms=given.started_at_ms,
        ended_at_ms=given.ended_at_ms,
        totals=_totals(total),
        total=total,
        by_province=_by_province(halls, rows),
        by_level=_by_level(halls, rows),
        lost=_lost(halls, given.at_ms),
        interruptions=_durations("hall", halls, lambda found: found.interruptions_ms),
        absences=_durations("connection", halls, lambda found: _gaps_ms(found.intervals)),
        discrepancies=listed,
        discrepancy_counts=dict(
            sorted(Counter(discrepancy.code for discrepancy in listed if not discrepancy.virtual).items())
        ),
    )


def nearest_rank(ascending: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed; None of nothing."""
    if not ascending:
        return None
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]


def _attendance(found: FlashHall) -> HallAttendance:
    return HallAttendance(
        hall=found.hall, status=found.status, headcount=found.headcount, seen=bool(merge_intervals(found.intervals))
    )


def _totals(total: AttendanceRow) -> list[Total]:
    real, virtual = total.real, total.virtual
    listed: list[tuple[str, str, str, Source, int, int]] = [
        ("halls", "điểm cầu đăng ký", "halls registered", "registration", real.halls, virtual.halls),
        ("seats", "đại biểu đăng ký", "delegates registered", "registration", real.seats, virtual.seats),
    ]
    connection_labels = {
        "present_now": ("điểm cầu đang kết nối", "halls connected now"),
        "present_ever": ("điểm cầu đã từng kết nối", "halls ever connected"),
        "lost": ("điểm cầu mất kết nối", "halls lost"),
        "waiting": ("điểm cầu chưa kết nối", "halls waiting"),
        "left": ("điểm cầu đã rời", "halls that left"),
    }
    for key, (label_vi, label_en) in connection_labels.items():
        figures = getattr(real.connection, key), getattr(virtual.connection, key)
        listed.append((key, label_vi, label_en, "connection", *figures))
    headcount_labels = {
        "halls_reported": ("điểm cầu đã báo cáo", "halls that reported"),
        "summoned": ("đại biểu triệu tập", "delegates summoned"),
        "present": ("đại biểu có mặt", "delegates present"),
        "excused": ("vắng có lý do", "excused"),
        "unexcused": ("vắng không lý do", "unexcused"),
        "exempt": ("miễn sinh hoạt", "exempt"),
    }
    for key, (label_vi, label_en) in headcount_labels.items():
        figures = getattr(real.headcount, key), getattr(virtual.headcount, key)
        listed.append((key, label_vi, label_en, "headcount", *figures))
    return [
        Total(key=key, label_vi=label_vi, label_en=label_en, source=source, real=of_real, virtual=of_virtual)
        for key, label_vi, label_en, source, of_real, of_virtual in listed
    ]


def _grouped(
    halls: Iterable[FlashHall], rows: Iterable[AttendanceRow], key: Callable[[FlashHall], str]
) -> dict[str, AttendanceRow]:
    groups: dict[str, list[AttendanceRow]] = {}
    for found, row in zip(halls, rows, strict=True):
        groups.setdefault(key(found), []).append(row)
    return {code: total_of(group, unit=code) for code, group in groups.items()}


def _by_province(halls: Sequence[FlashHall], rows: Sequence[AttendanceRow]) -> list[GroupRow]:
    names = {found.province: found.province_name for found in halls}
    sums = _grouped(halls, rows, lambda found: found.province)
    return [
        GroupRow(code=code, name_vi=names[code], name_en=names[code], real=sums[code].real, virtual=sums[code].virtual)
        for code in sorted(sums)
    ]


def _by_level(halls: Sequence[FlashHall], rows: Sequence[AttendanceRow]) -> list[GroupRow]:
    sums = _grouped(halls, rows, lambda found: found.level)
    ordered = sorted(sums, key=lambda level: (_LEVEL_ORDER.get(level, len(LEVELS)), level))
    return [
        GroupRow(
            code=level,
            name_vi=LEVELS.get(level, (level, level))[0],
            name_en=LEVELS.get(level, (level, level))[1],
            real=sums[level].real,
            virtual=sums[level].virtual,
        )
        for level in ordered
    ]


def _lost(halls: Iterable[FlashHall], at_ms: int) -> list[LostHall]:
    found: list[LostHall] = []
    for entry in halls:
        if entry.status != "lost":
            continue
        since_ms = max((interval.end_ms for interval in entry.intervals), default=None)
        found.append(
            LostHall(
                hall_id=entry.hall.hall_id,
                name=entry.hall.name,
                unit_name=entry.unit_name,
                province_name=entry.province_name,
                contact_name=entry.hall.contact_name,
                contact_phone=entry.hall.contact_phone,
                virtual=entry.hall.virtual,
                since_ms=since_ms,
                lost_ms=0 if since_ms is None else max(0, at_ms - since_ms),
            )
        )
    return sorted(found, key=lambda hall: (hall.virtual, -hall.lost_ms, hall.hall_id))


def _gaps_ms(intervals: Sequence[Interval]) -> list[float]:
    union = merge_intervals(intervals)
    return [float(after.start_ms - before.end_ms) for before, after in pairwise(union)]


def _durations(
    source: Source, halls: Sequence[FlashHall], measured: Callable[[FlashHall], list[float]]
) -> DurationsBySource:
    def of(*, virtual: bool) -> Durations:
        per_hall = [measured(found) for found in halls if found.hall.virtual == virtual]
        ascending = sorted(value for values in per_hall for value in values)
        return Durations(
            count=len(ascending),
            halls=sum(bool(values) for values in per_hall),
            p50_ms=nearest_rank(ascending, 0.50),
            p99_ms=nearest_rank(ascending, 0.99),
            max_ms=ascending[-1] if ascending else None,
        )

    return DurationsBySource(source=source, real=of(virtual=False), virtual=of(virtual=True))
