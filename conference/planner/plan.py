"""A whole country at once: every relay's parents, every hall's primary and backup, and what was not possible.

The plan is a function of its input: the order of relays and halls does not matter, and nothing is drawn by lot.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from conference.planner.loads import HallWish, RelayLoad
from conference.planner.overflow import OverflowChains
from conference.planner.pool import NEAR_ONLY, Pool
from conference.planner.proof import NOBODY, Proof, prove
from conference.planner.quotas import quotas
from conference.planner.tree import replan

Indexes = NDArray[np.int64]
Pair = tuple[str, str]
"""A hall's primary and backup by name; "" where it has none."""


class Plan:
    """Who hangs where.

    Args:
        loads: relays, ascending by name, with their parents and what is charged to them.
        wishes: halls, ascending by id.
        primaries: of each hall, the index of its primary among `loads`, or `NOBODY`.
        backups: the same for its backup.
        chains: where regions overflow to.
    """

    def __init__(
        self,
        loads: Sequence[RelayLoad],
        wishes: Sequence[HallWish],
        primaries: Indexes,
        backups: Indexes,
        chains: OverflowChains,
    ) -> None:
        self.loads = loads
        self.wishes = wishes
        self.primaries = primaries
        self.backups = backups
        self._chains = chains

    def pair(self, number: int) -> Pair:
        """Primary and backup of the hall that stands at `number`."""
        return self._name(int(self.primaries[number])), self._name(int(self.backups[number]))

    def pairs(self) -> dict[str, Pair]:
        """Primary and backup of every hall by its id."""
        return {wish.hall_id: self.pair(number) for number, wish in enumerate(self.wishes)}

    @property
    def halls_without_primary(self) -> list[str]:
        """Halls for which no relay has room."""
        return [self.wishes[number].hall_id for number in (self.primaries == NOBODY).nonzero()[0]]

    @property
    def halls_without_backup(self) -> list[str]:
        """Halls that have no second relay, those without any among them."""
        return [self.wishes[number].hall_id for number in (self.backups == NOBODY).nonzero()[0]]

    @property
    def broken_pins(self) -> list[str]:
        """Halls that are not on the relays which they are pinned to: unknown, excluded or full ones."""
        numbered = ((wish, *self.pair(number)) for number, wish in enumerate(self.wishes) if wish.pins)
        return [
            wish.hall_id
            for wish, primary, backup in numbered
            if wish.pins[0] != primary or (len(wish.pins) > 1 and wish.pins[1] != backup)
        ]

    @property
    def in_region(self) -> int:
        """Halls whose primary stands in their own region."""
        regions = [load.region for load in self.loads]
        placed = zip(self.wishes, self.primaries, strict=True)
        return sum(primary != NOBODY and regions[primary] == wish.region for wish, primary in placed)

    def prove(self, *, merge_parents: bool = False) -> Proof:
        """Walk every loss (`conference.planner.proof`)."""
        milliseats = np.array([wish.milliseats for wish in self.wishes], dtype=np.int64)
        return prove(self.loads, self.primaries, self.backups, milliseats, merge_parents=merge_parents)

    def digest(self) -> str:
        """SHA-256 (hex) of who hangs where; equal plans have equal digests."""
        parents = [(load.relay_id, load.parents) for load in self.loads]
        return hashlib.sha256(msgspec.json.encode([parents, sorted(self.pairs().items())])).hexdigest()

    def without(self, relay_id: str) -> Plan:
        """The plan after the loss of one relay: its halls go to their backups and get others, nobody else moves."""
        loads = [
            msgspec.structs.replace(load, parents=list(load.parents))
            for load in self.loads
            if load.relay_id != relay_id
        ]
        paths = replan(loads, self._chains)
        pool = Pool(loads, self._chains, paths)
        gone = self._index(relay_id)
        primaries, backups = _closed_up(self.primaries, gone), _closed_up(self.backups, gone)
        for number in ((self.primaries == gone) | (self.backups == gone)).nonzero()[0]:
            wish, (primary, backup) = self.wishes[number], self.pair(number)
            for index, role in ((pool.index(primary), "primaries"), (pool.index(backup), "backups")):
                if index != NOBODY:
                    pool.charge(index, wish.milliseats, **{role: -1})
            primary, backup = pool.settle(wish, primary, backup)
            primaries[number], backups[number] = pool.index(primary), pool.index(backup)
            for index, role in ((primaries[number], "primaries"), (backups[number], "backups")):
                if index != NOBODY:
                    pool.charge(int(index), wish.milliseats, **{role: 1})
        return Plan(pool.loads, self.wishes, primaries, backups, self._chains)

    def moved_beyond(self, relay_id: str, after: Plan) -> int:
        """Halls that `after`, the plan without a relay, moved although they had nothing to do with it."""
        gone = self._index(relay_id)
        concerned = (self.primaries == gone) | (self.backups == gone)
        moved = (_closed_up(self.primaries, gone) != after.primaries) | (
            _closed_up(self.backups, gone) != after.backups
        )
        return int(np.count_nonzero(moved & ~concerned))

    def _index(self, relay_id: str) -> int:
        """Where a relay stands; beyond the last one if it is not here."""
        return next((index for index, load in enumerate(self.loads) if load.relay_id == relay_id), len(self.loads))

    def _name(self, index: int) -> str:
        return "" if index == NOBODY else self.loads[index].relay_id


def _closed_up(indexes: Indexes, gone: int) -> Indexes:
    """Indexes of relays after one of them is taken out of the row."""
    closed: Indexes = np.where(indexes > gone, indexes - 1, indexes)
    return closed


def make_plan(
    relays: Iterable[RelayLoad],
    wishes: Iterable[HallWish],
    chains: OverflowChains | None = None,
    present: Mapping[str, Pair] | None = None,
) -> Plan:
    """Plan a country.

    Pinned halls come first, then those that have relays now. The others stay at home if all of them can; if not, a
    minimum-cost flow says how many of each region go where (`conference.planner.quotas`), so that a region that is full
    takes no seat that the next one needs more. Whoever is left is placed one by one, a primary for everybody before a
    backup for anybody, at home before away.

    Args:
        relays: with their present parents, if any; charges are not read. They are copied.
        wishes: the halls.
        chains: where regions overflow to.
        present: relays that halls have now; kept wherever they stand, are not excluded, and have room.

    Returns:
        The plan. Where capacity is short it names the halls that lack a relay; nothing is raised.
    """
    chains, present = chains or {}, present or {}
    halls = sorted(wishes, key=lambda wish: wish.hall_id)
    loads = [
        msgspec.structs.replace(load, parents=list(load.parents), primaries=0, backups=0, hall_milliseats=0)
        for load in relays
    ]
    # The tree leaves to present halls what they have; then they are charged anew, one by one.
    named = {load.relay_id: load for load in loads}
    for wish in halls:
        for relay_id in present.get(wish.hall_id, ()):
            if relay_id in named:
                named[relay_id].hall_milliseats += wish.milliseats
    paths = replan(loads, chains)
    for load in loads:
        load.hall_milliseats = 0
    return _Placing(Pool(loads, chains, paths), halls, chains).plan(present)


class _Placing:
    """One run of `make_plan` after its tree: halls are placed in passes, each in order of their ids."""

    def __init__(self, pool: Pool, wishes: list[HallWish], chains: OverflowChains) -> None:
        self._pool = pool
        self._wishes = wishes
        self._chains = chains
        self._primaries: Indexes = np.full(len(wishes), NOBODY, dtype=np.int64)
        self._backups: Indexes = np.full(len(wishes), NOBODY, dtype=np.int64)

    def plan(self, present: Mapping[str, Pair]) -> Plan:
        everyone = range(len(self._wishes))
        pinned = [number for number in everyone if self._wishes[number].pins]
        kept = [number for number in everyone if self._wishes[number].hall_id in present]
        # A pin is somebody's order, what stands is habit, what is near is a preference.
        self._give_primaries(pinned)
        for number in kept:
            self._keep(number, present[self._wishes[number].hall_id][0], is_backup=False)
        self._give_backups(number for number in pinned if len(self._wishes[number].pins) > 1)
        for number in kept:
            self._keep(number, present[self._wishes[number].hall_id][1], is_backup=True)
        bound = {number for number in everyone if self._wishes[number].exclude} | set(pinned) | set(kept)
        self._place_free([number for number in everyone if number not in bound])
        for ceiling in (NEAR_ONLY, np.inf):
            self._give_primaries(everyone, ceiling)
        for ceiling in (NEAR_ONLY, np.inf):
            self._give_backups(everyone, ceiling)
        return Plan(self._pool.loads, self._wishes, self._primaries, self._backups, self._chains)

    def _place_free(self, free: Sequence[int]) -> None:
        """Halls that may go anywhere: all at home, or else by the quotas that cost the fewest steps."""
        self._give_primaries(free, NEAR_ONLY)
        self._give_backups(free, NEAR_ONLY)
        if all(self._backups[number] != NOBODY for number in free):
            return
        for number in free:
            self._release(number)
        wishes: dict[str, list[int]] = {}
        for number in free:
            wishes.setdefault(self._wishes[number].region, []).append(number)
        found = quotas(self._pool.loads, [self._wishes[number] for number in free], self._chains)
        seated = [
            (number, pair)
            for region, pairs in found.items()
            for number, pair in zip(wishes[region], pairs, strict=False)
        ]
        for number, (group, _) in seated:
            index = self._pool.best(self._wishes[number], among=group.relays)
            if index != NOBODY:
                self._give_primary(number, index)
        for number, (_, group) in seated:
            primary = int(self._primaries[number])
            index = self._pool.best(self._wishes[number], beside=primary, among=group.relays)
            if NOBODY not in (primary, index):
                self._give_backup(number, index)

    def _release(self, number: int) -> None:
        """Take back what a hall was given."""
        milliseats = self._wishes[number].milliseats
        if self._primaries[number] != NOBODY:
            self._pool.charge(int(self._primaries[number]), milliseats, primaries=-1)
        if self._backups[number] != NOBODY:
            self._pool.charge(int(self._backups[number]), milliseats, backups=-1)
        self._primaries[number] = self._backups[number] = NOBODY

    def _keep(self, number: int, relay_id: str, *, is_backup: bool) -> None:
        """Leave a hall where it is, if that may be."""
        wish, index = self._wishes[number], self._pool.index(relay_id)
        primary = int(self._primaries[number])
        stays = self._pool.may_keep(index, wish)
        if stays and is_backup and primary not in (NOBODY, index) and self._backups[number] == NOBODY:
            self._give_backup(number, index)
        elif stays and not is_backup and primary == NOBODY:
            self._give_primary(number, index)

    def _give_primaries(self, numbers: Iterable[int], ceiling: float = np.inf) -> None:
        for number in numbers:
            if self._primaries[number] == NOBODY:
                index = self._pool.best(self._wishes[number], ceiling=ceiling)
                if index != NOBODY:
                    self._give_primary(number, index)

    def _give_backups(self, numbers: Iterable[int], ceiling: float = np.inf) -> None:
        for number in numbers:
            primary = int(self._primaries[number])
            if primary != NOBODY and self._backups[number] == NOBODY:
                index = self._pool.best(self._wishes[number], beside=primary, ceiling=ceiling)
                if index != NOBODY:
                    self._give_backup(number, index)

    def _give_primary(self, number: int, index: int) -> None:
        self._primaries[number] = index
        self._pool.charge(index, self._wishes[number].milliseats, primaries=1)

    def _give_backup(self, number: int, index: int) -> None:
        self._backups[number] = index
        self._pool.charge(index, self._wishes[number].milliseats, backups=1)
