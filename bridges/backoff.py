"""How long to wait before trying again: twice as long each time, up to a limit, and never all at one moment. Pure."""

from __future__ import annotations

import random

FIRST_S = 0.5
MAX_S = 8.0  # a relay or a coordinator that is back has all of its halls again within so many seconds
_DOUBLINGS = 10  # beyond the limit by far; keeps the power small


def backoff_s(attempts: int, rng: random.Random) -> float:
    """Seconds to wait after so many attempts in vain (0 for the first), spread over the upper half of the wait."""
    longest = min(MAX_S, FIRST_S * 2.0 ** min(attempts, _DOUBLINGS))
    return longest * rng.uniform(0.5, 1.0)
