"""What a holder who is bound to a unit reaches."""

from __future__ import annotations

import msgspec
import pytest

from bridges.halls import Hall
from bridges.units import Unit
from conference.errors import RejectedError
from conference.reach import Reach


def unit(code: str, parent: str = "") -> Unit:
    """A unit."""
    return Unit(code=code, name=code, kind="xã", parent=parent)


def hall(unit: str) -> Hall:
    """A hall of a unit."""
    return Hall(hall_id=f"h-{unit}", name="Điểm cầu", unit=unit, level="base", seats=1)


UNITS = {each.code: each for each in (unit("01"), unit("0101", "01"), unit("010101", "0101"), unit("79"))}


def test_a_token_without_a_unit_reaches_everything() -> None:
    """Also a hall whose unit nobody knows."""
    reach = Reach(UNITS, "")
    assert reach.is_whole
    assert reach.has_unit("79")
    assert reach.has_hall(hall("gone"))
    reach.require_unit("")
    reach.require_hall(hall("gone"))


@pytest.mark.parametrize(("bound", "reached"), [("01", {"01", "0101", "010101"}), ("0101", {"0101", "010101"})])
def test_a_bound_token_reaches_its_unit_and_everything_under_it(bound: str, reached: set[str]) -> None:
    """Neither what stands beside it nor what stands above."""
    reach = Reach(UNITS, bound)
    assert {code for code in UNITS if reach.has_unit(code)} == reached
    assert {code for code in UNITS if reach.has_hall(hall(code))} == reached
    assert not reach.has_unit("")


def test_what_is_not_reached_is_refused_by_name() -> None:
    """With 403, and "" means the whole country, which a bound token does not reach."""
    reach = Reach(UNITS, "01")
    with pytest.raises(RejectedError) as caught:
        reach.require_hall(hall("79"))
    assert (caught.value.code, caught.value.status) == ("out_of_reach", 403)
    for code in ("79", ""):
        with pytest.raises(RejectedError, match="for unit 01 alone"):
            reach.require_unit(code)


def test_a_unit_that_does_not_exist_reaches_nothing() -> None:
    """Not even a hall that names it: the token may be older than the unit."""
    reach = Reach(UNITS, "99")
    assert not reach.has_unit("99")
    assert not reach.has_hall(hall("99"))


def test_a_hall_is_reached_through_either_tree() -> None:
    """By the unit of its territory, and by that of its organisation."""
    units = UNITS | {"DU": unit("DU"), "DB-1": unit("DB-1", "DU")}
    found = msgspec.structs.replace(hall("010101"), organisation="DB-1")
    assert [bound for bound in units if Reach(units, bound).has_hall(found)] == ["01", "0101", "010101", "DU", "DB-1"]


def test_a_merged_unit_is_reached_from_the_one_that_took_it_over() -> None:
    """With everything under it, and still from the one above it."""
    old = msgspec.structs.replace(unit("30"), merged_into="79")
    units = UNITS | {"30": old, "3001": unit("3001", "30")}
    assert [bound for bound in units if Reach(units, bound).has_hall(hall("3001"))] == ["79", "30", "3001"]
    assert not Reach(units, "30").has_unit("79")


def test_units_in_a_circle_are_reached_by_nobody_above_them() -> None:
    """Old data may hold such; the walk ends all the same."""
    units = UNITS | {each.code: each for each in (unit("a", "b"), unit("b", "a"))}
    assert not Reach(units, "01").has_unit("a")
    assert Reach(units, "a").has_unit("b")
