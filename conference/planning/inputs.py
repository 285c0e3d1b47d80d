"""What a plan is made of, from wherever it comes: a synthetic country, a file, or the coordinator's registry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from bridges.halls import Hall
from bridges.units import Unit
from conference.errors import ConferenceError
from conference.orders import Orders
from conference.planner.loads import SEAT_MILLISEATS, HallWish, RelayLoad
from conference.policy import Policy
from relay.messages import Capacity, RelayRole

DEFAULT_ORIGINS = 3
"""With three, the loss of any two leaves one; with two it leaves none."""

_ROLES: dict[object, RelayRole] = {"origin": "origin", "edge": "edge"}
# Deeper than any organisation; ends the walk to the root where data holds a circle.
_MAX_UNIT_DEPTH = 64
_ROOM_FOR_HALLS_PERCENT = 90


class PlanInputError(ConferenceError):
    """There is nothing to plan with; the sentence says what is missing."""

    code = "plan_input"
    status = 422


class PlanInput(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a plan depends on.

    Attributes:
        relays: with their limits, and their present parents where they have some.
        wishes: the halls.
        policy: costs, limits, chains, pins and exclusions.
        names: of regions, by unit code.
        capacities: what each relay's line carries, bit/s, by its id.
        merge_parents: relays take every feed from both parents at once.
        is_synthetic: halls or relays are made up.
    """

    relays: tuple[RelayLoad, ...]
    wishes: tuple[HallWish, ...]
    policy: Policy
    names: Mapping[str, str]
    capacities: Mapping[str, int]
    merge_parents: bool = False
    is_synthetic: bool = False


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """One relay to plan with."""

    relay_id: str
    role: RelayRole
    region: str
    capacity: Capacity
    parents: tuple[str, ...] = ()


def make_input(
    halls: Iterable[tuple[str, str]],
    spots: Iterable[Spot],
    policy: Policy,
    units: Iterable[Unit],
    *,
    merge_parents: bool = False,
    is_synthetic: bool = False,
    orders: Orders | None = None,
) -> PlanInput:
    """Put together what a plan is made of.

    Args:
        halls: id and region of each.
        spots: the relays.
        policy: limits and orders.
        units: their names.
        merge_parents: as the relays are configured.
        is_synthetic: halls or relays are made up.
        orders: what operators ordered: pins, exclusions and limits hold, a cordoned relay gets nobody, and one that is
            to be emptied is not there.
    """
    orders = orders or Orders()
    spots = [spot for spot in spots if orders.mode(spot.relay_id) not in ("draining", "evacuating")]
    if not spots:
        raise PlanInputError("every relay is to be emptied; start others, or take the orders back")
    seats = {spot.relay_id: orders.seats(spot.relay_id, spot.capacity, policy) for spot in spots}
    loads = [
        RelayLoad(
            relay_id=spot.relay_id,
            region=spot.region,
            role=spot.role,
            soft_seats=seats[spot.relay_id][0],
            hard_seats=seats[spot.relay_id][1],
            parents=list(spot.parents),
            mode=orders.mode(spot.relay_id),
        )
        for spot in spots
    ]
    return PlanInput(
        relays=tuple(loads),
        wishes=tuple(orders.wish(hall_id, region, policy) for hall_id, region in halls),
        policy=policy,
        names={unit.code: unit.name for unit in units if not unit.parent},
        capacities={spot.relay_id: spot.capacity.bits_per_s for spot in spots},
        merge_parents=merge_parents,
        is_synthetic=is_synthetic,
    )


def regions_of(halls: Iterable[Hall], units: Iterable[Unit]) -> list[tuple[str, str]]:
    """Id and region (the root unit) of each hall; a unit that is not known is a region of its own."""
    parents = {unit.code: unit.parent for unit in units}
    roots: dict[str, str] = {}
    found = []
    for hall in halls:
        root = roots.get(hall.unit)
        if root is None:
            root = hall.unit
            for _ in range(_MAX_UNIT_DEPTH):
                root = parents.get(root, "") or root
            roots[hall.unit] = root
        found.append((hall.hall_id, root))
    return found


def halls_of_regions(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Halls that are only a number for each region: id and region of each."""
    return [(f"{region or 'tw'}-{number:05}", region) for region in sorted(counts) for number in range(counts[region])]


class MadeUpRelays(msgspec.Struct, frozen=True, kw_only=True):
    """Relays to make up, all alike.

    Attributes:
        count: how many in all; 0 for as many as are needed below the soft limit.
        origins: how many of them are origins; 0 for three, or fewer where there are few relays.
        capacity: what each carries.
    """

    count: int = 0
    origins: int = 0
    capacity: Capacity

    def spots(self, halls: Sequence[tuple[str, str]], policy: Policy) -> list[Spot]:
        """Origins at the centre, edges in the regions in proportion to their halls.

        Every region with halls gets two edges before any gets more by its size, so that its halls find primary and
        backup at home; where there are too few relays for that, the largest regions come first.

        Args:
            halls: id and region of each.
            policy: limits of relays and costs of halls.

        Raises:
            PlanInputError: a relay of this capacity carries nobody, or there would be no edge.
        """
        soft_seats = policy.seats(self.capacity, policy.soft_limit)
        if soft_seats < 1:
            raise PlanInputError("a relay of this capacity carries no hall below its soft limit")
        origins = self.origins or DEFAULT_ORIGINS
        if self.count:
            origins = self.origins or min(origins, max(1, self.count // 3))
            if origins >= self.count > 1:
                raise PlanInputError(f"{self.count} relays with {origins} origins leave no edge for the halls")
        seats: Counter[str] = Counter()
        for _, region in halls:
            seats[region] += 2 * policy.milliseats(region)
        # Beside its halls an edge has a child or two where origins are full, and neighbours that overflow.
        room = max(1, soft_seats * _ROOM_FOR_HALLS_PERCENT // 100) * SEAT_MILLISEATS
        needed = {region: max(2, -(-taken // room)) for region, taken in seats.items()}
        edges = _share_out(self.count - origins, seats) if self.count else needed
        names = [("origin", "", f"goc-{number}") for number in range(1, origins + 1)]
        for region in sorted(edges):
            names += [("edge", region, f"tram-{region or 'tw'}-{number:02}") for number in range(1, edges[region] + 1)]
        return [
            Spot(relay_id=name, role=_ROLES[role], region=region, capacity=self.capacity)
            for role, region, name in names
        ]


def _share_out(count: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """`count` relays over regions: two each, the largest first, then whoever has most to carry for each."""
    shares = dict.fromkeys(sizes, 0)
    order = sorted(sizes, key=lambda region: (-sizes[region], region))
    for _ in range(max(0, count)):
        if not order:
            break
        region = next((region for region in order if shares[region] < 2), None)
        if region is None:
            region = max(order, key=lambda each: (sizes[each] / shares[each], each))
        shares[region] += 1
    return {region: share for region, share in shares.items() if share}


def registered_spots(relays: Iterable[Mapping[str, Any]]) -> list[Spot]:
    """The live relays that carry media, from the coordinator's list.

    Raises:
        PlanInputError: there is none, or the coordinator does not say what they carry.
    """
    spots = []
    for relay in relays:
        if relay.get("virtual") or relay.get("status") != "live":
            continue
        bits_per_s, packets_per_s = relay.get("bits_per_s"), relay.get("packets_per_s")
        if not isinstance(bits_per_s, int) or not isinstance(packets_per_s, int):
            raise PlanInputError("the coordinator does not say what its relays carry; it is older than this command")
        spots.append(
            Spot(
                relay_id=str(relay.get("relay_id")),
                role=_ROLES.get(relay.get("role"), "edge"),
                region=str(relay.get("region") or ""),
                capacity=Capacity(bits_per_s=bits_per_s, packets_per_s=packets_per_s),
                parents=tuple(str(parent) for parent in relay.get("parents") or ()),
            )
        )
    if not spots:
        raise PlanInputError("no relay is registered; start some, or plan with --file or --halls and --relays")
    return spots
