import struct

import pytest
from aiortc.rtp import (
    RtcpByePacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)

from relay.errors import WireError
from relay.wire import rtcp
from relay.wire.extended_report import DelaySinceLastReport, ReceiverReferenceTime

BLOCK = rtcp.ReportBlock(0x11223344, 25, -3, 0x0001FFFF, 90, 0xAABBCCDD, 65536)
PACKETS: list[rtcp.RtcpPacket] = [
    rtcp.SenderReport(1, 0xE000000080000000, 3, 4, 5, (BLOCK,)),
    rtcp.ReceiverReport(1, (BLOCK, BLOCK)),
    rtcp.ReceiverReport(1),
    rtcp.SourceDescription(((1, "abc"), (2, "điểm cầu"), (3, ""))),
    rtcp.Bye((1, 2)),
    rtcp.Bye(()),
    rtcp.GenericNack(1, 2, (65535, 0, 15, 16)),
    rtcp.PictureLossIndication(1, 2),
    rtcp.FullIntraRequest(1, ((2, 255), (3, 0))),
    rtcp.Remb(1, 2_000_000, (2, 3)),
]


def header(packet_type: int, count: int, body: bytes, *, words: int | None = None, flags: int = 0x80) -> bytes:
    """Put a header before a body, right or wrong as asked."""
    return struct.pack("!BBH", flags | count, packet_type, len(body) // 4 if words is None else words) + body


@pytest.mark.parametrize("packet", PACKETS, ids=lambda packet: type(packet).__name__)
def test_a_packet_survives_the_wire(packet: rtcp.RtcpPacket) -> None:
    """What is written is read back equal, alone and within a compound."""
    assert rtcp.parse_compound(rtcp.serialize_compound([packet])) == [packet]


def test_a_compound_keeps_its_order() -> None:
    """All packets of one datagram come out in turn, from a memoryview as well."""
    assert rtcp.parse_compound(memoryview(rtcp.serialize_compound(PACKETS))) == PACKETS


def test_another_implementation_reads_the_same() -> None:
    """The aiortc library finds the same values in our bytes, save SDES of several chunks, which it does not read."""
    plain: list[rtcp.RtcpPacket] = [packet for packet in PACKETS if not isinstance(packet, rtcp.SourceDescription)]
    plain.append(rtcp.SourceDescription(((1, "điểm cầu"),)))
    report, rr, _, bye, _, nack, pli, _, remb, sdes = RtcpPacket.parse(rtcp.serialize_compound(plain))
    assert isinstance(report, RtcpSrPacket)
    assert report.sender_info.ntp_timestamp == 0xE000000080000000
    assert report.reports[0].packets_lost == -3
    assert isinstance(rr, RtcpRrPacket)
    assert len(rr.reports) == 2
    assert isinstance(sdes, RtcpSdesPacket)
    assert sdes.chunks[0].items == [(1, "điểm cầu".encode())]
    assert isinstance(bye, RtcpByePacket)
    assert bye.sources == [1, 2]
    assert isinstance(nack, RtcpRtpfbPacket)
    assert [number & 0xFFFF for number in nack.lost] == [65535, 0, 15, 16]
    assert isinstance(pli, RtcpPsfbPacket)
    assert (pli.fmt, pli.ssrc, pli.media_ssrc) == (1, 1, 2)
    assert isinstance(remb, RtcpPsfbPacket)
    assert unpack_remb_fci(remb.fci) == (2_000_000, [2, 3])


def test_nack_packs_seventeen_numbers_into_one_item() -> None:
    """A number and its sixteen followers share four bytes; the next begins another item."""
    lost = tuple(range(100, 118))
    data = rtcp.serialize_generic_nack(rtcp.GenericNack(1, 2, lost))
    assert data[12:] == struct.pack("!HHHH", 100, 0xFFFF, 117, 0)
    assert rtcp.parse_compound(data) == [rtcp.GenericNack(1, 2, lost)]


def test_nack_counts_a_repeated_number_once() -> None:
    """A number that stands twice in a row asks for one packet."""
    data = rtcp.serialize_generic_nack(rtcp.GenericNack(1, 2, (5, 5, 6)))
    assert rtcp.parse_compound(data) == [rtcp.GenericNack(1, 2, (5, 6))]


def test_loss_sticks_at_its_limits() -> None:
    """The signed 24-bit count does not wrap (RFC 3550 appendix A.3)."""
    blocks = tuple(rtcp.ReportBlock(1, 0, lost, 0, 0, 0, 0) for lost in (1 << 40, -(1 << 40)))
    (parsed,) = rtcp.parse_compound(rtcp.serialize_compound([rtcp.ReceiverReport(1, blocks)]))
    assert isinstance(parsed, rtcp.ReceiverReport)
    assert [block.packets_lost for block in parsed.reports] == [0x7FFFFF, -0x800000]


def test_remb_rounds_down_to_eighteen_bits() -> None:
    """A bitrate that does not fit the mantissa loses its lowest bits, never gains."""
    (parsed,) = rtcp.parse_compound(rtcp.serialize_remb(rtcp.Remb(1, (1 << 30) - 1, ())))
    assert parsed == rtcp.Remb(1, 0x3FFFF << 12, ())


def test_a_report_may_carry_a_profile_extension() -> None:
    """Words after the report blocks are allowed and not read."""
    assert rtcp.parse_compound(header(201, 0, struct.pack("!II", 7, 8))) == [rtcp.ReceiverReport(7)]


def test_a_bye_may_give_a_reason() -> None:
    """The reason is checked and dropped."""
    assert rtcp.parse_compound(header(203, 1, b"\0\0\0\x01\x03end")) == [rtcp.Bye((1,))]


def test_other_types_are_unknown() -> None:
    """Transport-wide feedback, extended reports and other application messages are passed over."""
    data = header(205, 15, bytes(16)) + header(207, 0, bytes(4)) + header(206, 15, bytes(8) + b"ELSE")
    assert rtcp.parse_compound(data) == [rtcp.Unknown(205, 15), rtcp.Unknown(207, 0), rtcp.Unknown(206, 15)]


def test_padding_of_the_last_packet_is_removed() -> None:
    """Padding is a multiple of four and counts itself."""
    data = rtcp.serialize_bye(rtcp.Bye((9,))) + header(206, 1, struct.pack("!II", 1, 2) + b"\0\0\0\x04", flags=0xA0)
    assert rtcp.parse_compound(data) == [rtcp.Bye((9,)), rtcp.PictureLossIndication(1, 2)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "compound of 0 bytes"),
        (header(203, 0, b"")[:3], "compound of 3 bytes"),
        (bytes(1501), "compound of 1501 bytes"),
        (header(203, 0, b"") + b"\x80", "bytes left after the last packet"),
        (header(203, 0, b"", flags=0x40), "version 1"),
        (header(203, 0, b"", words=1), "passes the end"),
        (header(203, 0, b"\0\0\0\x04", flags=0xA0) + header(203, 0, b""), "padding before the last"),
        (header(203, 0, b"", flags=0xA0), "without a body"),
        (header(203, 0, bytes(4), flags=0xA0), "padding of 0 bytes"),
        (header(203, 0, b"\0\0\0\x03", flags=0xA0), "padding of 3 bytes"),
        (header(203, 0, b"\0\0\0\x08", flags=0xA0), "padding of 8 bytes"),
        (header(200, 0, bytes(20)), "sender report with a body of 20"),
        (header(200, 1, bytes(24)), "1 report blocks do not fit"),
        (header(201, 0, b""), "without an ssrc"),
        (header(201, 1, bytes(24)), "1 report blocks do not fit"),
        (header(202, 1, b""), "chunk passes the end"),
        (header(202, 1, b"\0\0\0\x01"), "chunk without an end"),
        (header(202, 1, b"\0\0\0\x01\x01\x02ab"), "chunk without an end"),
        (header(202, 1, b"\0\0\0\x01\x01\x03ab"), "item passes the end"),
        (header(202, 1, b"\0\0\0\x01\x02\x01a\x01"), "item passes the end"),
        (header(202, 1, b"\0\0\0\x01\x01\x01\xff\0"), "not UTF-8"),
        (header(203, 2, bytes(4)), "bye of 2 sources"),
        (header(203, 1, b"\0\0\0\x01\x04end"), "reason for leaving"),
        (header(205, 1, bytes(8)), "nack with a body of 8"),
        (header(206, 1, bytes(12)), "pli with a body of 12"),
        (header(206, 4, bytes(8)), "fir with a body of 8"),
        (header(206, 4, bytes(20)), "fir with a body of 20"),
        (header(206, 15, bytes(8) + b"REMB"), "remb with a body of 12"),
        (header(206, 15, bytes(8) + b"REMB\x01\0\0\x01"), "remb of 1 sources"),
        (header(206, 15, bytes(8) + b"REMB\x00\xff\xff\xff"), "remb above 64 bits"),
        (header(207, 0, b""), "extended report without an ssrc"),
        (header(207, 0, bytes(4) + b"\x04\0\0\x02" + bytes(4)), "block 4 passes the end"),
        (header(207, 0, bytes(4) + b"\x04\0\0\x01" + bytes(4)), "reference time of 1 words"),
    ],
)
def test_malformed_packets_are_refused(data: bytes, reason: str) -> None:
    """Every length and count is checked before it is used."""
    with pytest.raises(WireError, match=reason) as raised:
        rtcp.parse_compound(data)
    assert raised.value.protocol == "rtcp"


def test_more_entries_than_five_bits_count_are_our_mistake() -> None:
    """A sixth bit would change the packet's meaning."""
    with pytest.raises(ValueError, match="at most 31"):
        rtcp.serialize_compound([rtcp.Bye(tuple(range(32)))])


def test_a_reference_time_is_found_among_other_blocks() -> None:
    """RFC 3611: blocks of other types are passed over; a report without one is not read."""
    other = b"\x06\0\0\x01" + bytes(4)
    time = b"\x04\0\0\x02" + bytes(range(8))
    (found,) = rtcp.parse_compound(header(207, 0, b"\0\0\0\x09" + other + time + other))
    assert found == ReceiverReferenceTime(9, 0x0001020304050607)
    assert rtcp.parse_compound(rtcp.serialize_compound([found])) == [found]
    assert rtcp.parse_compound(header(207, 0, bytes(4) + other)) == [rtcp.Unknown(207, 0)]


def test_the_answer_to_a_reference_time() -> None:
    """Section 4.5: one block of three words."""
    made = rtcp.serialize_compound([DelaySinceLastReport(1, 2, 0x01020304, 5)])
    assert made.hex() == "80cf0005" + "00000001" + "05000003" + "00000002" + "01020304" + "00000005"
