"""Conferences that reports are made of: Đồng Tháp 2021 as the press told it, and a small country with everything."""

from __future__ import annotations

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridges.attendance import HallStatus, Headcount, IndividualTotals
from bridges.halls import Hall, HallLevel
from bridges.presence import Interval
from conference.access import KeyRing
from conference.reports.building import build_report
from conference.reports.model import (
    Correction,
    Heading,
    Incident,
    Report,
    ReportHall,
    ReportInput,
    ReportKind,
    ReportUnit,
)
from conference.reports.sealing import Seal, canonical_json, report_digest, seal_digest

START_MS = 1_770_685_200_000  # 10 February 2026, 08:00 in Việt Nam
MINUTE_MS = 60_000
END_MS = START_MS + 120 * MINUTE_MS


def report_hall(
    hall_id: str,
    *,
    name: str = "",
    parent: str = "82",
    level: HallLevel = "commune",
    status: HallStatus = "left",
    seats: int = 60,
    headcount: Headcount | None = None,
    individual: IndividualTotals | None = None,
    intervals: list[Interval] | None = None,
    interruptions_ms: list[float] | None = None,
    unit_name: str = "Đồng Tháp",
    province_name: str = "Đồng Tháp",
    virtual: bool = False,
) -> ReportHall:
    """A hall that was there all the time unless said otherwise."""
    return ReportHall(
        hall=Hall(
            hall_id=hall_id,
            name=name or f"Điểm cầu {hall_id}",
            unit=parent,
            level=level,
            seats=seats,
            contact_name="Trực ban",
            contact_phone="0900 000 001",
            virtual=virtual,
        ),
        level=level,
        parent=parent,
        unit_name=unit_name,
        province_name=province_name,
        status=status,
        seen=intervals != [],
        headcount=headcount,
        individual=individual,
        intervals=[Interval(START_MS, END_MS)] if intervals is None else intervals,
        interruptions_ms=interruptions_ms or [],
    )


def heading(kind: ReportKind = "summary", *, phase: str = "ended", title: str = "Hội nghị toàn quốc") -> Heading:
    """A conference that ended, five minutes later; one that is live, an hour after its start."""
    is_over = phase == "ended"
    return Heading(
        kind=kind,
        conference_id="hn-2026",
        title=title,
        phase=phase,
        at_ms=END_MS + 5 * MINUTE_MS if is_over else START_MS + 60 * MINUTE_MS,
        started_at_ms=START_MS,
        ended_at_ms=END_MS if is_over else None,
    )


def report_of(halls: list[ReportHall], kind: ReportKind = "summary", *, phase: str = "ended") -> Report:
    """A report over halls alone."""
    return build_report(ReportInput(heading=heading(kind, phase=phase), halls=halls))


def split(total: int, parts: int) -> list[int]:
    """`total` in `parts` parts that differ by at most one."""
    return [total // parts + (number < total % parts) for number in range(parts)]


def dong_thap_2021() -> ReportInput:
    """48 halls / 5,943 delegates = 1 provincial / 327 + 13 district / 2,247 + 34 base / 3,369.

    Units stand on the three levels of that year. The sums are those of the press; how they are split over halls, and
    the names of districts and communes, are ours.
    """
    units = [ReportUnit(code="87", name="Tỉnh Đồng Tháp", kind="tỉnh")]
    halls = []
    for number, seats in enumerate(split(2_247, 13)):
        code = f"87{number:02d}"
        units.append(ReportUnit(code=code, name=f"Huyện {number + 1}", kind="huyện", parent="87"))
        halls.append(_counted(f"huyen-{number:02d}", code, "district", seats))
    for number, seats in enumerate(split(3_369, 34)):
        code = f"87{number % 13:02d}-{number // 13}"
        units.append(ReportUnit(code=code, name=f"Xã {number + 1}", kind="xã", parent=f"87{number % 13:02d}"))
        halls.append(_counted(f"co-so-{number:02d}", code, "base", seats))
    halls.append(_counted("tinh", "87", "province", 327))
    title = "Hội nghị trực tuyến tỉnh Đồng Tháp năm 2021"
    about = heading(title=title)
    return ReportInput(heading=about, halls=halls, units=units)


def _counted(hall_id: str, parent: str, level: HallLevel, seats: int) -> ReportHall:
    return report_hall(
        hall_id,
        parent=parent,
        level=level,
        seats=seats,
        unit_name=parent,
        headcount=Headcount(summoned=seats, present=seats),
    )


def small_country() -> ReportInput:
    """Losses, corrections, discrepancies, check-ins, incidents, halls without a unit, and virtual halls."""
    units = [
        ReportUnit(code="01", name="Thành phố Hà Nội", kind="thành phố"),
        ReportUnit(code="00004", name="Phường Ba Đình", kind="phường", parent="01"),
        ReportUnit(code="00008", name="Phường Ngọc Hà", kind="phường", parent="01"),
        ReportUnit(code="82", name="Tỉnh Đồng Tháp", kind="tỉnh"),
    ]
    hour = 60 * MINUTE_MS
    halls = [
        report_hall(
            "HN-TT",
            parent="01",
            level="central",
            name="Điểm cầu trung tâm",
            seats=1_250,
            unit_name="Thành phố Hà Nội",
            province_name="Thành phố Hà Nội",
            headcount=Headcount(summoned=1_250, present=1_190, excused=50, unexcused=10),
            individual=IndividualTotals(
                halls_enrolled=1, registered=1_250, present=1_188, excused=50, by_qr=1_100, by_proxy=60, by_self=28
            ),
        ),
        report_hall(
            "HN-01",
            parent="00004",
            name="=CMD|' /C calc'!A0",
            unit_name="Phường Ba Đình",
            province_name="Thành phố Hà Nội",
            headcount=Headcount(summoned=60, present=61),
            intervals=[
                Interval(START_MS - hour, START_MS + 20 * MINUTE_MS),
                Interval(START_MS + 26 * MINUTE_MS, END_MS),
            ],
            interruptions_ms=[412.4, 1_091.0],
        ),
        report_hall(
            "HN-02",
            parent="00008",
            name="Trường <b>Ngọc Hà</b> & bạn",
            unit_name="Phường Ngọc Hà",
            province_name="Thành phố Hà Nội",
            status="left",
            intervals=[Interval(START_MS, START_MS + hour)],
        ),
        report_hall("DT-01", intervals=[], status="waiting", headcount=Headcount(summoned=60, present=44, exempt=2)),
        report_hall("DT-V1", virtual=True, headcount=Headcount(summoned=60, present=60)),
        report_hall("DT-V2", virtual=True, status="waiting", intervals=[]),
        report_hall("LE-01", parent="", unit_name="", province_name="", level="base", seats=12),
    ]
    incidents = [
        Incident(at_ms=START_MS, code="phase", subject="live"),
        Incident(at_ms=START_MS + 20 * MINUTE_MS, code="relay_lost", subject="tram-1", reason="lease_expired"),
        Incident(at_ms=START_MS + 25 * MINUTE_MS, code="relay_returned", subject="tram-1"),
        Incident(
            at_ms=START_MS + 30 * MINUTE_MS,
            code="order",
            subject="tram-2",
            detail="relay_mode_changed draining",
            actor="user:truc",
            reason="thay nguồn",
        ),
    ]
    corrections = [
        Correction(
            hall_id="DT-01",
            name="Điểm cầu DT-01",
            unit_name="Đồng Tháp",
            virtual=False,
            source="headcount",
            figure="present",
            closing=44,
            present=46,
            by="hall:DT-01",
            at_ms=END_MS + 4 * MINUTE_MS,
            note="hai đại biểu đến muộn",
        )
    ]
    about = heading(title="Hội nghị cán bộ toàn quốc")
    return ReportInput(
        heading=_closed(about),
        halls=halls,
        units=units,
        incidents=incidents,
        corrections=corrections,
    )


def _closed(about: Heading) -> Heading:
    return msgspec.structs.replace(about, closed_at_ms=END_MS + 3 * MINUTE_MS, closed_by="user:to-chuc")


def known_keys() -> KeyRing:
    """A key that is the same each time, as its signatures are (RFC 8032)."""
    return KeyRing(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def seal_of(report: Report, keys: KeyRing | None = None) -> tuple[bytes, Seal]:
    """The canonical JSON of a report and its seal."""
    keys = keys or known_keys()
    canonical = canonical_json(report)
    return canonical, seal_digest(report_digest(canonical), keys.sign, keys.public_keys[0])
