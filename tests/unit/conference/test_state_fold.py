"""The fold: snapshots, fingerprints, standings, and that it takes whatever the journal holds."""

from __future__ import annotations

import msgspec
import pytest
from support.country import Country

from bridges.halls import Hall
from bridges.messages import HeadcountReport
from bridges.units import Unit
from conference.attendance.standing import hall_status
from conference.commands import (
    ChangePhase,
    CreateConference,
    ImportHalls,
    ImportUnits,
    LeaveHall,
    LoseRelay,
    ObservePresence,
    ReportHeadcount,
)
from conference.errors import CorruptJournalError
from conference.events import (
    Event,
    HallAssigned,
    HallLeft,
    HallMoved,
    HeadcountReported,
    PhaseChanged,
    PresenceObserved,
    PublishingAuthorised,
    RelayLost,
)
from conference.snapshot import decode_state, encode_in_steps, encode_state, fingerprint
from conference.state import State, apply
from relay.messages import SessionClosed, SessionOpened


def opened(hall_id: str, session_id: str = "s1", at_ms: int = 5_000) -> SessionOpened:
    """Media began."""
    return SessionOpened(session_id=session_id, subject=hall_id, conference="hn", feed="program", at_ms=at_ms)


def closed(hall_id: str, session_id: str = "s1", at_ms: int = 6_000) -> SessionClosed:
    """Media ended."""
    return SessionClosed(
        session_id=session_id, subject=hall_id, conference="hn", feed="program", at_ms=at_ms, reason="gone"
    )


@pytest.fixture
def country() -> Country:
    """Two real halls and a virtual one, joined."""
    country = Country()
    country.open_conference("h1", "h2", "v1")
    country.register("o1", "e1", "e2", "ve")
    for hall_id in ("h1", "h2", "v1"):
        country.join(hall_id)
    return country


def test_a_hall_waits_is_present_is_lost_and_leaves(country: Country) -> None:
    """The four standings, in the order in which a hall goes through them."""
    seen = [hall_status(country.state, "hn", "h1")]
    country.do(ObservePresence(relay_id="e1", deltas=[opened("h1")]))
    seen.append(hall_status(country.state, "hn", "h1"))
    country.do(ObservePresence(relay_id="e1", deltas=[closed("h1")]))
    seen.append(hall_status(country.state, "hn", "h1"))
    country.do(LeaveHall(conference_id="hn", hall_id="h1"))
    seen.append(hall_status(country.state, "hn", "h1"))
    assert seen == ["waiting", "present", "lost", "left"]
    assert hall_status(country.state, "none", "h1") == hall_status(country.state, "hn", "none") == "waiting"


def test_a_hall_of_a_lost_relay_is_lost_until_it_plays_elsewhere(country: Country) -> None:
    """Presence ends with the relay that saw it, and goes on at the next."""
    country.do(ObservePresence(relay_id="e1", deltas=[opened("h1")]))
    country.do(LoseRelay(relay_id="e1", epoch=1, goodbye=False, last_seen_ms=7_000))
    assert hall_status(country.state, "hn", "h1") == "lost"
    country.do(ObservePresence(relay_id="e2", deltas=[opened("h1", "s2", 8_000)]))
    assert hall_status(country.state, "hn", "h1") == "present"
    assert country.state.presence["hn"]["h1"].total_ms(9_000) == 3_000


def test_nobody_is_lost_after_the_end(country: Country) -> None:
    """Those who were there have left; those who never came still have not."""
    country.do(ObservePresence(relay_id="e1", deltas=[opened("h1"), closed("h1")]))
    country.do(ChangePhase(conference_id="hn", phase="ended"))
    assert hall_status(country.state, "hn", "h1") == "left"
    assert hall_status(country.state, "hn", "h2") == "waiting"


def test_tallies_by_province_and_kind(country: Country) -> None:
    """A hall counts for the root of its unit; real and virtual apart; a hall that is imported anew moves."""
    country.do(ObservePresence(relay_id="e1", deltas=[opened("h1")]))
    rollup = country.state.rollups["hn"]
    total = rollup.total()
    assert (total.real.connection.waiting, total.real.connection.present_now) == (1, 1)
    assert (total.virtual.halls, total.virtual.connection.waiting) == (1, 1)
    assert rollup.total(unit="01").real == total.real
    country.do(ImportHalls(halls=[Hall(hall_id="h1", name="h1", unit="02", level="base", seats=80)]))
    assert rollup.total(unit="02").real.connection.present_now == rollup.total(unit="02").halls == 1
    assert [row.unit for row in rollup.children()] == ["01", "02"]
    assert rollup.hall_ids("connection.present_now") == ["h1"]
    country.do(ImportUnits(units=[Unit(code="02", name="Cao Bằng", kind="tỉnh", parent="01")]))
    assert [row.unit for row in rollup.children()] == ["01"]


def test_a_snapshot_comes_back_with_everything_derived(country: Country) -> None:
    """Seats, indexes, tallies and pools are as they were."""
    country.do(ObservePresence(relay_id="e1", deltas=[opened("h1")]))
    restored = decode_state(encode_state(country.state), country.state.policy)
    assert fingerprint(restored) == fingerprint(country.state)
    for virtual, pool in country.state.ledger.pools.items():
        assert restored.ledger.pools[virtual].loads == pool.loads
    assert restored.provinces == country.state.provinces
    assert restored.rollups["hn"].total() == country.state.rollups["hn"].total()
    assert restored.ledger.seats_on == {
        relay_id: seats for relay_id, seats in country.state.ledger.seats_on.items() if seats
    }


def test_the_order_of_dictionaries_does_not_matter() -> None:
    """Equal states that came about in another order have one fingerprint; different states do not."""
    states = [State(), State()]
    units = [Unit(code="01", name="Hà Nội", kind="thành phố"), Unit(code="02", name="Cao Bằng", kind="tỉnh")]
    for state, order in zip(states, (units, units[::-1]), strict=True):
        state.units.update((unit.code, unit) for unit in order)
    assert fingerprint(states[0]) == fingerprint(states[1])
    del states[1].units["02"]
    assert fingerprint(states[0]) != fingerprint(states[1])


def test_a_snapshot_made_in_steps_is_of_the_moment_at_which_it_was_begun(country: Country) -> None:
    """Whatever changes between the steps: seats, presence, headcounts, halls, relays are as they were at the first."""
    country.do(ObservePresence(relay_id="e1", deltas=[opened("h1")]))
    country.do(ReportHeadcount(conference_id="hn", hall_id="h1", report=HeadcountReport(summoned=9, present=8)))
    before = encode_state(country.state)
    steps = encode_in_steps(country.state)
    next(steps)
    country.do(LeaveHall(conference_id="hn", hall_id="h1"))
    country.do(ReportHeadcount(conference_id="hn", hall_id="h1", report=HeadcountReport(summoned=9, present=7)))
    country.do(LoseRelay(relay_id="e1", epoch=1, goodbye=False, last_seen_ms=7_000))
    country.do(ImportHalls(halls=[Hall(hall_id="new", name="new", unit="00004", level="base", seats=80)]))
    country.do(CreateConference(conference_id="other", title="Hội nghị", feeds=["program"]))
    encoded = b""
    while not encoded:
        try:
            next(steps)
        except StopIteration as end:
            encoded = end.value
    assert encoded == before != encode_state(country.state)


@pytest.mark.parametrize("data", [b"", b"junk", msgspec.msgpack.encode({"schema": 1})])
def test_a_snapshot_that_does_not_decode_is_refused(data: bytes) -> None:
    """A typed error, nothing else."""
    with pytest.raises(CorruptJournalError):
        decode_state(data)


def test_a_snapshot_of_another_schema_is_refused() -> None:
    """A later program's snapshot is not read as if it were ours."""
    image = msgspec.msgpack.decode(encode_state(State()))
    image["schema"] = 99
    with pytest.raises(CorruptJournalError, match="99"):
        decode_state(msgspec.msgpack.encode(image))


STRANGERS: list[Event] = [
    HallAssigned(conference_id="?", hall_id="?", epoch=1, primary="?", backup="?", reason="join"),
    HallAssigned(conference_id="hn", hall_id="?", epoch=1, primary="?", backup="?", reason="join"),
    HallMoved(conference_id="hn", hall_id="?", from_relay="?", to_relay="?", reason="silence", interruption_ms=1.0),
    HallLeft(conference_id="?", hall_id="?"),
    HallLeft(conference_id="hn", hall_id="?"),
    PhaseChanged(conference_id="?", phase="live"),
    RelayLost(relay_id="?", epoch=1, reason="goodbye", last_seen_ms=1),
    PublishingAuthorised(conference_id="?", feed="program", relay_id="?"),
    PresenceObserved(relay_id="?", deltas=[opened("?")]),
    HeadcountReported(conference_id="?", hall_id="?", summoned=1, present=1, excused=0, unexcused=0, exempt=0, note=""),
]


@pytest.mark.parametrize("event", STRANGERS, ids=lambda event: type(event).__name__)
def test_every_event_applies(country: Country, event: Event) -> None:
    """Also one about things that this state does not know; the state still survives a snapshot."""
    apply(country.state, event, 9_000)
    apply(country.state, event, 9_000)
    assert fingerprint(decode_state(encode_state(country.state))) == fingerprint(country.state)


def test_of_two_headcounts_the_later_one_counts(country: Country) -> None:
    """Whatever the order in which two gateways' records are read."""
    for at_ms, present in ((9_000, 80), (8_000, 70)):
        event = HeadcountReported(
            conference_id="hn", hall_id="h1", summoned=90, present=present, excused=0, unexcused=0, exempt=0, note=""
        )
        apply(country.state, event, at_ms)
    assert country.state.headcounts["hn"]["h1"].present == 80


def test_parents_of_every_live_relay_are_known(country: Country) -> None:
    """Edges hang below the origin; a lost relay is in no tree."""
    assert country.state.parents == {"e1": ["o1"], "e2": ["o1", "e1"], "o1": [], "ve": []}
    country.do(LoseRelay(relay_id="e1", epoch=1, goodbye=False, last_seen_ms=7_000))
    assert country.state.parents == {"e2": ["o1"], "o1": [], "ve": []}
