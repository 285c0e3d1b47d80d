"""How many halls of each region go where, when not everybody can stay at home: a minimum-cost flow over groups.

Relays of one region that play from one origin are a group; halls of one region are a kind. A hall takes two seats, and
where there are several origins the two play from different ones: of one origin a kind takes no more seats than it has
halls. Seats laid out origin by origin and paired half-way round then never pair one origin with itself. Where there is
one origin only, the same holds of single relays. The flow is in thousandths of seats and may leave a part of a seat at
several groups; such parts are nobody's, and what would have been their partners is left to the pool's rank.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from conference.planner.flow import FlowNetwork
from conference.planner.loads import SEAT_MILLISEATS, HallWish, RelayLoad, open_for_halls
from conference.planner.overflow import OverflowChains, distances_from

# The pool's order of what weighs more: any distance is below a seat above the soft limit, that is below a shared way.
_OVER_SOFT = 64
_SHARED_WAY = 2 * _OVER_SOFT


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Relays that are alike for a hall, as indexes of the pool; `fate` is what the two seats of a hall do not share."""

    fate: str
    relays: tuple[int, ...]


Pairs = list[tuple[Group, Group]]


def quotas(loads: Sequence[RelayLoad], wishes: Sequence[HallWish], chains: OverflowChains) -> dict[str, Pairs]:
    """Pairs of groups for the halls of each region, nearer first.

    Args:
        loads: the relays, all of one pool, with what is charged to them already.
        wishes: halls that are free to go anywhere.
        chains: where regions overflow to.

    Returns:
        By region, as many pairs as it has halls, or a few less where seats are broken up over relays. Nothing where
        there are not seats for all: then it matters more that everybody has one before anybody has two.
    """
    groups = _groups(loads)
    halls = Counter(wish.region for wish in wishes)
    milliseats = {wish.region: wish.milliseats for wish in wishes}
    firsts = [loads[group.relays[0]] for group in groups]
    distances = {region: distances_from(region, firsts, chains) for region in halls}

    flow = FlowNetwork()
    source, sink = flow.add_node(), flow.add_node()
    entries = [flow.add_node() for _ in groups]
    for group, entry in zip(groups, entries, strict=True):
        rooms = [_rooms(loads[relay]) for relay in group.relays]
        flow.add_arc(entry, sink, sum(below for below, _ in rooms), 0)
        flow.add_arc(entry, sink, sum(above for _, above in rooms), _OVER_SOFT)
    arcs: dict[str, list[int]] = {}
    sharing: dict[str, dict[str, int]] = {}
    demands = []
    for region in sorted(halls):
        once = halls[region] * milliseats[region]
        kind = flow.add_node()
        demands.append((flow.add_arc(source, kind, 2 * once, 0), 2 * once))
        fates: dict[str, int] = {}
        arcs[region] = []
        sharing[region] = {}
        for group, entry, distance in zip(groups, entries, distances[region], strict=True):
            fate = fates.get(group.fate)
            if fate is None:
                fate = fates[group.fate] = flow.add_node()
                flow.add_arc(kind, fate, once, 0)
                if sum(len(other.relays) for other in groups if other.fate == group.fate) > 1:
                    sharing[region][group.fate] = flow.add_arc(kind, fate, once, _SHARED_WAY)
            arcs[region].append(flow.add_arc(fate, entry, min(2, len(group.relays)) * once, int(distance)))
    flows = flow.solve(source, sink)
    if any(flows[arc] < demand for arc, demand in demands):
        return {}
    found = {}
    for region, numbers in arcs.items():
        seats = [int(flows[arc]) // milliseats[region] for arc in numbers]
        shared = {fate: int(flows[arc]) // milliseats[region] for fate, arc in sharing[region].items()}
        found[region] = _pairs(groups, seats, shared, distances[region].tolist())
    return found


def _groups(loads: Sequence[RelayLoad]) -> list[Group]:
    """Open and fed relays by origin and region; where there is only one origin, each for itself."""
    first = {load.relay_id: load.parents[0] for load in loads if load.parents}
    is_open = {load.relay_id for load in open_for_halls(loads)}
    members: dict[tuple[str, str], list[int]] = {}
    for index, load in enumerate(loads):
        if load.relay_id in is_open and (load.parents or load.role == "origin"):
            origin = load.relay_id
            while origin in first:
                origin = first[origin]
            members.setdefault((origin, load.region), []).append(index)
    if len({origin for origin, _ in members}) > 1:
        return [Group(fate=fate, relays=tuple(relays)) for (fate, _), relays in sorted(members.items())]
    return [
        Group(fate=loads[index].relay_id, relays=(index,)) for _, relays in sorted(members.items()) for index in relays
    ]


def _rooms(load: RelayLoad) -> tuple[int, int]:
    """Milliseats that are free below the soft limit, and above it."""
    room = max(0, load.limit_milliseats - load.charged_milliseats)
    below = min(room, max(0, SEAT_MILLISEATS * load.soft_seats - load.charged_milliseats))
    return below, room - below


def _pairs(
    groups: Sequence[Group], seats: Sequence[int], shared: Mapping[str, int], distances: Sequence[float]
) -> Pairs:
    """Lay the seats out fate by fate and pair each with the one half-way round; in each pair the nearer first.

    `shared` says how many halls must have both seats of one fate. A fate has no more pairs with itself than that.
    """
    laid_out = [
        number
        for number in sorted(range(len(groups)), key=lambda n: (groups[n].fate, distances[n]))
        for _ in range(seats[number])
    ]
    # Where other fates' seats were broken up, one fate may be left with more than these can be partners of: the
    # farthest of it go. Only one can have more than half, so the order of the fates does not matter.
    fates = [groups[number].fate for number in laid_out]
    for fate, count in Counter(fates).items():
        surplus = 2 * count - len(fates) - 2 * shared.get(fate, 0)
        if surplus > 0:
            end = fates.index(fate) + count
            del laid_out[end - surplus : end]
    half = len(laid_out) // 2
    pairs = []
    for place in range(half):
        one, other = laid_out[place], laid_out[place + half]
        # Where both are as near, they take turns, so that neither origin has all the primaries.
        if (distances[other], place % 2 == 0) < (distances[one], place % 2 == 1):
            one, other = other, one
        pairs.append((one, other))
    pairs.sort(key=lambda pair: (distances[pair[0]] + distances[pair[1]], pair))
    return [(groups[one], groups[other]) for one, other in pairs]
