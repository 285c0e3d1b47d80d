"""What one receiver counts about one RTP stream: delivery by sequence numbers, and jitter (RFC 3550 section 6.4.1).

Pure. Hot path: every packet of every receiver passes `StreamCount.handle_packet`, and a packet in order touches a few
integers only. Unlike RFC 3550's expected less received, a duplicate does not hide a loss here: missing numbers are
remembered one by one.
"""

from __future__ import annotations

from relay.wire.rtcp import ReportBlock

MAX_DROPOUT_PACKETS = 3000  # RFC 3550 appendix A.1: a greater jump is a sender that started again
MAX_MISSING_REMEMBERED = 4096  # more than arrive late on any path; older ones count as lost for good

_HALF_16, _MODULUS_16 = 1 << 15, 1 << 16
_HALF_32, _MODULUS_32 = 1 << 31, 1 << 32
_MAX_LOST = (1 << 23) - 1  # RFC 3550 section 6.4.1: 24 bits, signed


class StreamCount:
    """Counts one SSRC.

    Attributes:
        ssrc: of the stream.
        kind: `audio` or `video`.
        codec: encoding name in capitals, as `relay.wire.codecs` takes it.
        clock_rate: in Hz.
        delivered: different packets that arrived.
        duplicates: packets that had arrived before.
        reordered: of the delivered ones, those that came after a later one.
        restarts: jumps that the sender confirmed with the following number.
        until_sample: packets in order until the next one that is to be opened; kept by the receiver.
    """

    __slots__ = (
        "_arrival_s",
        "_base",
        "_expected",
        "_forgotten",
        "_jitter",
        "_last_sr",
        "_last_sr_at_s",
        "_missing",
        "_next",
        "_reported_expected",
        "_reported_lost",
        "_stray_next",
        "_timestamp",
        "clock_rate",
        "codec",
        "delivered",
        "duplicates",
        "kind",
        "reordered",
        "restarts",
        "ssrc",
        "until_sample",
    )

    def __init__(self, ssrc: int, kind: str, codec: str, clock_rate: int) -> None:
        self.ssrc = ssrc
        self.kind = kind
        self.codec = codec
        self.clock_rate = clock_rate
        self.delivered = 0
        self.duplicates = 0
        self.reordered = 0
        self.restarts = 0
        self.until_sample = 0
        self._next = -1  # the 16-bit number that is next in order; -1 before the first packet
        self._expected = 0  # its index: number plus 65,536 for every wrap
        self._base = 0
        self._missing: dict[int, None] = {}  # in the order in which they were missed
        self._forgotten = 0
        self._stray_next = -1
        self._timestamp = -1
        self._arrival_s = 0.0
        self._jitter = 0.0
        self._last_sr = 0
        self._last_sr_at_s = 0.0
        self._reported_expected = 0
        self._reported_lost = 0

    @property
    def lost(self) -> int:
        """Numbers between the first and the last that never came."""
        return len(self._missing) + self._forgotten

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter, measured at the first packet of each timestamp.

        A frame's packets share a timestamp and leave one after another on purpose; that is no jitter of the network.
        """
        return self._jitter / self.clock_rate * 1000

    def handle_packet(self, sequence_number: int, timestamp: int, arrival_s: float) -> bool:
        """Take one packet by the fields of its header.

        Args:
            sequence_number: 16 bits.
            timestamp: 32 bits.
            arrival_s: on any steady clock.

        Returns:
            True where the packet is the newest so far, so that it may be opened as a sample.
        """
        if sequence_number != self._next:
            return self._handle_out_of_order(sequence_number, timestamp, arrival_s)
        self._next = (sequence_number + 1) & 0xFFFF
        self._expected += 1
        self.delivered += 1
        if timestamp != self._timestamp:
            self._measure_jitter(timestamp, arrival_s)
        return True

    def handle_sender_report(self, ntp_timestamp: int, now: float) -> None:
        """Take the 64-bit NTP time of a sender report, to echo it."""
        self._last_sr = ntp_timestamp >> 16 & 0xFFFFFFFF
        self._last_sr_at_s = now

    def report_block(self, now: float) -> ReportBlock:
        """The block to report; it begins the next interval for `fraction_lost`."""
        lost = self.lost
        expected = self.delivered + lost
        expected_since = expected - self._reported_expected
        lost_since = lost - self._reported_lost
        self._reported_expected, self._reported_lost = expected, lost
        fraction = min((lost_since << 8) // expected_since, 255) if expected_since > 0 and lost_since > 0 else 0
        delay = max(int((now - self._last_sr_at_s) * 65_536), 0) if self._last_sr else 0
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=fraction,
            packets_lost=min(lost, _MAX_LOST),
            highest_sequence=max(self._expected - 1, 0) % _MODULUS_32,
            jitter=min(int(self._jitter), _MODULUS_32 - 1),
            last_sr=self._last_sr,
            delay_since_last_sr=min(delay, _MODULUS_32 - 1),
        )

    def _handle_out_of_order(self, sequence_number: int, timestamp: int, arrival_s: float) -> bool:
        if self._next < 0:
            self._begin(sequence_number, timestamp, arrival_s)
            return True
        step = (sequence_number - self._next + _HALF_16) % _MODULUS_16 - _HALF_16
        if 0 < step <= MAX_DROPOUT_PACKETS:
            self._miss(self._expected, self._expected + step)
            self._expected += step
            self._next = sequence_number
            return self.handle_packet(sequence_number, timestamp, arrival_s)
        if -MAX_DROPOUT_PACKETS <= step < 0:
            self._handle_late(self._expected + step)
            return False
        if sequence_number != self._stray_next:
            # One packet from far away proves nothing (RFC 3550 appendix A.1); two in sequence are a new start.
            self._stray_next = (sequence_number + 1) & 0xFFFF
            return False
        self.restarts += 1
        self.delivered += 1  # the one before, which was held back
        self._forgotten += len(self._missing)
        self._missing.clear()
        self._begin(sequence_number, timestamp, arrival_s)
        self._base -= 1
        return True

    def _begin(self, sequence_number: int, timestamp: int, arrival_s: float) -> None:
        # A round later than anything so far, so that indexes of different starts never meet.
        rounds = self._expected // _MODULUS_16 + 1 if self._next >= 0 else 0
        self._base = rounds * _MODULUS_16 + sequence_number
        self._expected = self._base + 1
        self._next = (sequence_number + 1) & 0xFFFF
        self._stray_next = -1
        self.delivered += 1
        self._jitter = 0.0
        self._timestamp, self._arrival_s = timestamp, arrival_s

    def _handle_late(self, index: int) -> None:
        if index in self._missing:
            del self._missing[index]
        elif index < self._base:  # the stream's first packets came out of order
            self._miss(index + 1, self._base)
            self._base = index
        else:
            self.duplicates += 1
            return
        self.delivered += 1
        self.reordered += 1

    def _miss(self, begin: int, end: int) -> None:
        missing = self._missing
        missing.update(dict.fromkeys(range(begin, end)))
        while len(missing) > MAX_MISSING_REMEMBERED:
            del missing[next(iter(missing))]
            self._forgotten += 1

    def _measure_jitter(self, timestamp: int, arrival_s: float) -> None:
        elapsed = (timestamp - self._timestamp + _HALF_32) % _MODULUS_32 - _HALF_32
        difference = (arrival_s - self._arrival_s) * self.clock_rate - elapsed
        self._jitter += (abs(difference) - self._jitter) / 16
        self._timestamp, self._arrival_s = timestamp, arrival_s
