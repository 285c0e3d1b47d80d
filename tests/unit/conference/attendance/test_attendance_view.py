"""What the API tells of a unit and of those right below it."""

import pytest

from bridges.halls import Hall
from bridges.units import Unit
from conference.attendance.view import UNASSIGNED_NAME, AttendanceView, attendance_view, summed_now
from conference.events import ConferenceCreated, Event, HallsImported, HeadcountReported, UnitsImported
from conference.state import State, apply

UNITS = [
    Unit(code="01", name="Hà Nội", kind="thành phố"),
    Unit(code="00004", name="Ba Đình", kind="phường", parent="01"),
    Unit(code="04", name="Cao Bằng", kind="tỉnh"),
    Unit(code="old", name="Hà Tây", kind="tỉnh", merged_into="01", valid_to="2008-07-31"),
    Unit(code="empty", name="Trống", kind="tỉnh"),
    Unit(code="DU", name="Đảng ủy", kind="đảng ủy", tree="organisation"),
]


def hall(hall_id: str, unit: str, organisation: str = "") -> Hall:
    """A hall of 80 seats."""
    return Hall(hall_id=hall_id, name=hall_id, unit=unit, level="base", seats=80, organisation=organisation)


@pytest.fixture
def state() -> State:
    """Four halls; one is of an organisation, one hangs on a unit that was merged."""
    found = State()
    events: list[Event] = [
        UnitsImported(units=UNITS),
        HallsImported(halls=[hall("a", "01"), hall("b", "00004", "DU"), hall("c", "04"), hall("d", "old")]),
        ConferenceCreated(conference_id="c", title="Một", feeds=["program"]),
        HeadcountReported(
            conference_id="c", hall_id="b", summoned=70, present=65, excused=5, unexcused=0, exempt=0, note=""
        ),
    ]
    for event in events:
        apply(found, event, 1_770_000_000_000)
    return found


def view(state: State, unit: str = "", **options: object) -> AttendanceView:
    """By territory unless said otherwise."""
    tree = options.pop("tree", "territory")
    summed = summed_now(state, "c", 9)
    return attendance_view(state.conferences["c"], summed, tree, unit, **options)  # type: ignore[arg-type]  # of a test


def test_a_unit_is_its_own_halls_and_the_units_below(state: State) -> None:
    """Own halls and children make the total; a merged unit stands below the one that took it over."""
    found = view(state, "01")
    assert (found.total.real.halls, found.own.real.halls) == (3, 1)
    assert [(child.code, child.attendance.real.halls) for child in found.children] == [("00004", 1), ("old", 1)]
    assert [each.name for each in view(state, "00004").path] == ["Hà Nội", "Ba Đình"]
    assert found.total.real.headcount.present == 65


def test_units_without_halls_are_left_out(state: State) -> None:
    """At the root stand those that have halls."""
    found = view(state)
    assert [(child.code, child.has_children) for child in found.children] == [("01", True), ("04", False)]
    assert (found.path, found.own.halls, found.total.halls) == ([], 0, 4)


def test_halls_of_no_organisation_have_a_place_of_their_own(state: State) -> None:
    """So that both trees have one total."""
    found = view(state, tree="organisation")
    assert [(child.code, child.name, child.attendance.halls) for child in found.children] == [
        ("DU", "Đảng ủy", 1),
        ("", UNASSIGNED_NAME, 3),
    ]
    assert [child.code for child in view(state, tree="organisation", after="DU").children] == [""]
    assert found.total == view(state).total


def test_children_come_page_by_page(state: State) -> None:
    """Each page begins behind the one before, and totals are the same on all."""
    first = view(state, limit=1)
    assert ([child.code for child in first.children], first.next) == (["01"], "01")
    second = view(state, after=first.next, limit=1)
    assert ([child.code for child in second.children], second.next) == (["04"], "")
    assert first.total == second.total
