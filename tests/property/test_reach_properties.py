"""What a token reaches is what stands below its unit, whatever the trees look like."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridges.halls import Hall
from bridges.units import Unit, UnitTree
from conference.reach import Reach

CODES = [f"u{number}" for number in range(12)]


@st.composite
def forests(draw: st.DrawFn) -> dict[str, Unit]:
    """Units, each below one that came before it, or none."""
    units: dict[str, Unit] = {}
    for code in CODES:
        parent = draw(st.sampled_from(["", *units]))
        units[code] = Unit(code=code, name=code, kind="xã", parent=parent)
    return units


@given(forests(), st.sampled_from(CODES), st.permutations(CODES))
def test_reach_is_the_subtree(units: dict[str, Unit], bound: str, order: list[str]) -> None:
    """The unit itself and its descendants, in whatever order one asks."""
    below = {unit.code for unit in UnitTree(units.values()).descendants(bound)} | {bound}
    reach = Reach(units, bound)
    assert {code for code in order if reach.has_unit(code)} == below


@given(
    st.lists(st.tuples(*[st.sampled_from(["", "gone", *CODES])] * 2), min_size=len(CODES), max_size=len(CODES)),
    st.sampled_from([*CODES, "gone"]),
    st.sampled_from(["", "gone", *CODES]),
)
def test_any_units_end_the_walk(edges: list[tuple[str, str]], bound: str, own: str) -> None:
    """Also circles of parents and of mergers; and who reaches a unit reaches what stands right below it."""
    units = {
        code: Unit(code=code, name=code, kind="xã", parent=parent, merged_into=heir)
        for code, (parent, heir) in zip(CODES, edges, strict=True)
    }
    reach = Reach(units, bound)
    for unit in units.values():
        if reach.has_unit(unit.parent) or reach.has_unit(unit.merged_into):
            assert reach.has_unit(unit.code)
    hall = Hall(hall_id="h", name="h", unit=own, level="base", seats=1)
    assert reach.has_hall(hall) == (own in units and reach.has_unit(own))
