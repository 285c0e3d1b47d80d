"""Rules of halls: joining, moving, leaving, headcounts."""

from __future__ import annotations

import pytest
from support.country import Country, only_assignment

from bridges.messages import HeadcountReport, MovedReport
from bridges.units import Unit
from conference.commands import (
    ChangePhase,
    Command,
    ImportUnits,
    JoinHall,
    LeaveHall,
    LoseRelay,
    ReportHeadcount,
    ReportMove,
)
from conference.errors import RejectedError
from conference.events import HallAssigned, HallMoved
from conference.policy import MediaCost, Policy


@pytest.fixture
def country() -> Country:
    """Three edges, two real halls and a virtual one."""
    country = Country()
    country.open_conference("h1", "h2", "v1")
    country.register("e1", "e2", "e3", "ve1", "ve2")
    return country


def moved(epoch: int, from_relay: str, to_relay: str, interruption_ms: float = 350.0) -> MovedReport:
    """The hall went to another relay because its own fell silent."""
    return MovedReport(
        epoch=epoch, from_relay=from_relay, to_relay=to_relay, reason="silence", interruption_ms=interruption_ms
    )


def move(report: MovedReport, hall_id: str = "h1", avoid: frozenset[str] = frozenset()) -> ReportMove:
    """Its command."""
    return ReportMove(conference_id="hn", hall_id=hall_id, report=report, avoid=avoid)


def count(summoned: int, present: int, excused: int = 0, note: str = "") -> ReportHeadcount:
    """Figures of h1."""
    report = HeadcountReport(summoned=summoned, present=present, excused=excused, note=note)
    return ReportHeadcount(conference_id="hn", hall_id="h1", report=report)


def test_a_join_gives_two_relays_and_a_repetition_nothing(country: Country) -> None:
    """Epoch 1, primary and backup; the same again keeps them."""
    event = only_assignment(country.join("h1"))
    assert (event.epoch, event.primary, event.backup, event.reason) == (1, "e1", "e2", "join")
    assert country.join("h1") == []


def test_seats_are_charged_at_once(country: Country) -> None:
    """The next hall sees the seat that the one before took: a storm of joins spreads."""
    country.join("h1")
    country.join("h2")
    assert country.relays_of("h2") == ("e3", "e1")


def test_pins_and_exclusions_hold_on_the_day() -> None:
    """A pinned hall gets its relay, one of an excluded province another; a loss gives neither what it must not have."""
    seat = MediaCost(bits_per_s=1, packets_per_s=1)
    policy = Policy(media=seat, pins={"h1": ("e3", "e2")}, exclusions={"01": frozenset({"e1"})})
    country = Country(policy)
    country.open_conference("h1", "h2")
    country.register("e1", "e2", "e3", "e4")
    country.join("h1")
    country.join("h2")
    assert (country.relays_of("h1"), country.relays_of("h2")) == (("e3", "e2"), ("e4", "e2"))
    country.do(LoseRelay(relay_id="e2", epoch=1, goodbye=False, last_seen_ms=1))
    assert (country.relays_of("h1"), country.relays_of("h2")) == (("e3", "e4"), ("e4", "e3"))


def test_a_hall_of_a_poor_province_takes_less_of_a_relay() -> None:
    """Half a seat at each of its relays, given back when it leaves, also after its province has changed."""
    cost = MediaCost(bits_per_s=2, packets_per_s=2)
    country = Country(Policy(media=cost, regions={"01": MediaCost(bits_per_s=1, packets_per_s=1)}))
    country.open_conference("h1")
    country.register("e1", "e2")
    country.join("h1")
    assert [country.state.relays[name].load.charged_milliseats for name in ("e1", "e2")] == [500, 500]
    country.do(ImportUnits(units=[Unit(code="00004", name="Ba Đình", kind="phường", parent="02")]))
    country.register("e1")
    assert country.state.relays["e1"].load.charged_milliseats == 500
    country.do(LeaveHall(conference_id="hn", hall_id="h1"))
    assert [country.state.relays[name].load.charged_milliseats for name in ("e1", "e2")] == [0, 0]


def test_virtual_halls_go_to_virtual_relays(country: Country) -> None:
    """And never to real ones."""
    country.join("v1")
    assert country.relays_of("v1") == ("ve1", "ve2")


def test_a_join_after_leaving_is_a_new_assignment(country: Country) -> None:
    """The epoch goes on from the old one."""
    country.join("h1")
    country.do(LeaveHall(conference_id="hn", hall_id="h1"))
    assert country.state.relays["e1"].load.charged_milliseats == 0
    assert only_assignment(country.join("h1")).epoch == 2


def test_a_join_that_avoids_the_primary_takes_the_backup(country: Country) -> None:
    """The primary's control connection is gone although its lease runs."""
    country.join("h1")
    assert only_assignment(country.join("h1", avoid=frozenset({"e1"}))).primary == "e2"
    assert country.relays_of("h1") == ("e2", "e3")


def test_a_move_to_the_backup_makes_it_primary_and_finds_a_new_one(country: Country) -> None:
    """The relay that was left is not the new backup while another has room."""
    country.join("h1")
    events = country.do(move(moved(1, "e1", "e2")))
    assert [type(event) for event in events] == [HallMoved, HallAssigned]
    assert country.relays_of("h1") == ("e2", "e3")
    seat = country.seat("h1")
    assert (seat.epoch, seat.moves, seat.interruptions_ms) == (2, 1, [350.0])


def test_a_repeated_report_is_nothing(country: Country) -> None:
    """An interruption counts once; a later one between the same relays counts again."""
    country.join("h1")
    assert country.do(move(moved(1, "e1", "e2")))
    assert country.do(move(moved(1, "e1", "e2"))) == []
    country.do(move(moved(2, "e2", "e3")))
    country.do(move(moved(3, "e3", "e1")))
    assert country.seat("h1").moves == 3


def test_a_report_after_the_coordinator_moved_the_hall_is_only_noted(country: Country) -> None:
    """The relay's loss came first: the hall plays from what it was given, and keeps it."""
    country.join("h1")
    country.do(LoseRelay(relay_id="e1", epoch=1, goodbye=False, last_seen_ms=1))
    assert country.relays_of("h1") == ("e2", "e3")
    events = country.do(move(moved(1, "e1", "e2")))
    assert [type(event) for event in events] == [HallMoved]
    assert (country.relays_of("h1"), country.seat("h1").epoch) == (("e2", "e3"), 2)


def test_a_move_to_another_live_relay_is_followed(country: Country) -> None:
    """Nobody takes a hall from what it truly plays."""
    country.join("h1")
    country.do(move(moved(1, "e1", "e3")))
    assert country.relays_of("h1") == ("e3", "e2")


def test_a_move_to_a_lost_relay_is_noted_and_not_followed(country: Country) -> None:
    """The answer tells the hall where to go."""
    country.join("h1")
    country.do(LoseRelay(relay_id="e2", epoch=1, goodbye=False, last_seen_ms=1))
    events = country.do(move(moved(1, "e1", "e2")))
    assert [type(event) for event in events] == [HallMoved]
    assert country.relays_of("h1") == ("e1", "e3")


def test_with_two_relays_the_one_that_was_left_becomes_the_backup(country: Country) -> None:
    """Better than none, unless its control connection is gone."""
    country.do(LoseRelay(relay_id="e3", epoch=1, goodbye=False, last_seen_ms=1))
    country.join("h1")
    country.join("h2")
    country.do(move(moved(1, "e1", "e2")))
    assert country.relays_of("h1") == ("e2", "e1")
    primary, backup = country.relays_of("h2")
    country.do(move(moved(1, primary, backup), "h2", avoid=frozenset({primary})))
    assert country.relays_of("h2") == (backup, "")


def test_headcounts_are_taken_and_a_repetition_is_nothing(country: Country) -> None:
    """The latest figures count."""
    assert country.do(count(90, 80, 10))
    assert country.do(count(90, 80, 10)) == []
    assert country.do(count(90, 85, 5))
    assert country.state.headcounts["hn"]["h1"].present == 85


def test_a_headcount_may_be_corrected_after_the_end(country: Country) -> None:
    """It is appended; the journal keeps both."""
    country.do(ChangePhase(conference_id="hn", phase="ended"))
    assert country.do(count(90, 80))


def test_the_end_frees_every_seat(country: Country) -> None:
    """Relays are empty on paper, the seats' history stays."""
    country.join("h1")
    country.do(ChangePhase(conference_id="hn", phase="ended"))
    assert all(relay.load.charged_milliseats == 0 for relay in country.state.relays.values())
    assert country.relays_of("h1") == ("e1", "e2")
    assert country.do(LeaveHall(conference_id="hn", hall_id="h1")) == []


def test_leaving_twice_or_before_joining_is_nothing(country: Country) -> None:
    """Only a hall that is in can leave."""
    leave = LeaveHall(conference_id="hn", hall_id="h1")
    assert country.do(leave) == []
    country.join("h1")
    assert len(country.do(leave)) == 1
    assert country.do(leave) == []


REFUSED: list[tuple[Command, str, int]] = [
    (JoinHall(conference_id="none", hall_id="h1", virtual=False), "unknown_conference", 404),
    (JoinHall(conference_id="hn", hall_id="none", virtual=False), "unknown_hall", 404),
    (JoinHall(conference_id="hn", hall_id="h1", virtual=True), "hall_kind", 409),
    (JoinHall(conference_id="hn", hall_id="v1", virtual=False), "hall_kind", 409),
    (move(moved(1, "e1", "e2"), "h2"), "not_joined", 409),
    (move(moved(1, "e1", "none")), "unknown_relay", 404),
    (move(moved(1, "e1", "ve1")), "relay_kind", 409),
    (move(moved(2, "e1", "e2")), "unknown_epoch", 409),
    (move(moved(1, "", "e2")), "bad_id", 422),
    (move(moved(1, "e1", "e2", -1.0)), "bad_interruption", 422),
    (move(moved(1, "e1", "e2", float("nan"))), "bad_interruption", 422),
    (LeaveHall(conference_id="hn", hall_id="none"), "unknown_hall", 404),
    (count(90, 80, 11), "headcount_inconsistent", 422),
    (count(-1, 0), "bad_headcount", 422),
    (count(100_001, 0), "bad_headcount", 422),
    (count(90, 80, note="x" * 1_001), "bad_note", 422),
]


@pytest.mark.parametrize(("command", "code", "status"), REFUSED)
def test_refused_by_a_rule(country: Country, command: Command, code: str, status: int) -> None:
    """Each rule has its code and status."""
    country.join("h1")
    with pytest.raises(RejectedError) as caught:
        country.do(command)
    assert (caught.value.code, caught.value.status) == (code, status)


def test_nobody_joins_before_the_gates_open_or_after_the_end(country: Country) -> None:
    """409 `wrong_phase`."""
    country.do(ChangePhase(conference_id="hn", phase="ended"))
    with pytest.raises(RejectedError) as caught:
        country.join("h1")
    assert (caught.value.code, caught.value.status) == ("wrong_phase", 409)


def test_without_a_relay_the_hall_is_asked_to_come_again() -> None:
    """503 `no_relay`."""
    country = Country()
    country.open_conference("h1")
    with pytest.raises(RejectedError) as caught:
        country.join("h1")
    assert (caught.value.code, caught.value.status) == ("no_relay", 503)


@pytest.mark.parametrize("epoch", [0, -1, -(10**30), 2])
def test_a_move_names_an_epoch_that_was_assigned(country: Country, epoch: int) -> None:
    """Epochs begin at 1; one that the hall never had, whatever its size, is refused."""
    country.join("h1")
    with pytest.raises(RejectedError) as caught:
        country.do(move(moved(epoch, "e1", "e2")))
    assert caught.value.code == "unknown_epoch"
