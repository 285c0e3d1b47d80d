"""How fast newcomers are let in: a token bucket that tells everybody beyond it when to come back. Pure.

A country that comes within a minute must not make those wait who are being seated, nor the relays' reports. So halls
without a seat are let in at a steady rate, and some at once after a rest. Who comes too early is given the next free
moment, one after the other, and is let in when it returns at that moment, whoever else has come meanwhile: nobody is
turned away twice who does as told, nobody starves, and no two are told the same moment. The longest wait is the number
of those that wait over the rate.

The rule is that of the generic cell rate algorithm (ITU-T I.371, annex A): one time stands for the whole bucket.
`now_s` is a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Hashable

# Twice as many as a country has halls; who comes beyond is told to come back, but its moment is not kept.
MAX_BOOKED = 100_000
# A moment is kept for who returns so much later: Retry-After counts in whole seconds and callers spread their returns.
# After it the caller is a newcomer again, so that ten thousand whose line was cut do not all come at once.
KEPT_S = 15.0
# Who returns by a clock of its own may be a trifle early.
_EARLY_S = 0.05
_ROUNDING_S = 1e-6  # what sums of many intervals may be off by


class Admission:
    """One bucket for all newcomers.

    Args:
        per_s: newcomers a second that are let in for ever; 0 lets everybody in.
        burst: how many are let in at once after a rest, at least 1.
    """

    def __init__(self, *, per_s: float, burst: int) -> None:
        self._interval_s = 1 / per_s if per_s else 0.0
        self._slack_s = (burst - 1) * self._interval_s
        # The moment at which the bucket is full again if nobody comes; it runs ahead of the clock as it is emptied.
        self._full_s = float("-inf")
        self._booked: dict[Hashable, float] = {}  # by key, when it may come; in that order

    @property
    def waiting(self) -> int:
        """Newcomers that were told a moment and have not come back."""
        return len(self._booked)

    def take(self, key: Hashable, now_s: float) -> float:
        """Let a newcomer in, or tell it how long to wait.

        Args:
            key: who it is; one key has one moment.
            now_s: a monotonic clock, seconds.

        Returns:
            0 where it is let in; else the seconds after which it is let in.
        """
        self._forget_absent(now_s)
        booked_s = self._booked.get(key)
        if booked_s is not None:
            if booked_s > now_s + _EARLY_S:
                return booked_s - now_s
            del self._booked[key]
            return 0.0
        self._full_s = max(self._full_s, now_s)
        moment_s = self._full_s - self._slack_s
        if moment_s <= now_s + _ROUNDING_S:
            self._full_s += self._interval_s
            return 0.0
        if len(self._booked) < MAX_BOOKED:
            self._full_s += self._interval_s
            self._booked[key] = moment_s
        return moment_s - now_s

    def _forget_absent(self, now_s: float) -> None:
        """Moments only grow, so those that nobody came for are the first."""
        while self._booked:
            key = next(iter(self._booked))
            if self._booked[key] + KEPT_S > now_s:
                return
            del self._booked[key]
