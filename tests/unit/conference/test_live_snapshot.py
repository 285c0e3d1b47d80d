from __future__ import annotations

import msgspec

from bridges.halls import Hall
from bridges.units import Unit
from conference.events import (
    ConferenceCreated,
    Event,
    HallsImported,
    HeadcountReported,
    PhaseChanged,
    PresenceObserved,
    UnitsImported,
)
from conference.live import build_snapshot
from conference.policy import Policy
from conference.state import State, apply
from relay.messages import PresenceDelta, SessionClosed, SessionOpened


def hall(hall_id: str, *, virtual: bool = False) -> Hall:
    """A hall of province 01 with 80 seats."""
    return Hall(
        hall_id=hall_id,
        name=f"Điểm cầu {hall_id}",
        unit="01",
        level="province",
        seats=80,
        contact_name="Lan",
        contact_phone="0900 000 001",
        virtual=virtual,
    )


def state_of(*events: Event) -> State:
    """Two conferences, the second open; then `events`."""
    state = State(Policy())
    first: list[Event] = [
        UnitsImported(units=[Unit(code="01", name="Hà Nội", kind="thành phố")]),
        HallsImported(halls=[hall("a"), hall("b"), hall("v", virtual=True)]),
        ConferenceCreated(conference_id="c1", title="Một", feeds=["program"]),
        ConferenceCreated(conference_id="c2", title="Hai", feeds=["program"]),
        PhaseChanged(conference_id="c2", phase="open"),
    ]
    for at_ms, event in enumerate([*first, *events]):
        apply(state, event, at_ms)
    return state


def opened(hall_id: str) -> SessionOpened:
    """A session of a hall in the open conference, from 100 on."""
    return SessionOpened(session_id=f"s-{hall_id}", subject=hall_id, conference="c2", feed="program", at_ms=100)


def closed(hall_id: str, at_ms: int) -> SessionClosed:
    """Its end."""
    return SessionClosed(
        session_id=f"s-{hall_id}", subject=hall_id, conference="c2", feed="program", at_ms=at_ms, reason="x"
    )


def test_an_empty_country_is_an_empty_snapshot() -> None:
    """Without anything there is still a snapshot."""
    snapshot = build_snapshot(State(Policy()), {}, 5)
    assert (snapshot.at_ms, snapshot.focus, snapshot.conferences, snapshot.lost) == (5, "", [], [])


def test_the_conference_that_runs_is_in_focus() -> None:
    """Provinces and lost halls are about the conference that is furthest into its day."""
    assert build_snapshot(state_of(), {}, 5).focus == "c2"


def test_counts_tell_virtual_halls_apart() -> None:
    """Counts by connection hold all halls and name the virtual share; delegates are of real halls alone."""
    state = state_of(
        PresenceObserved(relay_id="r", deltas=[opened("a"), opened("v")]),
        HeadcountReported(
            conference_id="c2", hall_id="a", summoned=70, present=65, excused=5, unexcused=0, exempt=0, note=""
        ),
        HeadcountReported(
            conference_id="c2", hall_id="v", summoned=9, present=9, excused=0, unexcused=0, exempt=0, note=""
        ),
    )
    totals = build_snapshot(state, {}, 500).conferences[1].totals
    assert (totals.halls, totals.present, totals.waiting, totals.lost) == (3, 2, 1, 0)
    assert (totals.virtual_halls, totals.virtual_present) == (1, 1)
    assert (totals.summoned, totals.headcount_halls, totals.headcount_present) == (70 + 80, 1, 65)


def test_lost_halls_come_in_the_order_in_which_to_phone() -> None:
    """Real halls first, the longest lost first, each with whom to phone and since when."""
    deltas: list[PresenceDelta] = [
        opened("a"),
        opened("b"),
        opened("v"),
        closed("a", 300),
        closed("b", 200),
        closed("v", 150),
    ]
    snapshot = build_snapshot(state_of(PresenceObserved(relay_id="r", deltas=deltas)), {}, 500)
    assert [(lost.hall_id, lost.since_ms) for lost in snapshot.lost] == [("b", 200), ("a", 300), ("v", 150)]
    assert (snapshot.lost[0].province, snapshot.lost[0].contact_phone) == ("Hà Nội", "0900 000 001")
    assert snapshot.provinces[0].lost == 3


def test_a_snapshot_is_json() -> None:
    """What the page reads is what was built."""
    snapshot = build_snapshot(state_of(), {}, 5)
    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=type(snapshot)) == snapshot
