"""The next best relay for one hall: the live relays of one kind, as arrays.

Real and virtual relays form separate pools. A seat is charged when it is assigned, for the backup as for the primary,
so that the loss of one relay never overfills another. The order among relays with room is one number for each:
what separates a backup's fate from its primary's, then feed, soft limit, distance, and use, the name last. A primary
goes by the use of those that send; a backup by all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from conference.errors import RejectedError
from conference.planner.loads import SEAT_MILLISEATS, HallWish, RelayLoad, open_for_halls
from conference.planner.overflow import OverflowChains, distances_from
from conference.planner.paths import PathTable, paths_of

# Steps of the rank, each above all that those before it can add up to: use is below 1 and distance below 64; counts of
# what is shared are cut at 7, which leaves 36 bits of the number for the use.
_OVER_SOFT = 2.0**6
_SHARES_WAY = 2.0**7
_SHARES_ORIGIN_PAIR = 2.0**10
_UNFED = 2.0**13
_SHARES_LOSS = 2.0**14
_MOST_SHARED = 7

# What a standby weighs, of what a hall that plays weighs, where a primary is chosen. It takes as much room and is sent
# nothing: were the two alike, of two relays that are each other's backups one would be given all the halls that play,
# and its loss would be felt by twice as many. So little only tells relays apart that send alike.
_STANDBY = 2.0**-10
NEAR_ONLY = 1.0
"""A ceiling that only a fed relay of the hall's own region, below its soft limit and on a path of its own, passes."""

NO_RELAYS: frozenset[str] = frozenset()


class Pool:
    """Live relays of one kind with their charges.

    Args:
        loads: the relays, with parents and charges; the caller goes on charging them and tells it with `touch`.
        chains: where regions overflow to.
        paths: the table of these relays, if it is at hand.

    Attributes:
        loads: ascending by name.
    """

    def __init__(
        self,
        loads: Iterable[RelayLoad] = (),
        chains: OverflowChains | None = None,
        paths: PathTable | None = None,
    ) -> None:
        self.loads = sorted(loads, key=lambda load: load.relay_id)
        self._chains = chains or {}
        self._index = {load.relay_id: index for index, load in enumerate(self.loads)}
        self._open = np.zeros(len(self.loads), dtype=np.bool_)
        self._open[[self._index[load.relay_id] for load in open_for_halls(self.loads)]] = True
        unfed = [_UNFED if load.role == "edge" and not load.parents else 0.0 for load in self.loads]
        self._fixed = np.where(self._open, np.array(unfed, dtype=np.float64), np.inf)
        self._rank = np.empty(len(self.loads))
        self._rank_to_play = np.empty(len(self.loads))
        self._room = np.empty(len(self.loads), dtype=np.int64)
        self._soft_room = np.empty(len(self.loads), dtype=np.int64)
        for index in range(len(self.loads)):
            self._refresh(index)
        self._distances: dict[str, NDArray[np.float64]] = {}
        self._beside: dict[int, NDArray[np.float64]] = {}
        self._paths = paths

    def __contains__(self, relay_id: object) -> bool:
        return relay_id in self._index

    def index(self, relay_id: str) -> int:
        """Where a relay stands among `loads`; -1 for one that is not here."""
        return self._index.get(relay_id, -1)

    def may_keep(self, index: int, wish: HallWish) -> bool:
        """Whether the relay that stands at `index` may keep a hall that it had; -1 stands for none."""
        if index < 0 or not self._open[index]:
            return False
        load = self.loads[index]
        fits = load.charged_milliseats + wish.milliseats <= load.keeping_milliseats
        return fits and not load.is_leaving and load.relay_id not in wish.exclude

    def touch(self, relay_id: str) -> None:
        """A relay's charges have changed; one that is not here does not matter."""
        index = self._index.get(relay_id)
        if index is not None:
            self._refresh(index)

    def charge(self, index: int, milliseats: int, *, primaries: int = 0, backups: int = 0) -> None:
        """Charge halls to the relay that stands at `index`; negative counts release them."""
        self.loads[index].charge(milliseats, primaries=primaries, backups=backups)
        self._refresh(index)

    def has_room(self, relay_id: str, milliseats: int) -> bool:
        """Whether a hall may be charged to the relay, near or far."""
        index = self._index.get(relay_id)
        return index is not None and bool(self._room[index] >= milliseats)

    def place(self, wish: HallWish, avoid: frozenset[str] = NO_RELAYS) -> tuple[str, str]:
        """Choose a hall's primary and backup; nothing is charged here.

        Args:
            wish: the hall.
            avoid: relays that may not be chosen now, beside those that it excludes.

        Returns:
            The primary and the backup; the backup is "" where no second relay has room.

        Raises:
            RejectedError: `no_relay` (503): none has room below its hard limit.
        """
        primary = self.best(wish, avoid)
        if primary < 0:
            raise RejectedError("no_relay", "no relay has room for this hall", status=503)
        name = self.loads[primary].relay_id
        return name, self.place_backup(wish, name, avoid)

    def place_backup(self, wish: HallWish, primary: str, avoid: frozenset[str] = NO_RELAYS) -> str:
        """Choose a backup beside a primary that stands; "" where no other relay has room."""
        backup = self.best(wish, avoid | {primary}, beside=self._index.get(primary, -1))
        return "" if backup < 0 else self.loads[backup].relay_id

    def settle(self, wish: HallWish, primary: str, backup: str) -> tuple[str, str]:
        """What a hall shall have that had these: as much of it as still stands, and another for what is gone.

        Returns:
            Primary and backup; the backup takes the place of a lost primary. ("", "") where both are gone and no relay
            has room, and "" for a backup that is not to be had.
        """
        found = self._complete(wish, [relay_id for relay_id in (primary, backup) if self.stands(relay_id)])
        if found[0]:
            return found
        # One that is to be left at once, and cannot be, is better than none.
        here = [relay_id for relay_id in (primary, backup) if relay_id in self._index]
        return here[0] if here else "", here[1] if len(here) > 1 else ""

    def move(self, wish: HallWish, primary: str, backup: str, wanted: str = "") -> tuple[str, str]:
        """What a hall shall have by what operators ordered, that has these two or what is left of them.

        Args:
            wish: the hall; what it has and must not have is in `exclude`.
            primary: what it plays from.
            backup: its backup, or "".
            wanted: the relay that it shall play from, as soon as that has room.

        Returns:
            As `settle`: what may stay stays, a backup takes the place of a primary that is to be left.
        """
        kept = [relay_id for relay_id in (primary, backup) if self._stays(relay_id) and relay_id not in wish.exclude]
        if wanted in kept or (wanted not in wish.exclude and self.has_room(wanted, wish.milliseats)):
            # Beside a new primary a pinned backup comes first, then the standby that it has, then what it leaves.
            pinned = [pin for pin in wish.pins[1:] if pin in kept or self.has_room(pin, wish.milliseats)]
            kept = [wanted, *(pin for pin in pinned if pin not in wish.exclude), *reversed(kept)]
        return self._complete(wish, kept)

    def stands(self, relay_id: str) -> bool:
        """Whether a hall that has this relay has it still: it is here, and is not to be left at once."""
        index = self._index.get(relay_id)
        return index is not None and self.loads[index].mode != "evacuating"

    def _stays(self, relay_id: str) -> bool:
        index = self._index.get(relay_id)
        return index is not None and not self.loads[index].is_leaving

    def _complete(self, wish: HallWish, kept: Sequence[str]) -> tuple[str, str]:
        """Primary and backup of a hall that keeps these, the primary first."""
        primary, backup = (*dict.fromkeys(kept), "", "")[:2]
        if not primary:
            chosen = self.best(wish)
            primary = "" if chosen < 0 else self.loads[chosen].relay_id
        if primary and not backup:
            backup = self.place_backup(wish, primary)
        return primary, backup

    def best(
        self,
        wish: HallWish,
        avoid: Iterable[str] = NO_RELAYS,
        *,
        beside: int = -1,
        ceiling: float = np.inf,
        among: Sequence[int] | None = None,
    ) -> int:
        """The best relay with room.

        Args:
            wish: the hall; its pins come first, the first pin as its primary.
            avoid: relays that may not be chosen now.
            beside: index of the primary where a backup is wanted, else -1.
            ceiling: a rank that must not be reached, `NEAR_ONLY` or infinity.
            among: indexes of the only relays that are asked; all where none are named.

        Returns:
            An index, or -1 where none has room.
        """
        if not self.loads:
            return -1
        ranks = (self._rank if beside >= 0 else self._rank_to_play) + self._distance(wish.region)
        ranks += (self._soft_room < wish.milliseats) * _OVER_SOFT
        if beside >= 0:
            ranks += self._shared(beside)
            ranks[beside] = np.inf
        ranks[self._room < wish.milliseats] = np.inf
        for relay_id in (*avoid, *wish.exclude):
            index = self._index.get(relay_id)
            if index is not None:
                ranks[index] = np.inf
        for relay_id in wish.pins:
            index = self._index.get(relay_id)
            if index is not None and ranks[index] < np.inf:
                return index
        chosen = int(ranks.argmin()) if among is None else min(among, key=lambda index: float(ranks[index]))
        return chosen if ranks[chosen] < ceiling else -1

    def _refresh(self, index: int) -> None:
        load = self.loads[index]
        charged = load.charged_milliseats
        self._room[index] = load.limit_milliseats - charged
        self._soft_room[index] = load.soft_seats * SEAT_MILLISEATS - charged
        self._rank[index] = rank = self._fixed[index] + load.utilisation
        self._rank_to_play[index] = rank - (1.0 - _STANDBY) * load.waiting

    def _distance(self, region: str) -> NDArray[np.float64]:
        row = self._distances.get(region)
        if row is None:
            row = self._distances[region] = distances_from(region, self.loads, self._chains)
        return row

    def _shared(self, primary: int) -> NDArray[np.float64]:
        """What each relay's rank as a backup loses by what it shares with a primary."""
        row = self._beside.get(primary)
        if row is None:
            if self._paths is None:
                self._paths = paths_of(self.loads)
            row = np.zeros(len(self.loads))
            for step, count in zip(
                (_SHARES_LOSS, _SHARES_ORIGIN_PAIR, _SHARES_WAY), self._paths.shared(primary), strict=True
            ):
                # What every other relay shares too (an only origin) tells none from another.
                others = count[self._open & (np.arange(len(count)) != primary)]
                least = others.min() if len(others) else 0
                row += step * np.minimum(np.maximum(count - least, 0), _MOST_SHARED)
            self._beside[primary] = row
        return row
