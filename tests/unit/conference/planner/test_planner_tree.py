"""The tree of relays: two paths, shallow, stable."""

from __future__ import annotations

from conference.planner.loads import RelayLoad
from conference.planner.paths import paths_of
from conference.planner.tree import plan_tree, replan, tree_depth
from relay.messages import RelayRole


def relay(relay_id: str, region: str = "", *, seats: int = 100, parents: tuple[str, ...] = ()) -> RelayLoad:
    """An origin if its name begins with `o`, else an edge."""
    role: RelayRole = "origin" if relay_id.startswith("o") else "edge"
    return RelayLoad(
        relay_id=relay_id, region=region, role=role, soft_seats=seats, hard_seats=seats, parents=list(parents)
    )


def test_two_origins_give_every_edge_two_paths() -> None:
    """Primary and backup parent are different origins."""
    tree = plan_tree([relay("o1"), relay("o2"), *(relay(f"e{n}", f"{n:02}") for n in range(34))])
    assert tree["o1"] == tree["o2"] == []
    assert {frozenset(tree[f"e{n}"]) for n in range(34)} == {frozenset({"o1", "o2"})}
    assert tree_depth(tree) == 1


def test_the_edges_of_a_region_play_from_different_origins() -> None:
    """So that a hall finds a primary and a backup on ways apart without leaving its region."""
    tree = plan_tree([relay("o1", "01"), relay("o2", "79"), *(relay(f"e{n}", "01") for n in range(4))])
    assert [tree[f"e{n}"][0] for n in range(4)] == ["o1", "o2", "o1", "o2"]


def test_three_origins_feed_every_edge_after_the_loss_of_any_two() -> None:
    """The backup way of an edge leads to the two origins that it does not play from, through a sister if need be."""
    relays = [*(relay(f"o{n}") for n in range(3)), *(relay(f"e{n}", f"{n % 3:02}") for n in range(12))]
    replan(relays)
    table = paths_of(sorted(relays, key=lambda load: load.relay_id))
    pairs = [number for number, loss in enumerate(table.losses) if len(loss) == 2]
    dark = {
        load.relay_id
        for load, row in zip(sorted(relays, key=lambda load: load.relay_id), table.cuts, strict=True)
        if load.role == "edge" and row[pairs].any()
    }
    assert dark == {"e0"}  # the first has no sister above it


def test_edges_of_two_regions_do_not_depend_on_the_same_two_origins() -> None:
    """Where the nearest origins are the same two for both, the second edge goes to the third; and it stays so."""
    relays = [relay("o0"), relay("o1"), relay("o2", "01"), relay("e0"), relay("e1", "02")]
    replan(relays)
    first = {load.relay_id: load.parents for load in relays}
    assert (first["e0"], first["e1"]) == (["o0", "o1"], ["o0", "o2"])
    replan(relays)
    assert {load.relay_id: load.parents for load in relays} == first


def test_fed_once_goes_before_fed_twice() -> None:
    """Where one seat is left, a newcomer's only link takes it from somebody's second one."""
    relays = [relay("o1", seats=2), relay("o2", seats=1), relay("a", seats=0), relay("b", seats=0)]
    replan(relays)
    assert [len(load.parents) for load in relays] == [0, 0, 2, 1]
    relays.append(relay("c", seats=0))
    replan(relays)
    assert [len(load.parents) for load in relays] == [0, 0, 1, 1, 1]


def test_an_edge_prefers_the_origin_of_its_region() -> None:
    """Region decides among relays of one depth."""
    tree = plan_tree([relay("o1", "01"), relay("o2", "79"), relay("a", "79"), relay("b", "01")])
    assert (tree["a"], tree["b"]) == (["o2", "o1"], ["o1", "o2"])


def test_a_full_origin_makes_the_tree_deeper() -> None:
    """Ten edges below one origin with three seats: no relay feeds more than it can, all are fed, all but one twice."""
    relays = [relay("o1", seats=3), *(relay(f"e{n}", seats=3) for n in range(10))]
    replan(relays)
    assert all(load.parents for load in relays if load.role == "edge")
    assert max(load.links for load in relays) <= 3
    assert sorted(len(load.parents) for load in relays) == [0, 1, *[2] * 9]
    assert tree_depth({load.relay_id: load.parents for load in relays}) == 3


def test_halls_leave_less_room_for_children() -> None:
    """A relay full of halls feeds no other."""
    relays = [relay("o1", seats=1), relay("a", seats=5), relay("b", seats=5)]
    relays[1].parents = ["o1"]
    relays[1].charge(1_000, primaries=5)
    assert plan_tree(relays)["b"] == []


def test_the_loss_of_a_parent_promotes_the_backup() -> None:
    """What a relay does by itself is what the plan says."""
    relays = [relay("o1"), relay("o2"), relay("a"), relay("b", parents=("gone", "a"))]
    tree = plan_tree(relays)
    assert tree["b"][0] == "a"


def test_a_newcomer_moves_nobody() -> None:
    """Edges keep the parents that they have, also when a shallower place becomes free."""
    relays = [relay("o1", seats=2), *(relay(f"e{n}", seats=10) for n in range(6))]
    replan(relays)
    before = {load.relay_id: load.parents[0] for load in relays if load.parents}
    relays.append(relay("o2"))
    replan(relays)
    assert {load.relay_id: load.parents[0] for load in relays if load.relay_id in before} == before


def test_the_same_relays_in_another_order_make_the_same_tree() -> None:
    """Deterministic."""
    relays = [
        relay("o1", seats=4),
        relay("o2", "79", seats=4),
        *(relay(f"e{n}", f"{n % 3:02}", seats=5) for n in range(12)),
    ]
    assert plan_tree(relays) == plan_tree(relays[::-1])


def test_edges_without_an_origin_have_no_parents() -> None:
    """Nobody feeds them, and they do not feed one another in a circle."""
    assert plan_tree([relay("a", parents=("b",)), relay("b", parents=("a",))]) == {"a": [], "b": []}


def test_present_parents_that_form_a_cycle_are_broken() -> None:
    """Whatever the present parents are, the plan is a tree."""
    tree = plan_tree([relay("o1"), relay("a", parents=("b",)), relay("b", parents=("a",))])
    assert tree_depth(tree) <= 2
    assert tree["a"]
    assert tree["b"]


def test_no_relays_make_no_tree() -> None:
    """An empty pool."""
    assert plan_tree([]) == {}
    assert tree_depth({}) == 0


def test_a_newcomer_backs_up_who_stood_there_alone() -> None:
    """Edges that register one after the other end with the parents that they would have had together."""
    together = plan_tree([relay("o"), relay("e1"), relay("e2")])
    assert together["e2"] == ["o", "e1"]
    assert plan_tree([relay("o"), relay("e1"), relay("e2", parents=("o",))]) == together
