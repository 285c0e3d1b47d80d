"""RTX packets, and which payload types repair which codec (RFC 4588)."""

from __future__ import annotations

import struct

import pytest

from relay.errors import WireError
from relay.wire.rtx import rtx_payload_types, serialize_rtx
from relay.wire.session_description import Codec, MediaSection

VP8 = Codec(96, "VP8", 90_000, feedback=("nack", "nack pli"))
H264 = Codec(102, "H264", 90_000, feedback=("nack",))


def rtp(payload: bytes, *, first: int = 0x80, second: int = 0xE0) -> bytes:
    """A packet with number 7, timestamp 8 and SSRC 9."""
    return struct.pack("!BBHII", first, second, 7, 8, 9) + payload


def test_the_original_number_stands_before_the_payload() -> None:
    """Marker and timestamp stay; the number is what the receiver knows."""
    assert serialize_rtx(rtp(b"abc"), 0x1_0203) == rtp(b"\x02\x03abc")


def test_padding_of_the_original_is_left_out() -> None:
    """Section 4: it MUST be removed."""
    assert serialize_rtx(rtp(b"abc\x00\x00\x03", first=0xA0), 1) == rtp(b"\x00\x01abc")
    assert serialize_rtx(rtp(b"\x01", first=0xA0), 1) == rtp(b"\x00\x01")


def test_what_would_be_too_long_gives_nothing() -> None:
    """1,498 octets are the longest that can be repaired."""
    assert len(serialize_rtx(rtp(bytes(1_486)), 1)) == 1_500
    assert serialize_rtx(rtp(bytes(1_487)), 1) == b""


def test_a_malformed_packet_is_refused() -> None:
    """Padding longer than the packet."""
    with pytest.raises(WireError):
        serialize_rtx(rtp(b"\x09", first=0xA0), 1)


def test_each_codec_that_is_nacked_has_its_rtx() -> None:
    """By `apt`, the first of several; what repairs nothing that was chosen is left out."""
    without_nack = Codec(98, "VP9", 90_000)
    offered = (
        VP8,
        Codec(97, "rtx", 90_000, fmtp={"apt": "96"}),
        Codec(107, "RTX", 90_000, fmtp={"apt": "96"}),
        without_nack,
        Codec(99, "rtx", 90_000, fmtp={"apt": "98"}),
        H264,
        Codec(103, "rtx", 48_000, fmtp={"apt": "102"}),
        Codec(104, "rtx", 90_000, fmtp={"apt": "102", "rtx-time": "3000"}),
        Codec(105, "rtx", 90_000),
        Codec(106, "rtx", 90_000, fmtp={"apt": "x"}),
    )
    media = MediaSection(kind="video", codecs=offered)
    assert rtx_payload_types(media, [VP8, without_nack, H264]) == {96: 97, 102: 104}
    assert rtx_payload_types(media, [H264]) == {102: 104}
    assert rtx_payload_types(media, []) == {}
