"""After the closing nothing changes it, and what is listed beside it does not depend on the order of streams."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from bridges.halls import Hall
from bridges.units import Unit
from conference.attendance.closing import corrections, read_closing
from conference.checkin.events import (
    CheckinsRecorded,
    DelegateBlock,
    DelegatesEnrolled,
    DelegatesMoved,
    DelegatesWithdrawn,
    Mark,
    MarksRecorded,
    Scan,
)
from conference.commands import CloseAttendance
from conference.decide import decide
from conference.events import (
    AttendanceEvent,
    ConferenceCreated,
    ControlEvent,
    Event,
    HallsImported,
    HeadcountReported,
    PhaseChanged,
    UnitsImported,
)
from conference.snapshot import decode_state, encode_state, fingerprint
from conference.state import State, apply

HALLS = ("h1", "h2", "h3")
Written = tuple[Event, int, str]

hall_ids = st.sampled_from(HALLS)
numbers = st.integers(1, 8)
times = st.integers(1, 60)
nonces = st.integers(1, 4)
counts = st.builds(
    HeadcountReported,
    conference_id=st.just("c"),
    hall_id=hall_ids,
    summoned=st.just(60),
    present=st.integers(0, 60),
    excused=st.just(0),
    unexcused=st.just(0),
    exempt=st.just(0),
    note=st.just(""),
    revision=st.integers(0, 3),
)
scans = st.builds(
    CheckinsRecorded,
    conference_id=st.just("c"),
    hall_id=hall_ids,
    scans=st.lists(st.builds(Scan, numbers, times, nonces, st.sampled_from(["qr", "self"])), min_size=1, max_size=3),
)
marks = st.builds(
    MarksRecorded,
    conference_id=st.just("c"),
    hall_id=hall_ids,
    marks=st.lists(
        st.builds(Mark, numbers, st.sampled_from(["present", "excused", "void"]), times, nonces), min_size=1, max_size=3
    ),
)
attendance: st.SearchStrategy[AttendanceEvent] = counts | scans | marks
later: st.SearchStrategy[ControlEvent] = st.one_of(
    st.builds(DelegatesMoved, conference_id=st.just("c"), hall_id=hall_ids, numbers=st.lists(numbers, max_size=2)),
    st.builds(DelegatesWithdrawn, conference_id=st.just("c"), numbers=st.lists(numbers, max_size=2)),
    st.builds(
        lambda hall_id, seats: HallsImported(
            halls=[Hall(hall_id=hall_id, name="x", unit="02", level="base", seats=seats)]
        ),
        st.sampled_from([*HALLS, "h4"]),
        st.integers(0, 99),
    ),
)
partitions = st.lists(st.tuples(attendance, times, st.sampled_from(["hall:a", "hall:b"])), max_size=8)


def begun() -> list[Written]:
    """What is on control before the end."""
    units = [Unit(code="01", name="a", kind="x"), Unit(code="02", name="b", kind="x")]
    halls = [Hall(hall_id=each, name=each, unit="01", level="base", seats=60) for each in HALLS]
    events: list[Event] = [
        UnitsImported(units=units),
        HallsImported(halls=halls),
        ConferenceCreated(conference_id="c", title="Một", feeds=["program"]),
        PhaseChanged(conference_id="c", phase="open"),
        DelegatesEnrolled(conference_id="c", blocks=[DelegateBlock("h1", 1, 4), DelegateBlock("h2", 5, 2)]),
        PhaseChanged(conference_id="c", phase="ended"),
    ]
    return [(event, at_ms, "user:mai") for at_ms, event in enumerate(events)]


def fold(written: list[Written]) -> State:
    """All of it, in this order."""
    state = State()
    for event, at_ms, actor in written:
        apply(state, event, at_ms, actor)
    return state


def interleaved(streams: list[list[Written]], seed: int) -> list[Written]:
    """The streams one in another: each keeps its own order."""
    rng = random.Random(seed)
    left = [list(stream) for stream in streams if stream]
    found = []
    while left:
        stream = rng.choice(left)
        found.append(stream.pop(0))
        left = [each for each in left if each]
    return found


@settings(deadline=None)
@given(
    partitions=st.lists(partitions, min_size=1, max_size=3),
    known=st.integers(0, 20),
    after=st.lists(later, max_size=3),
    seeds=st.lists(st.integers(0, 2**32), min_size=2, max_size=2),
)
def test_streams_may_be_read_in_any_order(
    partitions: list[list[Written]], known: int, after: list[ControlEvent], seeds: list[int]
) -> None:
    """Closing figures are what the leader knew; what differs now, who and when, is the same for every reader."""
    control = begun()
    leader = fold([*control, *interleaved(partitions, seeds[0])[:known]])
    total = leader.rollups["c"].total()
    (closed,) = decide(leader, CloseAttendance(conference_id="c"), 99)
    control += [(closed, 99, "user:mai"), *((event, 100 + place, "user:lan") for place, event in enumerate(after))]

    readers = [fold(interleaved([control, *partitions], seed)) for seed in seeds]
    readers.append(decode_state(encode_state(readers[0])))
    listed = [corrections(state, "c", read_closing(state.closings["c"])) for state in readers]
    assert listed[0] == listed[1] == listed[2]
    assert len({fingerprint(state) for state in readers}) == 1
    for state in readers:
        figures = read_closing(state.closings["c"])
        assert figures.rollup().total() == figures.rollup().total("organisation") == total
        assert (figures.at_ms, figures.by) == (99, "user:mai")

    # What was closed and what was corrected make what stands now.
    now, then = readers[0].rollups["c"].total().real, read_closing(readers[0].closings["c"]).rollup().total().real
    for source, figure in (("headcount", "present"), ("individual", "present"), ("individual", "registered")):
        changed = sum(
            change.after - change.before
            for correction in listed[0]
            for change in correction.changes
            if change.figure == f"{source}.{figure}"
        )
        assert getattr(getattr(now, source), figure) == getattr(getattr(then, source), figure) + changed
