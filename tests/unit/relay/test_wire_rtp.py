import struct

import pytest

from relay.errors import WireError
from relay.wire.rtp import RtpHeader, extension_value, parse_rtp_header, strip_header


def packet(
    *,
    csrcs: tuple[int, ...] = (),
    extension: tuple[int, bytes] | None = None,
    payload: bytes = b"media",
    padding: int = 0,
    marker: bool = False,
) -> bytes:
    """Build a packet with sequence number 1000, timestamp 2000, SSRC 3000 and payload type 96."""
    first = 0x80 | len(csrcs) | (0x10 if extension else 0) | (0x20 if padding else 0)
    data = struct.pack("!BBHII", first, 96 | (0x80 if marker else 0), 1000, 2000, 3000)
    data += struct.pack(f"!{len(csrcs)}I", *csrcs)
    if extension:
        profile, elements = extension
        assert len(elements) % 4 == 0
        data += struct.pack("!HH", profile, len(elements) // 4) + elements
    data += payload
    if padding:
        data += bytes(padding - 1) + bytes((padding,))
    return data


def test_a_plain_header_is_read() -> None:
    """Twelve bytes give all fields; nothing is counted beyond them."""
    header = parse_rtp_header(packet(marker=True))
    assert header == RtpHeader(True, 96, 1000, 2000, 3000, 12, 0, False)  # noqa: FBT003 - in the header's order
    assert parse_rtp_header(memoryview(packet(marker=True))) == header


def test_csrcs_extension_and_padding_are_counted() -> None:
    """The header's length takes in CSRC list and extension, the padding its count byte."""
    header = parse_rtp_header(packet(csrcs=(1, 2), extension=(0xBEDE, bytes(8)), padding=5))
    assert header.header_length == 12 + 8 + 4 + 8
    assert header.padding_length == 5
    assert header.has_padding


def test_a_packet_of_padding_alone_is_valid() -> None:
    """Probes carry no payload at all."""
    header = parse_rtp_header(packet(payload=b"", padding=255))
    assert header.padding_length == 255


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "packet of 0 bytes"),
        (packet()[:11], "packet of 11 bytes"),
        (packet(payload=bytes(1489)), "packet of 1501 bytes"),
        (b"\x40" + packet()[1:], "version 1"),
        (b"\x8f" + packet()[1:], "header of 72 bytes"),
        (b"\x90" + packet(payload=b"abc")[1:], "header extension starts past the end"),
        (b"\x90" + packet(payload=b"\xbe\xde\x00\x01abc")[1:], "header of 20 bytes"),
        (b"\xa0" + packet(payload=b"\x00")[1:], "padding of 0 bytes"),
        (b"\xa0" + packet(payload=b"\x00\x03")[1:], "padding of 3 bytes"),
        (b"\xa0" + packet(payload=b"")[1:], "padding of 184 bytes"),
    ],
)
def test_what_passes_the_end_is_refused(data: bytes, reason: str) -> None:
    """Sizes, version, CSRC count, extension and padding are checked before use."""
    with pytest.raises(WireError, match=reason) as raised:
        parse_rtp_header(data)
    assert raised.value.protocol == "rtp"


def test_stripping_leaves_a_plain_header_and_the_payload() -> None:
    """CSRC list, extension and padding are gone; marker, payload type and SSRC stay."""
    data = packet(csrcs=(7,), extension=(0xBEDE, bytes(4)), padding=9, marker=True)
    plain = strip_header(data, parse_rtp_header(data), sequence_number=65536 + 5, timestamp=(1 << 32) + 6)
    assert plain == struct.pack("!BBHII", 0x80, 0x80 | 96, 5, 6, 3000) + b"media"


def test_stripping_can_give_another_ssrc_and_payload_type() -> None:
    """Both are rewritten where they are given."""
    data = packet()
    header = parse_rtp_header(data)
    plain = strip_header(memoryview(data), header, sequence_number=1, timestamp=2, ssrc=0, payload_type=0)
    assert plain == struct.pack("!BBHII", 0x80, 0, 1, 2, 0) + b"media"


def find(data: bytes, identifier: int) -> bytes | None:
    """Look an extension element up in a packet."""
    return extension_value(data, parse_rtp_header(data), identifier)


def test_one_byte_elements_are_found() -> None:
    """Padding bytes between elements are skipped; a length field of 0 means one byte of data."""
    data = packet(csrcs=(9,), extension=(0xBEDE, b"\x10a\x00\x00\x52bcd\x00\x00\x00\x00"))
    assert find(data, 1) == b"a"
    assert find(data, 5) == b"bcd"
    assert find(data, 2) is None


def test_id_15_ends_the_one_byte_form() -> None:
    """RFC 8285 section 4.2: processing stops there."""
    assert find(packet(extension=(0xBEDE, b"\xf0x\x10a")), 1) is None


def test_two_byte_elements_are_found() -> None:
    """Elements may be empty and identifiers above 14; the profile's low four bits do not matter."""
    data = packet(extension=(0x1003, b"\x01\x00\x00\xc8\x02xy\x00"))
    assert find(data, 1) == b""
    assert find(data, 200) == b"xy"
    assert find(data, 3) is None


def test_no_extension_or_another_profile_has_no_elements() -> None:
    """Only the profiles of RFC 8285 hold elements."""
    assert find(packet(), 1) is None
    assert find(packet(extension=(0x1234, b"\x10a\x00\x00")), 1) is None


@pytest.mark.parametrize(
    "extension",
    [
        (0xBEDE, b"\x00\x00\x00\x13"),
        (0xBEDE, b"\x1f\x00\x00\x00"),
        (0x1000, b"\x00\x00\x00\x01"),
        (0x1000, b"\x01\x03ab"),
    ],
)
def test_an_element_past_the_end_is_refused(extension: tuple[int, bytes]) -> None:
    """An element must lie inside the extension."""
    with pytest.raises(WireError, match=r"passes the end|has no length"):
        find(packet(extension=extension), 7)
