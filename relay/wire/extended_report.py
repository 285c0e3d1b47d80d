"""Extended reports (RTCP XR, RFC 3611) with which a party that sends no media learns its round trip.

Read is the receiver reference time (section 4.4), written its answer (DLRR, section 4.5); other blocks are passed over.
"""

from __future__ import annotations

import struct

import msgspec

from relay.errors import WireError

EXTENDED_REPORT = 207

_RECEIVER_REFERENCE_TIME = 4
_DELAY_SINCE_LAST_REPORT = 5

_SSRC = struct.Struct("!I")
_BLOCK = struct.Struct("!BxH")
_NTP = struct.Struct("!Q")
_RRT = struct.Struct("!IBxHQ")
_DLRR = struct.Struct("!IBxHIII")


class ReceiverReferenceTime(msgspec.Struct, frozen=True):
    """The 64-bit NTP time at which a receiver sent this."""

    ssrc: int
    ntp_timestamp: int


class DelaySinceLastReport(msgspec.Struct, frozen=True):
    """The answer to a receiver's reference time.

    Attributes:
        ssrc: ours.
        receiver_ssrc: the receiver's, as its report names it.
        last_rr: middle 32 bits of its NTP time.
        delay: since that came, in 1/65536 s.
    """

    ssrc: int
    receiver_ssrc: int
    last_rr: int
    delay: int


RoundTripReport = ReceiverReferenceTime | DelaySinceLastReport


def parse_extended_report(body: bytes) -> ReceiverReferenceTime | None:
    """Read the body of an XR packet, after its first four octets; None where it has no receiver reference time.

    Raises:
        WireError: a block passes the end, or is not as long as its type says.
    """
    if len(body) < 4:
        raise WireError("rtcp", "extended report without an ssrc")
    offset, found = 4, None
    while offset < len(body):
        block_type, words = _BLOCK.unpack_from(body, offset)
        offset += 4
        if offset + 4 * words > len(body):
            raise WireError("rtcp", f"extended report block {block_type} passes the end")
        if block_type == _RECEIVER_REFERENCE_TIME:
            if words != 2:
                raise WireError("rtcp", f"receiver reference time of {words} words")
            found = ReceiverReferenceTime(_SSRC.unpack_from(body)[0], _NTP.unpack_from(body, offset)[0])
        offset += 4 * words
    return found


def serialize_extended_report(packet: RoundTripReport) -> bytes:
    """Write the body of an XR packet with one block."""
    if isinstance(packet, ReceiverReferenceTime):
        return _RRT.pack(packet.ssrc, _RECEIVER_REFERENCE_TIME, 2, packet.ntp_timestamp)
    return _DLRR.pack(packet.ssrc, _DELAY_SINCE_LAST_REPORT, 3, packet.receiver_ssrc, packet.last_rr, packet.delay)
