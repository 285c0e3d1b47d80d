"""Operators' orders: what stands, what is refused, and which halls are to move because of it."""

from __future__ import annotations

import pytest
from support.country import Country, only_assignment, register_message

from conference.commands import (
    AuthorisePublisher,
    ChangeLimits,
    Command,
    ExcludeRelays,
    LoseRelay,
    MoveHalls,
    OrderRelay,
    PauseJoins,
    PinHall,
    ResumeJoins,
)
from conference.errors import RejectedError
from conference.events import HallAssigned, HallsOrdered, PublishingAuthorised
from conference.planner.loads import RelayMode
from conference.snapshot import decode_state, encode_state, fingerprint


def order(relay_id: str, mode: RelayMode, deadline_ms: int = 0) -> OrderRelay:
    """An order about a relay."""
    return OrderRelay(relay_id=relay_id, mode=mode, deadline_ms=deadline_ms, reason="bảo trì")


def mode_of(country: Country, relay_id: str) -> RelayMode:
    """How a relay serves."""
    return country.state.relays[relay_id].load.mode


def settled(*relay_ids: str) -> Country:
    """Three halls that play from the first relay and wait on the second, and then the other relays."""
    country = Country()
    country.open_conference("h1", "h2", "h3", "h4")
    country.register(relay_ids[0])
    for hall_id in ("h1", "h2", "h3"):
        country.join(hall_id)
    country.register(*relay_ids[1:])
    return country


def test_a_cordoned_relay_keeps_what_it_has_and_takes_nothing() -> None:
    """Its halls stay, newcomers and new backups go elsewhere, whoever registers under its id."""
    country = settled("e1", "e2", "e3", "e4")
    before = country.relays_of("h1")
    country.do(order("e1", "cordoned"))
    assert country.relays_of("h1") == before == ("e1", "e2")
    assert not country.state.ledger.misplaced
    country.join("h4")
    assert "e1" not in country.relays_of("h4")
    country.do(LoseRelay(relay_id="e1", epoch=1, goodbye=True, last_seen_ms=1))
    country.register("e1")
    assert mode_of(country, "e1") == "cordoned"
    country.do(LoseRelay(relay_id="e2", epoch=1, goodbye=True, last_seen_ms=1))
    assert all("e1" not in country.relays_of(hall_id) for hall_id in ("h1", "h2", "h3", "h4"))
    country.do(order("e1", "open"))
    assert mode_of(country, "e1") == "open"
    assert "e1" not in country.state.orders.relays


def test_a_cordoned_relay_gets_no_children_and_a_drained_one_loses_them() -> None:
    """Present children stay below a cordoned relay; they leave one that is drained while another has room."""
    country = Country()
    for relay_id in ("o1", "o2"):
        country.register(relay_id, seats=2)
    country.register("e1", "e2")
    assert country.state.parents["e1"] == ["o1", "o2"]
    country.do(order("o1", "cordoned"))
    country.register("e3")
    assert country.state.parents["e1"] == ["o1", "o2"]
    assert "o1" not in country.state.parents["e3"]
    country.register("o3", seats=6)
    country.do(order("o1", "draining"))
    assert all("o1" not in parents for parents in country.state.parents.values())
    assert country.state.relays["o1"].load.is_empty


def test_children_whom_nobody_else_can_feed_stay_below_a_drained_relay() -> None:
    """A feed from a relay that is to go is better than none."""
    country = Country()
    country.register("o1", "e1")
    country.do(order("o1", "draining"))
    assert country.state.parents["e1"] == ["o1"]
    country.register("o2")
    assert country.state.parents["e1"] == ["o2"]


def test_a_publisher_is_sent_to_no_origin_that_is_to_be_emptied() -> None:
    """It keeps the origin of a cordon, and leaves that of a drain unless relays hang on it."""
    country = Country()
    country.open_conference("h1")
    country.register("o1", "o2", "e1")

    def origins() -> list[str]:
        (event,) = country.do(AuthorisePublisher(conference_id="hn", feed="program"))
        assert isinstance(event, PublishingAuthorised)
        return [event.relay_id, *event.backup_relay_ids]

    assert origins() == ["o1", "o2"]
    country.do(order("o1", "cordoned"))
    assert origins() == ["o1", "o2"]
    country.do(order("o1", "draining"))
    assert origins() == ["o2"]


def test_evacuated_halls_go_to_their_standbys_at_once_and_are_charged_until_they_say_so() -> None:
    """Every hall is assigned in the order's own decision; the relay is empty when they have all reported."""
    country = settled("e1", "e2", "e3")
    events = country.do(order("e1", "evacuating"))
    assert sorted(event.hall_id for event in events if isinstance(event, HallAssigned)) == ["h1", "h2", "h3"]
    assert {country.relays_of(hall_id) for hall_id in ("h1", "h2", "h3")} == {("e2", "e3")}
    assert {country.seat(hall_id).leaving for hall_id in ("h1", "h2", "h3")} == {"e1"}
    assert country.state.relays["e1"].load.leavers == 3
    assert not country.state.relays["e1"].load.is_empty
    for hall_id in ("h1", "h2", "h3"):
        country.report_moved(hall_id, "e1", "e2")
    assert country.state.relays["e1"].load.is_empty


def test_a_relay_that_nobody_can_leave_keeps_its_halls() -> None:
    """Where there is no room elsewhere an evacuation changes nothing, until a relay comes."""
    country = Country()
    country.open_conference("h1")
    country.register("e1")
    country.join("h1")
    assert len(country.do(order("e1", "evacuating"))) == 1
    assert country.relays_of("h1") == ("e1", "")
    country.register("e2")
    assert country.relays_of("h1") == ("e2", "")


def test_halls_are_moved_once_where_there_is_room_for_all() -> None:
    """The order stands in their seats; a repetition is nothing; without a target it is taken back."""
    country = settled("e1", "e2", "e3")
    move = MoveHalls(hall_ids=["h1", "h2"], to="e3", reason="cân tải")
    assert len(country.do(move)) == 1
    assert country.do(move) == []
    assert {key[1] for key in country.state.ledger.misplaced} == {"h1", "h2"}
    country.do(MoveHalls(hall_ids=["h1"], reason="thôi"))
    assert {key[1] for key in country.state.ledger.misplaced} == {"h2"}
    (event,) = country.do(MoveHalls(unit="01", away="e2", reason="đường truyền"))
    assert isinstance(event, HallsOrdered)
    assert (event.hall_ids, event.subject) == (["h1", "h2", "h3"], "01")
    assert country.do(MoveHalls(unit="02", away="e2", reason="đường truyền")) == []


def test_of_a_unit_the_halls_of_the_relays_kind_are_moved() -> None:
    """Real and virtual halls stand side by side in it."""
    country = Country()
    country.open_conference("h1", "v-h1")
    country.register("e1", "e2", "e3", "v1", "v2", "v3")
    country.join("h1")
    country.join("v-h1")
    (event,) = country.do(MoveHalls(unit="01", to="v3", reason="cân tải"))
    assert isinstance(event, HallsOrdered)
    assert event.hall_ids == ["v-h1"]


def test_a_pinned_hall_goes_to_its_pins() -> None:
    """The order to go there is given with the pin; unpinned it stays where it is."""
    country = settled("e1", "e2", "e3", "e4")
    country.do(PinHall(hall_id="h1", relay_ids=("e4", "e3"), reason="cáp riêng"))
    assert (country.seat("h1").wanted, country.seat("h1").unwanted) == ("e4", "e2")
    assert country.state.wish("h1").pins == ("e4", "e3")
    country.do(PinHall(hall_id="h1", relay_ids=(), reason="xong"))
    assert country.state.wish("h1").pins == ()
    country.do(PinHall(hall_id="h4", relay_ids=("e4", "e3"), reason="cáp riêng"))
    country.join("h4")
    assert country.relays_of("h4") == ("e4", "e3")


def test_excluded_relays_are_left_and_not_given_again() -> None:
    """By hall or by region; an empty list ends it."""
    country = settled("e1", "e2", "e3")
    country.do(ExcludeRelays(subject="01", relay_ids=("e1",), reason="tuyến cáp đứt"))
    assert {key[1] for key in country.state.ledger.misplaced} == {"h1", "h2", "h3"}
    country.join("h4")
    assert "e1" not in country.relays_of("h4")
    country.do(ExcludeRelays(subject="01", relay_ids=(), reason="đã nối"))
    assert not country.state.ledger.misplaced


def test_a_pause_keeps_out_newcomers_alone() -> None:
    """A hall with a seat joins again; one that left is a newcomer; the refusal says when to come back."""
    country = settled("e1", "e2")
    pause = PauseJoins(conference_id="hn", retry_after_s=30, reason="quá tải")
    country.do(pause)
    assert country.do(pause) == []
    assert country.join("h1") == []
    with pytest.raises(RejectedError) as caught:
        country.join("h4")
    assert (caught.value.code, caught.value.status, caught.value.retry_after_s) == ("joins_paused", 503, 30)
    country.do(ResumeJoins(reason="xong"))
    with pytest.raises(RejectedError):
        country.join("h4")
    country.do(ResumeJoins(conference_id="hn", reason="xong"))
    only_assignment(country.join("h4"))


def test_limits_change_for_all_and_for_one() -> None:
    """A relay's own limits come before those of all; both 0 give back what held before."""
    country = settled("e1", "e2", "e3")

    def hard(relay_id: str) -> int:
        return country.state.relays[relay_id].load.hard_seats

    country.do(ChangeLimits(soft_limit=0.3, hard_limit=0.5, reason="tổng duyệt"))
    country.do(ChangeLimits(relay_id="e3", soft_limit=0.9, hard_limit=0.9, reason="máy mới"))
    assert (hard("e1"), hard("e3")) == (5, 9)
    country.do(ChangeLimits(relay_id="e3", soft_limit=0, hard_limit=0, reason="thôi"))
    country.do(ChangeLimits(soft_limit=0, hard_limit=0, reason="thôi"))
    assert (hard("e1"), hard("e3")) == (10, 10)
    with pytest.raises(RejectedError, match="e1, e2") as caught:
        country.do(ChangeLimits(soft_limit=0.2, hard_limit=0.2, reason="quá nóng"))
    assert caught.value.code == "limits_below_charged"


REASON = "bảo trì"
REFUSED: list[tuple[Command, str]] = [
    (OrderRelay(relay_id="e1", mode="cordoned", reason=" "), "bad_reason"),
    (OrderRelay(relay_id="e1", mode="cordoned", reason="x" * 501), "bad_reason"),
    (OrderRelay(relay_id="e9", mode="cordoned", reason=REASON), "unknown_relay"),
    (OrderRelay(relay_id="e1", mode="draining", deadline_ms=1, reason=REASON), "bad_deadline"),
    (OrderRelay(relay_id="e1", mode="cordoned", deadline_ms=10**15, reason=REASON), "bad_deadline"),
    (MoveHalls(reason=REASON), "bad_halls"),
    (MoveHalls(hall_ids=["h1"], unit="01", reason=REASON), "bad_halls"),
    (MoveHalls(hall_ids=["h1"], to="e1", away="e1", reason=REASON), "bad_target"),
    (MoveHalls(hall_ids=["h9"], to="e3", reason=REASON), "unknown_hall"),
    (MoveHalls(hall_ids=["h4"], to="e3", reason=REASON), "not_joined"),
    (MoveHalls(unit="77", to="e3", reason=REASON), "unknown_unit"),
    (MoveHalls(unit="01", to="small", reason=REASON), "no_room"),
    (MoveHalls(unit="01", to="o1", reason=REASON), "relay_role"),
    (MoveHalls(hall_ids=["h1"], to="v1", reason=REASON), "relay_kind"),
    (MoveHalls(unit="01", to="shut", reason=REASON), "relay_closed"),
    (MoveHalls(unit="01", to="gone", reason=REASON), "relay_lost"),
    (PinHall(hall_id="h1", relay_ids=("e1", "e1"), reason=REASON), "bad_pins"),
    (PinHall(hall_id="h1", relay_ids=("v1",), reason=REASON), "relay_kind"),
    (ExcludeRelays(subject="00004", relay_ids=("e1",), reason=REASON), "unknown_subject"),
    (ExcludeRelays(subject="h1", relay_ids=("e9",), reason=REASON), "unknown_relay"),
    (PauseJoins(conference_id="none", reason=REASON), "unknown_conference"),
    (PauseJoins(retry_after_s=0, reason=REASON), "bad_retry_after"),
    (ResumeJoins(conference_id="none", reason=REASON), "unknown_conference"),
    (ChangeLimits(soft_limit=0.9, hard_limit=0.5, reason=REASON), "bad_limits"),
    (ChangeLimits(soft_limit=0.5, hard_limit=float("nan"), reason=REASON), "bad_limits"),
    (ChangeLimits(relay_id="e9", soft_limit=0.5, hard_limit=0.5, reason=REASON), "unknown_relay"),
]


@pytest.mark.parametrize(("command", "code"), REFUSED)
def test_orders_that_are_refused(command: Command, code: str) -> None:
    """Each refusal has its code, and changes nothing."""
    country = settled("e1", "e2", "shut", "gone")
    country.register("small", seats=2)
    country.register("v1", "ve", "o1")
    country.do(order("shut", "cordoned"))
    country.do(LoseRelay(relay_id="gone", epoch=1, goodbye=True, last_seen_ms=1))
    before = fingerprint(country.state)
    with pytest.raises(RejectedError) as caught:
        country.do(command)
    assert caught.value.code == code
    assert fingerprint(country.state) == before


def test_orders_are_listed_with_who_when_and_why_and_outlive_a_snapshot() -> None:
    """The newest thousand; the journal has them all."""
    country = settled("e1", "e2", "e3")
    country.do(order("e1", "draining", country.now_ms + 60_000), actor="user:truc")
    country.do(PauseJoins(reason="quá tải"), actor="user:truc")
    restored = decode_state(encode_state(country.state), country.state.policy)
    assert [(each.actor, each.action, each.subject, each.reason) for each in restored.orders.operations] == [
        ("user:truc", "relay_mode_changed", "e1", "bảo trì"),
        ("user:truc", "joins_paused", "", "quá tải"),
    ]
    assert restored.relays["e1"].load.mode == "draining"
    assert restored.ledger.misplaced == country.state.ledger.misplaced
    for number in range(1_100):
        country.do(order("e1", "open" if number % 2 else "cordoned"))
    assert len(country.state.orders.operations) == 1_000


def test_a_relay_registers_into_its_limits() -> None:
    """Also when it was never seen before under limits of all."""
    country = settled("e1", "e2", "e3")
    country.do(ChangeLimits(soft_limit=0.5, hard_limit=0.5, reason="tổng duyệt"))
    country.register("e5")
    assert country.state.relays["e5"].load.hard_seats == 5
    assert register_message("e5").capacity.bits_per_s == 10
