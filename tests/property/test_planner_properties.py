"""Whatever the country, a plan keeps its limits and says what it could not do; its proof is what a naive walk finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from conference.planner.loads import HallWish, RelayLoad, open_for_halls
from conference.planner.plan import Plan, make_plan
from conference.planner.proof import Proof

REGIONS = ("", "01", "02", "03")
CHAINS = {"01": ("02", "03"), "03": ("02",)}
RELAYS = [f"o{n}" for n in range(3)] + [f"e{n}" for n in range(8)]


@st.composite
def relay_lists(draw: st.DrawFn) -> list[RelayLoad]:
    """Some origins and edges, of any size, in any order."""
    found = []
    for relay_id in draw(st.lists(st.sampled_from(RELAYS), unique=True)):
        hard = draw(st.integers(0, 8))
        found.append(
            RelayLoad(
                relay_id=relay_id,
                region=draw(st.sampled_from(REGIONS)),
                role="origin" if relay_id.startswith("o") else "edge",
                soft_seats=draw(st.integers(0, hard)),
                hard_seats=hard,
                parents=draw(st.lists(st.sampled_from(RELAYS), max_size=2, unique=True)),
            )
        )
    return [load for load in found if load.relay_id not in load.parents]


@st.composite
def roomy_countries(draw: st.DrawFn) -> list[RelayLoad]:
    """Two origins or three and two edges or more, without parents yet; any soft limit, the hard one out of reach."""
    origins = draw(st.integers(2, 3))
    edges = draw(st.integers(2, 8))
    return [
        RelayLoad(
            relay_id=relay_id,
            region=draw(st.sampled_from(REGIONS)),
            role="origin" if relay_id.startswith("o") else "edge",
            # Mostly few seats, so that halls leave their region and seats are broken up over relays.
            soft_seats=draw(st.sampled_from((0, 0, 1, 1, 2, 3, 4, 6, 10, 60))),
            hard_seats=draw(st.integers(60, 90)),
        )
        for relay_id in [*(f"o{n}" for n in range(origins)), *(f"e{n}" for n in range(edges))]
    ]


@st.composite
def wish_lists(draw: st.DrawFn) -> list[HallWish]:
    """Up to twenty halls, some pinned, some that exclude relays, some of a lower bitrate."""
    names = st.sampled_from(RELAYS)
    return [
        HallWish(
            hall_id=f"h{number:02}",
            region=draw(st.sampled_from(REGIONS)),
            milliseats=draw(st.sampled_from((250, 500, 1_000, 1_000, 1_000))),
            pins=tuple(draw(st.one_of(st.just([]), st.lists(names, max_size=2, unique=True)))),
            exclude=frozenset(draw(st.one_of(st.just([]), st.lists(names, max_size=3)))),
        )
        for number in range(draw(st.integers(0, 20)))
    ]


def fed(plan: Plan, lost: Collection[str]) -> set[str]:
    """Relays that have a way to an origin without these: by walking up, again and again."""
    found = {load.relay_id for load in plan.loads if load.role == "origin"} - set(lost)
    while True:
        more = {
            load.relay_id
            for load in plan.loads
            if load.relay_id not in found and load.relay_id not in lost and found & set(load.parents)
        }
        if not more:
            return found
        found |= more


def way_of(plan: Plan, relay_id: str) -> list[str]:
    """The relay, its first parent, and so on to the origin."""
    first = {load.relay_id: load.parents[0] for load in plan.loads if load.parents}
    way = [relay_id]
    while way[-1] in first:
        way.append(first[way[-1]])
    return way


def naive_walk(plan: Plan, lost: Sequence[str]) -> tuple[int, int, set[str]]:
    """Halls dark, halls moving and relays over their limit after a loss, hall by hall."""
    now, then = fed(plan, ()), fed(plan, lost)
    carried: Counter[str] = Counter()
    dark = moving = 0
    for number, wish in enumerate(plan.wishes):
        primary, backup = plan.pair(number)
        if not {primary, backup} & now:
            continue
        if primary in then:
            carried[primary] += wish.milliseats
        elif backup in then:
            carried[backup] += wish.milliseats
            moving += 1
        else:
            dark += 1
    for load in plan.loads:
        parent = next((parent for parent in load.parents if parent in then), None)
        if load.relay_id in then and parent is not None:
            carried[parent] += 1_000
    return dark, moving, {load.relay_id for load in plan.loads if carried[load.relay_id] > 1_000 * load.hard_seats}


@given(relay_lists(), wish_lists())
@settings(max_examples=60)
def test_no_relay_is_over_its_hard_limit_before_and_after_any_loss(
    relays: list[RelayLoad], wishes: list[HallWish]
) -> None:
    """Neither what is charged, nor what plays after any one loss, nor what is charged when that loss is re-planned."""
    plan = make_plan(relays, wishes, CHAINS)
    assert_within_limits(plan)
    assert not any(loss.overfull for loss in plan.prove().singles)
    for load in plan.loads:
        assert_within_limits(plan.without(load.relay_id))


def assert_within_limits(plan: Plan) -> None:
    """Charges are a recount of the halls and links, and within the limit."""
    carried: Counter[str] = Counter()
    for number, wish in enumerate(plan.wishes):
        carried.update(dict.fromkeys(filter(None, plan.pair(number)), wish.milliseats))
    for load in plan.loads:
        links = sum(load.relay_id in other.parents for other in plan.loads)
        assert load.links == links
        assert load.hall_milliseats == carried[load.relay_id]
        assert load.charged_milliseats <= 1_000 * load.hard_seats


@given(relay_lists(), wish_lists())
@settings(max_examples=60)
def test_the_proof_is_what_a_naive_walk_finds(relays: list[RelayLoad], wishes: list[HallWish]) -> None:
    """For every relay and for every two origins."""
    plan = make_plan(relays, wishes, CHAINS)
    proof = plan.prove()
    assert [loss.relays for loss in proof.singles] == [(load.relay_id,) for load in plan.loads]
    for loss in (*proof.singles, *proof.origin_pairs):
        dark, moving, overfull = naive_walk(plan, loss.relays)
        assert (loss.halls_dark, loss.halls_moving, set(loss.overfull)) == (dark, moving, overfull)
        assert loss.relays_dark == len(fed(plan, ()) - fed(plan, loss.relays) - set(loss.relays))


@given(relay_lists(), wish_lists(), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_the_order_of_the_input_makes_no_difference(
    relays: list[RelayLoad], wishes: list[HallWish], random: st.DataObject
) -> None:
    """Equal digests and equal proofs for any permutation."""
    plan = make_plan(relays, wishes, CHAINS)
    others, those = list(relays), list(wishes)
    random.shuffle(others)  # type: ignore[attr-defined] # a random.Random, which hypothesis does not name
    random.shuffle(those)  # type: ignore[attr-defined] # the same
    again = make_plan(others, those, CHAINS)
    assert again.digest() == plan.digest()
    assert again.prove() == plan.prove()


@given(relay_lists(), wish_lists())
@settings(max_examples=60)
def test_a_plan_keeps_orders_and_says_what_it_could_not_do(relays: list[RelayLoad], wishes: list[HallWish]) -> None:
    """Two different open relays, none excluded, pins held or named; who lacks a relay found none with room."""
    plan = make_plan(relays, wishes, CHAINS)
    open_relays = {load.relay_id: load for load in open_for_halls(plan.loads)}
    broken, alone, nowhere = (
        set(plan.broken_pins),
        set(plan.halls_without_backup),
        set(plan.halls_without_primary),
    )
    assert nowhere <= alone
    for number, wish in enumerate(plan.wishes):
        pair = plan.pair(number)
        given_relays = [relay_id for relay_id in pair if relay_id]
        assert len(set(given_relays)) == len(given_relays)
        assert set(given_relays) <= open_relays.keys() - wish.exclude
        assert (wish.hall_id in nowhere) == (not pair[0])
        assert (wish.hall_id in alone) == (not pair[1])
        assert (wish.hall_id in broken) == (wish.pins != pair[: len(wish.pins)])
        if not all(pair):
            # It still has no room now that all others are placed; there was none when its turn came, or it is a
            # primary that came first and left none.
            for relay_id in open_relays.keys() - wish.exclude - set(given_relays):
                load = open_relays[relay_id]
                assert load.charged_milliseats + wish.milliseats > load.limit_milliseats


@given(relay_lists(), wish_lists())
@settings(max_examples=60)
def test_a_loss_moves_only_its_halls(relays: list[RelayLoad], wishes: list[HallWish]) -> None:
    """A hall that had the lost relay neither as primary nor as backup keeps both; a promoted backup is kept too."""
    plan = make_plan(relays, wishes, CHAINS)
    before = plan.pairs()
    for load in plan.loads:
        after = plan.without(load.relay_id).pairs()
        for hall_id, (primary, backup) in before.items():
            if load.relay_id not in (primary, backup):
                assert after[hall_id] == (primary, backup) or not backup
            elif primary == load.relay_id and backup:
                assert after[hall_id][0] == backup
            elif backup == load.relay_id:
                assert after[hall_id][0] == primary


@given(relay_lists(), wish_lists())
@settings(max_examples=40)
def test_planning_again_from_what_stands_moves_nobody(relays: list[RelayLoad], wishes: list[HallWish]) -> None:
    """Least movement: who has a relay and a backup keeps both when the plan is made again."""
    plan = make_plan(relays, [msgspec.structs.replace(wish, pins=()) for wish in wishes], CHAINS)
    pairs = plan.pairs()
    again = make_plan(plan.loads, plan.wishes, CHAINS, pairs)
    for hall_id, (primary, backup) in again.pairs().items():
        before = pairs[hall_id]
        assert before[0] in ("", primary)
        assert before[1] in ("", backup)


@given(roomy_countries(), wish_lists())
@settings(max_examples=60)
def test_with_room_and_two_origins_every_single_loss_is_survived(
    relays: list[RelayLoad], wishes: list[HallWish]
) -> None:
    """Every hall has a backup on a path apart: no loss of one relay cuts both off. With three origins, of two.

    Where relays play from several origins, no relay is on both ways from a hall to the origins.
    """
    origins = [load for load in relays if load.role == "origin"]
    plan = make_plan(relays, [msgspec.structs.replace(wish, exclude=frozenset()) for wish in wishes], CHAINS)
    proof: Proof = plan.prove()
    assert not plan.halls_without_backup
    assert proof.survives_any_single_loss
    ways = {load.relay_id: way_of(plan, load.relay_id) for load in plan.loads}
    if len({ways[load.relay_id][-1] for load in open_for_halls(plan.loads)}) > 1:
        for number, wish in enumerate(plan.wishes):
            primary, backup = plan.pair(number)
            assert wish.pins or not set(ways[primary]) & set(ways[backup])
    if len(origins) == 3 and not any(wish.pins for wish in wishes):
        assert proof.survives_any_two_origins
    if len(origins) == 2 and wishes:
        assert not proof.survives_any_two_origins
