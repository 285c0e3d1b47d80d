"""What a report tells of relays and publishers stands in the state, also after a snapshot."""

from __future__ import annotations

import msgspec
import pytest

from conference.events import (
    ConferenceCreated,
    Event,
    JoinsPaused,
    PhaseChanged,
    PublishingAuthorised,
    RelayCleared,
    RelayLost,
    RelayRegistered,
    RelaySuspected,
)
from conference.orders import KEPT_INCIDENTS
from conference.reach import Reach
from conference.reporting.sources import heading_of, incidents_of
from conference.reports.model import Incident
from conference.snapshot import decode_state, encode_state
from conference.state import State, apply

REGISTERED = RelayRegistered(
    relay_id="tram-1",
    instance_id="one",
    region="01",
    role="edge",
    virtual=False,
    base_url="http://a",
    metrics_url="",
    bits_per_s=10**9,
    packets_per_s=100_000,
    epoch=1,
)


def folded(*events: tuple[int, Event]) -> State:
    """A state of these events, each with its time; the conference is open from 10 ms on."""
    state = State()
    apply(state, ConferenceCreated(conference_id="hn", title="Hội nghị", feeds=["program"]), 1)
    apply(state, PhaseChanged(conference_id="hn", phase="open"), 10)
    for at_ms, event in events:
        apply(state, event, at_ms, "user:truc")
    return state


def told(state: State, unit: str = "") -> list[Incident]:
    """What a report at 1,000 ms tells, without the phases."""
    heading = heading_of(state, state.conferences["hn"], 1_000, kind="summary", tree="territory", unit=unit)
    found = incidents_of(state, heading, Reach(state.units, unit))
    return [incident for incident in found if incident.code != "phase"]


def test_a_relay_that_is_lost_and_comes_back_is_told() -> None:
    """When it was last seen, why it was lost, and that its process is another one."""
    again = msgspec.structs.replace(REGISTERED, instance_id="two", epoch=2)
    state = folded(
        (20, REGISTERED),
        (21, REGISTERED),
        (40, RelayLost(relay_id="tram-1", epoch=1, reason="lease_expired", last_seen_ms=37)),
        (50, again),
    )
    assert told(state) == [
        Incident(at_ms=37, code="relay_lost", subject="tram-1", reason="lease_expired"),
        Incident(at_ms=50, code="relay_returned", subject="tram-1", reason="restarted"),
    ]
    assert told(decode_state(encode_state(state))) == told(state)


def test_suspicions_publishers_and_orders_are_told_with_who_and_why() -> None:
    """A new token for the same origins is no news."""
    published = PublishingAuthorised(conference_id="hn", feed="program", relay_id="goc-1", backup_relay_ids=["goc-2"])
    state = folded(
        (20, REGISTERED),
        (30, published),
        (31, published),
        (32, msgspec.structs.replace(published, backup_relay_ids=[])),
        (40, RelaySuspected(relay_id="tram-1", left=12, halls=20, until_ms=70)),
        (70, RelayCleared(relay_id="tram-1", reason="time")),
        (80, JoinsPaused(conference_id="hn", retry_after_s=5, reason="sửa nguồn")),
    )
    assert sorted(told(state), key=lambda incident: incident.at_ms) == [
        Incident(
            at_ms=30,
            code="publisher",
            subject="program",
            detail="goc-1 goc-2",
            actor="user:truc",
            conference_id="hn",
        ),
        Incident(at_ms=32, code="publisher", subject="program", detail="goc-1", actor="user:truc", conference_id="hn"),
        Incident(at_ms=40, code="relay_suspected", subject="tram-1", detail="12/20"),
        Incident(at_ms=70, code="relay_cleared", subject="tram-1", reason="time"),
        Incident(
            at_ms=80,
            code="order",
            subject="hn",
            detail="joins_paused retry_after_s 5",
            actor="user:truc",
            reason="sửa nguồn",
        ),
    ]


def test_what_is_about_another_conference_or_before_this_one_is_left_out() -> None:
    """A report tells of its own day."""
    state = folded(
        (80, JoinsPaused(conference_id="other", retry_after_s=5, reason="x")),
        (90, PublishingAuthorised(conference_id="other", feed="program", relay_id="goc-1")),
    )
    apply(state, ConferenceCreated(conference_id="other", title="Khác", feeds=["program"]), 95)
    apply(state, RelayLost(relay_id="tram-9", epoch=1, reason="goodbye", last_seen_ms=5), 96)
    assert told(state) == []


def test_incidents_are_bounded() -> None:
    """A relay that flaps for days does not fill the state."""
    lost = RelayLost(relay_id="tram-1", epoch=1, reason="lease_expired", last_seen_ms=37)
    state = folded(*((20 + number, lost) for number in range(KEPT_INCIDENTS + 3)))
    assert len(state.orders.incidents) == KEPT_INCIDENTS


@pytest.mark.parametrize("unit", ["", "01"])
def test_relays_concern_every_unit(unit: str) -> None:
    """A province's report says why its halls were without a picture."""
    state = folded((20, REGISTERED), (40, RelayLost(relay_id="tram-1", epoch=1, reason="goodbye", last_seen_ms=40)))
    assert [incident.code for incident in told(state, unit)] == ["relay_lost"]
