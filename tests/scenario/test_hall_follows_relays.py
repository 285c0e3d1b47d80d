"""A hall follows its feed over simulated relays, in virtual time: no sockets, no clock, one seed."""

import random
from dataclasses import dataclass, field

from support.assignments import access, assignment

from bridges.follower import Follower
from bridges.follower_outputs import (
    Activate,
    Close,
    Connect,
    FetchAssignment,
    Join,
    Output,
    Probe,
    Report,
    SessionId,
    Standby,
)
from bridges.messages import Assignment

STEP_S = 0.01
ROUND_TRIP_S = 0.02
CACHED_GROUP_S = 0.03  # a relay sends its cached group of pictures so long after an activation


@dataclass
class SimulatedRelay:
    """A relay: dead, deaf (accepts nothing new), or alive; `fed` while its parent delivers to it."""

    alive: bool = True
    fed: bool = True
    sending: dict[SessionId, float] = field(default_factory=dict)


@dataclass
class World:
    """One hall, its follower, its relays and its coordinator."""

    relays: dict[str, SimulatedRelay]
    primary: str = "a"
    backup: str | None = "b"
    epoch: int = 1
    source: bool = True
    coordinator: bool = True
    now: float = 100.0
    sessions: dict[SessionId, str] = field(default_factory=dict)
    done: list[Output] = field(default_factory=list)
    later: list[tuple[float, Output]] = field(default_factory=list)
    frames: dict[str, int] = field(default_factory=dict)
    dark_s: float = 0.0

    def __post_init__(self) -> None:
        """Open the link."""
        self.follower = Follower(random.Random(1))
        self.follower.handle_start(self.now)

    def assignment(self) -> Assignment:
        """What the coordinator says now."""
        backup = access(self.backup) if self.backup is not None else None
        return assignment(access(self.primary), backup, epoch=self.epoch)

    def assign(self, primary: str, backup: str | None) -> None:
        """Change the assignment and notify."""
        self.primary, self.backup, self.epoch = primary, backup, self.epoch + 1
        self.follower.handle_assignment_event(self.now)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.now < end:
            self.now += STEP_S
            self._deliver()
            self.follower.handle_tick(self.now)
            for output in self.follower.next_outputs():
                self.done.append(output)
                self.later.append((self.now + ROUND_TRIP_S, output))
            due = [output for at, output in self.later if at <= self.now]
            self.later = [(at, output) for at, output in self.later if at > self.now]
            for output in due:
                self._answer(output)

    def count(self, kind: type[Output]) -> int:
        """How many outputs of a kind there were."""
        return sum(1 for output in self.done if isinstance(output, kind))

    def current_relay(self) -> str | None:
        """Where the picture comes from."""
        current = self.follower.current
        return self.sessions.get(current) if current is not None else None

    def _deliver(self) -> None:
        lit = False
        for session, relay_id in list(self.sessions.items()):
            relay = self.relays[relay_id]
            since = relay.sending.get(session)
            if since is None or not relay.alive:
                continue
            if (self.source and relay.fed) or self.now - since < CACHED_GROUP_S:
                self.follower.handle_packets(session, self.now, self.now)
                self.follower.handle_frame(session, self.now)
                self.frames[relay_id] = self.frames.get(relay_id, 0) + 1
                lit = lit or (self.source and relay.fed)
        if not lit:
            self.dark_s += STEP_S

    def _answer(self, output: Output) -> None:
        match output:
            case Connect() | Activate() | Standby() | Probe() | Close():
                self._answer_of_relay(output)
            case _:
                self._answer_of_coordinator(output)

    def _answer_of_relay(self, output: Connect | Activate | Standby | Probe | Close) -> None:
        session = output.session
        if isinstance(output, Connect):
            self.sessions[session] = output.access.relay_id
        name = self.sessions.get(session)
        if name is None:
            return
        relay = self.relays[name]
        if isinstance(output, Close) or not self.follower.is_active(session):
            relay.sending.pop(session, None)
        else:
            relay.sending.setdefault(session, self.now)
        if isinstance(output, Close):
            del self.sessions[session]
        elif not relay.alive:
            self.follower.handle_failed(session, self.now)
        elif isinstance(output, Connect):
            self.follower.handle_connected(session, self.now)

    def _answer_of_coordinator(self, output: Output) -> None:
        if isinstance(output, Join):
            if self.coordinator:
                self.epoch += 1
                self.follower.handle_assignment(self.assignment(), self.now)
            else:
                self.follower.handle_join_failed(self.now)
        elif isinstance(output, FetchAssignment):
            if self.coordinator:
                self.follower.handle_assignment(self.assignment(), self.now)
            else:
                self.follower.handle_fetch_failed(self.now)
        elif isinstance(output, Report):
            if not self.coordinator:
                self.follower.handle_report_failed(self.now)
                return
            if output.report.reason != "assignment":
                here = output.report.to_relay
                spare = [name for name, relay in self.relays.items() if relay.alive and name != here]
                self.primary, self.backup = here, spare[0] if spare else None
                self.epoch += 1
            self.follower.handle_report_answered(self.assignment(), self.now)


def three_relays() -> dict[str, SimulatedRelay]:
    """Relays a, b and c."""
    return {name: SimulatedRelay() for name in "abc"}


def test_a_hall_plays_from_its_primary_and_keeps_a_silent_standby() -> None:
    """After joining, the primary delivers and the backup sends nothing."""
    world = World(three_relays())
    world.run(5)
    assert world.current_relay() == "a"
    assert sorted(world.sessions.values()) == ["a", "b"]
    assert world.frames.get("b", 0) == 0
    assert world.follower.moves == []


def test_the_loss_of_the_primary_costs_half_a_second_and_gives_a_new_backup() -> None:
    """A relay dies without a word: the hall plays from the backup within 400 ms and gets a third relay as standby."""
    world = World(three_relays())
    world.run(5)
    world.dark_s = 0
    world.relays["a"].alive = False
    world.run(3)
    assert world.current_relay() == "b"
    assert sorted(world.sessions.values()) == ["b", "c"]
    assert world.dark_s < 0.4
    (move,) = world.follower.moves
    assert (move.from_relay, move.to_relay, move.reason) == ("a", "b", "silence")
    assert 300 <= move.interruption_ms < 400


def test_a_primary_whose_own_parent_died_is_left_as_well() -> None:
    """The relay lives and answers, but nothing reaches it: the hall moves all the same."""
    world = World(three_relays())
    world.run(5)
    world.relays["a"].fed = False
    world.run(2)
    assert world.current_relay() == "b"
    assert [move.reason for move in world.follower.moves] == ["silence"]


def test_a_silent_source_moves_nobody() -> None:
    """When both relays are silent the hall stays, and the standby is put back when the primary delivers again."""
    world = World(three_relays())
    world.run(5)
    world.source = False
    world.run(30)
    assert world.current_relay() == "a"
    assert world.count(Activate) == 1
    assert world.count(Probe) >= 20
    world.source = True
    world.run(2)
    assert world.current_relay() == "a"
    assert world.follower.moves == []
    assert world.relays["b"].sending == {}
    assert world.count(Standby) == 1


def test_a_source_that_has_not_started_moves_nobody() -> None:
    """Halls that come before the start wait on their primary."""
    world = World(three_relays(), source=False)
    world.run(60)
    assert world.current_relay() == "a"
    world.source = True
    world.run(2)
    assert world.current_relay() == "a"
    assert world.follower.moves == []


def test_both_relays_dead_means_asking_the_coordinator() -> None:
    """With both relays dead the hall plays from what the coordinator then names."""
    world = World(three_relays())
    world.run(5)
    world.dark_s = 0
    world.relays["a"].alive = world.relays["b"].alive = False
    world.primary, world.backup, world.epoch = "c", None, world.epoch + 1
    world.run(10)
    assert world.current_relay() == "c"
    assert world.dark_s < 1.5


def test_all_relays_dead_means_joining_again() -> None:
    """With no relay left at all the hall joins again with backoff, until one lives."""
    world = World(three_relays())
    world.run(5)
    for relay in world.relays.values():
        relay.alive = False
    world.run(20)
    assert world.current_relay() is None or world.frames.get("c") is None
    assert world.count(Join) > 2
    world.relays["c"].alive = True
    world.primary, world.backup = "c", None
    world.run(10)
    assert world.current_relay() == "c"


def test_joining_backs_off_while_nothing_answers() -> None:
    """Ten minutes without coordinator and relays cost some 100 attempts, not thousands."""
    world = World(three_relays(), coordinator=False)
    world.run(600)
    assert 60 < world.count(Join) < 200
    world.coordinator = True
    world.run(10)
    assert world.current_relay() == "a"


def test_without_a_coordinator_the_feed_goes_on() -> None:
    """The coordinator is on the path of no failover; its knowledge is repaired when it returns."""
    world = World(three_relays())
    world.run(5)
    world.coordinator = False
    world.relays["a"].alive = False
    world.run(5)
    assert world.current_relay() == "b"
    world.relays["a"].alive = True
    world.run(10)
    assert sorted(world.sessions.values()) == ["a", "b"]
    world.relays["b"].alive = False
    world.run(5)
    assert world.current_relay() == "a"
    world.coordinator = True
    world.run(10)
    assert world.primary == "a"
    assert len(world.follower.moves) == 2


def test_after_a_total_loss_without_a_coordinator_the_old_relays_are_tried() -> None:
    """Power returns to the relays before the coordinator: the hall plays again without it."""
    world = World(three_relays())
    world.run(5)
    world.coordinator = False
    for relay in world.relays.values():
        relay.alive = False
    world.run(20)
    assert world.current_relay() is None
    for relay in world.relays.values():
        relay.alive = True
    world.run(15)
    assert world.current_relay() in {"a", "b"}


def test_a_changed_assignment_is_followed_without_a_gap() -> None:
    """The coordinator moves the hall to two other relays: make before break, no dark moment."""
    world = World({name: SimulatedRelay() for name in "abcd"})
    world.run(5)
    world.dark_s = 0
    world.assign("c", "d")
    world.run(3)
    assert world.current_relay() == "c"
    assert sorted(world.sessions.values()) == ["c", "d"]
    assert world.dark_s == 0
    (move,) = world.follower.moves
    assert move.reason == "assignment"
    assert move.interruption_ms < 50


def test_primary_and_backup_can_be_exchanged() -> None:
    """A swap uses the two sessions that stand already."""
    world = World(three_relays())
    world.run(5)
    world.assign("b", "a")
    world.run(3)
    assert world.current_relay() == "b"
    assert world.count(Connect) == 2
    assert world.relays["a"].sending == {}


def test_an_assignment_to_a_dead_relay_is_refused_and_reported() -> None:
    """The hall stays where it has a picture, and says so."""
    world = World(three_relays())
    world.run(5)
    world.relays["c"].alive = False
    world.dark_s = 0
    world.assign("c", "b")
    world.run(3)
    assert world.current_relay() == "a"
    assert world.dark_s == 0
    (move,) = world.follower.moves
    assert (move.from_relay, move.to_relay, move.reason) == ("c", "a", "refused")


def test_a_dead_backup_is_replaced_without_touching_the_picture() -> None:
    """The standby fails, the hall asks for its assignment, and connects the new backup."""
    world = World(three_relays())
    world.run(5)
    world.dark_s = 0
    (standby,) = [session for session, name in world.sessions.items() if name == "b"]
    world.relays["b"].alive = False
    world.backup, world.epoch = "c", world.epoch + 1
    world.follower.handle_failed(standby, world.now)
    world.run(3)
    assert sorted(world.sessions.values()) == ["a", "c"]
    assert world.dark_s == 0
    assert world.follower.moves == []


def test_a_refusing_primary_is_reported_at_the_join() -> None:
    """The primary does not answer at all: the hall plays from the backup and reports it."""
    world = World(three_relays())
    world.relays["a"].alive = False
    world.run(3)
    assert world.current_relay() == "b"
    assert [(move.from_relay, move.to_relay, move.reason) for move in world.follower.moves] == [("a", "b", "refused")]


def test_a_flapping_primary_is_left_for_good() -> None:
    """A primary that stops for 0.4 s again and again, while its backup delivers, is left after three returns."""
    world = World(three_relays())
    world.run(5)
    for _ in range(12):
        world.relays["a"].fed = False
        world.run(0.38)
        world.relays["a"].fed = True
        world.run(0.6)
    assert world.current_relay() == "b"
    assert len(world.follower.moves) == 1
    assert world.count(Activate) <= 5


def test_a_stuttering_source_is_not_taken_for_a_flapping_relay() -> None:
    """A source that pauses again and again silences the backup as well: nobody moves."""
    world = World(three_relays())
    world.run(5)
    for _ in range(12):
        world.source = False
        world.run(0.5)
        world.source = True
        world.run(0.6)
    assert world.current_relay() == "a"
    assert world.follower.moves == []


def test_without_a_backup_the_hall_waits_and_probes() -> None:
    """One relay only: silence is waited out; its death is noticed by the probe, then the hall joins again."""
    world = World({"a": SimulatedRelay(), "b": SimulatedRelay()}, backup=None)
    world.run(3)
    world.relays["a"].alive = False
    world.primary = "b"
    world.run(6)
    assert world.current_relay() == "b"
    assert world.count(Join) == 2


def test_an_ended_conference_closes_everything() -> None:
    """After the end nothing is opened again."""
    world = World(three_relays())
    world.run(3)
    world.follower.handle_ended(world.now)
    world.run(5)
    assert world.sessions == {}
    assert world.follower.current is None
    assert world.count(Join) == 1
