"""RTCP packets (RFC 3550 section 6): reports and the feedback that a relay reads and writes.

Feedback is generic NACK and PLI (RFC 4585), FIR (RFC 5104) and REMB (draft-alvestrand-rmcat-remb-03). Reduced-size
packets (RFC 5506) are taken, so a compound need not begin with a report. Of extended reports (RFC 3611) those about the
round trip are known. Other packet types, transport-wide feedback among them, come out as `Unknown` and are not read.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec

from relay.errors import WireError
from relay.wire import extended_report as xr

MAX_COMPOUND_BYTES = 1500  # the largest datagram on any link that a relay serves

SENDER_REPORT = 200
RECEIVER_REPORT = 201
SOURCE_DESCRIPTION = 202
BYE = 203
TRANSPORT_FEEDBACK = 205
PAYLOAD_FEEDBACK = 206

_GENERIC_NACK = 1  # a format of TRANSPORT_FEEDBACK
_PICTURE_LOSS_INDICATION = 1  # formats of PAYLOAD_FEEDBACK
_FULL_INTRA_REQUEST = 4
_APPLICATION_LAYER = 15
_CNAME = 1  # an SDES item
_MAX_COUNT = 31  # five bits
_REMB_MANTISSA_BITS = 18

_HEADER = struct.Struct("!BBH")
_SSRC = struct.Struct("!I")
_TWO_SSRCS = struct.Struct("!II")
_SENDER_INFO = struct.Struct("!IQIII")
_REPORT_BLOCK = struct.Struct("!IIIIII")
_NACK_ITEM = struct.Struct("!HH")
_FIR_ENTRY = struct.Struct("!IB3x")
_REMB = struct.Struct("!II4sI")


class ReportBlock(msgspec.Struct, frozen=True):
    """What a receiver says about one source (RFC 3550 section 6.4.1).

    Attributes:
        ssrc: the source.
        fraction_lost: lost since the last report, in 1/256.
        packets_lost: lost since the beginning, signed 24 bits (duplicates count against it).
        highest_sequence: 32 bits, rounds in the high half and the sequence number in the low half.
        jitter: in units of the source's clock rate.
        last_sr: middle 32 bits of the last sender report's NTP time, or 0.
        delay_since_last_sr: in 1/65536 s, or 0.
    """

    ssrc: int
    fraction_lost: int
    packets_lost: int
    highest_sequence: int
    jitter: int
    last_sr: int
    delay_since_last_sr: int


class SenderReport(msgspec.Struct, frozen=True):
    """RFC 3550 section 6.4.1; `ntp_timestamp` has 64 bits, seconds since 1900 in the high 32."""

    ssrc: int
    ntp_timestamp: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    reports: tuple[ReportBlock, ...] = ()


class ReceiverReport(msgspec.Struct, frozen=True):
    """RFC 3550 section 6.4.2."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()


class SourceDescription(msgspec.Struct, frozen=True):
    """RFC 3550 section 6.5; each chunk is (ssrc, cname), cname "" where the item is missing."""

    chunks: tuple[tuple[int, str], ...]


class Bye(msgspec.Struct, frozen=True):
    """RFC 3550 section 6.6, without the reason."""

    ssrcs: tuple[int, ...]


class GenericNack(msgspec.Struct, frozen=True):
    """RFC 4585 section 6.2.1; `lost` holds 16-bit sequence numbers."""

    sender_ssrc: int
    media_ssrc: int
    lost: tuple[int, ...]


class PictureLossIndication(msgspec.Struct, frozen=True):
    """RFC 4585 section 6.3.1."""

    sender_ssrc: int
    media_ssrc: int


class FullIntraRequest(msgspec.Struct, frozen=True):
    """RFC 5104 section 4.3.1; each entry is (ssrc, command sequence number of 8 bits)."""

    sender_ssrc: int
    entries: tuple[tuple[int, int], ...]


class Remb(msgspec.Struct, frozen=True):
    """Receiver estimated maximum bitrate over all of `ssrcs` together, in bits per second."""

    sender_ssrc: int
    bitrate_bps: int
    ssrcs: tuple[int, ...]


class Unknown(msgspec.Struct, frozen=True):
    """A packet that is not read; `count` is its five-bit count or feedback format."""

    packet_type: int
    count: int


RtcpPacket = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Bye
    | GenericNack
    | PictureLossIndication
    | FullIntraRequest
    | Remb
    | xr.RoundTripReport
)


def parse_compound(data: bytes | memoryview) -> list[RtcpPacket | Unknown]:
    """Read every packet of one datagram.

    Returns:
        At least one packet, in order.

    Raises:
        WireError: the datagram is empty or above 1500 bytes, a length passes the end, a count does not fit its
            packet, or padding stands before the last packet.
    """
    size = len(data)
    if not 4 <= size <= MAX_COMPOUND_BYTES:
        raise WireError("rtcp", f"compound of {size} bytes, expected 4 to 1500")
    packets: list[RtcpPacket | Unknown] = []
    offset = 0
    while offset < size:
        if offset + 4 > size:
            raise WireError("rtcp", f"{size - offset} bytes left after the last packet")
        first, packet_type, words = _HEADER.unpack_from(data, offset)
        end = offset + 4 + 4 * words
        if first >> 6 != 2:
            raise WireError("rtcp", f"version {first >> 6}, expected 2")
        if end > size:
            raise WireError("rtcp", f"packet type {packet_type} passes the end")
        body = bytes(data[offset + 4 : end])
        if first & 0x20:
            body = _without_padding(body, is_last=end == size)
        packets.append(_parse_packet(packet_type, first & 0x1F, body))
        offset = end
    return packets


def _without_padding(body: bytes, *, is_last: bool) -> bytes:
    if not is_last:
        raise WireError("rtcp", "padding before the last packet")
    if not body:
        raise WireError("rtcp", "padding bit on a packet without a body")
    padding = body[-1]
    if padding == 0 or padding % 4 or padding > len(body):
        raise WireError("rtcp", f"padding of {padding} bytes in a body of {len(body)}")
    return body[:-padding]


def _parse_packet(packet_type: int, count: int, body: bytes) -> RtcpPacket | Unknown:
    if packet_type == RECEIVER_REPORT:
        return _parse_receiver_report(count, body)
    if packet_type == TRANSPORT_FEEDBACK and count == _GENERIC_NACK:
        return _parse_generic_nack(body)
    if packet_type == PAYLOAD_FEEDBACK:
        return _parse_payload_feedback(count, body)
    if packet_type == SENDER_REPORT:
        return _parse_sender_report(count, body)
    if packet_type == SOURCE_DESCRIPTION:
        return _parse_source_description(count, body)
    if packet_type == BYE:
        return _parse_bye(count, body)
    if packet_type == xr.EXTENDED_REPORT:
        return xr.parse_extended_report(body) or Unknown(packet_type, count)
    return Unknown(packet_type, count)


def _parse_payload_feedback(count: int, body: bytes) -> RtcpPacket | Unknown:
    if count == _PICTURE_LOSS_INDICATION:
        return _parse_picture_loss_indication(body)
    if count == _FULL_INTRA_REQUEST:
        return _parse_full_intra_request(body)
    if count == _APPLICATION_LAYER and body[8:12] == b"REMB":
        return _parse_remb(body)
    return Unknown(PAYLOAD_FEEDBACK, count)


def _parse_sender_report(count: int, body: bytes) -> SenderReport:
    if len(body) < _SENDER_INFO.size:
        raise WireError("rtcp", f"sender report with a body of {len(body)} bytes")
    ssrc, ntp_timestamp, rtp_timestamp, packet_count, octet_count = _SENDER_INFO.unpack_from(body)
    reports = _parse_report_blocks(count, body, _SENDER_INFO.size)
    return SenderReport(ssrc, ntp_timestamp, rtp_timestamp, packet_count, octet_count, reports)


def _parse_receiver_report(count: int, body: bytes) -> ReceiverReport:
    if len(body) < 4:
        raise WireError("rtcp", "receiver report without an ssrc")
    return ReceiverReport(_SSRC.unpack_from(body)[0], _parse_report_blocks(count, body, 4))


def _parse_report_blocks(count: int, body: bytes, offset: int) -> tuple[ReportBlock, ...]:
    # Bytes after the blocks are a profile-specific extension, which RFC 3550 allows and nobody here reads.
    if offset + count * _REPORT_BLOCK.size > len(body):
        raise WireError("rtcp", f"{count} report blocks do not fit a body of {len(body)} bytes")
    blocks = []
    for _ in range(count):
        ssrc, lost, highest_sequence, jitter, last_sr, delay = _REPORT_BLOCK.unpack_from(body, offset)
        packets_lost = lost & 0xFFFFFF
        if packets_lost & 0x800000:
            packets_lost -= 0x1000000
        blocks.append(ReportBlock(ssrc, lost >> 24, packets_lost, highest_sequence, jitter, last_sr, delay))
        offset += _REPORT_BLOCK.size
    return tuple(blocks)


def _parse_source_description(count: int, body: bytes) -> SourceDescription:
    chunks = []
    offset = 0
    for _ in range(count):
        if offset + 4 > len(body):
            raise WireError("rtcp", "source description chunk passes the end")
        ssrc = _SSRC.unpack_from(body, offset)[0]
        cname, offset = _parse_chunk_items(body, offset + 4)
        chunks.append((ssrc, cname))
    return SourceDescription(tuple(chunks))


def _parse_chunk_items(body: bytes, offset: int) -> tuple[str, int]:
    cname = ""
    while offset < len(body) and body[offset] != 0:
        start = offset + 2
        if start > len(body) or start + body[offset + 1] > len(body):
            raise WireError("rtcp", "source description item passes the end")
        end = start + body[offset + 1]
        if body[offset] == _CNAME:
            try:
                cname = body[start:end].decode()
            except UnicodeDecodeError:
                raise WireError("rtcp", "cname is not UTF-8") from None
        offset = end
    # At least one null byte ends the items, and more of them reach the next 32-bit boundary.
    if offset >= len(body):
        raise WireError("rtcp", "source description chunk without an end")
    return cname, (offset // 4 + 1) * 4


def _parse_bye(count: int, body: bytes) -> Bye:
    end = 4 * count
    if end > len(body):
        raise WireError("rtcp", f"bye of {count} sources in a body of {len(body)} bytes")
    if len(body) > end and end + 1 + body[end] > len(body):
        raise WireError("rtcp", "reason for leaving passes the end")
    return Bye(struct.unpack_from(f"!{count}I", body))


def _parse_generic_nack(body: bytes) -> GenericNack:
    # The body is a multiple of four bytes long already; no item at all is malformed (RFC 4585 section 6.2.1).
    if len(body) < 12:
        raise WireError("rtcp", f"nack with a body of {len(body)} bytes")
    sender_ssrc, media_ssrc = _TWO_SSRCS.unpack_from(body)
    lost = []
    for packet_id, bitmask in _NACK_ITEM.iter_unpack(body[8:]):
        lost.append(packet_id)
        remaining = bitmask
        while remaining:
            lowest = remaining & -remaining
            lost.append((packet_id + lowest.bit_length()) & 0xFFFF)
            remaining ^= lowest
    return GenericNack(sender_ssrc, media_ssrc, tuple(lost))


def _parse_picture_loss_indication(body: bytes) -> PictureLossIndication:
    if len(body) != 8:
        raise WireError("rtcp", f"pli with a body of {len(body)} bytes, expected 8")
    return PictureLossIndication(*_TWO_SSRCS.unpack(body))


def _parse_full_intra_request(body: bytes) -> FullIntraRequest:
    if len(body) < 16 or len(body) % 8:
        raise WireError("rtcp", f"fir with a body of {len(body)} bytes")
    return FullIntraRequest(_SSRC.unpack_from(body)[0], tuple(_FIR_ENTRY.iter_unpack(body[8:])))


def _parse_remb(body: bytes) -> Remb:
    if len(body) < _REMB.size:
        raise WireError("rtcp", f"remb with a body of {len(body)} bytes")
    sender_ssrc, _, _, packed = _REMB.unpack_from(body)
    count = packed >> 24
    if len(body) != _REMB.size + 4 * count:
        raise WireError("rtcp", f"remb of {count} sources in a body of {len(body)} bytes")
    bitrate_bps = (packed & 0x3FFFF) << (packed >> 18 & 0x3F)
    if bitrate_bps >= 1 << 64:  # no such line exists; keeps every counter within 64 bits
        raise WireError("rtcp", "remb above 64 bits")
    return Remb(sender_ssrc, bitrate_bps, struct.unpack_from(f"!{count}I", body, _REMB.size))


def serialize_compound(packets: Sequence[RtcpPacket]) -> bytes:
    """Write packets one after another into one datagram.

    The caller keeps the RFC 3550 order (a report first, then SDES) where it does not send reduced-size RTCP.

    Raises:
        ValueError: more entries in a packet than its count can tell; our own mistake, never the network's.
    """
    return b"".join([_serialize_packet(packet) for packet in packets])


def _serialize_packet(packet: RtcpPacket) -> bytes:
    if isinstance(packet, SenderReport):
        return serialize_sender_report(packet)
    if isinstance(packet, ReceiverReport):
        return serialize_receiver_report(packet)
    if isinstance(packet, GenericNack):
        return serialize_generic_nack(packet)
    if isinstance(packet, PictureLossIndication):
        return serialize_picture_loss_indication(packet)
    if isinstance(packet, FullIntraRequest):
        return serialize_full_intra_request(packet)
    if isinstance(packet, Remb):
        return serialize_remb(packet)
    if isinstance(packet, SourceDescription):
        return serialize_source_description(packet)
    if isinstance(packet, xr.RoundTripReport):
        return _with_header(xr.EXTENDED_REPORT, 0, xr.serialize_extended_report(packet))
    return serialize_bye(packet)


def _with_header(packet_type: int, count: int, body: bytes) -> bytes:
    if count > _MAX_COUNT:
        raise ValueError(f"{count} entries in one RTCP packet, at most 31")
    return _HEADER.pack(0x80 | count, packet_type, len(body) // 4) + body


def _serialize_report_block(block: ReportBlock) -> bytes:
    # The cumulative loss sticks at its limits instead of wrapping (RFC 3550 appendix A.3).
    packets_lost = max(-0x800000, min(0x7FFFFF, block.packets_lost)) & 0xFFFFFF
    return _REPORT_BLOCK.pack(
        block.ssrc,
        block.fraction_lost << 24 | packets_lost,
        block.highest_sequence,
        block.jitter,
        block.last_sr,
        block.delay_since_last_sr,
    )


def serialize_sender_report(packet: SenderReport) -> bytes:
    """Write one sender report with its header."""
    body = _SENDER_INFO.pack(
        packet.ssrc, packet.ntp_timestamp, packet.rtp_timestamp, packet.packet_count, packet.octet_count
    )
    blocks = [_serialize_report_block(block) for block in packet.reports]
    return _with_header(SENDER_REPORT, len(blocks), b"".join([body, *blocks]))


def serialize_receiver_report(packet: ReceiverReport) -> bytes:
    """Write one receiver report with its header."""
    blocks = [_serialize_report_block(block) for block in packet.reports]
    return _with_header(RECEIVER_REPORT, len(blocks), b"".join([_SSRC.pack(packet.ssrc), *blocks]))


def serialize_source_description(packet: SourceDescription) -> bytes:
    """Write one source description; a cname has at most 255 bytes of UTF-8."""
    body = bytearray()
    for ssrc, cname in packet.chunks:
        name = cname.encode()
        body += _SSRC.pack(ssrc) + bytes((_CNAME, len(name))) + name
        body += bytes(4 - len(body) % 4)
    return _with_header(SOURCE_DESCRIPTION, len(packet.chunks), bytes(body))


def serialize_bye(packet: Bye) -> bytes:
    """Write one BYE without a reason."""
    return _with_header(BYE, len(packet.ssrcs), struct.pack(f"!{len(packet.ssrcs)}I", *packet.ssrcs))


def serialize_generic_nack(packet: GenericNack) -> bytes:
    """Write one NACK; numbers that follow within 16 of an item's first are packed into its bitmask.

    Numbers in rising order (around the wrap as well) take the fewest items.
    """
    items: list[tuple[int, int]] = []
    for number in packet.lost:
        if items:
            packet_id, bitmask = items[-1]
            distance = (number - packet_id) & 0xFFFF
            if distance <= 16:
                items[-1] = (packet_id, bitmask | 1 << distance - 1 if distance else bitmask)
                continue
        items.append((number, 0))
    body = [_TWO_SSRCS.pack(packet.sender_ssrc, packet.media_ssrc), *(_NACK_ITEM.pack(*item) for item in items)]
    return _with_header(TRANSPORT_FEEDBACK, _GENERIC_NACK, b"".join(body))


def serialize_picture_loss_indication(packet: PictureLossIndication) -> bytes:
    """Write one PLI."""
    body = _TWO_SSRCS.pack(packet.sender_ssrc, packet.media_ssrc)
    return _with_header(PAYLOAD_FEEDBACK, _PICTURE_LOSS_INDICATION, body)


def serialize_full_intra_request(packet: FullIntraRequest) -> bytes:
    """Write one FIR; the media source of the common header is 0 (RFC 5104 section 4.3.1.2)."""
    entries = [_FIR_ENTRY.pack(*entry) for entry in packet.entries]
    body = b"".join([_TWO_SSRCS.pack(packet.sender_ssrc, 0), *entries])
    return _with_header(PAYLOAD_FEEDBACK, _FULL_INTRA_REQUEST, body)


def serialize_remb(packet: Remb) -> bytes:
    """Write one REMB; the bitrate is rounded down to 18 significant bits, for at most 255 sources."""
    exponent = max(0, packet.bitrate_bps.bit_length() - _REMB_MANTISSA_BITS)
    packed = len(packet.ssrcs) << 24 | exponent << 18 | packet.bitrate_bps >> exponent
    body = _REMB.pack(packet.sender_ssrc, 0, b"REMB", packed)
    body += struct.pack(f"!{len(packet.ssrcs)}I", *packet.ssrcs)
    return _with_header(PAYLOAD_FEEDBACK, _APPLICATION_LAYER, body)
