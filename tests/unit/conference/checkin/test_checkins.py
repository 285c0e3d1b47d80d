"""Check-ins of one conference: who is present, in which hall's figures, and what is a conflict."""

from __future__ import annotations

import pytest

from bridges.attendance import IndividualTotals
from bridges.checkin_messages import MarkKind
from conference.checkin.checkins import Checkins
from conference.checkin.delegates import Conflict
from conference.checkin.events import DelegateBlock, Mark, Scan
from conference.checkin.rows import BLOCK_ROWS, MAX_ISSUE, ROW_BYTES


def enrolled() -> Checkins:
    """Hall `a` has 1 to 10, hall `b` 11 to 20."""
    checkins = Checkins()
    checkins.enrol([DelegateBlock("a", 1, 10), DelegateBlock("b", 11, 10)])
    return checkins


def scan(number: int, at_ms: int = 100, nonce: int = 1) -> Scan:
    """A code scanned."""
    return Scan(number, at_ms, nonce, "qr")


def figures(checkins: Checkins, hall_id: str) -> IndividualTotals:
    """The figures of a hall that has a roster."""
    totals = checkins.totals(hall_id)
    assert totals is not None
    return totals


def test_a_row_is_smaller_than_forty_bytes() -> None:
    """Two and a half million delegates fit into 90 MB."""
    assert ROW_BYTES < 40


def test_a_hall_without_a_roster_has_no_figures() -> None:
    """No roster is something else than nobody present."""
    assert enrolled().totals("c") is None
    assert enrolled().totals("a") == IndividualTotals(halls_enrolled=1, registered=10)


def test_each_way_of_being_present_is_counted_apart() -> None:
    """Scanned or typed, by oneself, by the technician's mark."""
    checkins = enrolled()
    touched = checkins.record(
        "a", [Scan(1, 100, 1, "qr"), Scan(2, 100, 2, "typed"), Scan(3, 100, 3, "self"), Scan(4, 100, 4, "qr")]
    )
    assert touched == {"a"}
    checkins.mark([Mark(5, "present", 100, 5), Mark(6, "excused", 100, 6), Mark(7, "unexcused", 100, 7)])
    checkins.mark([Mark(8, "exempt", 100, 8), Mark(4, "present", 100, 9)])
    assert figures(checkins, "a") == IndividualTotals(
        halls_enrolled=1,
        registered=10,
        present=5,
        excused=1,
        unexcused=1,
        exempt=1,
        by_qr=3,
        by_proxy=1,
        by_self=1,
    )


def test_the_least_scan_counts() -> None:
    """An earlier scan that comes later replaces the one that counts, and nobody is present twice."""
    checkins = enrolled()
    for each in (scan(1, 200, 7), scan(1, 300, 8), scan(1, 100, 9), scan(1, 100, 9)):
        checkins.record("a", [each])
    known = checkins.delegate(1)
    assert known is not None
    assert known.scan is not None
    assert (known.scan.at_ms, known.scan.nonce) == (100, 9)
    assert figures(checkins, "a").present == 1


def test_a_scan_in_another_hall_is_a_conflict() -> None:
    """Present once, in the figures of the hall whose roster they are on, and listed."""
    checkins = enrolled()
    assert checkins.record("b", [scan(1)]) == {"a"}
    assert (figures(checkins, "a").present, figures(checkins, "a").conflicts) == (1, 1)
    assert (figures(checkins, "b").present, figures(checkins, "b").conflicts) == (0, 0)
    checkins.record("a", [scan(1, 50)])
    checkins.record("c", [scan(1, 60)])
    assert (figures(checkins, "a").present, figures(checkins, "a").conflicts) == (1, 1)
    assert list(checkins.conflicts()) == [Conflict(number=1, hall_id="a", halls=("a", "b", "c"))]


def test_of_equal_times_the_lesser_hall_counts() -> None:
    """Whatever came first here: another reader sees another order."""
    one, other = enrolled(), enrolled()
    one.record("a", [scan(1)])
    one.record("b", [scan(1)])
    other.record("b", [scan(1)])
    other.record("a", [scan(1)])
    known = one.delegate(1)
    assert known == other.delegate(1)
    assert known is not None
    assert known.scan is not None
    assert known.scan.hall_id == "a"


@pytest.mark.parametrize(
    ("mark", "present", "absent"),
    [("none", 1, 0), ("excused", 1, 0), ("unexcused", 1, 0), ("exempt", 1, 0), ("present", 1, 0), ("void", 0, 0)],
)
def test_a_mark_takes_no_scan_away_but_void(mark: MarkKind, present: int, absent: int) -> None:
    """Present and marked absent is present; only a scan that was a mistake is taken back, and said to be one."""
    checkins = enrolled()
    checkins.record("a", [scan(1)])
    checkins.mark([Mark(1, mark, 200, 1)])
    totals = figures(checkins, "a")
    assert (totals.present, totals.excused + totals.unexcused + totals.exempt) == (present, absent)
    assert list(checkins.marked_absent()) == ([1] if mark in {"excused", "unexcused", "exempt"} else [])


def test_the_latest_mark_counts() -> None:
    """Whatever order they come in."""
    checkins = enrolled()
    checkins.mark([Mark(1, "excused", 300, 1)])
    checkins.mark([Mark(1, "unexcused", 200, 2)])
    assert (figures(checkins, "a").excused, figures(checkins, "a").unexcused) == (1, 0)


def test_who_is_withdrawn_counts_for_nothing() -> None:
    """Until they are enrolled again; what was known of them is known still."""
    checkins = enrolled()
    checkins.record("b", [scan(1)])
    assert checkins.withdraw([1]) == {"a"}
    assert figures(checkins, "a") == IndividualTotals(halls_enrolled=1, registered=9)
    assert list(checkins.conflicts()) == []
    assert checkins.numbers("a") == [2, 3, 4, 5, 6, 7, 8, 9, 10]
    checkins.enrol([DelegateBlock("a", 1, 1)])
    assert (figures(checkins, "a").registered, figures(checkins, "a").present) == (10, 1)


def test_who_is_moved_counts_in_the_other_hall() -> None:
    """With all that is known of them."""
    checkins = enrolled()
    checkins.record("b", [scan(1)])
    assert checkins.move("b", [1]) == {"a", "b"}
    assert (figures(checkins, "a").registered, figures(checkins, "b").registered) == (9, 11)
    assert (figures(checkins, "b").present, figures(checkins, "b").conflicts) == (1, 0)
    assert checkins.numbers("b") == [1, *range(11, 21)]


def test_a_code_has_issues() -> None:
    """Each new code makes those before worthless."""
    checkins = enrolled()
    checkins.reissue([1, 1])
    known = checkins.delegate(1)
    assert known is not None
    assert known.issue == 2
    for _ in range(MAX_ISSUE + 5):
        checkins.reissue([2])
    last = checkins.delegate(2)
    assert last is not None
    assert last.issue == MAX_ISSUE


def test_rosters_cross_blocks() -> None:
    """A hall's numbers may lie in several blocks of rows, and are found there, also after a snapshot."""
    checkins, first = Checkins(), BLOCK_ROWS - 5
    checkins.enrol([DelegateBlock("a", first, 3 * BLOCK_ROWS)])
    assert figures(checkins, "a").registered == 3 * BLOCK_ROWS
    assert checkins.highest() == first + 3 * BLOCK_ROWS - 1
    for each in (checkins, Checkins.of(checkins.image())):
        assert each.numbers("a") == list(range(first, first + 3 * BLOCK_ROWS))
    assert checkins.enrolled(first - 1, 2) == {"", "a"}
    assert checkins.enrolled(first, 3 * BLOCK_ROWS) == {"a"}


def test_an_image_keeps_its_moment() -> None:
    """What changes after a snapshot was taken is not in it."""
    checkins = enrolled()
    image = checkins.image()
    checkins.record("a", [scan(1)])
    checkins.enrol([DelegateBlock("c", 30, 1)])
    then = Checkins.of(image)
    assert figures(then, "a").present == 0
    assert then.totals("c") is None
    assert figures(checkins, "a").present == 1


def test_a_damaged_image_is_refused() -> None:
    """Rows of another size, of halls or with marks that nobody knows."""
    for damage in ("size", "hall", "mark", "place"):
        image = enrolled().image()
        match damage:
            case "size":
                image.blocks[0] = bytearray(7)
            case "hall":
                image.blocks[0][ROW_BYTES] = 77
            case "mark":
                image.blocks[0][2 * ROW_BYTES - 3] = 99
            case "place":
                image.blocks[-1] = image.blocks[0]
        with pytest.raises(ValueError, match="check-ins"):
            Checkins.of(image)
