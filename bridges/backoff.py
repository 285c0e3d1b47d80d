"""How long to wait before trying again: twice as long each time, up to a limit, and never all at one moment. Pure."""

from __future__ import annotations

import random

FIRST_S = 0.5
MAX_S = 8.0  # a relay or a coordinator that is back has all of its halls again within so many seconds
_DOUBLINGS = 10  # beyond the limit by far; keeps the power small


def backoff_s(attempts: int, rng: random.Random, *, retry_after_s: float = 0.0) -> float:
    """Seconds to wait after so many attempts in vain (0 for the first), spread over the upper half of the wait.

    Never less than the server asks for (`retry_after_s`), and then up to a second more: Retry-After counts in whole
    seconds, at each of which all who were told so would return together.
    """
    longest = min(MAX_S, FIRST_S * 2.0 ** min(attempts, _DOUBLINGS))
    wait_s = longest * rng.uniform(0.5, 1.0)
    return max(wait_s, retry_after_s + rng.random()) if retry_after_s else wait_s


class Retry:
    """The next attempt at one thing: nothing planned, at once, or later after attempts in vain.

    Args:
        rng: jitter.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._at: float | None = None
        self._in_vain = 0

    @property
    def is_planned(self) -> bool:
        """An attempt is to come."""
        return self._at is not None

    def plan(self, now: float) -> None:
        """Try at once."""
        self._at = now

    def plan_later(self, now: float, at_least_s: float = 0.0) -> None:
        """An attempt was in vain: try again after the backoff, and not before `at_least_s` have passed."""
        self._at = now + backoff_s(self._in_vain, self._rng, retry_after_s=at_least_s)
        self._in_vain += 1

    def take(self, now: float) -> bool:
        """Say whether the time has come; the plan is taken then."""
        if self._at is None or now < self._at:
            return False
        self._at = None
        return True

    def drop(self) -> None:
        """Forget the plan, not the attempts in vain."""
        self._at = None

    def forget(self) -> None:
        """It worked: the next wait is a first one again."""
        self._in_vain = 0
