"""Whatever the registry holds makes a forest in which each hall stands once."""

from bridges.halls import Hall
from bridges.units import Unit
from conference.attendance.places import HallPlaces, TreeOrder


def unit(code: str, parent: str = "", merged_into: str = "") -> Unit:
    """A unit by territory."""
    return Unit(code=code, name=code, kind="x", parent=parent, merged_into=merged_into)


def order_of(*units: Unit, halls: tuple[str, ...] = ()) -> TreeOrder:
    """The territory over halls in these units."""
    found = {code: Hall(hall_id=code, name=code, unit=code, level="base", seats=1) for code in halls}
    return HallPlaces({each.code: each for each in units}, found).order("territory")


def test_a_unit_and_all_below_it_are_a_slice() -> None:
    """Pre-order, siblings ascending by code."""
    order = order_of(unit("b"), unit("a"), unit("a2", "a"), unit("a1", "a"), unit("a11", "a1"))
    assert order.codes == ["a", "a1", "a11", "a2", "b"]
    assert order.ends.tolist() == [4, 3, 3, 4, 5]
    assert order.path("a11") == ["a", "a1", "a11"]


def test_a_circle_is_cut_and_a_stranger_is_a_root() -> None:
    """Old data may hold both; every unit has one place and every hall a unit."""
    order = order_of(unit("x", "y"), unit("y", "x"), unit("self", "self"), unit("lost", "nobody"), halls=("z", "y"))
    assert order.children(None) == ["lost", "self", "x", "z"]
    assert (order.children("x"), order.children("y")) == (["y"], [])
    assert order.path("y") == ["x", "y"]
    assert [order.codes[place] for place in order.positions] == ["z", "y"]


def test_a_merged_unit_stands_below_its_successor() -> None:
    """With everything below it; one that was merged into nothing known stays where it was."""
    order = order_of(unit("new"), unit("old", "top", "new"), unit("o1", "old"), unit("top"), unit("t1", "top", "gone"))
    assert (order.children("new"), order.children("old"), order.children("top")) == (["old"], ["o1"], ["t1"])


def test_a_merger_counts_from_the_day_after_the_last() -> None:
    """By the clock of Việt Nam: until then the unit stands where it stood."""
    old = Unit(code="old", name="x", kind="x", merged_into="new", valid_to="2025-06-30")
    places = HallPlaces({"new": unit("new"), "old": old}, {})
    places.handle_time(1_751_302_799_999)  # 30 June 2025, 23:59:59.999 in Hà Nội
    assert places.order("territory").children(None) == ["new", "old"]
    places.handle_time(1_751_302_800_000)
    assert places.order("territory").children("new") == ["old"]
