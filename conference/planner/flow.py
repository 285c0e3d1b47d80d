"""Minimum-cost flow in a small network: successive shortest paths, by Bellman and Ford over all arcs at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class FlowNetwork:
    """Arcs with whole capacities and costs that are not negative; each has a way back that starts empty."""

    def __init__(self) -> None:
        self._nodes = 0
        self._tails: list[int] = []
        self._heads: list[int] = []
        self._capacities: list[int] = []
        self._costs: list[int] = []

    def add_node(self) -> int:
        """One more node."""
        self._nodes += 1
        return self._nodes - 1

    def add_arc(self, tail: int, head: int, capacity: int, cost: int) -> int:
        """One more arc; the number returned is what `solve` tells its flow by."""
        self._tails += [tail, head]
        self._heads += [head, tail]
        self._capacities += [capacity, 0]
        self._costs += [cost, -cost]
        return len(self._tails) - 2

    def solve(self, source: int, sink: int) -> NDArray[np.int64]:
        """Send as much as will go from source to sink, as cheaply as that much can go.

        Returns:
            What flows along each arc, by the arc's number.
        """
        tails, heads = np.array(self._tails, dtype=np.int64), np.array(self._heads, dtype=np.int64)
        costs = np.array(self._costs, dtype=np.float64)
        capacities = np.array(self._capacities, dtype=np.int64)
        room = capacities.copy()
        # Arcs by head, so that the best way into every node is one reduction.
        by_head = np.argsort(heads, kind="stable")
        reached, starts = np.unique(heads[by_head], return_index=True)
        while True:
            into = self._shortest_paths(source, (tails, costs, room), (by_head, reached, starts))
            if into[sink] < 0:
                return capacities - room
            path = []
            node = sink
            while node != source:
                path.append(int(into[node]))
                node = int(tails[into[node]])
            arcs = np.array(path)
            amount = room[arcs].min()
            room[arcs] -= amount
            room[arcs ^ 1] += amount

    def _shortest_paths(
        self,
        source: int,
        arcs: tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]],
        order: tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.intp]],
    ) -> NDArray[np.int64]:
        """The last arc of the cheapest way to each node; -1 for the source and for what cannot be reached."""
        tails, costs, room = arcs
        by_head, reached, starts = order
        open_costs = np.where(room > 0, costs, np.inf)[by_head]
        tails = tails[by_head]
        lengths = np.diff(np.append(starts, len(by_head)))
        distance = np.full(self._nodes, np.inf)
        distance[source] = 0.0
        into = np.full(self._nodes, -1, dtype=np.int64)
        while True:
            offered = distance[tails] + open_costs
            best = np.minimum.reduceat(offered, starts)
            is_nearer = best < distance[reached]
            if not is_nearer.any():
                return into
            is_best = offered == np.repeat(best, lengths)
            first = np.minimum.reduceat(np.where(is_best, np.arange(len(by_head)), len(by_head)), starts)
            nodes = reached[is_nearer]
            distance[nodes] = best[is_nearer]
            into[nodes] = by_head[first[is_nearer]]
