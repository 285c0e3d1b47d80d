"""Which losses cut a relay off from every origin: the dominators of the tree, for one relay and for two origins.

A relay takes its feeds from any parent that has them, so it is cut off by a loss when it is what was lost, or when all
of its parents are cut off. A hall is cut off when its primary and its backup are. Everything that is said about
survival is read from this one table.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from conference.planner.loads import RelayLoad

MAX_PAIRED_ORIGINS = 32
"""Origins whose losses two at a time are walked: 496 pairs; a conference has two or three origins."""

Bits = NDArray[np.bool_]


class PathTable:
    """Losses and paths of the relays of one pool, filled row by row from the origins down.

    Args:
        loads: the relays, in the order that all indexes mean; their parents are not read.

    Attributes:
        losses: what is lost, as indexes: each relay alone, in order, then each pair of origins.
        cuts: bool, (relays, losses): the loss cuts the relay off. A relay that is not placed is cut off by all.
        placed: bool, (relays,): the relay has a way to an origin.
        chains: bool, (relays, relays): relays on the way from a relay to its origin along first parents, itself too.
    """

    def __init__(self, loads: Sequence[RelayLoad]) -> None:
        count = len(loads)
        origins = [index for index, load in enumerate(loads) if load.role == "origin"]
        pairs = combinations(origins[:MAX_PAIRED_ORIGINS], 2)
        self.losses: list[tuple[int, ...]] = [*((index,) for index in range(count)), *pairs]
        self.cuts: Bits = np.ones((count, len(self.losses)), dtype=np.bool_)
        self.chains: Bits = np.eye(count, dtype=np.bool_)
        self.placed: Bits = np.zeros(count, dtype=np.bool_)
        self.placed[origins] = True
        # What takes every origin cuts everybody off, whatever anybody chooses.
        self._avoidable = np.array([not set(origins) <= set(loss) for loss in self.losses], dtype=np.bool_)
        self._relays = count
        for origin in origins:
            self.cuts[origin] = [origin in loss for loss in self.losses]

    def place(self, index: int, parents: Sequence[int]) -> None:
        """Fill the row of a relay below parents that have theirs; the first is the one it plays from."""
        first = parents[0]
        row = self.cuts[index]
        row[:] = self.cuts[first]
        for parent in parents[1:]:
            row &= self.cuts[parent]
        row[index] = True
        self.chains[index] = self.chains[first]
        self.chains[index, index] = True
        self.placed[index] = True

    def are_apart(self, one: int, other: int) -> bool:
        """Whether no loss, but that of all origins, cuts both off."""
        return not (self.cuts[one] & self.cuts[other] & self._avoidable).any()

    def share_nothing(self, one: int, other: int) -> bool:
        """Whether they are apart, and no relay is on both ways."""
        return self.are_apart(one, other) and not (self.chains[one] & self.chains[other]).any()

    def shared(self, index: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """How much of its fate each relay shares with one of them.

        Returns:
            Three counts for each relay: single losses that cut both off; pairs of origins that do; relays that are on
            both ways to the origins. The loss of all origins is nobody's to avoid and does not count.
        """
        cut_by = (self.cuts[index] & self._avoidable).nonzero()[0]
        split = int(np.searchsorted(cut_by, self._relays))
        above = self.chains[index].nonzero()[0]
        return (
            np.count_nonzero(self.cuts[:, cut_by[:split]], axis=1),
            np.count_nonzero(self.cuts[:, cut_by[split:]], axis=1),
            np.count_nonzero(self.chains[:, above], axis=1),
        )

    def company(self, one: int, others: NDArray[np.intp]) -> NDArray[np.intp]:
        """How many relays are cut off with a child of `one` and each of `others`, added up over the child's losses.

        Relays that are not placed yet count for every loss alike; the loss of all origins does not count.
        """
        cut_by = (self.cuts[one] & self._avoidable).nonzero()[0]
        cuts = self.cuts[:, cut_by]
        company: NDArray[np.intp] = cuts[others] @ np.count_nonzero(cuts, axis=0)
        return company


def paths_of(loads: Sequence[RelayLoad]) -> PathTable:
    """The table of relays that have their parents; parents that are not among the relays do not count."""
    table = PathTable(loads)
    indexes = {load.relay_id: index for index, load in enumerate(loads)}
    parents = {
        index: [indexes[parent] for parent in load.parents if parent in indexes]
        for index, load in enumerate(loads)
        if load.role == "edge"
    }
    children: dict[int, list[int]] = {}
    waits = {}
    for index, above in parents.items():
        waits[index] = len(above)
        for parent in above:
            children.setdefault(parent, []).append(index)
    ready = [index for index in range(len(loads)) if index not in parents]
    while ready:
        for child in children.get(ready.pop(), ()):
            waits[child] -= 1
            if not waits[child]:
                table.place(child, parents[child])
                ready.append(child)
    return table
