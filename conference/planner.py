"""Where halls and relays hang: pure, deterministic placement.

`place` chooses a hall's primary and backup among the live relays of one pool; `plan_tree` chooses each relay's parents.
Real and virtual relays form separate pools: the caller passes one pool at a time. A seat is charged when it is
assigned, for the backup as for the primary, so that the loss of one relay never overfills another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from conference.errors import RejectedError
from relay.messages import RelayRole

# Bits of a candidate's rank, worst first: what a higher bit says outweighs all below it.
_SHARES_PATH = 16
_UNFED = 8
_OVER_SOFT = 4


class RelayLoad(msgspec.Struct, kw_only=True):
    """A live relay as the planner sees it; mutable, because charges are kept as they happen.

    Attributes:
        relay_id: its name.
        region: unit code of its province, or "" for the centre.
        role: origins have no parents and take halls only where no edge exists.
        soft_seats: seats up to which it is preferred.
        hard_seats: seats that it never passes.
        parents: present parents, best first.
        primaries: halls that play from it.
        backups: halls that keep a warm standby on it.
        links: relays that have it as one of their parents.
    """

    relay_id: str
    region: str
    role: RelayRole
    soft_seats: int
    hard_seats: int
    parents: list[str] = msgspec.field(default_factory=list)
    primaries: int = 0
    backups: int = 0
    links: int = 0

    @property
    def charged(self) -> int:
        """Seats taken by halls and child relays together."""
        return self.primaries + self.backups + self.links

    @property
    def hall_limit(self) -> int:
        """Seats up to which halls are placed; an origin keeps the rest for the relays that come later."""
        return self.soft_seats if self.role == "origin" else self.hard_seats


def place(relays: Sequence[RelayLoad], *, region: str, avoid: frozenset[str] = frozenset()) -> tuple[str, str]:
    """Choose a hall's primary and backup; nothing is charged here.

    Args:
        relays: the live relays of the hall's pool.
        region: the hall's province.
        avoid: relays that may not be chosen.

    Returns:
        The primary and the backup; the backup is "" where no second relay has room.

    Raises:
        RejectedError: `no_relay` (503): none has room below its hard limit.
    """
    candidates = open_for_halls(relays)
    primary = _best(candidates, region, avoid, None)
    if primary is None:
        raise RejectedError("no_relay", "no relay has room for this hall", status=503)
    backup = _best(candidates, region, avoid | {primary.relay_id}, primary)
    return primary.relay_id, "" if backup is None else backup.relay_id


def place_backup(relays: Sequence[RelayLoad], *, primary: str, region: str, avoid: frozenset[str] = frozenset()) -> str:
    """Choose a backup beside a primary that stands; "" where no other relay has room."""
    standing = next((relay for relay in relays if relay.relay_id == primary), None)
    backup = _best(open_for_halls(relays), region, avoid | {primary}, standing)
    return "" if backup is None else backup.relay_id


def open_for_halls(relays: Sequence[RelayLoad]) -> Sequence[RelayLoad]:
    """Relays that take halls: the edges, or the origins of a pool that has no edge."""
    edges = [relay for relay in relays if relay.role == "edge"]
    return edges or relays


def _best(
    relays: Sequence[RelayLoad], region: str, avoid: frozenset[str], primary: RelayLoad | None
) -> RelayLoad | None:
    """The best relay with room: a path apart, fed, under the soft limit, near, least used, then by name."""
    only_parent = primary.parents[0] if primary is not None and len(primary.parents) == 1 else None
    best: RelayLoad | None = None
    best_rank = 64
    best_use = 2.0
    for relay in relays:
        charged = relay.primaries + relay.backups + relay.links
        if charged >= relay.hall_limit or relay.relay_id in avoid:
            continue
        rank = 0 if relay.region == region else 2 if relay.region else 1
        if charged >= relay.soft_seats:
            rank += _OVER_SOFT
        if relay.role == "edge" and not relay.parents:
            rank += _UNFED
        if only_parent is not None and (relay.parents == [only_parent] or relay.relay_id == only_parent):
            rank += _SHARES_PATH
        if rank > best_rank:
            continue
        use = charged / relay.hard_seats
        if best is None or rank < best_rank or use < best_use or (use == best_use and relay.relay_id < best.relay_id):
            best, best_rank, best_use = relay, rank, use
    return best


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


def plan_tree(relays: Sequence[RelayLoad]) -> dict[str, list[str]]:
    """Choose the parents of every relay of one pool, best first.

    Origins have none. An edge keeps its present parents where they still stand (a change moves as few as
    possible); else it takes the shallowest relay with a free seat, near first. Its backup parent hangs, where one
    exists, on a path that does not share the primary. Parents always stand above their children in one total order
    (depth, then name), so primary and backup links together never form a cycle.

    Args:
        relays: live relays of one pool; their `parents` are the present ones, their `links` are not read.

    Returns:
        Parents of each relay; an empty list for an origin and for an edge that nobody has room to feed.
    """
    return _TreePlan(relays).solve()


class _TreePlan:
    """One run of `plan_tree`: what is placed, how deep, and which seats are still free."""

    def __init__(self, relays: Sequence[RelayLoad]) -> None:
        self._relays = {relay.relay_id: relay for relay in sorted(relays, key=lambda relay: relay.relay_id)}
        self._room = {
            relay.relay_id: relay.hard_seats - relay.primaries - relay.backups for relay in self._relays.values()
        }
        self._depths = {relay.relay_id: 0 for relay in self._relays.values() if relay.role == "origin"}
        self._primary: dict[str, str] = {}

    def solve(self) -> dict[str, list[str]]:
        edges = [relay for relay in self._relays.values() if relay.role == "edge"]
        # First those whose present primary stands, then those whose backup can be promoted, then the newcomers.
        # After each newcomer the kept ones are looked at again: their parent may have been waiting itself.
        waiting = self._keep(edges, rank=0)
        waiting = self._keep(waiting, rank=1)
        while waiting:
            relay = next((relay for relay in waiting if self._attach(relay)), None)
            if relay is None:
                break
            waiting = self._keep([other for other in waiting if other is not relay], rank=0)
            waiting = self._keep(waiting, rank=1)
        parents: dict[str, list[str]] = {relay_id: [] for relay_id in self._relays}
        for relay_id in sorted(self._primary, key=self._order):
            relay, primary = self._relays[relay_id], self._primary[relay_id]
            backup = self._backup(relay, primary)
            parents[relay_id] = [primary, backup] if backup else [primary]
        return parents

    def _order(self, relay_id: str) -> tuple[int, str]:
        return self._depths[relay_id], relay_id

    def _keep(self, edges: list[RelayLoad], rank: int) -> list[RelayLoad]:
        """Place the edges whose present parent number `rank` stands and has room; return the others."""
        waiting = edges
        while True:
            left: list[RelayLoad] = []
            for relay in waiting:
                parent = relay.parents[rank] if len(relay.parents) > rank else ""
                if parent in self._depths and self._room[parent] > 0:
                    self._hang(relay, parent)
                else:
                    left.append(relay)
            if len(left) == len(waiting):
                return left
            waiting = left

    def _attach(self, relay: RelayLoad) -> bool:
        """Place a relay that has no standing parent below the best one with room."""
        options = [parent for parent in self._depths if self._room[parent] > 0]
        if not options:
            return False
        self._hang(relay, min(options, key=lambda parent: self._cost(relay, parent)))
        return True

    def _hang(self, relay: RelayLoad, parent: str) -> None:
        self._room[parent] -= 1
        self._primary[relay.relay_id] = parent
        self._depths[relay.relay_id] = self._depths[parent] + 1

    def _cost(self, relay: RelayLoad, parent_id: str) -> tuple[int, int, float, str]:
        parent = self._relays[parent_id]
        near = 0 if parent.region == relay.region else 2 if parent.region else 1
        # Origins are filled one after the other: a feed is published at one of them, and the edges below that one
        # get it from their primary parent. Edges share children evenly.
        use = 0.0 if parent.role == "origin" else 1.0 - self._room[parent_id] / parent.hard_seats
        return self._depths[parent_id], near, use, parent_id

    def _backup(self, relay: RelayLoad, primary: str) -> str:
        own = self._order(relay.relay_id)
        options = [
            parent
            for parent in self._depths
            if parent not in (primary, relay.relay_id) and self._room[parent] > 0 and self._order(parent) < own
        ]
        if not options:
            return ""
        above = self._ancestors(primary)
        present = relay.parents

        def cost(parent: str) -> tuple[bool, bool, tuple[int, int, float, str]]:
            apart = parent not in above and primary not in self._ancestors(parent)
            return not apart, parent not in present, self._cost(relay, parent)

        chosen = min(options, key=cost)
        self._room[chosen] -= 1
        return chosen

    def _ancestors(self, relay_id: str) -> set[str]:
        found: set[str] = set()
        while relay_id in self._primary:
            relay_id = self._primary[relay_id]
            found.add(relay_id)
        return found


def replan(relays: Sequence[RelayLoad]) -> None:
    """Set `parents` and `links` of every relay of a pool to what `plan_tree` says; the rest is untouched."""
    parents = plan_tree(relays)
    links = dict.fromkeys(parents, 0)
    for above in parents.values():
        for parent in above:
            links[parent] += 1
    for relay in relays:
        relay.parents = parents[relay.relay_id]
        relay.links = links[relay.relay_id]
