"""What a report sums up, and how it keeps apart what must not be added."""

import random

import msgspec
import pytest
from support.report_inputs import (
    END_MS,
    MINUTE_MS,
    START_MS,
    dong_thap_2021,
    heading,
    report_hall,
    report_of,
    small_country,
)

from bridges.attendance import Headcount
from bridges.presence import Interval
from conference.reports.building import build_report
from conference.reports.figures import figures_of, measures
from conference.reports.losses import nearest_rank
from conference.reports.model import KEPT_OUTAGES_PER_HALL, ReportInput, ReportUnit


def test_dong_thap_2021_sums_right() -> None:
    """48 halls / 5,943 delegates = 1 provincial / 327 + 13 district / 2,247 + 34 base / 3,369 (press, 2021)."""
    given = dong_thap_2021()
    halls = list(given.halls)
    random.Random(1).shuffle(halls)
    report = build_report(msgspec.structs.replace(given, halls=halls))
    assert [(row.level, row.real.halls, row.real.headcount.present) for row in report.by_level] == [
        ("province", 1, 327),
        ("district", 13, 2_247),
        ("base", 34, 3_369),
    ]
    totals = {(total.figure, total.source): total.real for total in report.totals}
    assert totals["halls", "registration"] == 48
    assert totals["present", "headcount"] == 5_943
    assert report.discrepancies == []
    assert report == build_report(given)


def test_units_of_any_depth_sum_to_those_above_them() -> None:
    """Each unit is its own halls and the units right below it; the roots are the whole."""
    for given in (dong_thap_2021(), small_country()):
        report = build_report(given)
        by_code = {row.code: row for row in report.by_unit}
        for row in report.by_unit:
            own = [hall for hall in report.halls if hall.parent == row.code and not hall.virtual]
            below = [other for other in report.by_unit if other.depth == row.depth + 1 and other.parent == row.code]
            assert row.real.halls == len(own) + sum(other.real.halls for other in below)
            assert not row.parent or by_code[row.parent].depth == row.depth - 1
        roots = [row for row in report.by_unit if row.depth == 0]
        assert sum(row.real.seats for row in roots) == report.total.real.seats
        assert sum(row.virtual.halls for row in roots) == report.total.virtual.halls


def test_every_total_names_its_source_and_keeps_virtual_halls_apart() -> None:
    """A virtual hall's figures stand beside the real ones, never in them."""
    counted = Headcount(summoned=60, present=60)
    report = report_of([report_hall("a", headcount=counted), report_hall("b", headcount=counted, virtual=True)])
    assert {total.source for total in report.totals} == {"registration", "connection", "headcount", "individual"}
    totals = {(total.source, total.figure): (total.real, total.virtual) for total in report.totals}
    assert totals["registration", "halls"] == (1, 1)
    assert totals["headcount", "present"] == (60, 60)
    assert totals["connection", "lost"] == (0, 0)


def test_a_flash_report_has_the_first_level_and_what_is_lost_now() -> None:
    """Minutes count: provinces, and whom to phone, the longest loss first and real before virtual."""
    halls = [
        report_hall("v", status="lost", intervals=[Interval(START_MS, START_MS + 10)], virtual=True),
        report_hall("short", status="lost", intervals=[Interval(START_MS, START_MS + 50 * MINUTE_MS)]),
        report_hall("long", status="lost", intervals=[Interval(START_MS, START_MS + 100), Interval(END_MS, END_MS)]),
        report_hall("here", status="present", intervals=[Interval(START_MS, START_MS + 60 * MINUTE_MS)]),
    ]
    units = [ReportUnit(code="82", name="Đồng Tháp"), ReportUnit(code="x", name="Xã", parent="82")]
    report = build_report(ReportInput(heading=heading("flash", phase="live"), halls=halls, units=units))
    assert [row.code for row in report.by_unit] == ["82"]
    assert report.halls == []
    assert [(lost.hall_id, lost.end_ms) for lost in report.outages] == [("long", None), ("short", None), ("v", None)]
    assert report.outages[1].length_ms == 10 * MINUTE_MS
    assert report.outages[0].contact_phone == "0900 000 001"


def test_a_summary_lists_each_loss_while_the_conference_was_on() -> None:
    """Gaps are cut to the conference; a goodbye is none; the phone number is for losses that last."""
    whole = Interval(START_MS - MINUTE_MS, END_MS)
    early = [Interval(START_MS - 9 * MINUTE_MS, START_MS - 8 * MINUTE_MS), whole]
    before_end = [Interval(START_MS, END_MS - 10 * MINUTE_MS)]
    gone = report_hall("gone", intervals=before_end)
    halls = [
        report_hall("early", intervals=early),
        gone,
        msgspec.structs.replace(report_hall("bye", intervals=before_end), said_goodbye=True),
        report_hall("never", status="waiting", intervals=[]),
        report_hall("late", intervals=[Interval(START_MS + MINUTE_MS, END_MS)]),
    ]
    report = report_of(halls)
    assert [(lost.hall_id, lost.length_ms, lost.contact_phone) for lost in report.outages] == [
        ("gone", 10 * MINUTE_MS, "")
    ]
    assert {row.hall_id: row.outage_ms for row in report.halls if row.outages} == {"gone": 10 * MINUTE_MS}


def test_a_hall_that_flaps_is_counted_whole_and_listed_within_bounds() -> None:
    """The sum holds every loss, the list the longest."""
    flaps = [Interval(START_MS + 1_000 * place, START_MS + 1_000 * place + 500) for place in range(200)]
    report = report_of([report_hall("flap", intervals=[*flaps, Interval(START_MS + 200_000, END_MS)])])
    assert report.outage_count == report.halls[0].outages == 200
    assert len(report.outages) == KEPT_OUTAGES_PER_HALL
    assert report.halls[0].outage_ms == 200 * 500


def test_interruptions_and_gaps_are_counted_by_who_measured_them() -> None:
    """Halls measure interruptions, relays see gaps; quantiles are real values."""
    gaps = [Interval(0, 100), Interval(350, 500), Interval(500, 900)]
    report = report_of(
        [
            report_hall("a", interruptions_ms=[float(value) for value in range(1, 101)]),
            report_hall("b", intervals=gaps),
            report_hall("v", interruptions_ms=[7.0], virtual=True),
        ]
    )
    moves, absences = report.interruptions, report.absences
    assert (moves.source, moves.real.count, moves.real.halls) == ("hall", 100, 1)
    assert (moves.real.p50_ms, moves.real.p99_ms, moves.real.max_ms) == (50, 99, 100)
    assert (moves.virtual.count, moves.virtual.max_ms) == (1, 7)
    assert (absences.source, absences.real.count, absences.real.max_ms) == ("connection", 1, 250)
    assert absences.virtual.p50_ms is None


def test_quantiles_are_nearest_ranks() -> None:
    """No value is invented between two."""
    assert nearest_rank([], 0.5) is None
    assert nearest_rank([3.0], 0.99) == 3
    assert nearest_rank([1.0, 2.0], 0.5) == 1
    assert nearest_rank([1.0, 2.0, 3.0], 0.5) == 2
    assert nearest_rank([1.0, 2.0], 0.0) == 1


def test_a_conference_without_halls_has_a_report() -> None:
    """Nothing sums to nothing."""
    report = report_of([])
    assert report.by_unit == []
    assert all(total.real == 0 for total in report.totals)


@pytest.mark.parametrize("parents", [{"a": "b", "b": "a"}, {"a": "a"}, {"a": "nowhere"}], ids=str)
def test_units_that_make_no_tree_still_sum(parents: dict[str, str]) -> None:
    """Old data may run in a circle or miss a parent: every hall counts once."""
    units = [ReportUnit(code=code, name=code, parent=parent) for code, parent in parents.items()]
    halls = [report_hall("1", parent="a"), report_hall("2", parent="unknown")]
    report = build_report(ReportInput(heading=heading(), halls=halls, units=units))
    assert sum(row.real.halls for row in report.by_unit if row.depth == 0) == 2


def test_a_report_about_one_unit_begins_there() -> None:
    """What is above the unit is no part of it."""
    given = small_country()
    scoped = msgspec.structs.replace(given.heading, unit="00004", kind="flash")
    halls = [hall for hall in given.halls if hall.parent == "00004"]
    report = build_report(msgspec.structs.replace(given, heading=scoped, halls=halls))
    assert [(row.code, row.depth) for row in report.by_unit] == [("00004", 0)]


def test_columns_are_the_figures_and_back() -> None:
    """The table of figures loses nothing."""
    for row in build_report(small_country()).by_unit:
        assert figures_of(measures(row.real)) == row.real
