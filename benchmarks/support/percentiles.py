"""Percentiles of times. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile_ms(ordered_ns: Sequence[int], share: float) -> float | None:
    """Nearest rank, in ms; None of nothing."""
    if not ordered_ns:
        return None
    return round(ordered_ns[max(0, math.ceil(share * len(ordered_ns)) - 1)] / 1e6, 3)
