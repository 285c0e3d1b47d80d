"""Rules of relays: registration, restart, loss, and where a publisher goes."""

from __future__ import annotations

import msgspec
import pytest
from support.country import Country, register_message

from conference.assignment import settle
from conference.attendance.standing import hall_status
from conference.commands import AuthorisePublisher, ChangePhase, LoseRelay, NoteRelays, ObservePresence, RegisterRelay
from conference.errors import RejectedError
from conference.events import HallAssigned, PresenceObserved, PublishingAuthorised, RelayLost, RelayRegistered
from conference.policy import MediaCost, Policy
from conference.state import apply
from relay.messages import Register, SessionOpened


def session(hall_id: str = "h1", conference_id: str = "hn", session_id: str = "s1") -> SessionOpened:
    """An open session."""
    return SessionOpened(session_id=session_id, subject=hall_id, conference=conference_id, feed="program", at_ms=2_000)


def lose(relay_id: str, epoch: int = 1) -> LoseRelay:
    """A lease expires."""
    return LoseRelay(relay_id=relay_id, epoch=epoch, goodbye=False, last_seen_ms=2_500)


def test_each_registration_has_the_next_epoch() -> None:
    """Also after a loss, and after a reconnection of the same process."""
    country = Country()
    country.register("e1", "e1")
    assert country.state.relays["e1"].epoch == 2
    country.do(lose("e1", epoch=2))
    assert country.state.relays["e1"].status == "lost"
    country.register("e1")
    assert (country.state.relays["e1"].epoch, country.state.relays["e1"].status) == (3, "live")


def test_a_reconnection_keeps_the_halls() -> None:
    """The same instance registers again: nobody moves."""
    country = Country()
    country.open_conference("h1")
    country.register("e1", "e2")
    country.join("h1")
    events = country.do(RegisterRelay(register=register_message("e1", "01", sessions=[session()])))
    assert [type(event) for event in events] == [RelayRegistered, PresenceObserved]
    assert country.relays_of("h1") == ("e1", "e2")
    assert hall_status(country.state, "hn", "h1") == "present"


def test_a_relay_that_comes_back_as_it_was_leaves_the_tree_alone() -> None:
    """Nothing is planned anew for it, so that hundreds may come back at once; it is, where line or province changed."""
    country = Country()
    country.register("o1", "e1", "e2")
    pool, parents = country.state.ledger.pools[False], country.state.parents
    country.register("e1", "e2", "o1")
    assert country.state.ledger.pools[False] is pool
    assert country.state.parents == parents
    assert [country.state.relays[relay_id].epoch for relay_id in ("o1", "e1", "e2")] == [2, 2, 2]
    country.register("e1", seats=11)
    assert country.state.ledger.pools[False] is not pool
    assert country.state.relays["e1"].load.hard_seats == 11
    pool = country.state.ledger.pools[False]
    country.do(RegisterRelay(register=register_message("e1", "02", seats=11)))
    assert country.state.ledger.pools[False] is not pool
    assert country.state.relays["e1"].load.region == "02"


def test_a_new_instance_of_a_live_relay_closes_the_old_one() -> None:
    """Its halls went to their backups when the process died; it becomes their backup again."""
    country = Country()
    country.open_conference("h1")
    country.register("e1", "e2")
    country.join("h1")
    country.do(ObservePresence(relay_id="e1", deltas=[session()]))
    events = country.do(RegisterRelay(register=register_message("e1", "01", instance_id="i2")))
    assert [type(event) for event in events] == [RelayLost, HallAssigned, RelayRegistered, HallAssigned]
    assert country.relays_of("h1") == ("e2", "e1")
    assert hall_status(country.state, "hn", "h1") == "lost"


def test_presence_ends_when_a_restarted_relay_was_last_heard() -> None:
    """After an outage of everything, presence ends at the last moment known, not when the relay came back."""
    country = Country()
    country.open_conference("h1")
    country.register("e1")
    country.join("h1")
    country.do(ObservePresence(relay_id="e1", deltas=[session()]))
    country.do(NoteRelays(relay_ids=["e1", "unknown"]))
    noted_ms = country.now_ms
    country.now_ms += 1_200_000  # a power cut of twenty minutes
    events = country.do(RegisterRelay(register=register_message("e1", "01", instance_id="i2")))
    assert isinstance(events[0], RelayLost)
    assert events[0].last_seen_ms == noted_ms
    assert country.state.presence["hn"]["h1"].last_seen_ms == noted_ms


def test_a_lease_knows_better_than_the_journal_when_a_relay_was_heard() -> None:
    """What the caller heard last counts where it is later, and never the future."""
    country = Country()
    country.open_conference("h1")
    country.register("e1")
    country.now_ms += 100_000
    heard_ms = country.now_ms - 500
    register = register_message("e1", "01", instance_id="i2")
    (lost, *_) = country.do(RegisterRelay(register=register, last_seen_ms=heard_ms))
    assert isinstance(lost, RelayLost)
    assert lost.last_seen_ms == heard_ms
    register = register_message("e1", "01", instance_id="i3")
    (lost, *_) = country.do(RegisterRelay(register=register, last_seen_ms=country.now_ms + 10_000_000))
    assert isinstance(lost, RelayLost)
    assert lost.last_seen_ms == country.now_ms


def test_a_coordinator_at_rest_notes_nothing() -> None:
    """Without a conference that counts presence no relay is noted."""
    country = Country()
    country.open_conference("h1")
    country.register("e1")
    assert country.do(NoteRelays(relay_ids=["e1"])) != []
    country.do(ChangePhase(conference_id="hn", phase="ended"))
    assert country.do(NoteRelays(relay_ids=["e1"])) == []


def test_the_loss_of_a_relay_moves_its_halls_to_their_backups() -> None:
    """The backup becomes primary and another is chosen; halls that had it as backup get a new one; others stay."""
    country = Country()
    country.open_conference("h1", "h2", "h3")
    country.register("e1", "e2")
    country.join("h1")
    country.join("h2")
    country.register("e3", "e4")
    country.join("h3")
    before = {hall_id: country.relays_of(hall_id) for hall_id in ("h1", "h2", "h3")}
    assert before == {"h1": ("e1", "e2"), "h2": ("e2", "e1"), "h3": ("e3", "e4")}
    events = country.do(lose("e1"))
    assert isinstance(events[0], RelayLost)
    assert {event.hall_id for event in events[1:] if isinstance(event, HallAssigned)} == {"h1", "h2"}
    for hall_id in ("h1", "h2"):
        primary, backup = country.relays_of(hall_id)
        assert primary == "e2"
        assert backup in {"e3", "e4"}
        assert country.seat(hall_id).epoch == 2
    assert country.relays_of("h3") == before["h3"]


def test_the_loss_of_a_backup_gives_another() -> None:
    """The primary stays."""
    country = Country()
    country.open_conference("h1")
    country.register("e1", "e2", "e3")
    country.join("h1")
    country.do(lose("e2"))
    assert country.relays_of("h1") == ("e1", "e3")


def test_a_stale_or_repeated_loss_is_nothing() -> None:
    """A lease that was replaced, or that has ended, cannot end again."""
    country = Country()
    country.register("e1", "e1")
    assert country.do(lose("e1", epoch=1)) == []
    assert len(country.do(lose("e1", epoch=2))) == 1
    assert country.do(lose("e1", epoch=2)) == []


def test_a_hall_whose_last_relay_is_lost_waits_for_the_next() -> None:
    """It keeps its seat on paper, and gets the first relay that comes."""
    country = Country()
    country.open_conference("h1")
    country.register("e1")
    country.join("h1")
    assert len(country.do(lose("e1"))) == 1
    assert country.relays_of("h1") == ("e1", "")
    country.register("e2")
    assert country.relays_of("h1") == ("e2", "")
    country.register("e3")
    assert country.relays_of("h1") == ("e2", "e3")


def test_missing_backups_come_a_few_at_a_time() -> None:
    """A registration gives as many as the policy allows in one decision, `settle` the others."""
    country = Country(Policy(media=MediaCost(bits_per_s=1, packets_per_s=1), assignments_per_decision=3))
    country.open_conference(*(f"h{n}" for n in range(8)))
    country.register("e1")
    for n in range(8):
        country.join(f"h{n}")
    country.register("e2")
    given = [sum(bool(country.seat(f"h{n}").backup) for n in range(8))]
    while events := settle(country.state):
        for event in events:
            apply(country.state, event, 0)
        given.append(sum(bool(country.seat(f"h{n}").backup) for n in range(8)))
    assert given == [3, 6, 8]
    assert not country.state.ledger.unsettled


@pytest.mark.parametrize(
    ("register", "code"),
    [
        (register_message("bad id"), "bad_id"),
        (register_message("e9", "Hà Nội"), "bad_id"),
        (register_message("e9", seats=0), "bad_capacity"),
        (register_message("e1", virtual=True), "relay_kind"),
    ],
)
def test_registrations_that_are_refused(register: Register, code: str) -> None:
    """Ids, capacity and kind are checked."""
    country = Country()
    country.register("e1")
    with pytest.raises(RejectedError) as caught:
        country.do(RegisterRelay(register=register))
    assert caught.value.code == code


def test_presence_of_strangers_is_ignored() -> None:
    """Unknown halls and conferences, real halls at virtual relays, and times that no clock shows, are no presence."""
    country = Country()
    country.open_conference("h1", "v1")
    country.register("e1", "ve")
    for relay_id, delta in [
        ("e1", session("nobody")),
        ("e1", session(conference_id="none")),
        ("e1", session("v1")),
        ("ve", session("h1")),
        ("e1", session(session_id="x" * 129)),
        ("e1", msgspec.structs.replace(session(), at_ms=-1)),
        ("e1", msgspec.structs.replace(session(), at_ms=10**40)),
    ]:
        assert country.do(ObservePresence(relay_id=relay_id, deltas=[delta])) == []
    assert len(country.do(ObservePresence(relay_id="ve", deltas=[session("v1")]))) == 1
    with pytest.raises(RejectedError, match="no relay"):
        country.do(ObservePresence(relay_id="e9", deltas=[session()]))


def authorise(country: Country, feed: str = "program") -> str:
    """The origin of a feed."""
    return authorise_all(country, feed)[0]


def authorise_all(country: Country, feed: str = "program") -> list[str]:
    """The origins of a feed, the first one first."""
    (event,) = country.do(AuthorisePublisher(conference_id="hn", feed=feed))
    assert isinstance(event, PublishingAuthorised)
    assert country.state.conferences["hn"].backup_origins[feed] == event.backup_relay_ids
    return [event.relay_id, *event.backup_relay_ids]


def test_a_publisher_goes_to_the_origin_of_most_relays_and_stays() -> None:
    """It returns to the same origin while that lives, and goes to the other when it is lost."""
    country = Country()
    country.open_conference("h1")
    country.register("o1", "o2", "e1", "e2")
    assert authorise(country) == "o1"
    assert authorise(country) == "o1"
    country.do(lose("o1"))
    assert authorise(country) == "o2"
    country.register("o1")
    assert authorise(country) == "o2"


def test_a_publisher_feeds_a_second_origin_and_every_origin_that_relays_hang_on() -> None:
    """One alone has no second; of three, the third is fed only while a relay hangs on it."""
    country = Country()
    country.open_conference("h1")
    country.register("o1", "e1")
    assert authorise_all(country) == ["o1"]
    country.register("o2", "o3")
    assert authorise_all(country) == ["o1", "o2"]
    assert country.state.parents["e1"] == ["o1", "o2"]
    country.do(lose("o2"))
    assert authorise_all(country) == ["o1", "o3"]
    country.register("o2")
    assert country.state.parents["e1"] == ["o1", "o3"]
    assert authorise_all(country) == ["o1", "o2", "o3"], "e1 keeps its backup parent, which therefore needs the feed"


def test_publishers_that_are_refused() -> None:
    """No origin, an unknown feed, and a conference that is over."""
    country = Country()
    country.open_conference("h1")
    country.register("e1")
    for feed, code in [("program", "no_origin"), ("slides", "unknown_feed")]:
        with pytest.raises(RejectedError) as caught:
            authorise(country, feed)
        assert caught.value.code == code
    country.do(ChangePhase(conference_id="hn", phase="ended"))
    with pytest.raises(RejectedError) as caught:
        authorise(country)
    assert caught.value.code == "wrong_phase"


def cut_off_and_back(*meanwhile: ObservePresence, seats: int = 10) -> Country:
    """Two halls play from e1, whose line is cut for longer than its lease; then it registers, and has them still."""
    country = Country()
    country.open_conference("h1", "h2")
    country.register("e1", "e2", "e3")
    playing = [session(), session("h2", session_id="s2")]
    for opened in playing:
        country.join(opened.subject)
        if country.relays_of(opened.subject)[0] != "e1":
            country.report_moved(opened.subject, country.relays_of(opened.subject)[0], "e1")
    country.do(ObservePresence(relay_id="e1", deltas=list(playing)))
    country.do(lose("e1"))
    assert "e1" not in country.relays_of("h1") + country.relays_of("h2")
    for observed in meanwhile:
        country.do(observed)
    country.do(RegisterRelay(register=register_message("e1", "01", seats=seats, sessions=playing)))
    return country


def test_halls_that_were_cut_off_with_their_relay_are_adopted_where_they_play() -> None:
    """Nobody could tell them of their new relays: the seats go to them, with a backup beside."""
    country = cut_off_and_back()
    for hall_id in ("h1", "h2"):
        primary, backup = country.relays_of(hall_id)
        assert primary == "e1"
        assert backup in {"e2", "e3"}
        assert hall_status(country.state, "hn", hall_id) == "present"


def test_a_hall_that_went_elsewhere_meanwhile_is_not_fetched_back() -> None:
    """Its relay lists it for as long as it takes to notice that the hall is gone."""
    country = cut_off_and_back(ObservePresence(relay_id="e2", deltas=[session(session_id="s3")]))
    assert country.relays_of("h1")[0] != "e1"
    assert country.relays_of("h2")[0] == "e1"


def test_nobody_is_adopted_beyond_the_hard_limit() -> None:
    """A relay that came back smaller takes whom it has room for; the other stays where its seat is."""
    country = cut_off_and_back(seats=1)
    assert [country.relays_of(hall_id)[0] == "e1" for hall_id in ("h1", "h2")] == [True, False]
    assert country.state.relays["e1"].load.charged_milliseats == 1_000
