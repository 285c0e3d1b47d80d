import random

from bridges.reservoir import Reservoir


def test_nothing_seen_is_zero() -> None:
    """No figure, no percentile."""
    empty = Reservoir(random.Random(1))
    assert (empty.percentile(0.5), empty.max, empty.count) == (0.0, 0.0, 0)


def test_percentiles_of_many_figures_are_near_the_truth() -> None:
    """100,000 figures in the memory of 4096."""
    reservoir = Reservoir(random.Random(1))
    for figure in range(100_000):
        reservoir.add(figure)
    assert abs(reservoir.percentile(0.5) - 50_000) < 3_000
    assert abs(reservoir.percentile(0.95) - 95_000) < 2_000
    assert reservoir.max == 99_999
    assert reservoir.count == 100_000


def test_negative_figures_have_a_greatest_too() -> None:
    """Clocks that disagree give negative ages; the greatest of them is still the greatest."""
    reservoir = Reservoir(random.Random(1))
    for figure in (-5.0, -3.0, -4.0):
        reservoir.add(figure)
    assert reservoir.max == -3.0
    assert reservoir.percentile(0.5) == -4.0
