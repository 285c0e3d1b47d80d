"""A country joins through the bucket of newcomers as configured, in virtual time; halls return as `bridges` does."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Sequence

import pytest

from bridges.arrivals import Curve, arrivals
from bridges.backoff import backoff_s
from conference.admission import Admission
from conference.config import AdmissionConfig

HALLS = 40_000
CONFIG = AdmissionConfig()


class Storm:
    """Halls that come at given moments, and what becomes of them.

    Attributes:
        seated_s: by hall, when it was let in.
        refusals: by hall, how often it was turned away.
        refused: refusals of all halls.
    """

    def __init__(self, moments: Sequence[float], *, obedient: bool = True, seed: int = 1) -> None:
        rng = random.Random(seed)
        bucket = Admission(per_s=CONFIG.per_s, burst=CONFIG.burst)
        self.seated_s: dict[int, float] = {}
        self.refusals = [0] * len(moments)
        due = [(moment, hall) for hall, moment in enumerate(moments)]
        heapq.heapify(due)
        while due:
            now_s, hall = heapq.heappop(due)
            wait_s = bucket.take(hall, now_s)
            if wait_s == 0:
                self.seated_s[hall] = now_s
                continue
            self.refusals[hall] += 1
            asked_s = float(math.ceil(wait_s)) if obedient else 0.0
            heapq.heappush(due, (now_s + backoff_s(self.refusals[hall] - 1, rng, retry_after_s=asked_s), hall))
        self.refused = sum(self.refusals)
        self.waiting = bucket.waiting

    def busiest_second(self) -> int:
        """Most halls that were let in within one second."""
        seconds: dict[int, int] = {}
        for moment_s in self.seated_s.values():
            seconds[int(moment_s)] = seconds.get(int(moment_s), 0) + 1
        return max(seconds.values())


@pytest.mark.parametrize("curve", ["s", "flat"])
def test_a_country_within_a_minute_is_paced_and_nobody_is_refused_twice(curve: Curve) -> None:
    """Each of 40,000 halls is let in at once or at its first return, within ten seconds, never faster than the pace."""
    moments = arrivals(HALLS, 60, 1, curve)
    storm = Storm(moments)
    assert len(storm.seated_s) == HALLS
    assert max(storm.refusals) <= 1
    assert storm.waiting == 0
    assert max(storm.seated_s[hall] - moments[hall] for hall in range(HALLS)) < 10
    # Returns are rounded up to whole seconds and spread over one more, so that a second may hold a little of the next.
    assert storm.busiest_second() <= 1.25 * CONFIG.per_s + CONFIG.burst


def test_a_country_at_one_moment_is_spread_over_its_number_by_the_rate() -> None:
    """All at once: the last is seated at its first return, after halls / rate seconds and what rounding adds."""
    storm = Storm([0.0] * HALLS)
    assert max(storm.refusals) == 1
    assert max(storm.seated_s.values()) < HALLS / CONFIG.per_s + 3
    assert storm.busiest_second() <= 1.25 * CONFIG.per_s + CONFIG.burst


def test_who_does_not_wait_as_told_is_let_in_no_sooner_and_all_the_same() -> None:
    """Halls that ask again by their own backoff keep their moment: they cost requests, and nobody starves."""
    storm = Storm([0.0] * 5_000, obedient=False)
    assert len(storm.seated_s) == 5_000
    assert max(storm.seated_s.values()) < 5_000 / CONFIG.per_s + 9
    assert storm.busiest_second() <= 2.5 * CONFIG.per_s
