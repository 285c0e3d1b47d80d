"""The mover: halls go where orders want them, at a pace, and no seat is counted free before it is."""

from __future__ import annotations

import pytest
from support.country import Country

from conference.commands import LeaveHall, LoseRelay, MoveHalls, OrderRelay
from conference.events import Event, HallAssigned, HallReleased
from conference.moving import MARGIN_MS, Mover
from conference.policy import MediaCost, Policy

TICK_MS = 100


def country_of(halls: int, *relay_ids: str, moves_per_s: float = 50.0, moves_at_once: int = 1_000) -> Country:
    """So many halls on e1 and e2, with room for all on each relay."""
    country = Country(
        Policy(
            media=MediaCost(bits_per_s=1, packets_per_s=1),
            moves_per_s=moves_per_s,
            moves_at_once=moves_at_once,
            move_patience_ms=5_000,
        )
    )
    hall_ids = [f"h{number:03}" for number in range(halls)]
    country.open_conference(*hall_ids)
    country.register("e1", "e2", seats=2 * halls)
    for hall_id in hall_ids:
        country.join(hall_id)
    country.register(*relay_ids, seats=2 * halls)
    return country


def drain(relay_id: str, deadline_ms: int = 0) -> OrderRelay:
    """An order to empty a relay."""
    return OrderRelay(relay_id=relay_id, mode="draining", deadline_ms=deadline_ms, reason="thay máy")


def step(country: Country, mover: Mover, *, answers: bool = True) -> list[Event]:
    """A tenth of a second; halls that are moved say so at once, or never."""
    country.now_ms += TICK_MS
    events = country.write(mover.next_events(country.state, country.now_ms))
    for event in events:
        if answers and isinstance(event, HallAssigned) and (leaving := country.seat(event.hall_id).leaving):
            country.now_ms -= 1_000  # a command of this country takes a second
            country.report_moved(event.hall_id, leaving, event.primary)
    return events


def assigned(events: list[Event]) -> list[str]:
    """Halls that were assigned."""
    return [event.hall_id for event in events if isinstance(event, HallAssigned)]


def test_a_drained_relay_is_emptied_at_the_pace_and_others_stay() -> None:
    """So many halls a second, each once, primaries to their standbys; then the relay is empty."""
    country = country_of(100, "e3", "e4")
    on_e1 = set(country.state.ledger.seats_on["e1"])
    country.do(drain("e1"))
    mover = Mover()
    moved: list[str] = []
    steps = 0
    while not country.state.relays["e1"].load.is_empty:
        before = {hall_id: country.relays_of(hall_id) for _, hall_id in on_e1}
        found = assigned(step(country, mover))
        for hall_id in found:
            primary, backup = before[hall_id]
            assert country.seat(hall_id).primary == (backup if primary == "e1" else primary)
        moved += found
        steps += 1
        assert steps < 100
    assert sorted(moved) == sorted(hall_id for _, hall_id in on_e1)
    assert 1.8 <= steps * TICK_MS / 1000 <= 2.3
    assert not country.state.ledger.misplaced


def test_a_deadline_makes_it_faster() -> None:
    """What is left by then leaves in what is left of the time, less what halls need to follow."""
    country = country_of(100, "e3", moves_per_s=1.0)
    country.do(drain("e1", country.now_ms + MARGIN_MS + 2_000))
    mover = Mover()
    steps = 0
    while not country.state.relays["e1"].load.is_empty:
        step(country, mover)
        steps += 1
        assert steps * TICK_MS <= 2_000 + MARGIN_MS


def test_no_more_than_so_many_are_on_their_way_to_one_relay() -> None:
    """Others wait until some have said that they went."""
    country = country_of(40, "e3", moves_per_s=1_000.0, moves_at_once=7)
    country.do(drain("e1"))
    mover = Mover()
    for _ in range(5):
        step(country, mover, answers=False)
    assert country.state.relays["e1"].load.leavers == 7
    for key in sorted(country.state.ledger.leaving):
        country.report_moved(key[1], "e1", country.seat(key[1]).primary)
    for _ in range(20):
        step(country, mover, answers=False)
    assert country.state.relays["e1"].load.leavers == 7


def test_the_seat_that_a_hall_plays_from_is_charged_until_it_went() -> None:
    """A newcomer does not get it while the hall may still be sent media there."""
    country = country_of(2, "e3")
    country.do(MoveHalls(hall_ids=["h000"], to="e3", reason="cân tải"))
    charged = country.state.relays["e1"].load.charged_milliseats
    (event,) = step(country, Mover(), answers=False)
    assert isinstance(event, HallAssigned)
    assert (event.primary, event.backup, event.reason) == ("e3", "e2", "ordered")
    assert country.seat("h000").leaving == "e1"
    assert country.state.relays["e1"].load.charged_milliseats == charged
    country.report_moved("h000", "e1", "e3")
    assert country.state.relays["e1"].load.charged_milliseats == charged - 1_000


@pytest.mark.parametrize("ending", ["silence", "leave", "loss"])
def test_a_hall_that_never_says_so_holds_its_former_seat_no_longer_than_it_may(ending: str) -> None:
    """Patience ends, or the hall leaves, or the relay is lost: the seat is free, once."""
    country, mover = country_of(1, "e3"), Mover()
    country.do(MoveHalls(hall_ids=["h000"], to="e3", reason="cân tải"))
    step(country, mover, answers=False)
    load = country.state.relays["e1"].load
    assert load.leavers == 1
    if ending == "silence":
        country.now_ms += 4_000
        assert not step(country, mover)
        country.now_ms += 1_000
        (event,) = step(country, mover)
        assert event == HallReleased(conference_id="hn", hall_id="h000", relay_id="e1")
    elif ending == "leave":
        country.do(LeaveHall(conference_id="hn", hall_id="h000"))
    else:
        country.do(LoseRelay(relay_id="e1", epoch=1, goodbye=False, last_seen_ms=1))
        assert country.relays_of("h000") == ("e3", "e2")
    assert load.leavers == 0
    assert not country.state.ledger.leaving


def test_a_hall_that_could_not_go_is_sent_elsewhere_or_stays() -> None:
    """It says that it stayed: on a relay that is drained it may not; on another it may."""
    country, mover = country_of(1, "e3", "e4"), Mover()
    country.do(drain("e1"))
    step(country, mover, answers=False)
    assert country.relays_of("h000") == ("e2", "e3")
    country.report_moved("h000", "e2", "e1", "refused")
    assert country.relays_of("h000") == ("e3", "e4")
    assert country.seat("h000").leaving == "e1"
    country.report_moved("h000", "e1", "e3")
    assert country.state.relays["e1"].load.is_empty

    country.do(MoveHalls(hall_ids=["h000"], to="e2", reason="cân tải"))
    step(country, mover, answers=False)
    country.report_moved("h000", "e2", "e3", "refused")
    assert country.relays_of("h000") == ("e3", "e4")
    assert not country.seat("h000").leaving


def test_halls_without_room_wait_for_a_relay_and_stand_in_nobodys_way() -> None:
    """Those that can leave do; the others leave when room comes."""
    country = Country(Policy(media=MediaCost(bits_per_s=1, packets_per_s=1), moves_per_s=50.0))
    hall_ids = [f"h{number:02}" for number in range(12)]
    country.open_conference(*hall_ids)
    country.register("e1", seats=12)
    for hall_id in hall_ids:
        country.join(hall_id)
    country.do(drain("e1"))
    country.register("e2", seats=4)
    mover = Mover()
    for _ in range(30):
        step(country, mover)
    assert country.state.relays["e2"].load.primaries == 4
    assert country.state.relays["e1"].load.primaries == 8
    country.register("e3", seats=20)
    for _ in range(50):
        step(country, mover)
    assert country.state.relays["e1"].load.is_empty


def test_halls_without_room_make_nobody_faster_after_their_deadline() -> None:
    """What cannot be moved needs no pace; the others keep to theirs."""
    country = Country(Policy(media=MediaCost(bits_per_s=1, packets_per_s=1), moves_per_s=10.0))
    real, virtual = ([f"{kind}{number:02}" for number in range(20)] for kind in "hv")
    country.open_conference(*real, *virtual)
    country.register("e1", "v1", "v2", seats=60)
    for hall_id in (*real, *virtual):
        country.join(hall_id)
    country.register("v3", seats=60)
    country.do(drain("e1", country.now_ms + 2_000))
    country.do(drain("v1"))
    country.now_ms += 10_000
    mover, moved = Mover(), 0
    for _ in range(10):
        moved += len(assigned(step(country, mover)))
    assert 8 <= moved <= 14
    assert country.state.relays["e1"].load.primaries == len(real)


def test_another_coordinator_goes_on_where_the_last_one_stopped() -> None:
    """Nothing but the pace is the mover's own."""
    country = country_of(30, "e3", moves_per_s=20.0)
    country.do(drain("e1"))
    moved: list[str] = []
    for _ in range(60):
        moved += assigned(step(country, Mover()))
        moved += assigned(step(country, Mover()))
    assert country.state.relays["e1"].load.is_empty
    assert len(moved) == len(set(moved))
