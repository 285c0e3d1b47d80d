"""RTP packets (RFC 3550 section 5.1) and their header extensions (RFC 8285).

Hot path: no logging and no exceptions on a good packet, precompiled structs, integers only. The relay reads a header
once per packet that arrives; payloads are never interpreted here.
"""

from __future__ import annotations

import struct

import msgspec

from relay.errors import WireError

HEADER_BYTES = 12
# No link that a relay serves carries more in one datagram, and senders stay below 1,200 to 1,472 bytes.
MAX_PACKET_BYTES = 1500

_ONE_BYTE_PROFILE = 0xBEDE  # RFC 8285 section 4.2
_TWO_BYTE_PROFILE = 0x1000  # RFC 8285 section 4.3; the low four bits are for the application

_FIXED = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")


class RtpHeader(msgspec.Struct, frozen=True, gc=False):
    """The header of one packet.

    Attributes:
        marker: the marker bit; for video the last packet of a frame.
        payload_type: 0..127.
        sequence_number: 0..65535.
        timestamp: 32 bits, in units of the codec's clock rate.
        ssrc: 32 bits.
        header_length: bytes before the payload, with CSRC list and header extension.
        padding_length: bytes after the payload, with the count byte; 0 without padding.
        has_padding: the padding bit.
    """

    marker: bool
    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    header_length: int
    padding_length: int
    has_padding: bool


def parse_rtp_header(packet: bytes | memoryview) -> RtpHeader:
    """Read the header of one packet and check that everything it counts lies inside the packet.

    Raises:
        WireError: wrong size or version, or a CSRC list, extension or padding that passes the end.
    """
    size = len(packet)
    if not HEADER_BYTES <= size <= MAX_PACKET_BYTES:
        raise WireError("rtp", f"packet of {size} bytes, expected 12 to 1500")
    first, second, sequence_number, timestamp, ssrc = _FIXED.unpack_from(packet)
    if first >> 6 != 2:
        raise WireError("rtp", f"version {first >> 6}, expected 2")
    header_length = HEADER_BYTES + 4 * (first & 0x0F)
    if first & 0x10:
        if header_length + 4 > size:
            raise WireError("rtp", "header extension starts past the end")
        header_length += 4 + 4 * _EXTENSION.unpack_from(packet, header_length)[1]
    if header_length > size:
        raise WireError("rtp", f"header of {header_length} bytes in a packet of {size}")
    has_padding = bool(first & 0x20)
    padding_length = packet[-1] if has_padding else 0
    if has_padding and not 1 <= padding_length <= size - header_length:
        raise WireError("rtp", f"padding of {padding_length} bytes after a header of {header_length} in {size}")
    return RtpHeader(
        second > 127,
        second & 0x7F,
        sequence_number,
        timestamp,
        ssrc,
        header_length,
        padding_length,
        has_padding,
    )


def strip_header(
    packet: bytes | memoryview,
    header: RtpHeader,
    *,
    sequence_number: int,
    timestamp: int,
    ssrc: int | None = None,
    payload_type: int | None = None,
) -> bytes:
    """Rebuild a packet with a plain 12-byte header: no CSRC, no extension, no padding.

    The marker bit and the payload stay. `ssrc` and `payload_type` stay as well where they are not given.

    Args:
        packet: the packet that `header` was parsed from.
        header: its header.
        sequence_number: any integer; its low 16 bits are written, so a packet index will do.
        timestamp: any integer; its low 32 bits are written.
        ssrc: the new SSRC.
        payload_type: the new payload type, 0..127.
    """
    second = header.payload_type if payload_type is None else payload_type
    if header.marker:
        second |= 0x80
    plain = _FIXED.pack(
        0x80,
        second,
        sequence_number & 0xFFFF,
        timestamp & 0xFFFFFFFF,
        header.ssrc if ssrc is None else ssrc,
    )
    return b"".join((plain, packet[header.header_length : len(packet) - header.padding_length]))


def extension_value(packet: bytes | memoryview, header: RtpHeader, id: int) -> bytes | None:  # noqa: A002 - RFC 8285 calls it the ID
    """Find one header extension element, in the one-byte or the two-byte form.

    Args:
        packet: the packet that `header` was parsed from.
        header: its header.
        id: the local identifier that the session description gave (`a=extmap`), 1..255.

    Returns:
        The element's data (possibly empty in the two-byte form), or None where the packet does not carry it.

    Raises:
        WireError: an element passes the end of the extension.
    """
    if not packet[0] & 0x10:
        return None
    offset = HEADER_BYTES + 4 * (packet[0] & 0x0F)
    profile, words = _EXTENSION.unpack_from(packet, offset)
    offset += 4
    end = offset + 4 * words
    if end > header.header_length:
        raise WireError("rtp", "header extension passes the header")
    if profile == _ONE_BYTE_PROFILE:
        return _one_byte_element(packet, offset, end, id)
    if profile & 0xFFF0 == _TWO_BYTE_PROFILE:
        return _two_byte_element(packet, offset, end, id)
    return None


def _one_byte_element(packet: bytes | memoryview, offset: int, end: int, wanted: int) -> bytes | None:
    while offset < end:
        first = packet[offset]
        if first == 0:  # a padding byte
            offset += 1
            continue
        identifier = first >> 4
        if identifier == 15:  # reserved: processing stops here (RFC 8285 section 4.2)
            return None
        start = offset + 1
        offset = start + (first & 0x0F) + 1
        if offset > end:
            raise WireError("rtp", f"extension element {identifier} passes the end")
        if identifier == wanted:
            return bytes(packet[start:offset])
    return None


def _two_byte_element(packet: bytes | memoryview, offset: int, end: int, wanted: int) -> bytes | None:
    while offset < end:
        identifier = packet[offset]
        if identifier == 0:  # a padding byte
            offset += 1
            continue
        start = offset + 2
        if start > end:
            raise WireError("rtp", f"extension element {identifier} has no length")
        offset = start + packet[offset + 1]
        if offset > end:
            raise WireError("rtp", f"extension element {identifier} passes the end")
        if identifier == wanted:
            return bytes(packet[start:offset])
    return None
