"""Whatever happens in whatever order, seats add up, limits hold, and a replay tells the same story."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bridges.halls import Hall
from bridges.messages import MovedReport
from bridges.units import Unit
from conference.assignment import settle
from conference.attendance.standing import hall_status
from conference.commands import (
    ChangeLimits,
    ChangePhase,
    ClearRelay,
    Command,
    CreateConference,
    ExcludeRelays,
    ImportHalls,
    ImportUnits,
    JoinHall,
    LeaveHall,
    LoseRelay,
    MoveHalls,
    ObservePresence,
    OrderRelay,
    PauseJoins,
    PinHall,
    RegisterRelay,
    ReportMove,
    ResumeJoins,
    SuspectRelay,
)
from conference.decide import decide
from conference.errors import RejectedError
from conference.events import Event, HallAssigned, RelayLost
from conference.ledger import SeatKey
from conference.lifecycle import Phase
from conference.moving import Mover
from conference.ordering import mode_of
from conference.planner.loads import RelayLoad, RelayMode, open_for_halls
from conference.policy import MediaCost, Policy
from conference.snapshot import decode_state, encode_state, fingerprint
from conference.state import State, apply
from relay.messages import Capacity, PresenceDelta, Register, SessionClosed, SessionOpened

# Halls of province 02 take half a seat; one hall is pinned, one province and one hall may not go everywhere.
POLICY = Policy(
    media=MediaCost(bits_per_s=2, packets_per_s=2),
    regions={"02": MediaCost(bits_per_s=1, packets_per_s=1)},
    overflow={"02": ("01",)},
    pins={"real-1": ("e3", "e1")},
    exclusions={"02": frozenset({"e4"}), "real-3": frozenset({"e1"})},
    assignments_per_decision=4,
    moves_per_s=40.0,
    moves_at_once=2,
)
HALLS = [f"real-{n}" for n in range(8)] + [f"virtual-{n}" for n in range(4)]
EDGES = {"e1": "01", "e2": "01", "e3": "02", "e4": ""}
RELAYS = {"o1": "", "o2": "79", **EDGES, "v1": "01", "v2": "02"}
CONFERENCES = ["a", "b"]


def capacity_of(relay_id: str) -> int:
    """Seats of a relay; small enough that every limit is met."""
    return 3 if relay_id.startswith("o") else 6


class Country(RuleBasedStateMachine):
    """Commands of all kinds against one state, with the journal that they make."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State(POLICY)
        self.journal: list[tuple[int, Event]] = []
        self.now_ms = 0
        self.instances = dict.fromkeys(RELAYS, 0)
        self.mover = Mover()

    def write(self, events: Iterable[Event]) -> list[Event]:
        """Append and apply, each before the next is made; a relay that takes nothing new never gains."""
        written = []
        for event in events:
            before = {relay_id: self.clients(relay_id) for relay_id in self.closed()}
            self.journal.append((self.now_ms, event))
            apply(self.state, event, self.now_ms)
            written.append(event)
            for relay_id in self.closed():
                assert self.clients(relay_id) <= before.get(relay_id, self.clients(relay_id)), event
        return written

    def closed(self) -> list[str]:
        """Relays that operators closed."""
        return [relay_id for relay_id, relay in self.state.relays.items() if relay.load.is_closed]

    def clients(self, relay_id: str) -> set[SeatKey]:
        """Seats that are charged to a relay, and its children as `("", child)`."""
        children = {("", child) for child, parents in self.state.parents.items() if relay_id in parents}
        return self.state.ledger.seats_on.get(relay_id, set()) | children

    def do(self, command: Command) -> list[Event]:
        """Decide and apply; a rejection changes nothing."""
        self.now_ms += 100
        before = fingerprint(self.state)
        events: list[Event] = []
        with contextlib.suppress(RejectedError):
            events = decide(self.state, command, self.now_ms)
        assert fingerprint(self.state) == before, "decide changed the state"
        self.write(events)
        return events

    @initialize()
    def prepare(self) -> None:
        """Two provinces, their halls, two conferences."""
        self.do(ImportUnits(units=[Unit(code=code, name=code, kind="tỉnh") for code in ("01", "02")]))
        self.do(
            ImportHalls(
                halls=[
                    Hall(
                        hall_id=hall_id,
                        name=hall_id,
                        unit="01" if number % 2 else "02",
                        level="base",
                        seats=80,
                        virtual=hall_id.startswith("virtual"),
                    )
                    for number, hall_id in enumerate(HALLS)
                ]
            )
        )
        for conference_id in CONFERENCES:
            self.do(CreateConference(conference_id=conference_id, title="Hội nghị", feeds=["program"]))
        self.do(ChangePhase(conference_id="a", phase="open"))
        for relay_id in ("o1", "e1", "e2", "v1"):
            self.register(relay_id, restart=False)

    @rule(relay_id=st.sampled_from(sorted(RELAYS)), restart=st.booleans())
    def register(self, relay_id: str, *, restart: bool) -> None:
        """A relay registers, after a restart or a reconnection."""
        self.instances[relay_id] += restart
        self.do(
            RegisterRelay(
                register=Register(
                    relay_id=relay_id,
                    instance_id=f"i{self.instances[relay_id]}",
                    region=RELAYS[relay_id],
                    role="origin" if relay_id.startswith("o") else "edge",
                    virtual=relay_id.startswith("v"),
                    base_url="http://relay",
                    metrics_url="",
                    capacity=Capacity(bits_per_s=2 * capacity_of(relay_id), packets_per_s=100),
                    sessions=[],
                )
            )
        )

    @rule(relay_id=st.sampled_from(sorted(RELAYS)), stale=st.booleans())
    def lose(self, relay_id: str, *, stale: bool) -> None:
        """A lease ends; with a stale epoch nothing happens."""
        relay = self.state.relays.get(relay_id)
        if relay is None:
            return
        epoch = relay.epoch - stale
        events = self.do(LoseRelay(relay_id=relay_id, epoch=epoch, goodbye=False, last_seen_ms=self.now_ms))
        assert not (stale and events)
        if not events:
            return
        assert isinstance(events[0], RelayLost)
        open_loads = open_for_halls(self.state.ledger.pools[relay.virtual].loads)
        for conference_id, hall_id in self.state.ledger.seats_on.get(relay_id, ()):
            seat = self.state.seat(conference_id, hall_id)
            assert seat is not None
            wish = self.state.wish(hall_id)
            room = any(
                load.charged_milliseats + wish.milliseats <= load.limit_milliseats
                for load in open_loads
                if load.relay_id not in wish.exclude
            )
            assert not (seat.primary == relay_id and room), "a hall kept a lost primary although there was room"

    @rule(
        conference_id=st.sampled_from(CONFERENCES),
        hall_id=st.sampled_from(HALLS),
        avoid=st.sets(st.sampled_from(sorted(RELAYS)), max_size=2),
    )
    def join(self, conference_id: str, hall_id: str, avoid: set[str]) -> None:
        """A hall joins; right after it a repetition gives nothing unless it is about another backup."""
        command = JoinHall(
            conference_id=conference_id,
            hall_id=hall_id,
            virtual=hall_id.startswith("virtual"),
            avoid=frozenset(avoid),
        )
        if self.do(command):
            assert self.do(command) == []

    @rule(conference_id=st.sampled_from(CONFERENCES), hall_id=st.sampled_from(HALLS))
    def leave(self, conference_id: str, hall_id: str) -> None:
        """A hall leaves."""
        self.do(LeaveHall(conference_id=conference_id, hall_id=hall_id))

    @rule(
        conference_id=st.sampled_from(CONFERENCES),
        hall_id=st.sampled_from(HALLS),
        to_relay=st.sampled_from([*sorted(RELAYS), "backup", "backup", "backup"]),
    )
    def move(self, conference_id: str, hall_id: str, to_relay: str) -> None:
        """A hall reports that it moved, mostly to its backup."""
        seat = self.state.seat(conference_id, hall_id)
        if seat is None:
            return
        to_relay = (seat.backup or seat.primary) if to_relay == "backup" else to_relay
        report = MovedReport(
            epoch=seat.epoch, from_relay=seat.primary, to_relay=to_relay, reason="silence", interruption_ms=320.5
        )
        if self.do(ReportMove(conference_id=conference_id, hall_id=hall_id, report=report)):
            assert self.do(ReportMove(conference_id=conference_id, hall_id=hall_id, report=report)) == []

    @rule(
        relay_id=st.sampled_from(sorted(RELAYS)),
        hall_id=st.sampled_from(HALLS),
        opened=st.booleans(),
        session=st.integers(0, 3),
    )
    def observe(self, relay_id: str, hall_id: str, *, opened: bool, session: int) -> None:
        """A relay reports presence."""
        session_id = f"{relay_id}-{session}"
        delta: PresenceDelta
        if opened:
            delta = SessionOpened(
                session_id=session_id, subject=hall_id, conference="a", feed="program", at_ms=self.now_ms
            )
        else:
            delta = SessionClosed(
                session_id=session_id,
                subject=hall_id,
                conference="a",
                feed="program",
                at_ms=self.now_ms,
                reason="gone",
            )
        self.do(ObservePresence(relay_id=relay_id, deltas=[delta]))

    @rule(conference_id=st.sampled_from(CONFERENCES), phase=st.sampled_from(["open", "rehearsal", "live", "ended"]))
    def change_phase(self, conference_id: str, phase: Phase) -> None:
        """A conference moves on, where it may."""
        self.do(ChangePhase(conference_id=conference_id, phase=phase))

    @rule(
        relay_id=st.sampled_from(sorted(RELAYS)),
        mode=st.sampled_from(["open", "cordoned", "draining", "evacuating"]),
        in_ms=st.sampled_from([0, 5_000]),
    )
    def order_relay(self, relay_id: str, mode: RelayMode, in_ms: int) -> None:
        """An operator says how a relay is to serve; a repetition is nothing."""
        deadline_ms = self.now_ms + in_ms if in_ms and mode == "draining" else 0
        command = OrderRelay(relay_id=relay_id, mode=mode, deadline_ms=deadline_ms, reason="bảo trì")
        if self.do(command):
            assert self.do(command) == []

    @rule(relay_id=st.sampled_from(sorted(RELAYS)), clear=st.booleans())
    def suspect(self, relay_id: str, *, clear: bool) -> None:
        """Halls' reports speak against a relay, or no more."""
        if clear:
            self.do(ClearRelay(relay_id=relay_id, reason="time"))
        else:
            self.do(SuspectRelay(relay_id=relay_id, left=3, halls=4))

    @rule(
        hall_ids=st.lists(st.sampled_from(HALLS), max_size=3),
        to=st.sampled_from(["", *sorted(RELAYS)]),
        away=st.sampled_from(["", *sorted(RELAYS)]),
    )
    def move_halls(self, hall_ids: list[str], to: str, away: str) -> None:
        """An operator moves halls, or a province."""
        command = MoveHalls(hall_ids=hall_ids, unit="" if hall_ids else "01", to=to, away=away, reason="cân tải")
        if self.do(command):
            assert self.do(command) == []

    @rule(hall_id=st.sampled_from(HALLS), relay_ids=st.lists(st.sampled_from(sorted(RELAYS)), max_size=2))
    def pin(self, hall_id: str, relay_ids: list[str]) -> None:
        """An operator pins a hall, or unpins it."""
        self.do(PinHall(hall_id=hall_id, relay_ids=tuple(relay_ids), reason="đường truyền riêng"))

    @rule(subject=st.sampled_from([*HALLS[:2], "01"]), relay_ids=st.lists(st.sampled_from(sorted(RELAYS)), max_size=2))
    def exclude(self, subject: str, relay_ids: list[str]) -> None:
        """An operator keeps halls off relays."""
        self.do(ExcludeRelays(subject=subject, relay_ids=tuple(relay_ids), reason="đường truyền kém"))

    @rule(conference_id=st.sampled_from(["", *CONFERENCES]), resume=st.booleans(), hall_id=st.sampled_from(HALLS))
    def pause(self, conference_id: str, hall_id: str, *, resume: bool) -> None:
        """An operator pauses joins: who has a seat may join again."""
        if resume:
            self.do(ResumeJoins(conference_id=conference_id, reason="xong"))
            return
        self.do(PauseJoins(conference_id=conference_id, reason="quá tải"))
        seat = self.state.seat("a", hall_id)
        if seat is not None and not seat.left:
            with contextlib.suppress(RejectedError):
                self.join("a", hall_id, set())

    @rule(relay_id=st.sampled_from(["", *sorted(RELAYS)]), hard=st.sampled_from([0.0, 0.4, 0.7, 1.0]))
    def change_limits(self, relay_id: str, hard: float) -> None:
        """An operator changes limits; never below what is charged."""
        self.do(ChangeLimits(relay_id=relay_id, soft_limit=hard / 2, hard_limit=hard, reason="tổng duyệt"))

    @rule(steps=st.integers(1, 4), answers=st.booleans())
    def move_on(self, steps: int, *, answers: bool) -> None:
        """Time passes, and halls are moved; some say that they went."""
        for _ in range(steps):
            self.now_ms += 200
            for event in self.write(self.mover.next_events(self.state, self.now_ms)):
                if answers and isinstance(event, HallAssigned):
                    self.say_moved(event.conference_id, event.hall_id)

    def say_moved(self, conference_id: str, hall_id: str) -> None:
        """A hall tells that it followed its assignment."""
        seat = self.state.seat(conference_id, hall_id)
        if seat is not None and seat.leaving:
            report = MovedReport(
                epoch=seat.epoch,
                from_relay=seat.leaving,
                to_relay=seat.primary,
                reason="assignment",
                interruption_ms=0.0,
            )
            self.do(ReportMove(conference_id=conference_id, hall_id=hall_id, report=report))
            assert not seat.leaving

    @rule(relay_id=st.sampled_from(sorted(RELAYS)))
    def drain_to_the_end(self, relay_id: str) -> None:
        """In the end nobody is left on a drained relay for whom there is room elsewhere."""
        self.do(OrderRelay(relay_id=relay_id, mode="draining", reason="thay máy"))
        relay = self.state.relays.get(relay_id)
        if relay is None or not relay.live:
            return
        for _ in range(40):
            self.now_ms += 1_000
            for event in self.write(self.mover.next_events(self.state, self.now_ms)):
                if isinstance(event, HallAssigned):
                    self.say_moved(event.conference_id, event.hall_id)
        pool = self.state.ledger.pools[relay.virtual]
        for conference_id, hall_id in self.state.ledger.seats_on.get(relay_id, ()):
            seat = self.state.seat(conference_id, hall_id)
            assert seat is not None
            assert relay_id in (seat.primary, seat.backup)
            assert pool.best(self.state.wish(hall_id), {seat.unwanted}) < 0, "it stayed although there was room"

    @rule()
    def settle_the_rest(self) -> None:
        """The coordinator asks again until nothing is left to give."""
        for _ in range(20):
            events = settle(self.state)
            if not events:
                return
            self.write(list(events))
        raise AssertionError("settle never ended")

    @invariant()
    def charges_are_what_a_recount_says(self) -> None:
        """Incremental counts equal a count of the seats."""
        for relay_id, relay in self.state.relays.items():
            charged = [
                (hall_id, seat)
                for conference in self.state.conferences.values()
                if conference.joinable
                for hall_id, seat in conference.seats.items()
                if not seat.left
            ]
            assert relay.load.primaries == sum(seat.primary == relay_id for _, seat in charged)
            assert relay.load.backups == sum(seat.backup == relay_id for _, seat in charged)
            assert relay.load.leavers == sum(seat.leaving == relay_id for _, seat in charged)
            assert relay.load.hall_milliseats == sum(
                POLICY.milliseats(self.state.provinces[hall_id])
                for hall_id, seat in charged
                if relay_id in (seat.primary, seat.backup, seat.leaving)
            )

    @invariant()
    def nobody_is_seated_where_it_must_not_be(self) -> None:
        """Exclusions hold unless a hall went there by itself."""
        for conference in self.state.conferences.values():
            for hall_id, seat in conference.seats.items():
                exclude = POLICY.wish(hall_id, self.state.provinces[hall_id]).exclude
                if not seat.moves:
                    assert not exclude & {seat.primary, seat.backup}

    @invariant()
    def pools_know_the_charges(self) -> None:
        """The arrays that decisions are made with say what the loads say."""
        for pool in self.state.ledger.pools.values():
            for load in pool.loads:
                room = load.limit_milliseats - load.charged_milliseats
                assert pool.has_room(load.relay_id, room)
                assert not pool.has_room(load.relay_id, room + 1)

    @invariant()
    def links_are_what_parents_say(self) -> None:
        """A relay's links equal the number of relays that have it as a parent, and parents are live and acyclic."""
        for pool in self.state.ledger.pools.values():
            names = {load.relay_id for load in pool.loads}
            for load in pool.loads:
                assert load.links == sum(load.relay_id in other.parents for other in pool.loads)
                assert set(load.parents) <= names - {load.relay_id}
                assert len(set(load.parents)) == len(load.parents) <= 2
            self.assert_acyclic(pool.loads)

    @staticmethod
    def assert_acyclic(pool: list[RelayLoad]) -> None:
        """Every relay can be removed after those that feed it."""
        left = {load.relay_id: set(load.parents) for load in pool}
        while left:
            free = {relay_id for relay_id, parents in left.items() if not parents & left.keys()}
            assert free, f"a cycle among {sorted(left)}"
            left = {relay_id: parents for relay_id, parents in left.items() if relay_id not in free}

    @invariant()
    def no_relay_is_over_its_hard_limit(self) -> None:
        """Halls and children together never take more than the capacity."""
        for relay in self.state.relays.values():
            assert 0 <= relay.load.charged_milliseats <= 1_000 * relay.load.hard_seats

    @invariant()
    def real_and_virtual_never_mix(self) -> None:
        """Real halls and relays on one side, virtual ones on the other; primary and backup differ."""
        for conference in self.state.conferences.values():
            for hall_id, seat in conference.seats.items():
                assert seat.primary != seat.backup
                for relay_id in filter(None, (seat.primary, seat.backup)):
                    assert self.state.relays[relay_id].virtual == hall_id.startswith("virtual")
        for pool in self.state.ledger.pools.values():
            kinds = {self.state.relays[name].virtual for load in pool.loads for name in (load.relay_id, *load.parents)}
            assert len(kinds) <= 1

    @invariant()
    def totals_are_what_a_recount_says(self) -> None:
        """The counts by connection equal one pass over all halls."""
        for conference_id in self.state.conferences:
            total = self.state.rollups[conference_id].total()
            seen = total.real.connection + total.virtual.connection
            counted = Counter(hall_status(self.state, conference_id, hall_id) for hall_id in self.state.halls)
            assert (seen.waiting, seen.present_now, seen.lost, seen.left) == tuple(
                counted[status] for status in ("waiting", "present", "lost", "left")
            )

    @invariant()
    def wants_are_known(self) -> None:
        """What is unsettled, misplaced or leaving is known, and nothing else is."""
        for conference_id, conference in self.state.conferences.items():
            for hall_id, seat in conference.seats.items():
                key, relays = (conference_id, hall_id), (seat.primary, seat.backup)
                charged = conference.joinable and not seat.left
                modes = [mode_of(self.state, relay_id) for relay_id in relays]
                stands = all(map(self.state.is_live, relays)) and "evacuating" not in modes
                assert (key in self.state.ledger.unsettled) == (charged and not stands)
                stays = not (seat.wanted or seat.unwanted or {"draining", "evacuating"} & set(modes))
                stays = stays and self.state.excluded(hall_id).isdisjoint(relays)
                assert (key in self.state.ledger.misplaced) == (charged and not stays)
                assert (key in self.state.ledger.leaving) == (charged and bool(seat.leaving))

    def teardown(self) -> None:
        """A replay, and a snapshot with its tail, give the same state."""
        replayed = State(POLICY)
        middle = State(POLICY)
        for number, (at_ms, event) in enumerate(self.journal):
            if number == len(self.journal) // 2:
                middle = decode_state(encode_state(replayed), POLICY)
            apply(replayed, event, at_ms)
            if number >= len(self.journal) // 2:
                apply(middle, event, at_ms)
        assert fingerprint(replayed) == fingerprint(self.state)
        assert fingerprint(middle) == fingerprint(self.state)
        restored = decode_state(encode_state(self.state), POLICY)
        assert fingerprint(restored) == fingerprint(self.state)
        for virtual, pool in self.state.ledger.pools.items():
            assert restored.ledger.pools[virtual].loads == pool.loads
        for name in ("unsettled", "misplaced", "leaving"):
            assert getattr(restored.ledger, name) == getattr(self.state.ledger, name)


TestCountry = Country.TestCase
TestCountry.settings = settings(max_examples=60, stateful_step_count=40)
