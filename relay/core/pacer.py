"""When packets of a track may leave: a token bucket, so that a burst is kind to a thin line.

An encoder without intra-refresh makes keyframes of 100 to 150 kB, more than the buffer of a line of a few Mbit/s holds.
The bucket lets a frame pass at once as long as the line's buffer may be taken to be empty; what exceeds it waits, in
order, and leaves in pieces at a bounded rate. There is one schedule for a track, which costs nothing per receiver: it
follows the source and not the line. A source that paces itself, as browsers do, seldom waits here.

Hot path: one call per burst; integers, floats and lists only.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence

from relay.core.packet_cache import PacketCache

# 2.5 times the mean is what browsers' own pacers send at. The floor leaves a programme of 2 Mbit/s, with headers and
# sound, within a line of 6 Mbit/s.
PACING_FACTOR = 2.5
MIN_OCTETS_PER_S = 625_000  # 5 Mbit/s
# What may leave at once: 31 kB at the floor, half of what a small router's buffer holds; more at higher rates, so that
# ordinary frames never wait.
DEPTH_S = 0.05
# GSO still pays with so many packets, and at the floor they are some 15 ms apart.
PIECE_PACKETS = 8
# A keyframe of 300 kB still leaves at the floor. Beyond, delay is worse than what a line may lose.
MAX_WAIT_S = 0.5
MAX_WAITING_PACKETS = 512  # half of the cache: they must be there when their time comes

MEAN_OVER_S = 8.0  # several groups of pictures, so that one keyframe hardly moves the mean
FIRST_OVER_S = 1.0  # a new source is taken to have sent so long already
ANEW_AFTER_S = 2.0  # a source that was silent for so long is measured as a new one

_SLACK_OCTETS = 1e-3  # what rounding may leave of the time until a piece is due


class TokenBucket:
    """Octets that may go out now; they grow with time up to a depth.

    Attributes:
        octets: what is left.
    """

    __slots__ = ("_filled_at_s", "octets")

    def __init__(self, octets: float = 0.0, now: float = float("-inf")) -> None:
        """Make a bucket that holds `octets` at time `now`; without arguments, one that is full when first asked."""
        self.octets = octets
        self._filled_at_s = now

    def fill(self, now: float, *, octets_per_s: float, depth: float) -> None:
        """Let time pass."""
        self.octets = min(depth, self.octets + max(0.0, now - self._filled_at_s) * octets_per_s)
        self._filled_at_s = now

    def take(self, octets: int) -> bool:
        """Use octets if there are so many; says whether."""
        if octets > self.octets + _SLACK_OCTETS:
            return False
        self.octets -= octets
        return True


class MeanRate:
    """The mean rate of a source over some seconds.

    Attributes:
        octets_per_s: the mean.
    """

    __slots__ = ("_at_s", "_octets", "_over_s", "octets_per_s")

    def __init__(self) -> None:
        self.octets_per_s = 0.0
        self._octets = 0.0
        self._over_s = FIRST_OVER_S
        self._at_s = float("-inf")

    def count(self, octets: int, now: float) -> None:
        """So many octets came."""
        elapsed = now - self._at_s
        if elapsed > ANEW_AFTER_S:
            self._octets, self._over_s = 0.0, FIRST_OVER_S
        elif elapsed > 0.0:
            kept = math.exp(-elapsed / MEAN_OVER_S)
            self._octets *= kept
            self._over_s = self._over_s * kept + MEAN_OVER_S * (1.0 - kept)
        self._at_s = now
        self._octets += octets
        self.octets_per_s = self._octets / self._over_s


class Pacer:
    """Takes bursts of one track, and gives the pieces that may leave.

    Attributes:
        mean: what the source sends.
    """

    __slots__ = ("_bucket", "_cache", "_due_s", "_waiting", "_waiting_octets", "mean")

    def __init__(self, cache: PacketCache) -> None:
        self.mean = MeanRate()
        self._cache = cache
        self._bucket = TokenBucket()
        self._waiting: list[int] = []
        self._waiting_octets = 0
        self._due_s = 0.0

    @property
    def octets_per_s(self) -> float:
        """The rate at which packets leave while some wait."""
        return max(MIN_OCTETS_PER_S, PACING_FACTOR * self.mean.octets_per_s)

    def handle_burst(self, indexes: list[int], now: float) -> list[list[int]]:
        """Take the next burst.

        Args:
            indexes: of packets in the cache, greater than all that came before.
            now: seconds.

        Returns:
            What may leave now, in order; the burst as it is where nothing has to wait.
        """
        octets = self._octets_of(indexes)
        self.mean.count(octets, now)
        if not self._waiting:
            self._fill(now)
            if self._bucket.take(octets):
                return [indexes]
        self._waiting += indexes
        self._waiting_octets += octets
        return self.poll(now)

    def insert(self, index: int) -> None:
        """Take a packet that came late and whose place is among those that wait."""
        insort(self._waiting, index)
        self._waiting_octets += self._octets_of((index,))

    def poll(self, now: float) -> list[list[int]]:
        """What may leave now, in order."""
        if not self._waiting:
            return []
        self._fill(now)
        pieces: list[list[int]] = []
        while self._waiting:
            piece = self._waiting[:PIECE_PACKETS]
            octets = self._octets_of(piece)
            if not self._bucket.take(octets) and len(self._waiting) <= MAX_WAITING_PACKETS:
                self._due_s = now + (octets - self._bucket.octets) / self._draining_octets_per_s
                break
            pieces.append(piece)
            self._forget(piece, octets)
        return pieces

    def flush(self) -> list[int]:
        """All that waits, whether its time has come or not."""
        waiting, self._waiting = self._waiting, []
        self._waiting_octets = 0
        return waiting

    def first_held(self) -> int | None:
        """The first index that waits, or None."""
        return self._waiting[0] if self._waiting else None

    def next_deadline(self) -> float | None:
        """When `poll` has a piece to give; None while nothing waits."""
        return self._due_s if self._waiting else None

    @property
    def _draining_octets_per_s(self) -> float:
        return max(self.octets_per_s, self._waiting_octets / MAX_WAIT_S)

    def _fill(self, now: float) -> None:
        depth = self.octets_per_s * DEPTH_S
        self._bucket.fill(now, octets_per_s=self._draining_octets_per_s, depth=depth)

    def _forget(self, piece: list[int], octets: int) -> None:
        del self._waiting[: len(piece)]
        self._waiting_octets -= octets

    def _octets_of(self, indexes: Sequence[int]) -> int:
        return sum(map(self._cache.octets, indexes))
