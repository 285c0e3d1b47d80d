"""Token buckets by key: who asks too often waits, and nobody else does. Pure; `now_s` is a monotonic clock.

A bucket holds `burst` requests and is refilled with `per_s` of them a second. Full buckets are forgotten.
"""

from __future__ import annotations

# Some 20 MB. Twice as many as a country has halls, so that only an attack with many addresses fills the table.
MAX_KEYS = 100_000


class RateLimit:
    """The buckets of one kind of key.

    Args:
        per_s: requests a second that a key may make for ever.
        burst: requests that it may make at once after a rest.
        max_keys: keys that are told apart; while so many buckets are not full, newcomers share one between them.
    """

    def __init__(self, *, per_s: float, burst: int, max_keys: int = MAX_KEYS) -> None:
        self._per_s = per_s
        self._burst = burst
        self._max_keys = max_keys
        self._buckets: dict[str, tuple[float, float]] = {}  # what was left, and when
        self._sweep_at_s = 0.0

    def __len__(self) -> int:
        """Keys that are remembered."""
        return len(self._buckets)

    def take(self, key: str, now_s: float) -> float:
        """Take one request from a key's bucket.

        Returns:
            0 where it may be made; else seconds until it may, and nothing was taken.
        """
        if key not in self._buckets and len(self._buckets) >= self._max_keys:
            self._forget_full(now_s)
            if len(self._buckets) >= self._max_keys:
                key = ""
        left = self._left(key, now_s)
        if left < 1:
            return (1 - left) / self._per_s
        self._buckets[key] = (left - 1, now_s)
        return 0.0

    def wait_s(self, key: str, now_s: float) -> float:
        """Seconds until a request of a key may be made, 0 where it may be now; takes nothing."""
        if key not in self._buckets and len(self._buckets) >= self._max_keys:
            key = ""
        return max(0.0, (1 - self._left(key, now_s)) / self._per_s)

    def _left(self, key: str, now_s: float) -> float:
        left, at_s = self._buckets.get(key, (self._burst, now_s))
        return min(self._burst, left + (now_s - at_s) * self._per_s)

    def _forget_full(self, now_s: float) -> None:
        """Make room; at most once in the time that a bucket needs to fill, so that a flood does not pay for it."""
        if now_s < self._sweep_at_s:
            return
        self._sweep_at_s = now_s + self._burst / self._per_s
        self._buckets = {key: kept for key, kept in self._buckets.items() if self._left(key, now_s) < self._burst}
