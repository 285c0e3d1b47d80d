"""What a hall downloads to see what its line carries while no programme is on: a few megabytes, and not too often."""

from __future__ import annotations

import os

from conference.rate_limits import RateLimit

PAYLOAD_BYTES = 3 * 1024 * 1024  # 11 s at the usual layer's 2.2 Mbit/s; under a second on a good line
# A technician who presses the button again and again gets one in half a minute.
_HALL_PER_S = 1 / 30
_HALL_BURST = 3


class PrecheckPayload:
    """The bytes, and who may have them.

    Args:
        per_s: downloads a second, of all halls together.

    Attributes:
        body: random, so that nothing on the way makes less of them.
    """

    def __init__(self, per_s: float) -> None:
        self.body = os.urandom(PAYLOAD_BYTES)
        self._all = RateLimit(per_s=per_s, burst=max(1, round(per_s)))
        self._by_hall = RateLimit(per_s=_HALL_PER_S, burst=_HALL_BURST)

    def take(self, hall_id: str, now_s: float) -> float:
        """0 where the hall may have it now; else seconds until it may ask again."""
        return self._by_hall.take(hall_id, now_s) or self._all.take("", now_s)
