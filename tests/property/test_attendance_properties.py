from hypothesis import given
from hypothesis import strategies as st

from bridges.attendance import HallAttendance, Headcount, roll_up, row_of, total_of
from bridges.halls import Hall
from bridges.units import Unit, UnitTree

# parents[i] < i or -1: every such list is a forest
forests = st.integers(1, 25).flatmap(lambda size: st.tuples(*(st.integers(-1, number - 1) for number in range(size))))
headcounts = st.none() | st.builds(
    Headcount,
    summoned=st.integers(0, 200),
    present=st.integers(0, 200),
    excused=st.integers(0, 50),
    unexcused=st.integers(0, 50),
    exempt=st.integers(0, 50),
)
figures = st.tuples(
    st.integers(0, 1_000),
    st.sampled_from(["present", "lost", "waiting", "left"]),
    headcounts,
    st.booleans(),
    st.integers(0, 99),
)


@given(forests, st.lists(figures, max_size=40))
def test_every_level_sums_to_the_same(
    parents: tuple[int, ...], found: list[tuple[int, str, Headcount | None, bool, int]]
) -> None:
    """The roots sum to all halls, and each unit is the sum of its children and its own halls, in every figure."""
    tree = UnitTree(
        Unit(code=str(number), name="x", kind="x", parent="" if parent < 0 else str(parent))
        for number, parent in enumerate(parents)
    )
    rows = []
    for number, (place, status, headcount, virtual, seats) in enumerate(found):
        unit = str(place % len(parents))
        hall = Hall(hall_id=str(number), name="x", unit=unit, level="base", seats=seats, virtual=virtual)
        rows.append(
            row_of(HallAttendance(hall=hall, status=status, headcount=headcount))  # type: ignore[arg-type]  # drawn from the four
        )
    sums = roll_up(tree, rows)
    everything = total_of(rows)
    assert total_of(sums[root.code] for root in tree.roots if root.code in sums) == everything
    assert everything.halls == len(found)
    for code, row in sums.items():
        own = [single for single in rows if single.unit == code]
        below = [sums[child.code] for child in tree.children(code) if child.code in sums]
        assert total_of([*own, *below], unit=code) == row
        for part in (row.real, row.virtual):
            seen = part.connection
            assert seen.present_now + seen.lost + seen.waiting + seen.left == part.halls
            assert seen.present_ever == seen.present_now + seen.lost
