"""Whatever happens, in whatever order: every level of both trees is the sum of what stands below it."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bridges.attendance import AttendanceRow, figures_of, total_of
from bridges.halls import Hall
from bridges.units import TreeName, Unit
from conference.attendance.places import unit_in
from conference.attendance.standing import hall_attendance
from conference.events import (
    ConferenceCreated,
    Event,
    HallAssigned,
    HallLeft,
    HallsImported,
    HeadcountReported,
    PhaseChanged,
    PresenceObserved,
    RelayLost,
    RelayRegistered,
    UnitsImported,
)
from conference.snapshot import decode_state, encode_state
from conference.state import State, apply
from relay.messages import SessionClosed, SessionOpened

TREES: tuple[TreeName, ...] = ("territory", "organisation")
UNITS = st.integers(0, 12).map(lambda number: f"u{number}")
# Some of these are registered late or never: events about them are in the journal all the same.
HALLS = st.integers(0, 15).map(lambda number: f"h{number}")
RELAYS = st.sampled_from(["r0", "r1"])


def children_of(state: State, tree: TreeName, code: str) -> set[str]:
    """Units of a tree that stand right below one, by the register alone."""
    units = {unit.code: unit for unit in state.units.values() if unit.tree == tree}
    found = set()
    for unit in units.values():
        parent = next((each for each in (unit.merged_into, unit.parent) if each in units and each != unit.code), "")
        if parent == code:
            found.add(unit.code)
    return found


class Conference(RuleBasedStateMachine):
    """Units, halls and what happens to them, as events: the fold takes any, and so do the sums."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.now_ms = 0

    def write(self, *events: Event) -> None:
        """Fold them."""
        for event in events:
            self.now_ms += 10
            apply(self.state, event, self.now_ms, "user:lan")

    @initialize()
    def begin(self) -> None:
        """One conference, open."""
        self.write(
            ConferenceCreated(conference_id="c", title="Một", feeds=["program"]),
            PhaseChanged(conference_id="c", phase="open"),
        )

    @rule(
        codes=st.lists(UNITS, min_size=1, max_size=4, unique=True),
        parent=UNITS | st.just(""),
        merged_into=UNITS | st.just(""),
        tree=st.sampled_from(TREES),
    )
    def import_units(self, codes: list[str], parent: str, merged_into: str, tree: TreeName) -> None:
        """Units come, move, merge, change their tree, and may even run in circles."""
        self.write(
            UnitsImported(
                units=[
                    Unit(code=code, name=code, kind="x", parent=parent, merged_into=merged_into, tree=tree)
                    for code in codes
                ]
            )
        )

    @rule(
        hall_ids=st.lists(HALLS, min_size=1, max_size=5, unique=True),
        unit=UNITS,
        organisation=UNITS | st.just(""),
        seats=st.integers(0, 500),
        virtual=st.booleans(),
    )
    def import_halls(self, hall_ids: list[str], unit: str, organisation: str, seats: int, virtual: bool) -> None:  # noqa: FBT001 - drawn
        """Halls come, move between units, and change their kind."""
        halls = [
            Hall(
                hall_id=hall_id,
                name=hall_id,
                unit=unit,
                level="base",
                seats=seats,
                virtual=virtual,
                organisation=organisation,
            )
            for hall_id in hall_ids
        ]
        self.write(HallsImported(halls=halls))

    @rule(hall_id=HALLS, relay_id=RELAYS)
    def assign(self, hall_id: str, relay_id: str) -> None:
        """A hall joins."""
        self.write(
            HallAssigned(conference_id="c", hall_id=hall_id, epoch=1, primary=relay_id, backup="", reason="join")
        )

    @rule(hall_id=HALLS)
    def leave(self, hall_id: str) -> None:
        """A hall leaves."""
        self.write(HallLeft(conference_id="c", hall_id=hall_id))

    @rule(hall_ids=st.lists(HALLS, max_size=6), relay_id=RELAYS, opens=st.booleans())
    def observe(self, hall_ids: list[str], relay_id: str, opens: bool) -> None:  # noqa: FBT001 - drawn
        """A relay sees media begin or end."""
        at_ms = self.now_ms
        deltas = [
            SessionOpened(
                session_id=f"{relay_id}-{hall_id}", subject=hall_id, conference="c", feed="program", at_ms=at_ms
            )
            if opens
            else SessionClosed(
                session_id=f"{relay_id}-{hall_id}",
                subject=hall_id,
                conference="c",
                feed="program",
                at_ms=at_ms,
                reason="x",
            )
            for hall_id in hall_ids
        ]
        self.write(PresenceObserved(relay_id=relay_id, deltas=deltas))

    @rule(relay_id=RELAYS)
    def register_relay(self, relay_id: str) -> None:
        """A relay comes."""
        self.write(
            RelayRegistered(
                relay_id=relay_id,
                instance_id="i",
                region="",
                role="edge",
                virtual=False,
                base_url="http://r",
                metrics_url="http://r/metrics",
                bits_per_s=10**9,
                packets_per_s=10**6,
                epoch=1,
            )
        )

    @rule(relay_id=RELAYS)
    def lose_relay(self, relay_id: str) -> None:
        """A relay is lost, and with it what it saw."""
        self.write(RelayLost(relay_id=relay_id, epoch=1, reason="lease_expired", last_seen_ms=self.now_ms))

    @rule(hall_id=HALLS, figures=st.tuples(*[st.integers(0, 400)] * 5), revision=st.integers(0, 3))
    def count(self, hall_id: str, figures: tuple[int, ...], revision: int) -> None:
        """A technician reports, or an older report is read late."""
        names = ("summoned", "present", "excused", "unexcused", "exempt")
        self.write(
            HeadcountReported(
                conference_id="c",
                hall_id=hall_id,
                note="",
                revision=revision,
                **dict(zip(names, figures, strict=True)),
            )
        )

    @rule(phase=st.sampled_from(["open", "live", "ended"]))
    def go_to(self, phase: str) -> None:
        """The conference goes on."""
        self.write(PhaseChanged(conference_id="c", phase=phase))  # type: ignore[arg-type]  # drawn from the phases

    @rule()
    def restart(self) -> None:
        """Everything derived is made anew from a snapshot."""
        total = self.state.rollups["c"].total()
        self.state = decode_state(encode_state(self.state))
        assert self.state.rollups["c"].total() == total

    @rule(tree=st.sampled_from(TREES))
    def read(self, tree: TreeName) -> None:
        """Each level is the sum of its own halls and of what stands below, and all of it that of the halls."""
        state, rollup = self.state, self.state.rollups["c"]
        rows = {
            hall.hall_id: AttendanceRow(
                unit=unit_in(hall, tree), **{kind: figures_of(hall_attendance(state, "c", hall))}
            )
            for hall in state.halls.values()
            for kind in ("virtual" if hall.virtual else "real",)
        }
        root = rollup.total(tree)
        assert root == total_of(rows.values())
        assert total_of(rollup.children(tree)) == root
        seen: set[str] = set()
        below = [row.unit for row in rollup.children(tree)]
        while below:
            code = below.pop()
            assert code not in seen
            seen.add(code)
            children = rollup.children(tree, code)
            own = total_of((row for row in rows.values() if row.unit == code), unit=code)
            assert rollup.own(tree, code) == own
            assert rollup.total(tree, code) == total_of([own, *children], unit=code)
            inside = {row.unit for row in children}
            assert inside <= children_of(state, tree, code)
            below += inside
            held = [hall_id for hall_id, row in rows.items() if row.unit == code]
            held += [hall_id for child in inside for hall_id in rollup.hall_ids_under(tree, child)]
            assert rollup.hall_ids_under(tree, code) == sorted(held)
        assert {row.unit for row in rows.values()} <= seen

    @invariant()
    def both_roots_agree(self) -> None:
        """A hall stands in both trees, once in each."""
        rollup = self.state.rollups.get("c")
        if rollup is not None:
            assert rollup.total("territory") == rollup.total("organisation")


TestConference = Conference.TestCase
TestConference.settings = settings(max_examples=60, stateful_step_count=30)
