"""Which losses cut a relay off."""

from __future__ import annotations

import numpy as np

from conference.planner.loads import RelayLoad
from conference.planner.paths import paths_of
from relay.messages import RelayRole


def relay(relay_id: str, *parents: str) -> RelayLoad:
    """An origin if its name begins with `o`, else an edge below these."""
    role: RelayRole = "origin" if relay_id.startswith("o") else "edge"
    return RelayLoad(relay_id=relay_id, region="", role=role, soft_seats=9, hard_seats=9, parents=list(parents))


def cut_by(*relays: RelayLoad) -> dict[str, set[str]]:
    """The losses that cut off each relay, as words."""
    loads = sorted(relays, key=lambda load: load.relay_id)
    table = paths_of(loads)
    names = ["+".join(loads[index].relay_id for index in loss) for loss in table.losses]
    return {
        load.relay_id: {name for name, cut in zip(names, row, strict=True) if cut}
        for load, row in zip(loads, table.cuts, strict=True)
    }


def test_one_parent_is_a_fate_shared() -> None:
    """What cuts off the only parent cuts off the child."""
    assert cut_by(relay("o1"), relay("a", "o1"), relay("b", "a")) == {
        "o1": {"o1"},
        "a": {"o1", "a"},
        "b": {"o1", "a", "b"},
    }


def test_two_parents_share_only_what_both_need() -> None:
    """Below two relays of one origin only the origin is fatal; below two origins only both together."""
    cuts = cut_by(
        relay("o1"), relay("o2"), relay("a", "o1"), relay("b", "o1"), relay("c", "a", "b"), relay("d", "o1", "o2")
    )
    assert cuts["c"] == {"o1", "c", "o1+o2"}
    assert cuts["d"] == {"d", "o1+o2"}


def test_a_relay_without_a_way_is_cut_off_by_everything() -> None:
    """Without parents, below one that has none, in a circle, or below one that is gone."""
    relays = [relay("o1"), relay("a"), relay("b", "a"), relay("c", "d"), relay("d", "c"), relay("e", "gone")]
    cuts = cut_by(*relays)
    assert all(len(cuts[name]) == len(relays) for name in "abcde")
    assert paths_of(sorted(relays, key=lambda load: load.relay_id)).placed.tolist() == [False] * 5 + [True]


def test_shared_counts_losses_pairs_and_ways() -> None:
    """Beside a relay on o1 (and o2), its twin shares a way, its mirror none; the loss of both origins counts never."""
    loads = [relay("a", "o1", "o2"), relay("b", "o1", "o2"), relay("c", "o2", "o1"), relay("o1"), relay("o2")]
    losses, pairs, ways = paths_of(loads).shared(0)
    assert (losses[1], pairs[1], ways[1]) == (0, 0, 1)
    assert (losses[2], pairs[2], ways[2]) == (0, 0, 0)
    assert losses[0] == 1


def test_company_counts_who_goes_with_a_child() -> None:
    """A child of o1 and o2 goes with both origins and with a; one of o1 and o3 with these two origins alone."""
    table = paths_of([relay("a", "o1", "o2"), relay("o1"), relay("o2"), relay("o3")])
    assert table.company(1, np.array([2, 3])).tolist() == [3, 2]
