"""The tree of relays: each edge's primary and backup parent, on paths apart, with as few changes as possible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from conference.planner.loads import SEAT_MILLISEATS, RelayLoad
from conference.planner.overflow import OverflowChains, distances_from
from conference.planner.paths import PathTable

# Steps of what a parent costs, each above all that those before it can add up to: use is at most 1, distance below 64,
# and fewer than 4,096 relays of one region stand below one origin.
_DISTANCE = 2.0
_SAME_ORIGIN = 2.0**7
_DEPTH = 2.0**19
# The same for what a backup parent shares with the primary one.
_SHARES_ORIGIN_PAIR = 2.0**10
_SHARES_LOSS = 2.0**20

_GONE = -1


def tree_depth(parents: Mapping[str, Sequence[str]]) -> int:
    """Hops from an origin to the farthest relay along primary parents; 0 for origins alone."""
    depths: dict[str, int] = {}

    def depth(relay_id: str) -> int:
        known = depths.get(relay_id)
        if known is None:
            above = parents.get(relay_id, ())
            known = depths[relay_id] = 1 + depth(above[0]) if above else 0
        return known

    return max((depth(relay_id) for relay_id in parents), default=0)


def plan_tree(relays: Sequence[RelayLoad], chains: OverflowChains | None = None) -> dict[str, list[str]]:
    """Choose the parents of every relay of one pool, best first.

    Origins have none. An edge keeps its present parents where they still stand (a change moves as few as possible);
    else it takes the shallowest relay with a free seat. Among these, the relays of one region share themselves out
    over the origins, so that a hall finds two paths without leaving its region; then near comes first, then the least
    used. Its backup parent is the one that shares the fewest losses with the primary. A cordoned relay keeps the
    children that it has and takes no others; one that is drained or evacuated loses them to whoever has room, and
    keeps only those whom nobody else feeds. Parents always stand above their
    children in one total order (depth, then name), so primary and backup links together never form a cycle.

    Args:
        relays: live relays of one pool; their `parents` are the present ones, their `links` are not read.
        chains: where regions overflow to.

    Returns:
        Parents of each relay; an empty list for an origin and for an edge that nobody has room to feed.
    """
    return _Tree(relays, chains or {}).solve()


def replan(relays: Sequence[RelayLoad], chains: OverflowChains | None = None) -> PathTable | None:
    """Set `parents` and `links` of every relay of a pool to what `plan_tree` says; the rest is untouched.

    Returns:
        The table of the new tree, relays in order of their names; None where it is not at hand.
    """
    tree = _Tree(relays, chains or {})
    parents = tree.solve()
    links = dict.fromkeys(parents, 0)
    for above in parents.values():
        for parent in above:
            links[parent] += 1
    for relay in relays:
        relay.parents = parents[relay.relay_id]
        relay.links = links[relay.relay_id]
    return tree.table


class _Tree:
    """One run of `plan_tree`: what is placed, how deep, and which seats are still free. Relays are indexes."""

    def __init__(self, relays: Sequence[RelayLoad], chains: OverflowChains) -> None:
        self._loads = sorted(relays, key=lambda load: load.relay_id)
        self._chains = chains
        count = len(self._loads)
        indexes = {load.relay_id: index for index, load in enumerate(self._loads)}
        self._leaving = np.array([load.is_leaving for load in self._loads], dtype=np.bool_)
        self._takes = np.array([not load.is_closed for load in self._loads], dtype=np.bool_)
        self._left = [
            [indexes[parent] for parent in load.parents if parent in indexes and self._leaving[indexes[parent]]]
            for load in self._loads
        ]
        # A parent that is to be left is as good as gone, until it turns out that nobody else can feed the child.
        self._present = [
            [
                _GONE if parent not in indexes or self._leaving[indexes[parent]] else indexes[parent]
                for parent in load.parents
            ]
            for load in self._loads
        ]
        self._room = np.array(
            [load.hard_seats - -(-load.hall_milliseats // SEAT_MILLISEATS) for load in self._loads], dtype=np.int64
        )
        self._seats = np.maximum(np.array([load.hard_seats for load in self._loads], dtype=np.float64), 1.0)
        self._parents: list[list[int]] = [[] for _ in self._loads]
        self._table = PathTable(self._loads)
        self._is_exact = True
        self._distances: dict[str, NDArray[np.float64]] = {}
        # Of each relay that is placed: hops to its origin along primary parents, and which origin that is.
        self._depth = np.full(count, _GONE, dtype=np.int64)
        self._origin = np.zeros(count, dtype=np.int64)
        self._below: dict[str, NDArray[np.int64]] = {}
        for index, load in enumerate(self._loads):
            if load.role == "origin":
                self._depth[index] = 0
                self._origin[index] = index

    def solve(self) -> dict[str, list[str]]:
        waiting = [index for index, load in enumerate(self._loads) if load.role == "edge"]
        while waiting:
            # Those that have a parent still; then one newcomer, and again, as others may have waited for that one.
            self._feed_twice(self._keep(waiting))
            waiting = [index for index in waiting if self._depth[index] == _GONE]
            newcomer = next((index for index in waiting if self._attach(index)), None)
            if newcomer is None:
                break
            self._feed_twice([newcomer])
            waiting.remove(newcomer)
        self._feed_again()
        names = [load.relay_id for load in self._loads]
        return {name: [names[parent] for parent in self._parents[index]] for index, name in enumerate(names)}

    @property
    def table(self) -> PathTable | None:
        """Losses and paths of the tree, where every row was filled with the parents that stayed."""
        return self._table if self._is_exact else None

    def _order(self, index: int) -> tuple[int, int]:
        return int(self._depth[index]), index

    def _keep(self, waiting: Iterable[int]) -> list[int]:
        """Place the relays that have a present parent with room; a backup is promoted where the primary is gone."""
        kept: list[int] = []
        left = [index for index in waiting if any(parent != _GONE for parent in self._present[index])]
        while left:
            placed = (
                self._keep_below(left, 0)
                # A primary that waits itself is waited for, so that its children stay; only then is it given up.
                or self._keep_below([index for index in left if self._present[index][0] == _GONE], 1)
                or self._keep_below(left, 1)
            )
            if not placed:
                break
            kept += placed
            left = [index for index in left if self._depth[index] == _GONE]
        return kept

    def _keep_below(self, waiting: Iterable[int], rank: int) -> list[int]:
        placed: list[int] = []
        for index in waiting:
            present = self._present[index]
            if len(present) > rank and self._is_open(present[rank]):
                self._hang(index, present[rank])
                placed.append(index)
        return placed

    def _is_open(self, parent: int) -> bool:
        return parent != _GONE and bool(self._depth[parent] != _GONE) and bool(self._room[parent] > 0)

    def _attach(self, index: int) -> bool:
        """Place a relay that has no standing parent below the best one with room."""
        options = ((self._depth != _GONE) & (self._room > 0) & self._takes).nonzero()[0]
        if len(options):
            self._hang(index, int(options[self._costs(index, options).argmin()]))
            return True
        # Fed once goes before fed twice: somebody's backup link gives way.
        twice = max(
            (other for other, above in enumerate(self._parents) if len(above) > 1 and self._takes[above[1]]),
            key=self._order,
            default=None,
        )
        if twice is None:
            still = next((parent for parent in self._left[index] if self._is_open(parent)), _GONE)
            if still != _GONE:
                self._hang(index, still)
            return still != _GONE
        parent = self._parents[twice].pop()
        self._is_exact = False  # the rows of that relay and of those below it are better than the truth
        self._room[parent] += 1
        self._hang(index, parent)
        return True

    def _hang(self, index: int, parent: int) -> None:
        self._room[parent] -= 1
        self._parents[index] = [parent]
        self._depth[index] = self._depth[parent] + 1
        self._origin[index] = self._origin[parent]
        self._below_origins(self._loads[index].region)[self._origin[parent]] += 1

    def _below_origins(self, region: str) -> NDArray[np.int64]:
        """How many relays of a region play from each origin."""
        below = self._below.get(region)
        if below is None:
            below = self._below[region] = np.zeros(len(self._loads), dtype=np.int64)
        return below

    def _costs(self, index: int, options: NDArray[np.intp]) -> NDArray[np.float64]:
        region = self._loads[index].region
        distances = self._distances.get(region)
        if distances is None:
            distances = self._distances[region] = distances_from(region, self._loads, self._chains)
        costs: NDArray[np.float64] = (
            _DEPTH * self._depth[options]
            + _SAME_ORIGIN * self._below_origins(region)[self._origin[options]]
            + _DISTANCE * distances[options]
            + (1.0 - self._room[options] / self._seats[options])
        )
        return costs

    def _feed_twice(self, placed: list[int]) -> None:
        """Give relays that have a primary parent a backup, present ones first, and fill their rows of the table."""
        placed.sort(key=self._order)
        for index in placed:
            for parent in self._present[index]:
                is_new = len(self._parents[index]) < 2 and parent != self._parents[index][0]
                if is_new and self._is_open(parent) and self._order(parent) < self._order(index):
                    self._room[parent] -= 1
                    self._parents[index].append(parent)
        for index in placed:
            self._improve_backup(index)
            self._table.place(index, self._parents[index])

    def _feed_again(self) -> None:
        """Give a backup to those that found none in their turn: who was placed after them may stand above them."""
        for index in sorted((index for index, above in enumerate(self._parents) if len(above) == 1), key=self._order):
            self._improve_backup(index)
            if len(self._parents[index]) > 1:
                self._is_exact = False  # the rows of those below it are worse than the truth
                self._table.place(index, self._parents[index])

    def _improve_backup(self, index: int) -> None:
        """Choose the backup parent, where there is none or a better one than the present."""
        primary, *present = self._parents[index]
        if present and self._table.are_apart(primary, present[0]):
            return
        order = np.arange(len(self._loads))
        above = (self._depth < self._depth[index]) | ((self._depth == self._depth[index]) & (order < index))
        is_open = (self._depth != _GONE) & (self._room > 0) & above & self._takes
        is_open[primary] = False
        is_open[present] = True
        options = is_open.nonzero()[0]
        if not len(options):
            return
        chosen = int(options[self._costs(index, options).argmin()])
        if not self._table.share_nothing(primary, chosen):
            losses, pairs, ways = (count[options] for count in self._table.shared(primary))
            shared = losses * _SHARES_LOSS + pairs * _SHARES_ORIGIN_PAIR + ways
            options = options[shared == shared.min()]
            if present and present[0] in options:
                return
            if shared.min() >= _SHARES_ORIGIN_PAIR:
                # Some loss cannot be avoided: then another one than that of the relays that stand, so that a hall finds
                # two relays which no loss takes both of.
                company = self._table.company(primary, options)
                options = options[company == company.min()]
            chosen = int(options[self._costs(index, options).argmin()])
        if present:
            self._room[present[0]] += 1
        self._room[chosen] -= 1
        self._parents[index] = [primary, chosen]
