"""What operators ordered and what stands until they order otherwise: records of the state, folded from its events.

An order about a relay is about its id: a relay that registers again finds it as it was. What halls are yet to move is
in their seats (`conference.roster.HallSeat`).
"""

from __future__ import annotations

import msgspec

from conference.planner.loads import HallWish, RelayMode
from conference.policy import Policy
from conference.reports.model import Incident
from relay.messages import Capacity

KEPT_OPERATIONS = 1_000
"""Operations that the state lists; the journal has them all."""

KEPT_INCIDENTS = 5_000
"""500 relays that are each lost and come back five times in a day; the journal has them all."""

EVERYTHING = ""
"""In place of a relay's or a conference's id: all of them."""


class RelayOrder(msgspec.Struct, frozen=True, kw_only=True):
    """How a relay is to serve.

    Attributes:
        mode: never `open`: that is a relay without an order.
        at_ms: since when.
        deadline_ms: when a drained relay is to be empty; 0 for whenever the pace allows.
        reason: why, in the operator's words.
    """

    mode: RelayMode
    at_ms: int
    deadline_ms: int = 0
    reason: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of a relay's capacity: up to `soft` it is preferred, beyond `hard` it never goes."""

    soft: float
    hard: float


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """No hall joins that has no seat.

    Attributes:
        at_ms: since when.
        retry_after_s: when those that are refused are to ask again.
        reason: why, in the operator's words.
    """

    at_ms: int
    retry_after_s: int
    reason: str


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One order as it was given.

    Attributes:
        at_ms: when.
        actor: who, as the journal names them.
        action: what: the tag of its event, and the relay's mode for `relay_mode_changed`.
        subject: relay, hall, unit or conference that it is about; "" for everything.
        detail: the rest of it, for people.
        reason: why.
    """

    at_ms: int
    actor: str
    action: str
    subject: str
    detail: str = ""
    reason: str


class Orders(msgspec.Struct, kw_only=True):
    """All orders that stand; only `apply` changes them.

    Attributes:
        relays: by relay id.
        pins: by hall id, the relays that it shall have, the primary first; before the configuration's.
        exclusions: by hall id or region, relays that shall not have its halls; beside the configuration's.
        limits: by relay id, or `EVERYTHING`.
        pauses: by conference id, or `EVERYTHING`.
        operations: the latest, oldest first.
        incidents: what happened to relays and publishers meanwhile, the latest, oldest first.
    """

    relays: dict[str, RelayOrder] = {}
    pins: dict[str, tuple[str, ...]] = {}
    exclusions: dict[str, list[str]] = {}
    limits: dict[str, Limits] = {}
    pauses: dict[str, Pause] = {}
    operations: list[Operation] = []
    incidents: list[Incident] = []

    def mode(self, relay_id: str) -> RelayMode:
        """How a relay is to serve."""
        order = self.relays.get(relay_id)
        return "open" if order is None else order.mode

    def limits_of(self, relay_id: str, policy: Policy) -> Limits:
        """The shares that hold for a relay: its own, those of all, or the configuration's."""
        return (
            self.limits.get(relay_id)
            or self.limits.get(EVERYTHING)
            or Limits(soft=policy.soft_limit, hard=policy.hard_limit)
        )

    def seats(self, relay_id: str, capacity: Capacity, policy: Policy) -> tuple[int, int]:
        """Seats of a relay below its soft limit and below its hard limit."""
        limits = self.limits_of(relay_id, policy)
        return policy.seats(capacity, limits.soft), policy.seats(capacity, limits.hard)

    def pause_of(self, conference_id: str) -> Pause | None:
        """The pause that keeps newcomers out of a conference."""
        return self.pauses.get(EVERYTHING) or self.pauses.get(conference_id)

    def excluded(self, hall_id: str, region: str, policy: Policy) -> frozenset[str]:
        """Relays that a hall shall not have, by configuration or by order."""
        if not self.exclusions:
            return policy.excluded(hall_id, region)
        ordered = (*self.exclusions.get(hall_id, ()), *self.exclusions.get(region, ()))
        return policy.excluded(hall_id, region).union(ordered)

    def wish(self, hall_id: str, region: str, policy: Policy) -> HallWish:
        """What is known of a hall when relays are chosen for it."""
        return HallWish(
            hall_id=hall_id,
            region=region,
            milliseats=policy.milliseats(region),
            pins=self.pins.get(hall_id) or policy.pins.get(hall_id, ()),
            exclude=self.excluded(hall_id, region, policy),
        )

    def note(self, operation: Operation) -> None:
        """List an order; the oldest gives way."""
        self.operations.append(operation)
        del self.operations[:-KEPT_OPERATIONS]

    def note_incident(self, incident: Incident) -> None:
        """List what happened; the oldest gives way."""
        self.incidents.append(incident)
        del self.incidents[:-KEPT_INCIDENTS]
