from __future__ import annotations

import pytest

from conference.rate_limits import RateLimit


def taken(limit: RateLimit, key: str, now_s: float) -> int:
    """How many requests may be made at once."""
    count = 0
    while limit.take(key, now_s) == 0:
        count += 1
    return count


@pytest.mark.parametrize(("per_s", "burst"), [(1.0, 1), (3.0, 7), (50.0, 500), (0.1, 2), (1_000.0, 50_000)])
def test_a_burst_is_whole_and_refills_at_the_rate(per_s: float, burst: int) -> None:
    """After a rest `burst` requests go at once; then one for each `1 / per_s` seconds; never more than `burst`."""
    limit = RateLimit(per_s=per_s, burst=burst)
    assert taken(limit, "a", 100.0) == burst
    assert taken(limit, "a", 100.0 + 1.01 / per_s) == 1
    assert taken(limit, "a", 1e7) == burst


def test_the_wait_is_as_long_as_it_says() -> None:
    """A refused request says when it may be made, takes nothing, and may be made then and not before."""
    limit = RateLimit(per_s=2.0, burst=3)
    assert taken(limit, "a", 0.0) == 3
    for _ in range(10):
        assert limit.take("a", 0.1) == pytest.approx(0.4)
    assert limit.take("a", 0.49) > 0
    assert limit.take("a", 0.51) == 0


def test_keys_do_not_wait_for_each_other() -> None:
    """What one key used up no other misses."""
    limit = RateLimit(per_s=1.0, burst=5)
    assert taken(limit, "a", 0.0) == 5
    assert taken(limit, "b", 0.0) == 5


def test_memory_is_bounded_and_newcomers_share_what_is_left() -> None:
    """A flood of keys fills no memory; those beyond the bound share one bucket until others are full again."""
    limit = RateLimit(per_s=1.0, burst=2, max_keys=10)
    for number in range(10):
        assert limit.take(f"key-{number}", 0.0) == 0
    assert [limit.take(f"more-{number}", 0.0) == 0 for number in range(4)] == [True, True, False, False]
    assert len(limit) <= 11
    assert limit.take("key-0", 0.0) == 0
    assert taken(limit, "later", 10.0) == 2
    assert len(limit) <= 10
