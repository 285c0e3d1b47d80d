import pytest

from bridges.arrivals import arrivals


def test_the_same_seed_gives_the_same_moments() -> None:
    """A run can be repeated exactly, and another seed gives another one."""
    assert arrivals(50, 30, 7) == arrivals(50, 30, 7)
    assert arrivals(50, 30, 7) != arrivals(50, 30, 8)


def test_the_curve_is_s_shaped() -> None:
    """Few come in the first and the last fifth, most in the middle; all lie inside, in order."""
    moments = arrivals(10_000, 100, 1)
    assert moments == sorted(moments)
    assert moments[0] >= 0
    assert moments[-1] <= 100
    first = sum(1 for moment in moments if moment < 20)
    middle = sum(1 for moment in moments if 40 <= moment < 60)
    last = sum(1 for moment in moments if moment >= 80)
    assert middle > 4 * first
    assert middle > 4 * last


def test_a_flat_curve_is_even() -> None:
    """Every fifth of the time brings a fifth of the halls, give or take chance."""
    moments = arrivals(10_000, 100, 1, "flat")
    assert moments == sorted(moments)
    fifths = [sum(1 for moment in moments if start <= moment < start + 20) for start in range(0, 100, 20)]
    assert all(1_800 < count < 2_200 for count in fifths)


def test_no_time_brings_all_at_once() -> None:
    """A curve of length zero is a join storm."""
    assert arrivals(5, 0, 1) == [0.0] * 5
    assert arrivals(0, 10, 1) == []


@pytest.mark.parametrize(("n", "seconds"), [(-1, 1.0), (1, -1.0)])
def test_a_negative_curve_is_refused(n: int, seconds: float) -> None:
    """Negative sizes are the caller's error."""
    with pytest.raises(ValueError, match="not negative"):
        arrivals(n, seconds, 1)
