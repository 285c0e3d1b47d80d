import random

from bridges.backoff import FIRST_S, MAX_S, backoff_s


def test_waits_double_up_to_the_limit() -> None:
    """Each lies in the upper half of its length, however many attempts there were."""
    rng = random.Random(1)
    for attempts, longest in [(0, FIRST_S), (1, 2 * FIRST_S), (3, 8 * FIRST_S), (4, MAX_S), (10_000, MAX_S)]:
        waits = [backoff_s(attempts, rng) for _ in range(50)]
        assert min(waits) >= longest / 2
        assert max(waits) <= longest
        assert len(set(waits)) == 50
