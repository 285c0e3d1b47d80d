"""The pure parts of the attendance benchmark."""

from __future__ import annotations

import pytest

from benchmarks.support.delegations import MAX_BATCH, MOST_IN_HALL, arrival, batches, first_numbers, rosters


def test_rosters_sum_exactly() -> None:
    """Every delegate has a hall, and every hall a delegate."""
    for halls, delegates in ((1, 1), (48, 5_943), (11_661, 1_089_000)):
        sizes = rosters(halls, delegates, 1)
        assert (len(sizes), sum(sizes)) == (halls, delegates)
        assert min(sizes) >= 1
        assert max(sizes) <= MOST_IN_HALL + 1
        assert sizes == rosters(halls, delegates, 1)
    with pytest.raises(ValueError, match="fit"):
        rosters(10, 9, 1)


def test_most_arrive_in_the_middle() -> None:
    """Nobody before the beginning or after the end; half of all by the middle."""
    assert (arrival(0.0, 1_000), arrival(0.5, 1_000), arrival(1.0, 1_000)) == (0, 500, 1_000)
    assert arrival(0.1, 1_000) > 150
    assert arrival(0.9, 1_000) < 850


def test_batches_hold_everybody_once() -> None:
    """In the order of arrival, and none is larger than a request may be."""
    sizes = [3, 1_700, 1, 80]
    made = batches(sizes, 1_000, 1)
    assert first_numbers(sizes) == [1, 4, 1_704, 1_705]
    assert sorted(number for batch in made for number in range(batch.first, batch.end)) == list(range(1, 1_785))
    assert max(batch.end - batch.first for batch in made) == MAX_BATCH
    assert [batch.at_ms for batch in made] == sorted(batch.at_ms for batch in made)
    assert all(batch.first >= first_numbers(sizes)[batch.hall] for batch in made)
