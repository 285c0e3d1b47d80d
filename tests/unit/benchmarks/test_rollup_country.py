"""The country of `benchmarks.rollup`, at its full size: it adds up at every moment, and at every level."""

from itertools import islice

from benchmarks.rollup import CONFERENCE, Country
from bridges.attendance import total_of
from conference.attendance.closing import corrections, read_closing
from conference.commands import CloseAttendance
from conference.decide import decide
from conference.events import PhaseChanged


def test_forty_thousand_halls_add_up() -> None:
    """The root of both trees is the sum of all halls, and a unit that of its own halls and of those below."""
    country = Country(40_000, seed=1)
    rollup = country.state.rollups[CONFERENCE]
    happenings = country.happenings()
    for _ in range(2):
        country.write(*islice(happenings, 700))
        assert country.differences() == 0
    for tree in country.codes:
        order = rollup.order(tree)
        assert total_of(rollup.children(tree)) == rollup.total(tree)
        for code in order.children(None):
            below = [rollup.own(tree, code), *rollup.children(tree, code)]
            assert total_of(below, unit=code) == rollup.total(tree, code)

    country.write(PhaseChanged(conference_id=CONFERENCE, phase="ended"))
    country.write(*decide(country.state, CloseAttendance(conference_id=CONFERENCE), country.now_ms))
    closed = read_closing(country.state.closings[CONFERENCE])
    assert closed.rollup().total() == rollup.total()
    country.write(*islice(happenings, 50))
    assert corrections(country.state, CONFERENCE, closed)
    assert country.differences() == 0
