"""Retransmission packets (RTX, RFC 4588 section 4): the original sequence number, then the original payload.

An RTX packet has a sequence number and an SSRC of its own; the fan-out writes those and the payload type.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from relay.wire.rtp import MAX_PACKET_BYTES, parse_rtp_header
from relay.wire.session_description import Codec, MediaSection

OSN_BYTES = 2
ENCODING_NAME = "rtx"

_OSN = struct.Struct("!H")


def serialize_rtx(packet: bytes | memoryview, sequence_number: int) -> bytes:
    """Make an RTX packet of a packet that was sent.

    Padding of the original is left out, as section 4 asks.

    Args:
        packet: as it was sent, with a plain 12-byte header; marker bit and timestamp stay.
        sequence_number: the original one, as the receiver knows it.

    Returns:
        The RTX packet, whose sequence number, SSRC and payload type are still those of `packet`; empty where it would
        be longer than a packet may be.

    Raises:
        WireError: `rtp`, when the packet is malformed.
    """
    header = parse_rtp_header(packet)
    payload = packet[header.header_length : len(packet) - header.padding_length]
    made = b"".join((b"\x80", packet[1:12], _OSN.pack(sequence_number & 0xFFFF), payload))
    return made if len(made) <= MAX_PACKET_BYTES else b""


def rtx_payload_types(media: MediaSection, codecs: Sequence[Codec]) -> Mapping[int, int]:
    """Payload types to repair codecs with: for each that the m= line associates with one (`apt`, section 8.6).

    Args:
        media: the offered m= line.
        codecs: those that were chosen of it; one without generic NACK is asked for nothing again.

    Returns:
        Payload type of a codec to that of its RTX.
    """
    repaired = {str(codec.payload_type): codec for codec in codecs if "nack" in codec.feedback}
    found: dict[int, int] = {}
    for codec in media.codecs:
        original = repaired.get(codec.fmtp.get("apt", "")) if codec.name.lower() == ENCODING_NAME else None
        if original is not None and original.clock_rate == codec.clock_rate:
            found.setdefault(original.payload_type, codec.payload_type)
    return found
