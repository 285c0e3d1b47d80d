"""Arriving packets of one track grouped into bursts: what one encryption pass and few sends can carry together.

A burst is a frame of video, or what arrived of it within 5 ms; of audio, one packet. One that is complete may be told
to wait for another track's, see `relay.core.company`.
"""

from __future__ import annotations

from bisect import insort

FLUSH_AFTER_S = 0.005  # a frame of a browser's pacer is cut in two by less, and delayed without need by more
MAX_BURST_PACKETS = 60  # the segments of one run, see relay.core.packet_cache


class BurstAssembler:
    """Collects packet indexes of one track until a burst is complete.

    Attributes:
        is_complete: a burst is complete and waits.
    """

    __slots__ = ("_deadline", "_indexes", "_is_video", "_timestamp", "is_complete")

    def __init__(self, *, is_video: bool) -> None:
        self._is_video = is_video
        self._indexes: list[int] = []
        self._timestamp = 0
        self._deadline = 0.0
        self.is_complete = False

    def handle_packet(
        self, index: int, timestamp: int, *, marker: bool, now: float, wait_until: float = 0.0
    ) -> list[list[int]]:
        """Take a packet.

        Args:
            index: the packet's index in its track's cache.
            timestamp: its RTP timestamp; another one than before begins another frame.
            marker: its marker bit, which ends a frame of video.
            now: seconds.
            wait_until: until when a burst that this packet completes is kept; 0 for not at all.

        Returns:
            Bursts that may leave now, oldest first: none, one or two.
        """
        complete: list[list[int]] = []
        if self._indexes and (self.is_complete or timestamp != self._timestamp):
            complete.append(self.flush())
        if not self._indexes:
            self._timestamp = timestamp
            self._deadline = now + FLUSH_AFTER_S
        self._indexes.append(index)
        if wait_until > now and len(self._indexes) < MAX_BURST_PACKETS:
            self.is_complete = True
            self._deadline = wait_until
        elif marker or not self._is_video or len(self._indexes) == MAX_BURST_PACKETS or now >= self._deadline:
            complete.append(self.flush())
        return complete

    def insert(self, index: int) -> None:
        """Take a packet that came late and whose place is among those that have been collected."""
        insort(self._indexes, index)

    def poll_flush(self, now: float) -> list[int]:
        """The burst that has waited long enough, or an empty list."""
        return self.flush() if self._indexes and now >= self._deadline else []

    def flush(self) -> list[int]:
        """Whatever has been collected."""
        self.is_complete = False
        indexes, self._indexes = self._indexes, []
        return indexes

    def first_held(self) -> int | None:
        """The first index that has been collected and is not flushed; None while nothing waits."""
        return self._indexes[0] if self._indexes else None

    def next_deadline(self) -> float | None:
        """When `poll_flush` is due; None while nothing waits."""
        return self._deadline if self._indexes else None
