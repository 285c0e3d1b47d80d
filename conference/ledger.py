"""Which seats are charged to which relay, and the pools of live relays: kept as events apply, never stored.

Everything here can be built anew from seats and relays; it stands beside the state so that a decision about one hall
costs as much as there are relays, not as there are halls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from conference.planner.loads import RelayLoad
from conference.planner.overflow import OverflowChains
from conference.planner.pool import NO_RELAYS, Pool
from conference.planner.tree import replan
from conference.roster import ConferenceState, HallSeat, RelayState

SeatKey = tuple[str, str]
"""Conference id and hall id."""


class SeatLedger:
    """Charges of every relay, known or not yet known.

    Args:
        relays: all relays, live and lost; their loads are charged here.
        chains: where regions overflow to.
        excluded: relays that a hall shall not have.

    Attributes:
        pools: live relays by kind (`virtual`).
        seats_on: charged seats that name a relay.
        unsettled: charged seats whose primary is gone or that have no backup, or that are to leave a relay at once.
        misplaced: charged seats that orders want elsewhere; they are moved at a pace.
        leaving: charged seats of halls that were moved and have not said yet that they left their former relay.
    """

    __slots__ = (
        "_chains",
        "_excluded",
        "_milliseats",
        "_relays",
        "leaving",
        "misplaced",
        "pools",
        "seats_on",
        "unsettled",
    )

    def __init__(
        self,
        relays: Mapping[str, RelayState],
        chains: OverflowChains | None = None,
        excluded: Callable[[str], frozenset[str]] = lambda _hall_id: NO_RELAYS,
    ) -> None:
        self._relays = relays
        self._chains = chains or {}
        self._excluded = excluded
        # What each charged seat was charged with: it is released with the same, wherever its hall belongs by then.
        self._milliseats: dict[SeatKey, int] = {}
        self.pools: dict[bool, Pool] = {False: Pool(), True: Pool()}
        self.seats_on: dict[str, set[SeatKey]] = {}
        self.unsettled: set[SeatKey] = set()
        self.misplaced: set[SeatKey] = set()
        self.leaving: set[SeatKey] = set()

    def charge(self, key: SeatKey, seat: HallSeat, milliseats: int) -> None:
        """Count a seat at its primary, at its backup, and at the relay that it is leaving."""
        self._milliseats[key] = milliseats
        for relay_id in (seat.primary, seat.backup, seat.leaving):
            if relay_id:
                self.seats_on.setdefault(relay_id, set()).add(key)
        self._count(seat, milliseats, 1)
        if seat.leaving:
            self.leaving.add(key)
        self.review(key, seat)

    def release(self, key: SeatKey, seat: HallSeat) -> None:
        """Undo `charge`; the seat is as it was then."""
        for relay_id in (seat.primary, seat.backup, seat.leaving):
            if relay_id:
                self.seats_on[relay_id].discard(key)
        self._count(seat, self._milliseats.pop(key), -1)
        self.leaving.discard(key)
        self.unsettled.discard(key)
        self.misplaced.discard(key)

    def review(self, key: SeatKey, seat: HallSeat) -> None:
        """See anew whether a charged seat is where it shall be; one that is not charged does not matter."""
        if key not in self._milliseats:
            return
        relays = (self._relays.get(seat.primary), self._relays.get(seat.backup))
        if all(relay is not None and relay.live and relay.load.mode != "evacuating" for relay in relays):
            self.unsettled.discard(key)
        else:
            self.unsettled.add(key)
        is_misplaced = (
            bool(seat.wanted or seat.unwanted)
            or any(relay is not None and relay.load.is_leaving for relay in relays)
            or not self._excluded(key[1]).isdisjoint((seat.primary, seat.backup))
        )
        if is_misplaced:
            self.misplaced.add(key)
        else:
            self.misplaced.discard(key)

    def recount(self, relay_id: str, conferences: Mapping[str, ConferenceState]) -> None:
        """Count the charged seats that name a relay which is new or has registered again."""
        load = self._relays[relay_id].load
        load.primaries = load.backups = load.leavers = load.hall_milliseats = 0
        for key in self.seats_on.get(relay_id, ()):
            seat = conferences[key[0]].seats[key[1]]
            load.charge(
                self._milliseats[key],
                primaries=seat.primary == relay_id,
                backups=seat.backup == relay_id,
                leavers=seat.leaving == relay_id,
            )
            self.review(key, seat)

    def _count(self, seat: HallSeat, milliseats: int, sign: int) -> None:
        primary, backup = self._relays.get(seat.primary), self._relays.get(seat.backup)
        if primary is not None:
            primary.load.charge(milliseats, primaries=sign)
            self.pools[primary.virtual].touch(primary.relay_id)
        if backup is not None:
            backup.load.charge(milliseats, backups=sign)
            self.pools[backup.virtual].touch(backup.relay_id)
        former = self._relays.get(seat.leaving)
        if former is not None:
            former.load.charge(milliseats, leavers=sign)
            self.pools[former.virtual].touch(former.relay_id)

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
