"""One outgoing RTP stream (RFC 3550), numbered once for everybody who is sent it. Pure.

A publisher with two origins sends both the same packets: SSRC, sequence numbers and timestamps are those of the stream
and not of a connection, so that relays below can put the copies together by number. Only the payload type is a
connection's own; it is written into the copy that goes there.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

SEQUENCE_MODULUS = 1 << 16
TIMESTAMP_MODULUS = 1 << 32
HISTORY_PACKETS = 512  # a NACK comes within a second; SRTP's window of 1,024 would refuse much older ones
# A receiver's roll-over counter starts at 0 with the first packet that it gets (RFC 3711 section 3.3.1): who begins so
# near the wrap, and loses what comes before it, would never decrypt what comes after.
WRAP_GUARD_PACKETS = 64

_HEADER = struct.Struct("!BBHII")
_VERSION = 2 << 6
_MARKER = 0x80


class RtpStream:
    """Numbers the packets of one kind and keeps the last of them.

    Attributes:
        ssrc: of the stream.
        last_ntp_timestamp: when the last packet was made, 64 bits as in a sender report; 0 before the first.
        last_rtp_timestamp: of the last packet.
    """

    def __init__(self, ssrc: int, *, first_sequence_number: int, timestamp_offset: int) -> None:
        """Begin a stream; the arguments are random (RFC 3550 section 5.1), the first number below 2^15."""
        self.ssrc = ssrc
        self.last_ntp_timestamp = 0
        self.last_rtp_timestamp = 0
        self._next_number = first_sequence_number
        self._timestamp_offset = timestamp_offset
        self._history: dict[int, bytes] = {}

    def packetize(self, payloads: Sequence[bytes], timestamp: int, ntp_timestamp: int) -> list[bytes]:
        """Make the packets of one frame: payload type 0, marker on the last.

        Args:
            payloads: of the frame, in order.
            timestamp: of the frame, in units of the codec's clock.
            ntp_timestamp: now.
        """
        rtp_timestamp = (timestamp + self._timestamp_offset) % TIMESTAMP_MODULUS
        packets: list[bytes] = []
        for payload in payloads:
            marker = _MARKER if len(packets) == len(payloads) - 1 else 0
            packet = _HEADER.pack(_VERSION, marker, self._next_number, rtp_timestamp, self.ssrc) + payload
            self._history[self._next_number % HISTORY_PACKETS] = packet
            self._next_number = (self._next_number + 1) % SEQUENCE_MODULUS
            packets.append(packet)
        self.last_ntp_timestamp, self.last_rtp_timestamp = ntp_timestamp, rtp_timestamp
        return packets

    def find(self, sequence_number: int) -> bytes | None:
        """The packet of this number, None when it is too old or was never made."""
        packet = self._history.get(sequence_number % HISTORY_PACKETS)
        return packet if packet is not None and sequence_number_of(packet) == sequence_number else None


def sequence_number_of(packet: bytes) -> int:
    """The sequence number of a packet of `RtpStream`."""
    return packet[2] << 8 | packet[3]


def may_begin(packet: bytes) -> bool:
    """Tell whether a new receiver may be sent this packet as its first, see `WRAP_GUARD_PACKETS`."""
    return sequence_number_of(packet) < SEQUENCE_MODULUS - WRAP_GUARD_PACKETS


def with_payload_type(packet: bytes, payload_type: int) -> bytes:
    """A packet of `RtpStream` as one receiver negotiated it."""
    return b"%c%c%b" % (packet[0], packet[1] | payload_type, packet[2:])
