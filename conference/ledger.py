"""Which seats are charged to which relay, and the pools of live relays: kept as events apply, never stored.

Everything here can be built anew from seats and relays; it stands beside the state so that a decision about one hall
costs as much as there are relays, not as there are halls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from conference.planner.loads import RelayLoad
from conference.planner.overflow import OverflowChains
from conference.planner.pool import Pool
from conference.planner.tree import replan
from conference.roster import ConferenceState, HallSeat, RelayState

SeatKey = tuple[str, str]
"""Conference id and hall id."""


class SeatLedger:
    """Charges of every relay, known or not yet known.

    Args:
        relays: all relays, live and lost; their loads are charged here.
        chains: where regions overflow to.

    Attributes:
        pools: live relays by kind (`virtual`).
        seats_on: charged seats that name a relay.
        unsettled: charged seats whose primary is gone or that have no backup; some may have been settled since by
            the return of their relay, none is missing.
    """

    __slots__ = ("_chains", "_milliseats", "_relays", "pools", "seats_on", "unsettled")

    def __init__(self, relays: Mapping[str, RelayState], chains: OverflowChains | None = None) -> None:
        self._relays = relays
        self._chains = chains or {}
        # What each charged seat was charged with: it is released with the same, wherever its hall belongs by then.
        self._milliseats: dict[SeatKey, int] = {}
        self.pools: dict[bool, Pool] = {False: Pool(), True: Pool()}
        self.seats_on: dict[str, set[SeatKey]] = {}
        self.unsettled: set[SeatKey] = set()

    def charge(self, key: SeatKey, seat: HallSeat, milliseats: int) -> None:
        """Count a seat at its primary and at its backup."""
        self._milliseats[key] = milliseats
        self.seats_on.setdefault(seat.primary, set()).add(key)
        if seat.backup:
            self.seats_on.setdefault(seat.backup, set()).add(key)
        self._count(seat, milliseats, 1)
        if self._is_live(seat.primary) and self._is_live(seat.backup):
            self.unsettled.discard(key)
        else:
            self.unsettled.add(key)

    def release(self, key: SeatKey, seat: HallSeat) -> None:
        """Undo `charge`; the seat is as it was then."""
        self.seats_on[seat.primary].discard(key)
        if seat.backup:
            self.seats_on[seat.backup].discard(key)
        self._count(seat, self._milliseats.pop(key), -1)
        self.unsettled.discard(key)

    def recount(self, relay_id: str, conferences: Mapping[str, ConferenceState]) -> None:
        """Count the charged seats that name a relay which is new or has registered again."""
        load = self._relays[relay_id].load
        load.primaries = load.backups = load.hall_milliseats = 0
        for key in self.seats_on.get(relay_id, ()):
            is_primary = conferences[key[0]].seats[key[1]].primary == relay_id
            load.charge(self._milliseats[key], primaries=is_primary, backups=not is_primary)

    def _is_live(self, relay_id: str) -> bool:
        relay = self._relays.get(relay_id)
        return relay is not None and relay.live

    def _count(self, seat: HallSeat, milliseats: int, sign: int) -> None:
        primary, backup = self._relays.get(seat.primary), self._relays.get(seat.backup)
        if primary is not None:
            primary.load.charge(milliseats, primaries=sign)
            self.pools[primary.virtual].touch(primary.relay_id)
        if backup is not None:
            backup.load.charge(milliseats, backups=sign)
            self.pools[backup.virtual].touch(backup.relay_id)

    def lose(self, relay_id: str) -> None:
        """The relay's lease ended: its seats want another."""
        self.unsettled |= self.seats_on.get(relay_id, set())

    def replan(self, kinds: Iterable[bool]) -> None:
        """Gather the pools of these kinds anew and choose their relays' parents."""
        for virtual in kinds:
            loads = self._live_loads(virtual=virtual)
            paths = replan(loads, self._chains)
            self.pools[virtual] = Pool(loads, self._chains, paths)

    def restore(self) -> None:
        """Gather all pools, with the parents that their relays have, and count links; the seats are charged after."""
        for virtual in self.pools:
            loads = self._live_loads(virtual=virtual)
            for load in loads:
                for parent in load.parents:
                    self._relays[parent].load.links += 1
            self.pools[virtual] = Pool(loads, self._chains)

    def _live_loads(self, *, virtual: bool) -> list[RelayLoad]:
        return [relay.load for relay in self._relays.values() if relay.live and relay.virtual == virtual]
