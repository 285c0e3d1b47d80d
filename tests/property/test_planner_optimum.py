"""A plan costs hardly more than the cheapest there is, as another program finds it.

The oracle is a minimum-cost flow over single relays by the network simplex of networkx. Costs are steps: one for each
seat and one more for each step of the overflow chain, 64 for a seat above a relay's soft limit, 128 for a hall whose
two relays play from the same of several origins. A hall takes one seat of a relay.
"""

from __future__ import annotations

import random
from collections import Counter

import networkx as nx
import pytest

from conference.planner.loads import HallWish, RelayLoad
from conference.planner.overflow import distances_from
from conference.planner.plan import Plan, make_plan

SEAT, OVER_SOFT, SHARED_WAY = 1, 64, 128
Chains = dict[str, list[str]]


def country(seed: int, origins: int) -> tuple[list[RelayLoad], list[HallWish], Chains]:
    """Three to eight regions with chains, relays of any size, halls for 50 to 115 % of what is below the soft limit."""
    rng = random.Random(seed)
    regions = [f"{number:02}" for number in range(rng.randint(3, 8))]
    chains = {
        region: rng.sample([other for other in regions if other != region], rng.randint(0, len(regions) - 1))
        for region in regions
    }
    relays = [
        RelayLoad(relay_id=f"o{number}", region="", role="origin", soft_seats=500, hard_seats=500)
        for number in range(origins)
    ]
    for number in range(rng.randint(len(regions), 4 * len(regions))):
        hard = rng.randint(20, 80)
        region = rng.choice([*regions, ""])
        relays.append(
            RelayLoad(relay_id=f"e{number:02}", region=region, role="edge", soft_seats=hard * 8 // 10, hard_seats=hard)
        )
    soft_seats = sum(load.soft_seats for load in relays if load.role == "edge")
    weights = [rng.random() ** 2 for _ in regions]
    where = rng.choices(regions, weights, k=int(soft_seats * rng.uniform(0.5, 1.15) / 2))
    return relays, [HallWish(hall_id=f"h{number:04}", region=region) for number, region in enumerate(where)], chains


def origins_of(plan: Plan) -> list[str]:
    """Of each relay, the origin that it plays from."""
    first = {load.relay_id: load.parents[0] for load in plan.loads if load.parents}
    found = []
    for load in plan.loads:
        origin = load.relay_id
        while origin in first:
            origin = first[origin]
        found.append(origin)
    return found


def cost_of(plan: Plan, chains: Chains) -> int:
    """What a plan costs, seat by seat."""
    origins, cost = origins_of(plan), 0
    are_several = len(set(origins)) > 1
    used: Counter[int] = Counter()
    for number, wish in enumerate(plan.wishes):
        primary, backup = int(plan.primaries[number]), int(plan.backups[number])
        distances = distances_from(wish.region, plan.loads, chains)
        cost += 2 * SEAT + int(distances[primary]) + int(distances[backup])
        cost += SHARED_WAY * (are_several and origins[primary] == origins[backup])
        used.update((primary, backup))
    return cost + OVER_SOFT * sum(
        max(0, used[index] - max(0, load.soft_seats - load.links)) for index, load in enumerate(plan.loads)
    )


def cheapest(plan: Plan, chains: Chains) -> int:
    """The least that any placing of these halls on this tree costs."""
    network, origins = nx.DiGraph(), origins_of(plan)
    are_several = len(set(origins)) > 1
    edges = [index for index, load in enumerate(plan.loads) if load.role == "edge"]
    for region, count in Counter(wish.region for wish in plan.wishes).items():
        network.add_node(region, demand=-2 * count)
        distances = distances_from(region, plan.loads, chains)
        for origin in set(origins):
            network.add_edge(region, (region, origin), capacity=count if are_several else 2 * count, weight=0)
            if are_several:
                network.add_edge(region, (region, origin, "both"), capacity=count, weight=SHARED_WAY)
                network.add_edge((region, origin, "both"), (region, origin), weight=0)
        for index in edges:
            weight = SEAT + int(distances[index])
            network.add_edge((region, origins[index]), index, capacity=count, weight=weight)
    for index in edges:
        load = plan.loads[index]
        soft = max(0, load.soft_seats - load.links)
        network.add_edge(index, (index, "soft"), capacity=soft, weight=0)
        network.add_edge((index, "soft"), "sink", weight=0)
        network.add_edge(index, "sink", capacity=load.hard_seats - load.links - soft, weight=OVER_SOFT)
    network.add_node("sink", demand=2 * len(plan.wishes))
    cost, _ = nx.network_simplex(network)
    return int(cost)


@pytest.mark.parametrize("origins", [1, 2, 3])
def test_a_plan_costs_at_most_five_percent_more_than_the_cheapest(origins: int) -> None:
    """Each of 100 random countries for each number of origins, many of them with regions that overflow."""
    overflowing = 0
    for seed in range(100):
        relays, wishes, chains = country(seed, origins)
        plan = make_plan(relays, wishes, chains)
        assert not plan.halls_without_backup
        cost, least = cost_of(plan, chains), cheapest(plan, chains)
        assert least <= cost <= 1.05 * least, f"seed {seed}: {cost} steps, {least} would do"
        overflowing += plan.in_region < len(wishes)
    assert overflowing >= 50
