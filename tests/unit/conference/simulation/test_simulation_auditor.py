"""The auditor tells what the coordinator did to halls from what they did themselves."""

from __future__ import annotations

from support.country import register_message

from bridges.halls import Hall
from conference.commands import RegisterRelay
from conference.decide import decide
from conference.events import ConferenceCreated, Event, HallAssigned, HallMoved, HallsImported, PhaseChanged, stream_of
from conference.journal.contract import Record
from conference.policy import MediaCost, Policy
from conference.simulation.auditor import Auditor
from conference.state import State


def records(events: list[Event]) -> list[Record]:
    """As a journal gives them."""
    return [
        Record(stream=stream_of(event), position=number, epoch=1, at_ms=1_000, actor="", event=event)
        for number, event in enumerate(events, start=1)
    ]


def assigned(epoch: int, primary: str, reason: str) -> HallAssigned:
    """The one hall gets a primary."""
    return HallAssigned(conference_id="hn", hall_id="h1", epoch=epoch, primary=primary, backup="", reason=reason)  # type: ignore[arg-type] # a word of the test's


def watched(*events: Event, seats: int = 10, troubled: str = "") -> Auditor:
    """An auditor that has seen a hall join at e1 and these events."""
    policy = Policy(media=MediaCost(bits_per_s=1, packets_per_s=1))
    auditor = Auditor(policy, lambda name: name == troubled, lambda _: "")
    begin: list[Event] = [
        HallsImported(halls=[Hall(hall_id="h1", name="h1", unit="01", level="base", seats=60)]),
        ConferenceCreated(conference_id="hn", title="Hội nghị", feeds=["program"]),
        PhaseChanged(conference_id="hn", phase="open"),
    ]
    for relay_id in ("e1", "e2"):
        begin += decide(State(policy), RegisterRelay(register=register_message(relay_id, seats=seats)), 1_000)
    auditor.handle_records(records([*begin, assigned(1, "e1", "join"), *events]))
    return auditor


def test_an_order_away_from_a_healthy_relay_is_counted_and_a_needed_one_is_not() -> None:
    """What matters is whether anything was wrong with the relay."""
    away = assigned(2, "e2", "relay_lost")
    assert (watched(away).moved, watched(away).moves_beyond) == (1, 1)
    assert (watched(away, troubled="e1").moved, watched(away, troubled="e1").moves_beyond) == (1, 0)


def test_what_a_hall_reported_itself_is_its_own_doing() -> None:
    """Whatever the reason that it gives; another hall's report excuses nothing."""
    report = HallMoved(
        conference_id="hn", hall_id="h1", from_relay="e1", to_relay="e2", reason="assignment", interruption_ms=0.0
    )
    assert watched(report, assigned(2, "e2", "assignment")).moved == 0
    assert watched(assigned(2, "e2", "assignment")).moves_beyond == 1


def test_a_seat_beyond_the_hard_limit_is_seen_at_its_record() -> None:
    """Also when a later record gives it back."""
    full = watched(assigned(2, "e2", "join"), seats=1)
    assert full.most_over_limit == 0
    second = HallAssigned(conference_id="hn", hall_id="h2", epoch=1, primary="e2", backup="", reason="join")
    back = HallAssigned(conference_id="hn", hall_id="h2", epoch=2, primary="e1", backup="", reason="join")
    over = watched(assigned(2, "e2", "join"), second, back, seats=1)
    assert (over.most_over_limit, over.over_limit) == (1, {"e2": 1})
