"""When each of many halls comes: a curve like that of a real morning, the same for the same seed. Pure."""

from __future__ import annotations

import math
import random
from typing import Literal

Curve = Literal["s", "flat"]

# Steepness of the curve: at 10, half of the halls come in the middle quarter of the time, as technicians do who were
# all told the same hour; the first and the last come alone.
_STEEPNESS = 10.0


def arrivals(n: int, seconds: float, seed: int, curve: Curve = "s") -> list[float]:
    """Draw the moments at which `n` halls come within `seconds`.

    Args:
        n: how many.
        seconds: length of the curve; 0 brings all of them at once.
        seed: equal seeds give equal moments.
        curve: `s`, slow at first and at last; or `flat`, as many in every second.

    Returns:
        `n` ascending moments in seconds from the start, each within [0, seconds].

    Raises:
        ValueError: a negative count or length.
    """
    if n < 0 or seconds < 0:
        raise ValueError("a curve of arrivals needs a count and a length that are not negative")
    rng = random.Random(seed)  # noqa: S311 - simulated arrivals, nothing secret
    # Inverse of the logistic curve cut off at both ends, so that the first and last moments lie inside.
    low = 1 / (1 + math.exp(_STEEPNESS / 2))
    span = 1 - 2 * low
    moments = []
    for _ in range(n):
        share = low + span * rng.random()
        position = 0.5 + math.log(share / (1 - share)) / _STEEPNESS if curve == "s" else (share - low) / span
        moments.append(min(max(position, 0.0), 1.0) * seconds)
    moments.sort()
    return moments
