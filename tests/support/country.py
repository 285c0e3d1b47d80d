"""A small country for tests of the coordinator's core: provinces, halls, a conference and relays, by commands alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bridges.halls import Hall
from bridges.messages import MovedReport, MoveReason
from bridges.units import Unit
from conference.commands import (
    ChangePhase,
    Command,
    CreateConference,
    ImportHalls,
    ImportUnits,
    JoinHall,
    RegisterRelay,
    ReportMove,
)
from conference.decide import decide
from conference.events import Event, HallAssigned
from conference.policy import MediaCost, Policy
from conference.roster import HallSeat
from conference.state import State, apply
from relay.messages import Capacity, Register, RelayRole, SessionOpened


def register_message(
    relay_id: str,
    region: str = "",
    *,
    role: RelayRole = "edge",
    virtual: bool = False,
    instance_id: str = "i1",
    seats: int = 10,
    sessions: Sequence[SessionOpened] = (),
) -> Register:
    """A relay that carries `seats` halls under the policy of `Country`."""
    return Register(
        relay_id=relay_id,
        instance_id=instance_id,
        region=region,
        role=role,
        virtual=virtual,
        base_url=f"http://{relay_id}:8100",
        metrics_url=f"http://{relay_id}:8100/metrics",
        capacity=Capacity(bits_per_s=seats, packets_per_s=seats),
        sessions=list(sessions),
    )


class Country:
    """A state and the events that made it; one seat costs one bit and one packet a second."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.state = State(policy or Policy(media=MediaCost(bits_per_s=1, packets_per_s=1)))
        self.journal: list[tuple[int, Event]] = []
        self.now_ms = 1_000

    def do(self, command: Command, actor: str = "") -> list[Event]:
        """Decide and apply one command, a second after the one before."""
        self.now_ms += 1_000
        events = decide(self.state, command, self.now_ms)
        self.write(events, actor)
        return events

    def write(self, events: Iterable[Event], actor: str = "") -> list[Event]:
        """Apply events, each before the next is made."""
        written = []
        for event in events:
            self.journal.append((self.now_ms, event))
            apply(self.state, event, self.now_ms, actor)
            written.append(event)
        return written

    def open_conference(self, *hall_ids: str, conference_id: str = "hn") -> None:
        """Provinces 01 and 02 and a commune of 01, halls in province 01 (virtual ones begin with `v`), gates open."""
        units = [
            Unit(code="01", name="Hà Nội", kind="thành phố"),
            Unit(code="02", name="Cao Bằng", kind="tỉnh"),
            Unit(code="00004", name="Ba Đình", kind="phường", parent="01"),
        ]
        self.do(ImportUnits(units=units))
        halls = [
            Hall(hall_id=hall_id, name=hall_id, unit="00004", level="base", seats=80, virtual=hall_id.startswith("v"))
            for hall_id in hall_ids
        ]
        self.do(ImportHalls(halls=halls))
        self.do(CreateConference(conference_id=conference_id, title="Hội nghị", feeds=["program"]))
        self.do(ChangePhase(conference_id=conference_id, phase="open"))

    def register(self, *relay_ids: str, seats: int = 10) -> None:
        """Relays of province 01; `o…` are origins, `v…` virtual."""
        for relay_id in relay_ids:
            role: RelayRole = "origin" if relay_id.startswith("o") else "edge"
            message = register_message(relay_id, "01", role=role, virtual=relay_id.startswith("v"), seats=seats)
            self.do(RegisterRelay(register=message))

    def join(self, hall_id: str, avoid: frozenset[str] = frozenset()) -> list[Event]:
        """The hall joins `hn`."""
        virtual = hall_id.startswith("v")
        return self.do(JoinHall(conference_id="hn", hall_id=hall_id, virtual=virtual, avoid=avoid))

    def report_moved(self, hall_id: str, from_relay: str, to_relay: str, reason: MoveReason = "assignment") -> None:
        """The hall says that it went from one relay to another, following its newest assignment."""
        report = MovedReport(
            epoch=self.seat(hall_id).epoch,
            from_relay=from_relay,
            to_relay=to_relay,
            reason=reason,
            interruption_ms=0.0,
        )
        self.do(ReportMove(conference_id="hn", hall_id=hall_id, report=report))

    def seat(self, hall_id: str) -> HallSeat:
        """The hall's seat in `hn`."""
        return self.state.conferences["hn"].seats[hall_id]

    def relays_of(self, hall_id: str) -> tuple[str, str]:
        """Primary and backup."""
        return self.seat(hall_id).primary, self.seat(hall_id).backup


def only_assignment(events: Sequence[Event]) -> HallAssigned:
    """The one assignment among events."""
    (found,) = [event for event in events if isinstance(event, HallAssigned)]
    return found
