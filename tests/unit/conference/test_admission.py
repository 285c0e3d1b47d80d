from __future__ import annotations

import pytest

from conference import admission
from conference.admission import KEPT_S, Admission


def test_a_burst_is_let_in_at_once_and_the_rest_at_the_rate() -> None:
    """Five of a rate of ten a second are let in; those after them are told a moment each, a tenth of a second apart."""
    bucket = Admission(per_s=10, burst=5)
    waits = [bucket.take(number, 100.0) for number in range(8)]
    assert waits[:5] == [0.0] * 5
    assert waits[5:] == pytest.approx([0.1, 0.2, 0.3])
    assert bucket.waiting == 3


def test_who_returns_at_its_moment_is_let_in_whoever_came_meanwhile() -> None:
    """A moment that was told is kept: those who come later do not take it."""
    bucket = Admission(per_s=10, burst=1)
    bucket.take("first", 0.0)
    wait_s = bucket.take("second", 0.0)
    for number in range(50):
        assert bucket.take(number, 0.05) > 0
    assert bucket.take("second", wait_s) == 0.0
    assert bucket.waiting == 50


def test_who_returns_too_early_keeps_its_moment() -> None:
    """Asking again is no way to the front, and none to the end of the line either."""
    bucket = Admission(per_s=1, burst=1)
    bucket.take("first", 0.0)
    assert bucket.take("second", 0.0) == pytest.approx(1.0)
    for _ in range(10):
        assert bucket.take("second", 0.5) == pytest.approx(0.5)
    assert bucket.take("third", 0.5) == pytest.approx(1.5)
    assert bucket.take("second", 1.0) == 0.0


def test_the_bucket_fills_to_its_burst_and_no_further() -> None:
    """After an hour's rest as many are let in at once as after a second's."""
    bucket = Admission(per_s=10, burst=5)
    for start_s in (0.0, 1.0, 3600.0):
        assert [bucket.take((start_s, number), start_s) == 0.0 for number in range(7)] == [True] * 5 + [False] * 2


def test_a_moment_that_nobody_comes_for_is_forgotten() -> None:
    """Long after its moment a hall is a newcomer like any other, and nothing is kept of it."""
    bucket = Admission(per_s=1, burst=1)
    bucket.take("first", 0.0)
    bucket.take("absent", 0.0)
    bucket.take("other", 1.0 + KEPT_S)
    assert bucket.waiting == 0
    assert bucket.take("absent", 1.0 + KEPT_S) == pytest.approx(1.0)


def test_a_rate_of_nothing_lets_everybody_in() -> None:
    """0 turns admission off."""
    bucket = Admission(per_s=0, burst=1)
    assert [bucket.take(number, 5.0) for number in range(1000)] == [0.0] * 1000


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound a newcomer is told to wait, and the moments of those before it stay theirs."""
    monkeypatch.setattr(admission, "MAX_BOOKED", 3)
    bucket = Admission(per_s=10, burst=1)
    waits = [bucket.take(number, 0.0) for number in range(10)]
    assert bucket.waiting == 3
    assert waits[4:] == pytest.approx([0.4] * 6)
    assert bucket.take(3, 0.3) == 0.0
