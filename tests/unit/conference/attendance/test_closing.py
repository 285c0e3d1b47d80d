"""The closing holds what was known then; what differs now is listed as a correction, with who and when."""

from collections.abc import Generator

import pytest
from support.country import Country

from bridges.attendance import figures_of
from bridges.halls import Hall
from bridges.messages import HeadcountReport
from bridges.units import Unit
from conference.attendance.closing import ClosedAttendance, Correction, FigureChange, corrections, read_closing
from conference.attendance.standing import hall_attendance
from conference.checkin.events import CheckinsRecorded, DelegateBlock, DelegatesEnrolled, Scan
from conference.commands import ChangePhase, CloseAttendance, ImportHalls, ImportUnits, ReportHeadcount
from conference.errors import CorruptJournalError, RejectedError
from conference.roster import Closing
from conference.snapshot import decode_state, encode_in_steps, encode_state, fingerprint


def count(country: Country, hall_id: str, present: int, actor: str = "hall:h1") -> None:
    """A technician reports that many of 80."""
    report = HeadcountReport(summoned=80, present=present, note="đếm lại")
    country.do(ReportHeadcount(conference_id="hn", hall_id=hall_id, report=report), actor)


@pytest.fixture
def country() -> Country:
    """Three halls, one of which was counted; five delegates of another, one of whom was checked in; ended."""
    found = Country()
    found.open_conference("h1", "h2", "v1")
    count(found, "h1", 60)
    found.write(
        [
            DelegatesEnrolled(conference_id="hn", blocks=[DelegateBlock("h2", 1, 5)]),
            CheckinsRecorded(conference_id="hn", hall_id="h2", scans=[Scan(1, 2_000, 7, "qr")]),
        ],
        "hall:h2",
    )
    found.do(ChangePhase(conference_id="hn", phase="ended"))
    return found


def close(country: Country) -> ClosedAttendance:
    """The organiser closes."""
    country.do(CloseAttendance(conference_id="hn"), "user:mai")
    return read_closing(country.state.closings["hn"])


def list_corrections(country: Country) -> list[Correction]:
    """What differs now."""
    return corrections(country.state, "hn", read_closing(country.state.closings["hn"]))


def whole(steps: Generator[None, None, bytes]) -> bytes:
    """What the steps make."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return bytes(done.value)


def test_only_what_has_ended_is_closed_and_once(country: Country) -> None:
    """Before the end it is refused; a second closing changes nothing."""
    other = Country()
    other.open_conference("h1")
    with pytest.raises(RejectedError) as refused:
        other.do(CloseAttendance(conference_id="hn"))
    assert refused.value.code == "wrong_phase"
    close(country)
    count(country, "h1", 61)
    assert country.do(CloseAttendance(conference_id="hn"), "user:other") == []
    assert country.state.closings["hn"].by == "user:mai"


def test_the_closing_has_every_figure_of_every_hall(country: Country) -> None:
    """By hall as it was known, and summed over both trees."""
    before = country.state.rollups["hn"].total()
    expected = [hall_attendance(country.state, "hn", hall) for hall in country.state.halls.values()]
    closed = close(country)
    assert closed.rollup().total() == closed.rollup().total("organisation") == before
    assert [figures_of(found) for found in closed.attendances()] == [figures_of(found) for found in expected]
    assert (closed.by, closed.at_ms) == ("user:mai", country.now_ms)
    assert list_corrections(country) == []


def test_the_closing_never_changes(country: Country) -> None:
    """Not by figures, and not by halls and units that are renamed, moved or merged."""
    first = close(country)
    total, provinces = first.rollup().total(), first.rollup().children()
    count(country, "h1", 10)
    country.do(ImportHalls(halls=[Hall(hall_id="h1", name="x", unit="02", level="base", seats=5)]))
    country.do(ImportUnits(units=[Unit(code="01", name="y", kind="tỉnh", merged_into="02")]))
    again = read_closing(country.state.closings["hn"])
    assert (again.rollup().total(), again.rollup().children()) == (total, provinces)
    assert again.halls == first.halls


def test_a_later_headcount_is_a_correction_with_its_author(country: Country) -> None:
    """What it was, what it is, who said so, when and why; one that is taken back is none."""
    close(country)
    count(country, "h1", 70, "user:lan")
    assert list_corrections(country) == [
        Correction(
            hall_id="h1",
            name="h1",
            unit="00004",
            organisation="",
            virtual=False,
            source="headcount",
            changes=[FigureChange(figure="headcount.present", before=60, after=70)],
            at_ms=country.now_ms,
            by="user:lan",
            note="đếm lại",
        )
    ]
    count(country, "h1", 60)
    assert list_corrections(country) == []


def test_a_later_check_in_is_a_correction_of_its_own_source(country: Country) -> None:
    """Also of the hall that the delegate belongs to, where another hall scanned them."""
    close(country)
    scan = CheckinsRecorded(conference_id="hn", hall_id="h1", scans=[Scan(2, 2_500, 8, "qr")])
    country.write([scan], "hall:h1")
    (found,) = list_corrections(country)
    assert (found.hall_id, found.source, found.by) == ("h2", "individual", "hall:h1")
    changed = {change.figure: (change.before, change.after) for change in found.changes}
    assert changed == {
        "individual.present": (1, 2),
        "individual.by_qr": (1, 2),
        "individual.conflicts": (0, 1),
    }


def test_halls_that_are_registered_later_are_corrections(country: Country) -> None:
    """A hall that is new counts from nothing, and one whose seats were wrong is named."""
    close(country)
    late = [
        Hall(hall_id="h1", name="h1", unit="00004", level="base", seats=90),
        Hall(hall_id="h9", name="h9", unit="02", level="base", seats=7),
    ]
    country.do(ImportHalls(halls=late), "user:lan")
    assert [(found.hall_id, found.source, found.by) for found in list_corrections(country)] == [
        ("h1", "registration", "user:lan"),
        ("h9", "registration", "user:lan"),
    ]


def test_a_snapshot_keeps_the_closing(country: Country) -> None:
    """Whole or in steps, with who recorded what."""
    close(country)
    for image in (encode_state(country.state), whole(encode_in_steps(country.state))):
        restored = decode_state(image)
        assert fingerprint(restored) == fingerprint(country.state)
        assert corrections(restored, "hn", read_closing(restored.closings["hn"])) == []


@pytest.mark.parametrize("figures", [b"", b"\x00", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_figures_that_cannot_be_read_are_a_corrupt_journal(figures: bytes) -> None:
    """And nothing else is raised."""
    with pytest.raises(CorruptJournalError):
        read_closing(Closing(at_ms=1, by="user:mai", figures=figures))
