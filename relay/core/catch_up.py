"""Starting a receiver from the cached group of pictures: where the group begins, and how it is sent bit by bit.

A decoder can begin at a keyframe only, and some sources make one every few seconds and none on request. The packet
cache still holds everything since the last one, which is sent in slices: a socket with a default receive buffer must
not lose what comes at once, nor the buffer of a thin line. Live packets queue behind the slices, in order.
"""

from __future__ import annotations

import numpy as np

from relay.core.pacer import TokenBucket
from relay.core.packet_cache import PacketCache

# Half of what the cache of a video track holds: the other half may arrive while the group is on its way.
MAX_GROUP_PACKETS = 512
MAX_GROUP_BYTES = 512 * 1024  # at 5 Mbit/s, the pacer's floor, on its way for 0.8 s
MAX_GROUP_AGE_S = 3.5  # an older beginning is more to decode than a keyframe is to wait for

# A receiver's line is empty at first, and its buffer (64 kB in a small router) takes so much at once. Then the group
# goes at the rate of the track's pacer, in a round of slices for all receivers that catch up.
FIRST_OCTETS = 40_000
SLICE_INTERVAL_S = 0.010
# A receiver joins the live packets when its line has emptied so far that the next keyframe may come on top.
LIVE_OCTETS = 28_000
# All that catch up fill so much of a relay's line (400 Mbit/s); more of them wait for a place, or for the next
# keyframe, which serves all at once.
MAX_OCTETS_PER_S = 50_000_000
MAX_BEHIND_PACKETS = 2 * MAX_GROUP_PACKETS - 64  # further behind, the ring has overtaken it: the source is too fast


class CachedGroup:
    """Where the last group of pictures of a track begins in its cache."""

    __slots__ = ("_first", "_since_s", "_timestamp")

    def __init__(self) -> None:
        self._first = -1
        self._timestamp = 0
        self._since_s = 0.0

    def handle_keyframe_start(self, index: int, timestamp: int, now: float) -> None:
        """Take a packet with which a decoder can begin; of several with one timestamp the first counts."""
        if self._first >= 0 and timestamp == self._timestamp:
            self._first = min(self._first, index)
        elif index > self._first:
            self._first, self._timestamp, self._since_s = index, timestamp, now

    def forget(self) -> None:
        """What comes now does not go with what is cached: another source, another codec."""
        self._first = -1

    def first_index(self, cache: PacketCache, now: float) -> int | None:
        """Index of the packet to begin with, or None when the group is incomplete, too long or too old."""
        first, count = self._first, cache.highest_index + 1 - self._first
        if first < 0 or now - self._since_s > MAX_GROUP_AGE_S or count > min(MAX_GROUP_PACKETS, cache.capacity):
            return None
        indexes = np.arange(first, first + count)
        rows = indexes % cache.capacity
        if (cache.indexes[rows] != indexes).any() or int(cache.lengths[rows].sum()) > MAX_GROUP_BYTES:
            return None
        return first


class CatchUp:
    """One receiver on its way from the group's beginning to the newest packet.

    Attributes:
        next_index: what comes before has been sent.
    """

    __slots__ = ("_bucket", "next_index")

    def __init__(self, first_index: int, now: float) -> None:
        self.next_index = first_index
        self._bucket = TokenBucket(FIRST_OCTETS, now)

    def next_slice(self, cache: PacketCache, end: int, now: float, octets_per_s: float) -> list[int]:
        """Indexes to send now, oldest first.

        Args:
            cache: the packets; one that it lost or never had is passed over.
            end: the first index that is not to be sent yet.
            now: seconds.
            octets_per_s: at which the group may be sent.
        """
        self._bucket.fill(now, octets_per_s=octets_per_s, depth=FIRST_OCTETS)
        indexes: list[int] = []
        while self.next_index < end:
            octets = cache.octets(self.next_index)
            if not self._bucket.take(octets):
                break
            if octets:
                indexes.append(self.next_index)
            self.next_index += 1
        return indexes

    def is_done(self, end: int) -> bool:
        """True when all was sent, and the line has had time to carry it away."""
        return self.next_index >= end and self._bucket.octets >= LIVE_OCTETS

    def is_lost(self, end: int) -> bool:
        """True when the source is so fast that the slices fall behind."""
        return end - self.next_index > MAX_BEHIND_PACKETS
