"""One clock over several simulcast layers, for a receiver that moves between them.

Each layer is an RTP stream with a timestamp offset of its own (RFC 3550 section 5.1), and relays keep those, so that a
child can merge two parents. A receiver sees one stream: what it is sent of a layer is shifted by a constant. Sender
reports tell which timestamps of two layers mean one moment (section 6.4.1); until both layers have one, the time of
arrival does, which is off by what the network and the pacer of the encoder make. Whatever they say, time goes forward.
"""

from __future__ import annotations

from typing import NamedTuple

from relay.core.timeline import TIMESTAMP_MODULUS, nearest

# Layers of one encoder arrive within tens of milliseconds of each other. A report that puts them farther apart is not
# of the same encoder.
ALIGNED_WITHIN_S = 0.5

_NTP_MODULUS = 1 << 64
_NTP_SECOND_BITS = 32


class LayerTime(NamedTuple):
    """What is known of a layer's time.

    Attributes:
        timestamp: RTP timestamp of a packet.
        at_s: when that packet arrived.
        sender_report: NTP timestamp (64 bits) and RTP timestamp of the last sender report, None before the first.
    """

    timestamp: int
    at_s: float
    sender_report: tuple[int, int] | None


def offset_after(old: LayerTime, old_offset: int, new: LayerTime, clock_rate: int) -> int:
    """What to add to the timestamps of the new layer, so that they go on where those of the old one are.

    Args:
        old: the newest packet of the layer that is left.
        old_offset: what was added to its timestamps.
        new: the first packet of the layer that is entered.
        clock_rate: of both, in Hz.

    Returns:
        The offset modulo 2^32; with it the first timestamp of the new layer is later than the newest of the old one.
    """
    last = old.timestamp + old_offset
    expected = last + round((new.at_s - old.at_s) * clock_rate)
    first = expected
    if old.sender_report is not None and new.sender_report is not None:
        (old_ntp, old_rtp), (new_ntp, new_rtp) = old.sender_report, new.sender_report
        elapsed = (nearest(new_ntp, old_ntp, _NTP_MODULUS) - old_ntp) * clock_rate >> _NTP_SECOND_BITS
        reported = nearest(old_rtp + old_offset + elapsed - new_rtp + new.timestamp, expected, TIMESTAMP_MODULUS)
        if abs(reported - expected) <= ALIGNED_WITHIN_S * clock_rate:
            first = reported
    return (max(first, last + 1) - new.timestamp) % TIMESTAMP_MODULUS
