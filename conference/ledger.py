"""Which seats are charged to which relay, and the pools of live relays: kept as events apply, never stored.

Everything here can be built anew from seats and relays; it stands beside the state so that a decision about one hall
costs as much as there are relays, not as there are halls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from conference.planner import RelayLoad, replan
from conference.roster import ConferenceState, HallSeat, RelayState

SeatKey = tuple[str, str]
"""Conference id and hall id."""


class SeatLedger:
    """Charges of every relay, known or not yet known.

    Attributes:
        pools: live relays by kind (`virtual`), ascending by name.
        seats_on: charged seats that name a relay.
        unsettled: charged seats whose primary is gone or that have no backup; some may have been settled since by
            the return of their relay, none is missing.
    """

    __slots__ = ("_relays", "pools", "seats_on", "unsettled")

    def __init__(self, relays: Mapping[str, RelayState]) -> None:
        self._relays = relays
        self.pools: dict[bool, list[RelayLoad]] = {False: [], True: []}
        self.seats_on: dict[str, set[SeatKey]] = {}
        self.unsettled: set[SeatKey] = set()

    def charge(self, key: SeatKey, seat: HallSeat) -> None:
        """Count a seat at its primary and at its backup."""
        primary, backup = self._relays.get(seat.primary), self._relays.get(seat.backup)
        self.seats_on.setdefault(seat.primary, set()).add(key)
        if primary is not None:
            primary.load.primaries += 1
        if seat.backup:
            self.seats_on.setdefault(seat.backup, set()).add(key)
        if backup is not None:
            backup.load.backups += 1
        if primary is not None and primary.live and backup is not None and backup.live:
            self.unsettled.discard(key)
        else:
            self.unsettled.add(key)

    def release(self, key: SeatKey, seat: HallSeat) -> None:
        """Undo `charge`; the seat is as it was then."""
        primary, backup = self._relays.get(seat.primary), self._relays.get(seat.backup)
        self.seats_on[seat.primary].discard(key)
        if primary is not None:
            primary.load.primaries -= 1
        if seat.backup:
            self.seats_on[seat.backup].discard(key)
        if backup is not None:
            backup.load.backups -= 1
        self.unsettled.discard(key)

    def recount(self, relay_id: str, conferences: Mapping[str, ConferenceState]) -> None:
        """Count the charged seats that name a relay which is new or has registered again."""
        load = self._relays[relay_id].load
        load.primaries = load.backups = 0
        for conference_id, hall_id in self.seats_on.get(relay_id, ()):
            if conferences[conference_id].seats[hall_id].primary == relay_id:
                load.primaries += 1
            else:
                load.backups += 1

    def lose(self, relay_id: str) -> None:
        """The relay's lease ended: its seats want another."""
        self.unsettled |= self.seats_on.get(relay_id, set())

    def replan(self, kinds: Iterable[bool]) -> None:
        """Gather the pools of these kinds anew and choose their relays' parents."""
        for virtual in kinds:
            self._gather(virtual=virtual)
            replan(self.pools[virtual])

    def restore(self) -> None:
        """Gather all pools, with the parents that their relays have, and count links; the seats are charged after."""
        for virtual in self.pools:
            self._gather(virtual=virtual)
            for load in self.pools[virtual]:
                for parent in load.parents:
                    self._relays[parent].load.links += 1

    def _gather(self, *, virtual: bool) -> None:
        live = (relay.load for relay in self._relays.values() if relay.live and relay.virtual == virtual)
        self.pools[virtual] = sorted(live, key=lambda load: load.relay_id)
