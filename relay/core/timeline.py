"""One continuous numbering of a track, whatever source feeds it.

A track's packets carry a growing 48-bit index (its low 16 bits are the RTP sequence number) and RTP timestamps of one
clock. The first source sets both, so that relays down the tree, and two origins fed by one encoder, number alike. When
a source is replaced (a publisher comes back, a parent is exchanged) the new one either continues the numbering, because
it carries the same stream, or is shifted so that receivers see one stream go on (RFC 3550 section 5.1).
"""

from __future__ import annotations

SEQUENCE_MODULUS = 1 << 16
TIMESTAMP_MODULUS = 1 << 32

# A parent that is exchanged carries the same stream a few hundred packets earlier or later. A stream that is another
# one falls within both windows by chance once in 10^5.
SAME_STREAM_PACKETS = 4_096
SAME_STREAM_S = 15.0


def nearest(value: int, reference: int, modulus: int) -> int:
    """The integer congruent to `value` modulo `modulus` that is nearest to `reference`."""
    half = modulus // 2
    return reference + ((value - reference + half) % modulus) - half


class Timeline:
    """Numbers and times of one track; survives its sources.

    Attributes:
        highest_index: greatest index so far, or -1 before the first packet.
    """

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        self.highest_index = -1
        self._highest_timestamp = 0
        self._highest_at_s = 0.0

    def join(self, sequence_number: int, timestamp: int, now: float, before: SourceClock | None = None) -> SourceClock:
        """Fit a source in, given its first packet.

        Args:
            sequence_number: of its first packet.
            timestamp: of its first packet.
            now: seconds.
            before: the mapping of the source that was there last, if that had the same SSRC.

        Returns:
            The mapping of this source.
        """
        if self.highest_index < 0:
            return SourceClock(self, index_offset=0, timestamp_offset=0, reference=sequence_number)
        if before is not None and (resumed := self._resume(before, sequence_number, timestamp, now)) is not None:
            return resumed
        index = nearest(sequence_number, self.highest_index, SEQUENCE_MODULUS)
        expected = self._highest_timestamp + int((now - self._highest_at_s) * self._clock_rate)
        drift = nearest(timestamp, expected, TIMESTAMP_MODULUS) - expected
        same_stream = abs(index - self.highest_index) <= SAME_STREAM_PACKETS and abs(drift) <= (
            SAME_STREAM_S * self._clock_rate
        )
        if same_stream and index >= 0:
            return SourceClock(self, index_offset=0, timestamp_offset=0, reference=self.highest_index, continues=True)
        return SourceClock(
            self,
            index_offset=self.highest_index + 1 - sequence_number,
            timestamp_offset=expected - timestamp,
            reference=sequence_number,
            floor=self.highest_index + 1,
        )

    def align(self, sequence_number: int, index: int, timestamp_offset: int) -> SourceClock:
        """Fit a source in beside another one: its packet `sequence_number` is the one of `index`."""
        return SourceClock(
            self,
            index_offset=index - sequence_number,
            timestamp_offset=timestamp_offset,
            reference=sequence_number,
            continues=True,
        )

    def _resume(self, before: SourceClock, sequence_number: int, timestamp: int, now: float) -> SourceClock | None:
        """The mapping of a publisher that is connected again and went on counting; None when it did not."""
        expected = self._highest_timestamp + int((now - self._highest_at_s) * self._clock_rate)
        drift = nearest(before.map_timestamp(timestamp), expected, TIMESTAMP_MODULUS) - expected
        if abs(drift) > SAME_STREAM_S * self._clock_rate:
            return None
        index = nearest(before.map_sequence_number(sequence_number), self.highest_index, SEQUENCE_MODULUS)
        if index < self.highest_index - SAME_STREAM_PACKETS:  # it was away for long enough to send half a round
            index += SEQUENCE_MODULUS
        resumed = self.align(sequence_number, index, before.timestamp_offset)
        resumed.skips = index > self.highest_index + SAME_STREAM_PACKETS
        return resumed if index >= 0 else None

    @property
    def newest(self) -> tuple[int, float]:
        """RTP timestamp and arrival of the packet with the greatest index."""
        return self._highest_timestamp, self._highest_at_s

    def _advance(self, index: int, timestamp: int, now: float) -> None:
        if index > self.highest_index:
            self.highest_index = index
            self._highest_timestamp = timestamp
            self._highest_at_s = now


class SourceClock:
    """Maps the sequence numbers and timestamps of one source onto its track's timeline.

    Attributes:
        continues: the source carries the stream that was there before it.
        skips: and it does so farther on than receivers can follow by the numbers alone.
        timestamp_offset: added to the source's timestamps, gives those of the track.
    """

    def __init__(
        self,
        timeline: Timeline,
        *,
        index_offset: int,
        timestamp_offset: int,
        reference: int,
        floor: int = 0,
        continues: bool = False,
    ) -> None:
        self.continues = continues
        self.skips = False
        self.timestamp_offset = timestamp_offset
        self._timeline = timeline
        self._index_offset = index_offset
        self._highest = reference
        self._floor = floor

    def map_packet(self, sequence_number: int, timestamp: int, now: float) -> tuple[int, int]:
        """Index and RTP timestamp on the track of a packet of the source; the index is negative if it is too old."""
        extended = nearest(sequence_number, self._highest, SEQUENCE_MODULUS)
        self._highest = max(self._highest, extended)
        index = extended + self._index_offset
        if index < self._floor:  # from before the first packet: its place is taken, by the source before this one
            return -1, 0
        mapped = self.map_timestamp(timestamp)
        self._timeline._advance(index, mapped, now)  # noqa: SLF001 (the two classes are one idea)
        return index, mapped

    def map_timestamp(self, timestamp: int) -> int:
        """RTP timestamp on the track, for sender reports."""
        return (timestamp + self.timestamp_offset) % TIMESTAMP_MODULUS

    def map_sequence_number(self, sequence_number: int) -> int:
        """Sequence number on the track of a packet of the source."""
        return (sequence_number + self._index_offset) % SEQUENCE_MODULUS

    def source_sequence_number(self, index: int) -> int:
        """Sequence number at the source of a packet of the track, for a NACK toward the source."""
        return (index - self._index_offset) % SEQUENCE_MODULUS
