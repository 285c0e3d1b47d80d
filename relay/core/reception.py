"""How well one inbound stream is received: report blocks (RFC 3550 section 6.4.1, appendix A.3 and A.8)."""

from __future__ import annotations

from relay.wire.rtcp import ReportBlock

MAX_DROPOUT_PACKETS = 3000  # RFC 3550 appendix A.1: a greater jump is a sender that started again

_MODULUS_32 = 1 << 32
_HALF_32 = 1 << 31
_MIN_LOST, _MAX_LOST = -(1 << 23), (1 << 23) - 1
_MAX_DELAY = _MODULUS_32 - 1


class Reception:
    """Receiver statistics of one SSRC.

    Attributes:
        packets_received: all that arrived, duplicates too, as RFC 3550 counts.
    """

    __slots__ = (
        "_base",
        "_expected_before",
        "_highest",
        "_jitter",
        "_last_sr",
        "_last_sr_at",
        "_received_before",
        "_transit",
        "packets_received",
    )

    def __init__(self) -> None:
        self.packets_received = 0
        self._base = -1
        self._highest = -1
        self._expected_before = 0
        self._received_before = 0
        self._transit: int | None = None
        self._jitter = 0.0
        self._last_sr = 0
        self._last_sr_at = 0.0

    @property
    def packets_lost(self) -> int:
        """Expected less received; negative when duplicates came."""
        return self._expected() - self.packets_received

    @property
    def jitter(self) -> int:
        """Interarrival jitter in units of the clock rate."""
        return min(int(self._jitter), _MAX_DELAY)

    def handle_packet(self, index: int, rtp_timestamp: int, clock_rate: int, now: float) -> None:
        """Take one packet that arrived.

        Args:
            index: rounds times 65,536 plus sequence number.
            rtp_timestamp: as the sender wrote it, 32 bits.
            clock_rate: of the codec, in Hz.
            now: arrival, in seconds on any steady clock.
        """
        if self._base < 0 or abs(index - self._highest) > MAX_DROPOUT_PACKETS:
            self._begin(index)
        self._base = min(self._base, index)
        self._highest = max(self._highest, index)
        self.packets_received += 1
        transit = (int(now * clock_rate) - rtp_timestamp) % _MODULUS_32
        if self._transit is not None:
            difference = (transit - self._transit + _HALF_32) % _MODULUS_32 - _HALF_32
            self._jitter += (abs(difference) - self._jitter) / 16
        self._transit = transit

    def handle_sender_report(self, ntp_timestamp: int, now: float) -> None:
        """Take the 64-bit NTP time of a sender report; the source computes its round trip from the echo of it."""
        self._last_sr = ntp_timestamp >> 16 & 0xFFFFFFFF
        self._last_sr_at = now

    def report_block(self, ssrc: int, now: float) -> ReportBlock:
        """The block to report, which begins the next interval for `fraction_lost`."""
        expected = self._expected()
        expected_since = expected - self._expected_before
        lost_since = expected_since - (self.packets_received - self._received_before)
        self._expected_before = expected
        self._received_before = self.packets_received
        fraction = min((lost_since << 8) // expected_since, 255) if expected_since > 0 and lost_since > 0 else 0
        delay = min(max(int((now - self._last_sr_at) * 65_536), 0), _MAX_DELAY) if self._last_sr else 0
        return ReportBlock(
            ssrc=ssrc,
            fraction_lost=fraction,
            packets_lost=min(max(self.packets_lost, _MIN_LOST), _MAX_LOST),
            highest_sequence=max(self._highest, 0) & 0xFFFFFFFF,
            jitter=self.jitter,
            last_sr=self._last_sr,
            delay_since_last_sr=delay,
        )

    def _expected(self) -> int:
        return self._highest - self._base + 1 if self._base >= 0 else 0

    def _begin(self, index: int) -> None:
        self._base = index
        self._highest = index
        self.packets_received = 0
        self._expected_before = 0
        self._received_before = 0
        self._transit = None
        self._jitter = 0.0
