from collections.abc import Iterable

import pytest
from support.country import Country, register_message

from bridges.halls import Hall
from bridges.messages import MovedReport, MoveReason
from conference.commands import ClearRelay, ImportHalls, LoseRelay, OrderRelay, RegisterRelay, ReportMove, SuspectRelay
from conference.decide import decide
from conference.doubts import FIRST_MS, FORGET_MS, MAX_MS
from conference.events import RelayCleared, RelaySuspected
from conference.planner.loads import RelayMode
from conference.snapshot import decode_state, encode_state, fingerprint
from conference.state import State, apply
from conference.suspicion import Suspicions

EDGES = ("a", "b", "c", "d")


class Watched:
    """A country of one province and four edges, halls seated evenly, and the watch over its journal."""

    def __init__(self, halls: int = 24, edges: Iterable[str] = EDGES) -> None:
        self.country = Country()
        names = [f"h{number:02}" for number in range(halls)]
        self.country.open_conference(*names)
        self.country.register(*edges, seats=4 * halls)
        # Halls of the second province, to tell a province's fault from a relay's.
        others = [Hall(hall_id=f"k{name}", name=name, unit="02", level="base", seats=9) for name in names]
        self.country.do(ImportHalls(halls=others))
        for name in names:
            self.country.join(name)
        self.suspicions = Suspicions()
        self.heard = len(self.country.journal)

    @property
    def state(self) -> State:
        """Of the country."""
        return self.country.state

    def on(self, relay_id: str) -> list[str]:
        """Halls that play from a relay."""
        seats = self.state.conferences["hn"].seats
        return sorted(hall_id for hall_id, seat in seats.items() if seat.primary == relay_id)

    def leave(self, hall_ids: Iterable[str], reason: MoveReason = "silence", from_relay: str = "") -> None:
        """Halls report, at one moment, that they went to their backups."""
        for hall_id in hall_ids:
            seat = self.country.seat(hall_id)
            report = MovedReport(
                epoch=seat.epoch,
                from_relay=from_relay or seat.primary,
                to_relay=seat.backup,
                reason=reason,
                interruption_ms=350.0,
            )
            command = ReportMove(conference_id="hn", hall_id=hall_id, report=report)
            self.country.write(decide(self.state, command, self.country.now_ms))

    def verdicts(self, avoid: frozenset[str] = frozenset()) -> list[SuspectRelay | ClearRelay]:
        """What the watch makes of everything so far."""
        for at_ms, event in self.country.journal[self.heard :]:
            self.suspicions.handle_event(event, at_ms)
        self.heard = len(self.country.journal)
        return self.suspicions.next_commands(self.state, self.country.now_ms, avoid)

    def suspect(self, relay_id: str = "a") -> None:
        """All halls leave, and the verdict is carried out."""
        self.leave(self.on(relay_id))
        (verdict,) = self.verdicts()
        assert isinstance(verdict, SuspectRelay)
        self.country.do(verdict)


def test_a_relay_that_all_its_halls_left_is_suspected_and_takes_no_more() -> None:
    """The verdict is an event, newcomers go elsewhere, and the relay is emptied as if it were drained."""
    watched = Watched()
    halls = watched.on("a")
    watched.leave(halls)
    assert watched.verdicts() == [SuspectRelay(relay_id="a", left=len(halls), halls=len(halls))]
    (event,) = watched.country.do(SuspectRelay(relay_id="a", left=len(halls), halls=len(halls)))
    assert isinstance(event, RelaySuspected)
    assert event.until_ms == watched.country.now_ms + FIRST_MS
    assert watched.state.is_suspected("a")
    assert watched.state.relays["a"].load.mode == "draining"
    for number in range(12):
        watched.country.join(f"kh{number:02}")
        assert "a" not in watched.country.relays_of(f"kh{number:02}")


def test_half_of_the_halls_are_enough_and_fewer_are_not() -> None:
    """Shares count: some that leave, for whatever reason of their own, say nothing about the relay."""
    watched = Watched()
    halls = watched.on("a")
    half = -(-len(halls) // 2)
    watched.leave(halls[: half - 1])
    assert watched.verdicts() == []
    watched.leave(halls[half - 1 : half])
    assert watched.verdicts() == [SuspectRelay(relay_id="a", left=half, halls=len(halls))]


def test_halls_of_other_relays_cannot_accuse() -> None:
    """Only reports about the relay that the coordinator had a hall on count, and each hall counts once."""
    watched = Watched()
    strangers = [hall for relay_id in "bcd" for hall in watched.on(relay_id)]
    watched.leave(strangers[:2] * 3, from_relay="a")
    assert watched.verdicts() == []


def test_moves_that_an_assignment_asked_for_accuse_nobody() -> None:
    """A relay that is emptied by order is not suspected for it."""
    watched = Watched()
    watched.leave(watched.on("a"), reason="assignment")
    assert watched.verdicts() == []


def test_two_halls_are_too_few_for_a_verdict() -> None:
    """A relay with two halls is not judged by them."""
    watched = Watched(halls=8)
    assert len(watched.on("a")) == 2
    watched.leave(watched.on("a"))
    assert watched.verdicts() == []


def test_a_province_that_left_alone_is_the_cause_itself() -> None:
    """Halls of another province stay on the relay: the line of those that left is at fault."""
    watched = Watched()
    home = watched.on("a")
    for number in range(16):
        watched.country.join(f"kh{number:02}")
    assert any(hall.startswith("k") for hall in watched.on("a"))
    watched.leave(home)
    assert watched.verdicts() == []
    watched.leave([hall for hall in watched.on("a") if hall.startswith("k")])
    assert [verdict.relay_id for verdict in watched.verdicts()] == ["a"]


def test_a_fault_behind_many_relays_accuses_none() -> None:
    """Halls left relays all over: their common parent was it, and the relays are well."""
    watched = Watched()
    for relay_id in "abc":
        watched.leave(watched.on(relay_id)[:6])
    assert watched.verdicts() == []


def test_at_most_a_quarter_of_the_edges_is_suspected() -> None:
    """The second of four is left to its halls: a wrong verdict must not close the country."""
    watched = Watched()
    watched.suspect("a")
    watched.leave(watched.on("b"))
    assert watched.verdicts() == []


def test_the_last_relay_that_takes_halls_is_never_suspected() -> None:
    """With nowhere else to go, a bad relay is better than none."""
    watched = Watched(edges=("a", "b"))
    watched.country.do(OrderRelay(relay_id="b", mode="cordoned", reason="bảo trì"))
    watched.leave(watched.on("a"))
    assert watched.verdicts() == []


def test_a_relay_without_its_control_connection_is_left_to_its_lease() -> None:
    """Who is dead is not suspected."""
    watched = Watched()
    watched.leave(watched.on("a"))
    assert watched.verdicts(avoid=frozenset("a")) == []


def test_old_reports_are_forgotten() -> None:
    """Halls that leave one by one over an hour have reasons of their own."""
    watched = Watched()
    for hall in watched.on("a"):
        watched.country.now_ms += 60_000
        watched.leave([hall])
        assert watched.verdicts() == []


def test_after_a_while_it_is_tried_again_and_each_time_the_while_is_longer() -> None:
    """30 s, then a minute, and so on to ten; what was long ago is forgotten."""
    watched = Watched()
    country = watched.country
    lengths = []
    for _ in range(7):
        command = SuspectRelay(relay_id="a", left=6, halls=6)
        (event,) = country.do(command)
        assert isinstance(event, RelaySuspected)
        lengths.append(event.until_ms - country.now_ms)
        assert country.do(command) == []
        country.now_ms = event.until_ms - 1
        assert watched.verdicts() == []
        country.now_ms += 1
        (clear,) = watched.verdicts()
        assert clear == ClearRelay(relay_id="a", reason="time")
        assert country.do(clear) == [RelayCleared(relay_id="a", reason="time")]
        assert country.do(clear) == []
        assert watched.state.relays["a"].load.mode == "open"
    assert lengths == [min(MAX_MS, FIRST_MS * 2**times) for times in range(7)]
    country.now_ms += FORGET_MS + 1
    (event,) = country.do(SuspectRelay(relay_id="a", left=6, halls=6))
    assert isinstance(event, RelaySuspected)
    assert event.until_ms - country.now_ms == FIRST_MS


def test_halls_that_find_there_what_they_missed_elsewhere_clear_a_relay() -> None:
    """Three halls went from silence to the suspected relay, and play."""
    watched = Watched()
    watched.country.do(SuspectRelay(relay_id="b", left=6, halls=6))
    watched.country.now_ms += 1_000
    standbys = [hall for hall in watched.on("a") if watched.country.seat(hall).backup == "b"]
    watched.leave(standbys[:2])
    assert watched.verdicts() == []
    watched.leave(standbys[2:3])
    assert watched.verdicts() == [ClearRelay(relay_id="b", reason="halls")]


def test_an_operator_who_opens_a_relay_clears_it() -> None:
    """Whoever has looked knows better; an order that stood is kept until it is taken back."""
    watched = Watched()
    watched.suspect("a")
    events = watched.country.do(OrderRelay(relay_id="a", mode="open", reason="đã sửa tường lửa"))
    assert events == [RelayCleared(relay_id="a", reason="operator")]
    assert watched.state.relays["a"].load.mode == "open"


@pytest.mark.parametrize("mode", ["cordoned", "evacuating"])
def test_what_operators_ordered_stands_after_a_suspicion(mode: RelayMode) -> None:
    """A cordoned relay that was suspected and cleared is cordoned."""
    watched = Watched()
    watched.country.do(OrderRelay(relay_id="a", mode=mode, reason="bảo trì"))
    watched.country.do(SuspectRelay(relay_id="a", left=6, halls=6))
    assert watched.state.relays["a"].load.mode == ("draining" if mode == "cordoned" else mode)
    watched.country.do(ClearRelay(relay_id="a", reason="time"))
    assert watched.state.relays["a"].load.mode == mode


def test_a_relay_that_is_lost_and_comes_back_begins_anew() -> None:
    """A process that was hung is dead by its lease; started again, or woken up, it takes halls at once."""
    watched = Watched()
    watched.suspect("a")
    watched.country.do(LoseRelay(relay_id="a", epoch=1, goodbye=False, last_seen_ms=watched.country.now_ms))
    assert not watched.state.is_suspected("a")
    watched.country.do(RegisterRelay(register=register_message("a", "01", seats=96)))
    assert watched.state.relays["a"].load.mode == "open"


def test_verdicts_survive_a_snapshot_and_a_fold() -> None:
    """The state of the whole journal, and that of a snapshot, know what is suspected and how often it was."""
    watched = Watched()
    watched.suspect("a")
    watched.country.do(ClearRelay(relay_id="a", reason="time"))
    watched.country.do(SuspectRelay(relay_id="a", left=6, halls=6))
    folded = State(watched.state.policy)
    for at_ms, event in watched.country.journal:
        apply(folded, event, at_ms)
    loaded = decode_state(encode_state(watched.state), watched.state.policy)
    assert fingerprint(folded) == fingerprint(watched.state) == fingerprint(loaded)
    assert loaded.suspicions["a"].times == 2
    assert loaded.relays["a"].load.mode == "draining"
