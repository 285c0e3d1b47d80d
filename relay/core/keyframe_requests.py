"""Keyframe requests toward one source, aggregated (PLI of RFC 4585, FIR of RFC 5104).

However many receivers ask, the source hears at most one request in an interval: a keyframe costs all of them bitrate,
and relayed one by one, a join storm would turn a stream into keyframes only.
"""

from __future__ import annotations


class KeyframeRequests:
    """Lets one request through per interval and remembers that another one waits."""

    __slots__ = ("_allowed_at", "_interval_s", "_pending")

    def __init__(self, interval_s: float = 1.0) -> None:
        self._interval_s = interval_s
        self._allowed_at = float("-inf")
        self._pending = False

    def request(self, now: float) -> bool:
        """Somebody needs a keyframe. Returns true when the request is to be sent now; otherwise it waits."""
        self._pending = True
        return self.poll(now)

    def poll(self, now: float) -> bool:
        """True when a request that has waited is to be sent now."""
        if not self._pending or now < self._allowed_at:
            return False
        self._pending = False
        self._allowed_at = now + self._interval_s
        return True

    def handle_keyframe(self, now: float) -> None:  # noqa: ARG002 - every input takes the time
        """A keyframe began: whoever waited has it."""
        self._pending = False

    def next_deadline(self) -> float | None:
        """When `poll` releases the waiting request; None while none waits."""
        return self._allowed_at if self._pending else None
