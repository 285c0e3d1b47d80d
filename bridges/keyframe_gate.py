"""When an encoder makes a keyframe that was asked for: at most one in an interval, whoever asks. Pure.

A keyframe costs every receiver bitrate and the picture its quality, and each origin asks on its own: without a bound,
two origins with lossy lines would turn a programme into keyframes only (RFC 4585 section 6.3.1: a sender decides).
"""

from __future__ import annotations

MIN_INTERVAL_S = 1.0


class KeyframeGate:
    """Remembers that a keyframe was asked for until it may be made."""

    def __init__(self, interval_s: float = MIN_INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._wanted = False
        self._next_at_s = float("-inf")

    def request(self) -> None:
        """Somebody needs one."""
        self._wanted = True

    def take(self, now: float) -> bool:
        """Say, before a frame is encoded, whether it is to be a keyframe; `now` in seconds."""
        if not self._wanted or now < self._next_at_s:
            return False
        self._wanted = False
        self._next_at_s = now + self._interval_s
        return True
