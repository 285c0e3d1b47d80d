import pytest

from bridges.attendance import (
    AttendanceRow,
    Figures,
    HallAttendance,
    HallStatus,
    Headcount,
    IndividualTotals,
    discrepancies,
    roll_up,
    row_of,
    status_of,
    total_of,
)
from bridges.errors import UnknownUnitError
from bridges.halls import Hall
from bridges.units import Unit, UnitTree

TREE = UnitTree(
    [
        Unit(code="01", name="Tỉnh A", kind="tỉnh"),
        Unit(code="011", name="Xã B", kind="xã", parent="01"),
        Unit(code="02", name="Tỉnh C", kind="tỉnh"),
    ]
)


def entry(
    status: HallStatus = "present", headcount: Headcount | None = None, *, unit: str = "011", virtual: bool = False
) -> HallAttendance:
    """A hall of 60 seats."""
    hall = Hall(hall_id="A", name="Điểm cầu A", unit=unit, level="commune", seats=60, virtual=virtual)
    return HallAttendance(hall=hall, status=status, headcount=headcount)


def test_a_hall_is_present_lost_waiting_or_left() -> None:
    """The status follows from presence, and from having said goodbye."""
    assert status_of(is_open=True, ever_seen=True) == "present"
    assert status_of(is_open=False, ever_seen=True) == "lost"
    assert status_of(is_open=False, ever_seen=False) == "waiting"
    assert status_of(is_open=False, ever_seen=True, left=True) == "left"
    assert status_of(is_open=True, ever_seen=True, left=True) == "left"
    assert status_of(is_open=False, ever_seen=True, expected=False) == "left"
    assert status_of(is_open=False, ever_seen=False, expected=False) == "waiting"


def test_a_hall_that_left_was_present_only_if_it_was_seen() -> None:
    """Leaving does not take a presence back, and does not make one."""
    hall = entry("left").hall
    seen = row_of(HallAttendance(hall=hall, status="left", seen=True)).real.connection
    unseen = row_of(HallAttendance(hall=hall, status="left")).real.connection
    assert (seen.left, seen.present_ever) == (1, 1)
    assert (unseen.left, unseen.present_ever) == (1, 0)


def test_sources_and_virtual_halls_stay_apart_at_every_level() -> None:
    """The province holds its own hall and the commune's; what is virtual never enters a real figure."""
    counted = Headcount(summoned=60, present=50, excused=10)
    rows = [
        row_of(entry("present", counted)),
        row_of(entry("lost", unit="01")),
        row_of(entry("waiting", counted, unit="01", virtual=True)),
    ]
    sums = roll_up(TREE, rows)
    assert list(sums) == ["01", "011"]
    assert (sums["01"].real.halls, sums["01"].virtual.halls, sums["01"].halls) == (2, 1, 3)
    real, virtual = sums["01"].real, sums["01"].virtual
    assert (real.connection.present_now, real.connection.present_ever, real.connection.lost) == (1, 2, 1)
    assert (real.headcount.halls_reported, real.headcount.present, real.headcount.excused) == (1, 50, 10)
    assert (virtual.connection.waiting, virtual.headcount.present) == (1, 50)
    assert sums["011"].real.halls == 1
    assert total_of([sums["01"]]).real == real


def test_individual_check_ins_sum_beside_the_other_sources() -> None:
    """A hall without a roster adds nothing to the third source, and the third source nothing to the others."""
    checked_in = IndividualTotals(halls_enrolled=1, registered=60, present=41, excused=2, by_qr=40, by_proxy=1)
    enrolled = HallAttendance(hall=entry().hall, status="waiting", individual=checked_in)
    total = total_of([row_of(enrolled), row_of(enrolled), row_of(entry())]).real
    assert total.individual == checked_in + checked_in
    assert (total.individual.halls_enrolled, total.individual.by_qr, total.individual.by_self) == (2, 80, 0)
    assert (total.halls, total.headcount.halls_reported, total.connection.present_ever) == (3, 0, 1)


def test_a_row_outside_the_tree_is_refused() -> None:
    """A unit that the tree does not have cannot be summed."""
    with pytest.raises(UnknownUnitError):
        roll_up(TREE, [AttendanceRow(unit="99", real=Figures(halls=1))])


@pytest.mark.parametrize(
    ("found", "codes"),
    [
        (entry("present", Headcount(summoned=60, present=60)), []),
        (entry("present", Headcount(summoned=60, present=50, excused=5, exempt=5)), []),
        (entry("present", Headcount(summoned=60, present=50, excused=10, exempt=5)), []),
        (entry("waiting"), []),
        (entry("present"), ["connected_without_headcount"]),
        (entry("lost"), ["connected_without_headcount"]),
        (entry("waiting", Headcount(summoned=60, present=60)), ["headcount_never_connected"]),
        (entry("present", Headcount(summoned=60, present=61)), ["present_exceeds_summoned"]),
        (entry("present", Headcount(summoned=60, present=50, excused=11)), ["figures_exceed_summoned"]),
        (entry("present", Headcount(summoned=60, present=50)), ["not_yet_marked"]),
        (entry("present", Headcount(summoned=60, present=0, unexcused=60)), ["connected_but_empty"]),
        (entry("present", Headcount(summoned=70, present=70)), ["summoned_differs_from_registration"]),
    ],
)
def test_contradictions_are_listed(found: HallAttendance, codes: list[str]) -> None:
    """Each contradiction between the sources has its code; fitting figures have none."""
    listed = discrepancies([found])
    assert [discrepancy.code for discrepancy in listed] == codes
    assert all(discrepancy.reason_vi and discrepancy.reason_en for discrepancy in listed)


def checked(present: int, *, registered: int = 60, conflicts: int = 0) -> IndividualTotals:
    """A roster of which so many were checked in."""
    return IndividualTotals(
        halls_enrolled=1, registered=registered, present=present, by_qr=present, conflicts=conflicts
    )


@pytest.mark.parametrize(
    ("status", "headcount", "individual", "marked_absent", "codes"),
    [
        ("present", Headcount(summoned=60, present=60), checked(60), 0, []),
        ("waiting", None, checked(0), 0, []),
        ("present", Headcount(summoned=60, present=60), checked(58), 0, ["check_ins_differ_from_headcount"]),
        (
            "present",
            Headcount(summoned=60, present=60),
            checked(60, registered=61),
            0,
            ["roster_differs_from_summoned"],
        ),
        ("waiting", None, checked(5, registered=59), 0, ["roster_differs_from_summoned", "check_ins_never_connected"]),
        ("present", Headcount(summoned=60, present=60), checked(60, conflicts=2), 0, ["checked_in_elsewhere"]),
        ("present", Headcount(summoned=60, present=60), checked(60), 1, ["marked_absent_but_checked_in"]),
    ],
)
def test_contradictions_of_check_ins_are_listed(
    status: HallStatus,
    headcount: Headcount | None,
    individual: IndividualTotals,
    marked_absent: int,
    codes: list[str],
) -> None:
    """The third source is held against roster, headcount and connection, and never corrects any of them."""
    found = HallAttendance(
        hall=entry().hall, status=status, headcount=headcount, individual=individual, marked_absent=marked_absent
    )
    listed = discrepancies([found])
    assert [discrepancy.code for discrepancy in listed] == codes
    assert all(discrepancy.reason_vi and discrepancy.reason_en for discrepancy in listed)
