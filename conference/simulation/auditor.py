"""The auditor: folds the journal a second time, record by record, and looks after each that nothing is broken.

It reads what became durable and nothing else, so that it agrees with no coordinator by being one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from conference.events import HallAssigned, HallMoved, RelayLost, RelayRegistered
from conference.journal.contract import Record
from conference.planner.loads import SEAT_MILLISEATS, RelayLoad
from conference.policy import Policy
from conference.snapshot import fingerprint
from conference.state import State, apply

# Assignments that a hall brought about itself.
_OWN_REASONS = frozenset({"join", "silence", "refused"})


class Auditor:
    """Watches every record.

    Args:
        policy: the coordinator's.
        is_troubled: whether a hall that is taken from this relay is taken for a reason: it is gone, hangs, is cut off,
            drained, or without feed.
        plays_from: the relay from which a hall plays really, "" where none is.

    Attributes:
        records: how many were seen.
        joins: first joins by second of the record's time.
        most_over_limit: most that was ever charged to a relay beyond its hard limit, in seats.
        over_limit: by relay, the same.
        peak_utilisation: greatest share of a hard limit that was charged.
        moves_beyond: halls that were sent to another relay although nothing was wrong with theirs.
        moved: halls that were sent to another relay by the coordinator.
        relays_lost: records of lost relays.
        lost_without_need: of these, those of relays with which nothing was wrong.
    """

    def __init__(self, policy: Policy, is_troubled: Callable[[str], bool], plays_from: Callable[[str], str]) -> None:
        self._is_troubled = is_troubled
        self._plays_from = plays_from
        self._told_by = ""  # the hall whose own report the record before was: what follows is its own doing
        self.state = State(policy)
        self.records = 0
        self.joins: Counter[int] = Counter()
        self.most_over_limit = 0.0
        self.over_limit: dict[str, float] = {}
        self.peak_utilisation = 0.0
        self.moves_beyond = 0
        self.moved = 0
        self.relays_lost = 0
        self.lost_without_need: list[str] = []

    def handle_records(self, records: Sequence[Record]) -> None:
        """Fold and look."""
        for record in records:
            self.records += 1
            event = record.event
            if isinstance(event, HallAssigned):
                self._note_assignment(event, record.at_ms)
            elif isinstance(event, RelayLost):
                self.relays_lost += 1
                if event.reason == "lease_expired" and not self._is_troubled(event.relay_id):
                    self.lost_without_need.append(event.relay_id)
            self._told_by = event.hall_id if isinstance(event, HallMoved) else ""
            apply(self.state, event, record.at_ms, record.actor)
            if isinstance(event, HallAssigned):
                self._check(self._loads({event.primary, event.backup}))
            elif isinstance(event, RelayLost | RelayRegistered):
                self._check(relay.load for relay in self.state.relays.values() if relay.live)

    def fingerprint(self) -> str:
        """Of the state as this fold has it."""
        return fingerprint(self.state)

    def loads(self) -> list[RelayLoad]:
        """Of the live relays."""
        return [relay.load for relay in self.state.relays.values() if relay.live]

    def halls_on_lost_relays(self) -> list[str]:
        """Halls that have not left and whose primary is lost."""
        return sorted(
            hall_id
            for conference in self.state.conferences.values()
            for hall_id, seat in conference.seats.items()
            if not seat.left and not self.state.is_live(seat.primary)
        )

    def halls_without_backup(self) -> int:
        """Halls that have not left and have no live backup."""
        return sum(
            not seat.left and not self.state.is_live(seat.backup)
            for conference in self.state.conferences.values()
            for seat in conference.seats.values()
        )

    def _note_assignment(self, event: HallAssigned, at_ms: int) -> None:
        seat = self.state.seat(event.conference_id, event.hall_id)
        if seat is None:
            self.joins[at_ms // 1000] += 1
            return
        is_own = event.reason in _OWN_REASONS or self._told_by == event.hall_id
        if seat.left or seat.primary == event.primary or is_own:
            return
        if self._plays_from(event.hall_id) == event.primary:
            return  # the assignment goes to the hall, and not the hall anywhere
        self.moved += 1
        # Back to a relay that was in trouble, or away from it: that hall was concerned.
        if self.state.is_live(seat.primary) and not any(map(self._is_troubled, (seat.primary, event.primary))):
            self.moves_beyond += 1

    def _loads(self, relay_ids: Iterable[str]) -> Iterable[RelayLoad]:
        for relay_id in relay_ids:
            relay = self.state.relays.get(relay_id)
            if relay is not None and relay.live:
                yield relay.load

    def _check(self, loads: Iterable[RelayLoad]) -> None:
        for load in loads:
            self.peak_utilisation = max(self.peak_utilisation, load.utilisation)
            beyond = load.charged_milliseats / SEAT_MILLISEATS - load.hard_seats
            if beyond > 0:
                self.over_limit[load.relay_id] = max(beyond, self.over_limit.get(load.relay_id, 0.0))
                self.most_over_limit = max(self.most_over_limit, beyond)
