"""Check-ins commute: whatever the order, the writers and the repetitions, everybody is present once."""

from __future__ import annotations

import random

import hypothesis.strategies as st
from hypothesis import given

from bridges.halls import Hall
from bridges.units import Unit
from conference.checkin.checkins import Checkins
from conference.checkin.events import (
    CheckinsRecorded,
    CodesReissued,
    DelegateBlock,
    DelegatesEnrolled,
    DelegatesMoved,
    DelegatesWithdrawn,
    Mark,
    MarksRecorded,
    Scan,
)
from conference.checkin.rows import MARKS, METHODS
from conference.commands import Command, RecordCheckins, RecordMarks
from conference.decide import decide
from conference.events import ConferenceCreated, Event, HallsImported, PhaseChanged, UnitsImported
from conference.snapshot import decode_state, encode_in_steps, encode_state, fingerprint
from conference.state import State, apply

HALLS = ("h0", "h1", "h2")
NUMBERS = st.integers(1, 9)
TIMES = st.integers(2, 12)
NONCES = st.integers(0, 4)

scans = st.builds(Scan, NUMBERS, TIMES, NONCES, st.sampled_from(METHODS))
marks = st.builds(Mark, NUMBERS, st.sampled_from(MARKS), TIMES, NONCES)
recorded = st.builds(
    CheckinsRecorded,
    conference_id=st.just("c"),
    hall_id=st.sampled_from(HALLS),
    scans=st.lists(scans, max_size=4),
)
marked = st.builds(
    MarksRecorded, conference_id=st.just("c"), hall_id=st.sampled_from(HALLS), marks=st.lists(marks, max_size=4)
)
happenings = st.lists(recorded | marked, max_size=12)
rosters = st.lists(
    st.builds(DelegatesWithdrawn, conference_id=st.just("c"), numbers=st.lists(NUMBERS, max_size=2))
    | st.builds(CodesReissued, conference_id=st.just("c"), numbers=st.lists(NUMBERS, max_size=2))
    | st.builds(
        DelegatesMoved,
        conference_id=st.just("c"),
        hall_id=st.sampled_from(HALLS),
        numbers=st.lists(NUMBERS, max_size=2),
    )
    | st.builds(
        DelegatesEnrolled,
        conference_id=st.just("c"),
        blocks=st.lists(st.builds(DelegateBlock, st.sampled_from(HALLS), NUMBERS, st.integers(1, 3)), max_size=2),
    ),
    max_size=4,
)


def opened() -> State:
    """An open conference, two delegates in each of three halls."""
    state = State()
    for event in (
        UnitsImported(units=[Unit(code="01", name="Hà Nội", kind="city", parent="")]),
        HallsImported(halls=[Hall(hall_id=each, name="Nhà", unit="01", level="base", seats=9) for each in HALLS]),
        ConferenceCreated(conference_id="c", title="Hội nghị", feeds=["program"]),
        PhaseChanged(conference_id="c", phase="open"),
        DelegatesEnrolled(
            conference_id="c", blocks=[DelegateBlock(each, 1 + 2 * place, 2) for place, each in enumerate(HALLS)]
        ),
    ):
        apply(state, event, 1, "user:an")
    return state


def folded(events: list[Event]) -> State:
    """The state after these."""
    state = opened()
    for event in events:
        apply(state, event, 20, "hall:h")
    return state


def mixed(control: list[Event], attendance: list[Event], chance: random.Random) -> list[Event]:
    """Both, the first in its order, the second in any order and some of it twice."""
    rest = [*attendance, *chance.sample(attendance, k=len(attendance) // 2)]
    chance.shuffle(rest)
    places = sorted(chance.randint(0, len(control)) for _ in rest)
    events = list(control)
    for place, event in reversed(list(zip(places, rest, strict=True))):
        events.insert(place, event)
    return events


def checkins_of(state: State) -> Checkins:
    """Those of the one conference."""
    return state.checkins["c"]


@given(rosters, happenings, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(control: list[Event], attendance: list[Event], chance: random.Random) -> None:
    """Any order, any mixture with what happens to the roster, any repetition: one state."""
    straight = folded([*control, *attendance])
    assert fingerprint(folded(mixed(control, attendance, chance))) == fingerprint(straight)


many = st.lists(scans, min_size=8, max_size=20)


@given(st.lists(st.tuples(st.sampled_from(HALLS), many), max_size=4), st.randoms(use_true_random=False))
def test_a_record_of_many_is_as_many_records(made: list[tuple[str, list[Scan]]], chance: random.Random) -> None:
    """Whether what is folded at once is folded by arrays or one by one."""
    whole, single = opened(), opened()
    for state in (whole, single):
        apply(state, DelegatesEnrolled(conference_id="c", blocks=[DelegateBlock("h0", 100, 40)]), 1)
    for hall_id, batch in made:
        first = [Scan(100 + place, scan.at_ms, scan.nonce, scan.method) for place, scan in enumerate(batch)]
        for scans_of in (first, batch, first[chance.randint(0, 3) :]):
            apply(whole, CheckinsRecorded(conference_id="c", hall_id=hall_id, scans=scans_of), 20)
            for scan in scans_of:
                apply(single, CheckinsRecorded(conference_id="c", hall_id=hall_id, scans=[scan]), 20)
    assert fingerprint(whole) == fingerprint(single)
    assert checkins_of(whole).counts() == checkins_of(whole).recount() == checkins_of(single).counts()


@given(rosters, happenings, st.randoms(use_true_random=False))
def test_figures_equal_a_recount(control: list[Event], attendance: list[Event], chance: random.Random) -> None:
    """What is kept beside the rows never drifts from them."""
    checkins = checkins_of(folded(mixed(control, attendance, chance)))
    assert checkins.counts() == checkins.recount()
    for hall_id in HALLS:
        known = [checkins.delegate(number) for number in checkins.numbers(hall_id)]
        totals = checkins.totals(hall_id)
        assert (0 if totals is None else totals.registered) == len(known)
        if totals is not None:
            assert totals.present == sum(each is not None and each.by != "" for each in known)
            assert totals.present == totals.by_qr + totals.by_self + totals.by_proxy
            assert totals.present + totals.excused + totals.unexcused + totals.exempt <= totals.registered
    known_totals = [checkins.totals(hall_id) for hall_id in HALLS]
    assert len(list(checkins.conflicts())) == sum(0 if each is None else each.conflicts for each in known_totals)


@given(rosters, happenings, happenings)
def test_a_snapshot_is_the_state(control: list[Event], before: list[Event], after: list[Event]) -> None:
    """Also one that is encoded while the state goes on to change, and the fold goes on from it."""
    state = folded([*control, *before])
    moment = encode_state(state)
    steps = encode_in_steps(state)
    next(steps)
    for event in after:
        apply(state, event, 20, "hall:h")
    encoded = b""
    while not encoded:
        try:
            next(steps)
        except StopIteration as end:
            encoded = end.value
    again = decode_state(encoded)
    assert fingerprint(again) == fingerprint(decode_state(moment))
    for event in after:
        apply(again, event, 20, "hall:h")
    assert fingerprint(again) == fingerprint(state)
    assert checkins_of(again).counts() == checkins_of(state).counts()


uploads = st.lists(st.tuples(st.sampled_from(HALLS), st.lists(scans, min_size=1, max_size=4)), min_size=1, max_size=8)


@given(uploads, st.integers(1, 3), st.randoms(use_true_random=False))
def test_offline_uploads_give_the_same_whoever_takes_them(
    made: list[tuple[str, list[Scan]]], writers: int, chance: random.Random
) -> None:
    """Phones that were offline bring what they have in any order, to any gateway, some of it again."""
    numbered = [
        (hall_id, [Scan(scan.number, scan.at_ms, place * 10 + each, scan.method) for each, scan in enumerate(batch)])
        for place, (hall_id, batch) in enumerate(made)
    ]
    straight = opened()
    for hall_id, batch in numbered:
        for event in decide(straight, RecordCheckins(conference_id="c", hall_id=hall_id, scans=batch), 50):
            apply(straight, event, 50, "hall:h")
    shuffled = [*numbered, *chance.sample(numbered, k=len(numbered) // 2)]
    chance.shuffle(shuffled)
    states, streams = [opened() for _ in range(writers)], list[Event]()
    for hall_id, batch in shuffled:
        state = chance.choice(states)
        for event in decide(state, RecordCheckins(conference_id="c", hall_id=hall_id, scans=batch), 50):
            apply(state, event, 50, "hall:h")
            streams.append(event)
    for state in (folded(streams), folded(streams[::-1])):
        assert present(state) == present(straight)
    assert sum(present(straight).values()) == len(
        {scan.number for _, batch in numbered for scan in batch if scan.number <= 6}
    )


def present(state: State) -> dict[str, int]:
    """Delegates present by hall."""
    found = {hall_id: checkins_of(state).totals(hall_id) for hall_id in HALLS}
    return {hall_id: 0 if totals is None else totals.present for hall_id, totals in found.items()}


@given(st.lists(st.lists(marks, max_size=3), max_size=6))
def test_a_repeated_mark_or_scan_writes_nothing(made: list[list[Mark]]) -> None:
    """What is known already makes no event.

    A nonce stands for one scan, as a device draws it: one that comes back with another time is that scan told anew, and
    which of the two times was written is settled only when it stopped to be the scan that counts.
    """
    state = opened()
    for batch in made:
        commands: list[Command] = [
            RecordMarks(conference_id="c", hall_id=HALLS[0], marks=batch),
            RecordCheckins(
                conference_id="c",
                hall_id=HALLS[0],
                scans=[Scan(m.number, m.at_ms, m.at_ms * 1_000 + m.nonce, "qr") for m in batch],
            ),
        ]
        for command in commands:
            for event in decide(state, command, 50):
                apply(state, event, 50, "hall:h")
            assert decide(state, command, 50) == []
