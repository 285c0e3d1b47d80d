import random

from bridges.attendance import HallStatus, Headcount
from bridges.halls import Hall
from bridges.presence import Interval
from conference.reports.flash import FlashHall, FlashInput, FlashReport, build_flash_report, nearest_rank


def flash_hall(
    hall_id: str,
    *,
    level: str = "commune",
    status: HallStatus = "present",
    seats: int = 60,
    headcount: Headcount | None = None,
    intervals: list[Interval] | None = None,
    interruptions_ms: list[float] | None = None,
    virtual: bool = False,
) -> FlashHall:
    """A hall in Đồng Tháp."""
    return FlashHall(
        hall=Hall(
            hall_id=hall_id,
            name=f"Điểm cầu {hall_id}",
            unit="82",
            level="base",
            seats=seats,
            contact_name="Trực",
            contact_phone="0900 000 001",
            virtual=virtual,
        ),
        unit_name="Đồng Tháp",
        province="82",
        province_name="Đồng Tháp",
        level=level,
        status=status,
        intervals=[Interval(0, 1_000)] if intervals is None else intervals,
        interruptions_ms=interruptions_ms or [],
        headcount=headcount,
    )


def report_of(halls: list[FlashHall], at_ms: int = 10_000) -> FlashReport:
    """The flash report of an ended conference."""
    return build_flash_report(
        FlashInput(
            conference_id="dt-2021",
            title="Hội nghị toàn quốc",
            phase="ended",
            at_ms=at_ms,
            started_at_ms=0,
            ended_at_ms=9_000,
            halls=halls,
        )
    )


def split(total: int, parts: int) -> list[int]:
    """`total` in `parts` parts that differ by at most one."""
    return [total // parts + (number < total % parts) for number in range(parts)]


def test_dong_thap_2021_sums_right() -> None:
    """48 halls / 5,943 delegates = 1 provincial / 327 + 13 district / 2,247 + 34 base / 3,369 (press, 2021)."""
    halls = [
        flash_hall(f"{level}-{number}", level=level, seats=seats, headcount=Headcount(summoned=seats, present=seats))
        for level, count, delegates in (("province", 1, 327), ("huyện", 13, 2_247), ("base", 34, 3_369))
        for number, seats in enumerate(split(delegates, count))
    ]
    random.Random(1).shuffle(halls)
    report = report_of(halls)
    found = {row.code: (row.real.halls, row.real.headcount.present) for row in report.by_level}
    assert found == {"province": (1, 327), "base": (34, 3_369), "huyện": (13, 2_247)}
    totals = {(total.key, total.source): total.real for total in report.totals}
    assert totals["halls", "registration"] == 48
    assert totals["present", "headcount"] == 5_943
    assert [(row.code, row.real.halls, row.real.headcount.present) for row in report.by_province] == [("82", 48, 5_943)]
    assert report.discrepancies == []


def test_every_total_names_its_source_and_keeps_virtual_halls_apart() -> None:
    """A virtual hall's figures stand beside the real ones, never in them."""
    counted = Headcount(summoned=60, present=60)
    report = report_of([flash_hall("a", headcount=counted), flash_hall("b", headcount=counted, virtual=True)])
    totals = {total.key: total for total in report.totals}
    assert {total.source for total in report.totals} == {"registration", "connection", "headcount"}
    for key, value in (("halls", 1), ("present_now", 1), ("present", 60), ("summoned", 60), ("lost", 0)):
        assert (totals[key].real, totals[key].virtual) == (value, value), key


def test_lost_halls_come_with_how_long_and_whom_to_phone() -> None:
    """The longest loss first, real before virtual, with the contact."""
    report = report_of(
        [
            flash_hall("v", status="lost", intervals=[Interval(0, 10)], virtual=True),
            flash_hall("short", status="lost", intervals=[Interval(0, 9_000)]),
            flash_hall("long", status="lost", intervals=[Interval(0, 100), Interval(200, 4_000)]),
            flash_hall("here"),
        ]
    )
    assert [(hall.hall_id, hall.since_ms, hall.lost_ms) for hall in report.lost] == [
        ("long", 4_000, 6_000),
        ("short", 9_000, 1_000),
        ("v", 10, 9_990),
    ]
    assert report.lost[0].contact_phone == "0900 000 001"


def test_interruptions_and_gaps_are_counted_by_who_measured_them() -> None:
    """Halls measure interruptions, relays see gaps; quantiles are real values."""
    report = report_of(
        [
            flash_hall("a", interruptions_ms=[float(value) for value in range(1, 101)]),
            flash_hall("b", intervals=[Interval(0, 100), Interval(350, 500), Interval(500, 900)]),
            flash_hall("v", interruptions_ms=[7.0], virtual=True),
        ]
    )
    moves, gaps = report.interruptions, report.absences
    assert (moves.source, moves.real.count, moves.real.halls) == ("hall", 100, 1)
    assert (moves.real.p50_ms, moves.real.p99_ms, moves.real.max_ms) == (50.0, 99.0, 100.0)
    assert (moves.virtual.count, moves.virtual.max_ms) == (1, 7.0)
    assert (gaps.source, gaps.real.count, gaps.real.max_ms) == ("connection", 1, 250.0)
    assert gaps.virtual.p50_ms is None


def test_quantiles_are_nearest_ranks() -> None:
    """No value is invented between two."""
    assert nearest_rank([], 0.5) is None
    assert nearest_rank([3.0], 0.99) == 3.0
    assert nearest_rank([1.0, 2.0], 0.5) == 1.0
    assert nearest_rank([1.0, 2.0, 3.0], 0.5) == 2.0
    assert nearest_rank([1.0, 2.0], 0.0) == 1.0


def test_a_hall_that_left_was_present() -> None:
    """After the end, halls have left; that they were present stays."""
    report = report_of([flash_hall("a", status="left"), flash_hall("b", status="left", intervals=[])])
    connection = report.total.real.connection
    assert (connection.left, connection.present_ever, connection.lost) == (2, 1, 0)
    assert report.discrepancy_counts == {"connected_without_headcount": 1}


def test_a_conference_without_halls_has_a_report() -> None:
    """Nothing sums to nothing."""
    report = report_of([])
    assert report.by_province == []
    assert all(total.real == 0 for total in report.totals)
