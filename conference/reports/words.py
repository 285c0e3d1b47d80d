"""Words, times and columns that every written form of a report shares; Vietnamese first, English second."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone

from bridges.attendance import Figures
from conference.reports.flash import Durations, FlashReport, GroupRow, Source

# Việt Nam keeps UTC+7 all year; halls read the report by the clock on their wall.
VIETNAM_TIME = timezone(timedelta(hours=7))

TITLE = ("BÁO CÁO NHANH", "FLASH REPORT")
VIRTUAL = "ảo (virtual)"
REAL = "thật (real)"
SOURCES: dict[Source, tuple[str, str]] = {
    "registration": ("đăng ký", "registration"),
    "connection": ("kết nối", "connection"),
    "headcount": ("số báo cáo", "headcount"),
    "hall": ("điểm cầu đo", "measured by the hall"),
}
PHASES = {
    "draft": "soạn thảo (draft)",
    "open": "mở cổng (open)",
    "rehearsal": "tổng duyệt (rehearsal)",
    "live": "đang họp (live)",
    "ended": "đã kết thúc (ended)",
}
# Source, Vietnamese, English; `measures` gives the figures in the same order.
COLUMNS: tuple[tuple[Source, str, str], ...] = (
    ("registration", "điểm cầu", "halls"),
    ("registration", "đại biểu", "seats"),
    ("connection", "đang nối", "present now"),
    ("connection", "từng nối", "present ever"),
    ("connection", "mất", "lost"),
    ("connection", "chưa nối", "waiting"),
    ("connection", "đã rời", "left"),
    ("headcount", "đã báo", "reported"),
    ("headcount", "triệu tập", "summoned"),
    ("headcount", "có mặt", "present"),
    ("headcount", "vắng CLD", "excused"),
    ("headcount", "vắng KLD", "unexcused"),
    ("headcount", "miễn SH", "exempt"),
)
ABBREVIATIONS = (
    "vắng CLD: vắng có lý do (excused); vắng KLD: vắng không lý do (unexcused); miễn SH: miễn sinh hoạt (exempt)"
)


def measures(figures: Figures) -> tuple[int, ...]:
    """The figures in the order of `COLUMNS`."""
    seen, counted = figures.connection, figures.headcount
    return (
        figures.halls,
        figures.seats,
        seen.present_now,
        seen.present_ever,
        seen.lost,
        seen.waiting,
        seen.left,
        counted.halls_reported,
        counted.summoned,
        counted.present,
        counted.excused,
        counted.unexcused,
        counted.exempt,
    )


def lines_of(report: FlashReport, groups: Iterable[GroupRow]) -> list[tuple[str, bool, tuple[int, ...]]]:
    """A table as (name, is virtual, figures): each group's real line, its virtual one where it has any, then sums."""
    lines: list[tuple[str, bool, tuple[int, ...]]] = []
    for group in groups:
        name = group.name_vi if group.name_vi == group.name_en else f"{group.name_vi} ({group.name_en})"
        if group.real.halls or not group.virtual.halls:
            lines.append((name, False, measures(group.real)))
        if group.virtual.halls:
            lines.append((name, True, measures(group.virtual)))
    lines.append(("Tổng (total)", False, measures(report.total.real)))
    if report.total.virtual.halls:
        lines.append(("Tổng (total)", True, measures(report.total.virtual)))
    return lines


def number(value: int) -> str:
    """A number with the separator of thousands used in Việt Nam: 5.943."""
    return f"{value:,}".replace(",", ".")


def moment(at_ms: int | None) -> str:
    """A time of day in Việt Nam, or a dash."""
    if at_ms is None:
        return "–"
    try:
        found = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
        return found.astimezone(VIETNAM_TIME).strftime("%d/%m/%Y %H:%M:%S (UTC+7)")
    except OverflowError:  # a clock beyond the calendar: show what it said
        return f"{at_ms} ms"


def duration(length_ms: int) -> str:
    """A length of time as h:mm:ss."""
    seconds = length_ms // 1000
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def durations_sentence(found: Durations) -> str:
    """Count and quantiles in one line."""
    if not found.count:
        return "không có (none)"
    quantiles = (("p50", found.p50_ms), ("p99", found.p99_ms), ("max", found.max_ms))
    # In seconds with the decimal comma of Việt Nam: "1.091 ms" would read as one millisecond.
    listed = ", ".join(
        f"{name} {value / 1000:.2f} s".replace(".", ",") for name, value in quantiles if value is not None
    )
    return f"{number(found.count)} lần (times) ở (in) {number(found.halls)} điểm cầu (halls): {listed}"
