import random

from bridges.backoff import FIRST_S, MAX_S, Retry, backoff_s


def test_waits_double_up_to_the_limit() -> None:
    """Each lies in the upper half of its length, however many attempts there were."""
    rng = random.Random(1)
    for attempts, longest in [(0, FIRST_S), (1, 2 * FIRST_S), (3, 8 * FIRST_S), (4, MAX_S), (10_000, MAX_S)]:
        waits = [backoff_s(attempts, rng) for _ in range(50)]
        assert min(waits) >= longest / 2
        assert max(waits) <= longest
        assert len(set(waits)) == 50


def test_a_retry_is_taken_once_when_its_time_has_come() -> None:
    """At once, or later after an attempt in vain; a plan that was dropped is not taken."""
    retry = Retry(random.Random(1))
    assert not retry.take(10.0)
    retry.plan(10.0)
    assert retry.take(10.0)
    assert not retry.take(10.0)
    retry.plan_later(10.0, 3.0)
    assert retry.is_planned
    assert not retry.take(12.9)
    assert retry.take(14.0)
    retry.plan(14.0)
    retry.drop()
    assert not retry.take(20.0)


def test_a_retry_that_worked_waits_shortly_the_next_time() -> None:
    """Attempts in vain lengthen the wait until one worked."""
    retry = Retry(random.Random(1))
    for _ in range(6):
        retry.plan_later(0.0)
    assert not retry.take(MAX_S / 2 - 0.1)
    retry.forget()
    retry.plan_later(0.0)
    assert retry.take(FIRST_S)


def test_no_wait_is_shorter_than_the_server_asks_for() -> None:
    """Retry-After is waited out, and up to a second more, so that who is told one second returns alone."""
    rng = random.Random(1)
    waits = [backoff_s(0, rng, retry_after_s=3) for _ in range(50)]
    assert min(waits) >= 3
    assert max(waits) <= 4
    assert max(waits) - min(waits) > 0.8
    assert min(backoff_s(10, rng, retry_after_s=1) for _ in range(50)) >= MAX_S / 2
