"""What a plan comes to: the figures of `diemcau plan`, for programs and for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec

from conference.planner.loads import SEAT_MILLISEATS
from conference.planner.plan import Plan, make_plan
from conference.planner.proof import NOBODY, Loss, Proof
from conference.planner.tree import tree_depth
from conference.planning.inputs import PlanInput

WORST_LOSSES = 10


class RegionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One region.

    Attributes:
        code: unit code, "" for the centre.
        name: of its unit.
        halls: how many belong to it.
        away: of these, how many play from another region's relay.
        edges: relays that stand there.
        seats_charged: what halls and links take of its edges, in whole seats.
        seats_soft: what its edges hold below their soft limit.
        bits_per_s: media of its halls.
    """

    code: str
    name: str
    halls: int
    away: int
    edges: int
    seats_charged: int
    seats_soft: int
    bits_per_s: int


class PlanFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A plan in figures.

    Attributes:
        synthetic: halls or relays were made up.
        relays_needed: how many relays like these hold all seats below the soft limit, those that found none too.
        relays_without_feed: edges that nobody has room to feed.
        relays_with_one_parent: edges that have no second way to an origin.
        halls_broken_pins: halls that are not on the relays which they are pinned to.
        hall_bits_per_s: media of all halls.
        link_bits_per_s: media between relays; every link counted at work where parents are merged.
        capacity_bits_per_s: what the relays' lines carry.
        max_utilisation: of the fullest relay, what is charged as a share of its hard limit.
        max_utilisation_after_loss: of the fullest relay after the worst single loss, what plays there.
        in_region_share: halls whose primary stands in their own region, of all.
        plan_seconds: making the plan and proving it.
        replan_ms_p99: of the losses tried, the time until the plan without the relay stands.
        replans: how many losses were tried.
        halls_moved_beyond_lost: most halls that such a plan moved without need.
        worst: the single losses that would do most.
        plan_hash: SHA-256 of who hangs where.
    """

    synthetic: bool
    halls: int
    relays: int
    origins: int
    relays_needed: int
    tree_depth: int
    relays_without_feed: int
    relays_with_one_parent: int
    halls_without_primary: int
    halls_without_backup: int
    halls_broken_pins: int
    survives_any_single_loss: bool
    survives_any_two_origins: bool
    single_losses_walked: int
    hall_bits_per_s: int
    link_bits_per_s: int
    capacity_bits_per_s: int
    max_utilisation: float
    max_utilisation_after_loss: float
    in_region_share: float
    plan_seconds: float
    replan_ms_p50: float | None
    replan_ms_p99: float | None
    replans: int
    halls_moved_beyond_lost: int
    worst: tuple[Loss, ...]
    origin_pairs: tuple[Loss, ...]
    plan_hash: str


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A plan with its proof and its figures."""

    plan: Plan
    proof: Proof
    figures: PlanFigures
    regions: tuple[RegionFigures, ...]


def plan_country(plan_input: PlanInput, clock: Callable[[], float], *, replans: int = 0) -> Planned:
    """Make a plan, prove it, and try the loss of some relays.

    Args:
        plan_input: what to plan.
        clock: seconds of a steady clock.
        replans: how many relays to lose, one at a time; spread evenly over their names, at most all of them.
    """
    started = clock()
    plan = make_plan(plan_input.relays, plan_input.wishes, plan_input.policy.overflow)
    proof = plan.prove(merge_parents=plan_input.merge_parents)
    plan_seconds = clock() - started

    times_ms: list[float] = []
    moved_beyond = 0
    for relay_id in _sample([load.relay_id for load in plan.loads], replans):
        started = clock()
        after = plan.without(relay_id)
        times_ms.append((clock() - started) * 1_000)
        moved_beyond = max(moved_beyond, plan.moved_beyond(relay_id, after))
    times_ms.sort()

    edges = [load for load in plan.loads if load.role == "edge"]
    links = sum(min(len(load.parents), 2 if plan_input.merge_parents else 1) for load in edges)
    charged = sum(load.charged_milliseats for load in plan.loads)
    for wish, *pair in zip(plan.wishes, plan.primaries, plan.backups, strict=True):
        charged += wish.milliseats * pair.count(NOBODY)
    soft_seats = sum(load.soft_seats for load in plan.loads if not load.is_closed)
    regions = _regions(plan, plan_input)
    figures = PlanFigures(
        synthetic=plan_input.is_synthetic,
        halls=len(plan.wishes),
        relays=len(plan.loads),
        origins=len(plan.loads) - len(edges),
        relays_needed=-(-charged * len(plan.loads) // (soft_seats * SEAT_MILLISEATS)) if soft_seats else 0,
        tree_depth=tree_depth({load.relay_id: load.parents for load in plan.loads}),
        relays_without_feed=sum(not load.parents for load in edges),
        relays_with_one_parent=sum(len(load.parents) == 1 for load in edges),
        halls_without_primary=len(plan.halls_without_primary),
        halls_without_backup=len(plan.halls_without_backup),
        halls_broken_pins=len(plan.broken_pins),
        survives_any_single_loss=proof.survives_any_single_loss,
        survives_any_two_origins=proof.survives_any_two_origins,
        single_losses_walked=len(proof.singles),
        hall_bits_per_s=sum(region.bits_per_s for region in regions),
        link_bits_per_s=links * plan_input.policy.media.bits_per_s,
        capacity_bits_per_s=sum(plan_input.capacities.get(load.relay_id, 0) for load in plan.loads),
        max_utilisation=round(max((load.utilisation for load in plan.loads), default=0.0), 4),
        max_utilisation_after_loss=round(max((loss.max_utilisation for loss in proof.singles), default=0.0), 4),
        in_region_share=round(plan.in_region / len(plan.wishes), 4) if plan.wishes else 0.0,
        plan_seconds=round(plan_seconds, 3),
        replan_ms_p50=round(times_ms[len(times_ms) // 2], 2) if times_ms else None,
        replan_ms_p99=round(times_ms[(len(times_ms) - 1) * 99 // 100], 2) if times_ms else None,
        replans=len(times_ms),
        halls_moved_beyond_lost=moved_beyond,
        worst=tuple(proof.worst(WORST_LOSSES)),
        origin_pairs=proof.origin_pairs,
        plan_hash=plan.digest(),
    )
    return Planned(plan=plan, proof=proof, figures=figures, regions=regions)


def _sample(names: list[str], count: int) -> list[str]:
    """`count` of the names, spread evenly."""
    count = min(count, len(names))
    return [names[number * len(names) // count] for number in range(count)]


def _regions(plan: Plan, plan_input: PlanInput) -> tuple[RegionFigures, ...]:
    """Regions that have halls or relays, by code."""
    policy = plan_input.policy
    halls: Counter[str] = Counter()
    away: Counter[str] = Counter()
    for wish, primary in zip(plan.wishes, plan.primaries, strict=True):
        halls[wish.region] += 1
        if primary != NOBODY and plan.loads[primary].region != wish.region:
            away[wish.region] += 1
    found = []
    for code in sorted({*halls, *(load.region for load in plan.loads if load.role == "edge")}):
        edges = [load for load in plan.loads if load.role == "edge" and load.region == code]
        found.append(
            RegionFigures(
                code=code,
                name=plan_input.names.get(code, code or "Trung tâm (centre)"),
                halls=halls[code],
                away=away[code],
                edges=len(edges),
                seats_charged=-(-sum(load.charged_milliseats for load in edges) // SEAT_MILLISEATS),
                seats_soft=sum(load.soft_seats for load in edges if not load.is_closed),
                bits_per_s=halls[code] * policy.regions.get(code, policy.media).bits_per_s,
            )
        )
    return tuple(found)


def document_of(planned: Planned) -> bytes:
    """The whole plan as JSON: figures, each relay's parents and charges, each hall's primary and backup."""
    relays = {
        load.relay_id: {
            "region": load.region,
            "role": load.role,
            "parents": load.parents,
            "primaries": load.primaries,
            "backups": load.backups,
            "links": load.links,
            "hard_seats": load.hard_seats,
        }
        for load in planned.plan.loads
    }
    document = {"figures": planned.figures, "relays": relays, "halls": planned.plan.pairs()}
    return msgspec.json.format(msgspec.json.encode(document), indent=1)
