"""Every loss walked: who would be dark, and how full the relays would be, if it happened now and nobody re-planned.

Nothing is assumed from how a plan was made: parents, primaries and backups are read as they stand. A relay plays from
its first parent that is not cut off; a hall plays from its primary, else from its backup.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from conference.planner.loads import SEAT_MILLISEATS, RelayLoad
from conference.planner.paths import PathTable, paths_of

NOBODY = -1
"""In place of a relay's index: the hall has none."""


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """What one loss would do before anybody re-plans.

    Attributes:
        relays: what is lost.
        halls_moving: halls that go to their backups.
        halls_dark: halls that play now and would not.
        relays_dark: relays that still stand and would have no feed.
        overfull: relays that would carry more than their hard limit.
        max_utilisation: of the fullest relay that stands, what plays there as a share of its hard limit.
    """

    relays: tuple[str, ...]
    halls_moving: int
    halls_dark: int
    relays_dark: int
    overfull: tuple[str, ...]
    max_utilisation: float

    @property
    def is_survived(self) -> bool:
        """No hall loses its picture for good, and no relay carries more than it may."""
        return not self.halls_dark and not self.overfull


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """The losses of every relay, one at a time, and of every two origins.

    Attributes:
        halls_dark_now: halls that do not play although nothing is lost.
        singles: one for each relay, in order of name.
        origin_pairs: one for each two origins.
    """

    halls_dark_now: int
    singles: tuple[Loss, ...]
    origin_pairs: tuple[Loss, ...]

    @property
    def survives_any_single_loss(self) -> bool:
        """Every hall plays now, and would after the loss of any one relay."""
        return not self.halls_dark_now and all(loss.is_survived for loss in self.singles)

    @property
    def survives_any_two_origins(self) -> bool:
        """The same for every two origins; never true where there are fewer than three."""
        return (
            not self.halls_dark_now and bool(self.origin_pairs) and all(loss.is_survived for loss in self.origin_pairs)
        )

    def worst(self, count: int) -> list[Loss]:
        """The single losses that would do most, the worst first."""
        order = sorted(self.singles, key=lambda loss: (-loss.halls_dark, -loss.halls_moving, loss.relays))
        return order[:count]


def prove(
    loads: Sequence[RelayLoad],
    primaries: NDArray[np.int64],
    backups: NDArray[np.int64],
    milliseats: NDArray[np.int64],
    *,
    merge_parents: bool = False,
) -> Proof:
    """Walk every loss.

    Args:
        loads: the relays, in the order that indexes mean, with their parents.
        primaries: of each hall the index of its primary, or `NOBODY`.
        backups: the same for its backup.
        milliseats: what each hall takes.
        merge_parents: relays take every feed from both parents at once, so that a waiting link is a full one.
    """
    return _Walk(loads, primaries, backups, milliseats, merge_parents=merge_parents).proof()


class _Walk:
    """Halls with the same pair of relays, counted together, and the links of the tree, walked through each loss."""

    def __init__(
        self,
        loads: Sequence[RelayLoad],
        primaries: NDArray[np.int64],
        backups: NDArray[np.int64],
        milliseats: NDArray[np.int64],
        *,
        merge_parents: bool,
    ) -> None:
        count = self._count = len(loads)
        self._names = [load.relay_id for load in loads]
        self._limits = np.array([load.hard_seats * SEAT_MILLISEATS for load in loads], dtype=np.int64)
        self._table: PathTable = paths_of(loads)
        # One more row than relays: NOBODY, cut off by everything.
        nobody = np.ones((1, len(self._table.losses)), dtype=np.bool_)
        self._cuts = np.concatenate([self._table.cuts, nobody])
        pairs, pair_of = np.unique((primaries % (count + 1)) * (count + 1) + backups % (count + 1), return_inverse=True)
        self._primary, self._backup = pairs // (count + 1), pairs % (count + 1)
        self._halls = np.bincount(pair_of, minlength=len(pairs))
        self._milliseats = np.bincount(pair_of, weights=milliseats, minlength=len(pairs))
        indexes = {name: index for index, name in enumerate(self._names)}
        known = [[indexes[parent] for parent in load.parents if parent in indexes] for load in loads]
        self._first = np.array([above[0] if above else count for above in known], dtype=np.int64)
        self._second = np.array([above[1] if len(above) > 1 else count for above in known], dtype=np.int64)
        self._merges = merge_parents

    def proof(self) -> Proof:
        fed = np.append(self._table.placed, False)
        dark = ~(fed[self._primary] | fed[self._backup])
        losses = [self._walk(number, dark, fed) for number in range(len(self._table.losses))]
        return Proof(
            halls_dark_now=int(self._halls[dark].sum()),
            singles=tuple(losses[: self._count]),
            origin_pairs=tuple(losses[self._count :]),
        )

    def _walk(self, number: int, dark_now: NDArray[np.bool_], fed_now: NDArray[np.bool_]) -> Loss:
        lost = self._table.losses[number]
        cut = self._cuts[:, number]
        moves = cut[self._primary]
        dark = moves & cut[self._backup] & ~dark_now
        playing = np.where(moves, self._backup, self._primary)
        halls = np.bincount(playing, weights=self._milliseats, minlength=self._count + 1)
        load = halls + self._links(cut)
        load[cut] = 0
        share = load[:-1] / np.maximum(self._limits, 1)
        relays_dark = cut[:-1] & fed_now[:-1]
        relays_dark[list(lost)] = False
        return Loss(
            relays=tuple(self._names[index] for index in lost),
            halls_moving=int(self._halls[moves & ~dark & ~dark_now].sum()),
            halls_dark=int(self._halls[dark].sum()),
            relays_dark=int(np.count_nonzero(relays_dark)),
            overfull=tuple(self._names[index] for index in (load[:-1] > self._limits).nonzero()[0]),
            max_utilisation=float(share.max(initial=0.0)),
        )

    def _links(self, cut: NDArray[np.bool_]) -> NDArray[np.float64]:
        """What relays that stand take of their parents: of the first that has the feeds, or of both that have."""
        stands = ~cut[:-1]
        first, second = stands & ~cut[self._first], stands & ~cut[self._second]
        if not self._merges:
            second &= ~first
        links = np.bincount(self._first[first], minlength=self._count + 1)
        links += np.bincount(self._second[second], minlength=self._count + 1)
        return links.astype(np.float64) * SEAT_MILLISEATS
