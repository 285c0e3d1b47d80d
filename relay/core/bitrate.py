"""The bitrate of a stream, measured from a counter of octets."""

from __future__ import annotations

SAMPLE_S = 1.0  # shorter ones would show single keyframes
NEW_SHARE = 0.3  # of the newest sample in the mean: what an encoder does for three seconds counts


class BitrateMeter:
    """An exponential mean over samples of a second.

    Attributes:
        bitrate_bps: 0 before the first sample is complete.
    """

    __slots__ = ("_octets_before", "_since_s", "bitrate_bps")

    def __init__(self) -> None:
        self.bitrate_bps = 0
        self._octets_before = 0
        self._since_s: float | None = None

    def measure(self, octets: int, now: float) -> None:
        """Take the counter as it stands now."""
        if self._since_s is None:
            self._octets_before, self._since_s = octets, now
            return
        elapsed_s = now - self._since_s
        if elapsed_s < SAMPLE_S:
            return
        sample_bps = 8 * (octets - self._octets_before) / elapsed_s
        share = NEW_SHARE if self.bitrate_bps else 1.0
        self.bitrate_bps = int(self.bitrate_bps + share * (sample_bps - self.bitrate_bps))
        self._octets_before, self._since_s = octets, now

    def forget(self) -> None:
        """The stream has ceased: what comes after it is measured anew."""
        self.bitrate_bps = 0
        self._since_s = None
