"""What each loss would do, told as it is."""

from __future__ import annotations

import numpy as np

from conference.planner.loads import RelayLoad
from conference.planner.proof import NOBODY, Proof, prove
from relay.messages import RelayRole


def relay(relay_id: str, *parents: str, seats: int = 10) -> RelayLoad:
    """An origin if its name begins with `o`, else an edge below these."""
    role: RelayRole = "origin" if relay_id.startswith("o") else "edge"
    return RelayLoad(relay_id=relay_id, region="", role=role, soft_seats=seats, hard_seats=seats, parents=list(parents))


def proof_of(relays: list[RelayLoad], halls: list[tuple[int, int]], *, merge_parents: bool = False) -> Proof:
    """Halls of one seat each, with these indexes of relays."""
    pairs = np.array(halls, dtype=np.int64).reshape(-1, 2)
    seats = np.full(len(pairs), 1_000, dtype=np.int64)
    return prove(relays, pairs[:, 0], pairs[:, 1], seats, merge_parents=merge_parents)


TREE = [relay("a", "o1", "o2"), relay("b", "o2", "o1"), relay("c", "a"), relay("o1"), relay("o2")]


def test_a_backup_on_a_path_apart_survives_everything() -> None:
    """Two edges below two origins: any relay may go, and its halls play on."""
    proof = proof_of(TREE, [(0, 1), (0, 1), (1, 0)])
    assert proof.survives_any_single_loss
    assert [(loss.relays, loss.halls_moving) for loss in proof.worst(2)] == [(("a",), 2), (("b",), 1)]
    assert not proof.survives_any_two_origins
    assert [(loss.relays, loss.halls_dark) for loss in proof.origin_pairs] == [(("o1", "o2"), 3)]


def test_a_backup_below_the_primary_is_no_backup() -> None:
    """The loss of the relay above both is told with the halls that it darkens, and the relay that it starves."""
    proof = proof_of(TREE, [(0, 2), (2, 0), (1, 0)])
    assert not proof.survives_any_single_loss
    (worst,) = proof.worst(1)
    assert (worst.relays, worst.halls_dark, worst.relays_dark) == (("a",), 2, 1)


def test_a_hall_without_a_backup_goes_dark_with_its_primary() -> None:
    """And one without any relay is dark before anything is lost, which no plan survives."""
    alone = proof_of(TREE, [(0, NOBODY)])
    assert (alone.halls_dark_now, alone.worst(1)[0].halls_dark) == (0, 1)
    nowhere = proof_of(TREE, [(NOBODY, NOBODY), (0, 1)])
    assert nowhere.halls_dark_now == 1
    assert not nowhere.survives_any_single_loss
    assert all(loss.halls_dark == 0 for loss in nowhere.singles)


def test_a_relay_that_is_overfull_after_a_loss_is_named() -> None:
    """Six halls and their six backups on two relays of ten seats, if somebody had charged only one seat for both."""
    relays = [relay("a", "o1"), relay("b", "o1"), relay("o1")]
    proof = proof_of(relays, [(0, 1)] * 6 + [(1, 0)] * 6)
    assert {loss.relays: loss.overfull for loss in proof.singles} == {("a",): ("b",), ("b",): ("a",), ("o1",): ()}
    assert not proof.survives_any_single_loss
    assert max(loss.max_utilisation for loss in proof.singles) == 1.2


def test_merged_parents_are_both_at_work() -> None:
    """A child that takes its feeds twice fills a seat at both parents; one that waits fills none."""
    relays = [relay("a", "o1", "o2"), relay("b", "o1", "o2"), relay("o1", seats=4), relay("o2", seats=4)]
    waiting, merging = (proof_of(relays, [], merge_parents=merges).singles for merges in (False, True))
    assert waiting[0].max_utilisation == 0.25  # b at o1
    assert merging[2].max_utilisation == 0.5  # a and b at o2, when o1 is lost
    assert merging[0].max_utilisation == 0.25


def test_one_origin_alone_is_everybodys_fate() -> None:
    """Its loss darkens all, and the plan says so."""
    proof = proof_of([relay("a", "o1"), relay("b", "o1"), relay("o1")], [(0, 1), (1, 0)])
    assert not proof.survives_any_single_loss
    assert [loss.relays for loss in proof.singles if loss.halls_dark] == [("o1",)]
    assert proof.origin_pairs == ()
    assert not proof.survives_any_two_origins


def test_nothing_is_survived_by_nobody() -> None:
    """A country without relays and halls has no losses."""
    assert proof_of([], []).singles == ()
