"""Who is told to fetch its assignment again, and over which relay."""

from __future__ import annotations

import pytest
from support.country import Country, register_message

from conference.commands import LeaveHall, LoseRelay, ObservePresence
from conference.events import Event
from conference.notices import notices_of, strayed_of
from relay.messages import SessionClosed, SessionOpened


def opened(hall_id: str, at_ms: int) -> SessionOpened:
    """The hall is sent media from then on."""
    return SessionOpened(session_id=f"s-{hall_id}", subject=hall_id, conference="hn", feed="program", at_ms=at_ms)


@pytest.fixture
def country() -> Country:
    """A hall of which the first relay, e1, was lost and is back, while the hall was still about to connect to it."""
    country = Country()
    country.open_conference("h1")
    country.register("e1")
    country.register("e2")
    country.join("h1")
    country.register("e3")
    assert country.relays_of("h1") == ("e1", "e2")
    country.do(LoseRelay(relay_id="e1", epoch=1, goodbye=False, last_seen_ms=country.now_ms))
    country.register("e1")
    assert country.relays_of("h1") == ("e2", "e3")
    return country


def observe(country: Country, relay_id: str) -> list[Event]:
    """The relay says that the hall plays there since now."""
    return country.do(ObservePresence(relay_id=relay_id, deltas=[opened("h1", country.now_ms)]))


def test_a_hall_that_begins_to_play_from_a_relay_it_has_no_more_is_told_there(country: Country) -> None:
    """It had no session when it was given others, so that nobody could tell it then."""
    assert notices_of(country.state, observe(country, "e1")) == {"e1": ["h1"]}


@pytest.mark.parametrize("relay_id", ["e2", "e3"])
def test_a_hall_that_plays_from_one_of_its_own_relays_is_told_nothing(country: Country, relay_id: str) -> None:
    """From its backup it says itself that it moved."""
    assert notices_of(country.state, observe(country, relay_id)) == {}


def test_nobody_is_told_whose_media_ended_or_who_left(country: Country) -> None:
    """There is nobody to be told."""
    ended = SessionClosed(
        session_id="s-h1", subject="h1", conference="hn", feed="program", at_ms=country.now_ms, reason="left"
    )
    assert notices_of(country.state, country.do(ObservePresence(relay_id="e1", deltas=[ended]))) == {}
    country.do(LeaveHall(conference_id="hn", hall_id="h1"))
    assert notices_of(country.state, observe(country, "e1")) == {}


def test_a_coordinator_that_is_not_ready_tells_nobody_where_it_plays(country: Country) -> None:
    """It does not know what the hall has."""
    assert notices_of(None, observe(country, "e1")) == {}


@pytest.mark.parametrize(("relay_id", "after_ms", "told"), [("e1", 1, True), ("e2", -1, True), ("e2", 1, False)])
def test_a_relay_that_registers_tells_those_who_may_not_know_what_they_have(
    country: Country, relay_id: str, after_ms: int, *, told: bool
) -> None:
    """Who was given another assignment since it plays there, and who plays from a relay that it has no more."""
    at_ms = country.seat("h1").assigned_at_ms + after_ms
    register = register_message(relay_id, "01", sessions=[opened("h1", at_ms)])
    assert strayed_of(country.state, register) == ({relay_id: ["h1"]} if told else {})
