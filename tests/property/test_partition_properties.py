"""Partitions commute: however several writers' streams are mixed when they are read, the figures are the same."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from bridges.halls import Hall
from bridges.messages import HeadcountReport
from bridges.units import Unit
from conference.commands import ReportHeadcount
from conference.decide import decide
from conference.events import ConferenceCreated, Event, HallsImported, PhaseChanged, UnitsImported
from conference.snapshot import fingerprint
from conference.state import State, apply

HALLS = 3
WRITERS = 3
Record = tuple[Event, int]

# Who reports (a gateway), for which hall, how many are present, how far its clock is off, and what it has read before:
# everything, or only what it wrote itself.
reports = st.lists(
    st.tuples(
        st.integers(0, WRITERS - 1), st.integers(0, HALLS - 1), st.integers(0, 3), st.integers(-5, 5), st.booleans()
    ),
    max_size=12,
)


def opened() -> State:
    """A conference that takes figures."""
    state = State()
    halls = [
        Hall(
            hall_id=f"h{number}",
            name="Hội trường",
            unit="01",
            level="commune",
            seats=80,
            address="",
            contact_name="",
            contact_phone="",
            virtual=False,
        )
        for number in range(HALLS)
    ]
    for event in (
        UnitsImported(units=[Unit(code="01", name="Hà Nội", kind="city", parent="")]),
        HallsImported(halls=halls),
        ConferenceCreated(conference_id="c", title="Hội nghị", feeds=["program"]),
        PhaseChanged(conference_id="c", phase="open"),
    ):
        apply(state, event, 1, "user:an")
    return state


def folded(streams: list[list[Record]], seed: int) -> State:
    """The streams, each in its own order, mixed in some way."""
    chance, state, rest = random.Random(seed), opened(), [list(stream) for stream in streams]
    while any(rest):
        stream = chance.choice([stream for stream in rest if stream])
        event, at_ms = stream.pop(0)
        apply(state, event, at_ms, "hall:h")
    return state


def report(state: State, hall: int, present: int, now_ms: int) -> list[Record]:
    """What a gateway writes that has this state."""
    at_ms = max(now_ms, state.newest_ms)
    figures = HeadcountReport(summoned=80, present=present)
    command = ReportHeadcount(conference_id="c", hall_id=f"h{hall}", report=figures)
    return [(event, at_ms) for event in decide(state, command, at_ms)]


@given(reports, st.integers(), st.integers())
def test_the_order_of_reading_does_not_matter(
    made: list[tuple[int, int, int, int, bool]], one_seed: int, other_seed: int
) -> None:
    """Two readers that mix the streams differently have equal states, whatever the writers' clocks say."""
    streams: list[list[Record]] = [[] for _ in range(WRITERS)]
    for number, (writer, hall, present, skew_ms, reads_all) in enumerate(made):
        known = streams if reads_all else [streams[writer]]
        streams[writer] += report(folded(known, 0), hall, present, 1_000 + number + skew_ms)
    assert fingerprint(folded(streams, one_seed)) == fingerprint(folded(streams, other_seed))


@given(reports)
def test_a_correction_counts_whatever_the_clocks_say(made: list[tuple[int, int, int, int, bool]]) -> None:
    """Where each writer has read what came before, as gateways do, the last figures of a hall are those that count."""
    streams: list[list[Record]] = [[] for _ in range(WRITERS)]
    last: dict[str, int] = {}
    for writer, hall, present, skew_ms, _ in made:
        streams[writer] += report(folded(streams, 0), hall, present, 1_000 + skew_ms)
        last[f"h{hall}"] = present
    counts = folded(streams, 1).headcounts.get("c", {})
    assert {hall_id: count.present for hall_id, count in counts.items()} == last
