import pytest

from relay.wire.codecs import is_keyframe_start

IDR = b"\x65\x88"
SPS = b"\x67\x42"
SLICE = b"\x41\x9a"


def stap_a(*units: bytes) -> bytes:
    """Aggregate NAL units."""
    return b"\x78" + b"".join(len(unit).to_bytes(2) + unit for unit in units)


@pytest.mark.parametrize(
    ("codec", "payload", "start"),
    [
        ("VP8", b"\x10\x00", True),
        ("VP8", b"\x10\x01", False),
        ("VP8", b"\x00\x00", False),
        ("VP8", b"\x11\x00", False),
        ("VP8", b"\x10", False),
        ("VP8", b"\x90\x80\x05\x00", True),
        ("VP8", b"\x90\x80\x85\x01\x00", True),
        ("VP8", b"\x90\x80\x85\x01\x01", False),
        ("VP8", b"\x90\xf0\x85\x01\x02\x03\x10", True),
        ("VP8", b"\x90\xf0\x85\x01\x02\x03", False),
        ("VP8", b"\x90\x80", False),
        ("VP8", b"", False),
        ("VP9", b"\x08\x82", True),
        ("VP9", b"\x48\x82", False),
        ("VP9", b"\x00\x82", False),
        ("VP9", b"\x88\x05\x82", True),
        ("VP9", b"\x88\x85\x01\x82", True),
        ("VP9", b"\xa8\x85\x01\x00\x07\x82", True),
        ("VP9", b"\xa8\x85\x01\x02\x07\x82", False),
        ("VP9", b"\xa8\x85\x01", False),
        ("VP9", b"\x88\x85", False),
        ("VP9", b"\x08", False),
        ("VP9", b"", False),
        ("H264", IDR, True),
        ("H264", SPS, True),
        ("H264", SLICE, False),
        ("H264", b"\x68\xce", False),
        ("H264", b"\xe5\x88", False),
        ("H264", stap_a(SPS, b"\x68\xce"), True),
        ("H264", stap_a(b"\x09\x10", IDR), True),
        ("H264", stap_a(SLICE, SLICE), False),
        ("H264", stap_a(SPS) + b"\x00", False),
        ("H264", stap_a(SPS) + b"\x00\x09\x67", False),
        ("H264", b"\x78\x00\x00\x67", False),
        ("H264", b"\x78", False),
        ("H264", b"\x7c\x85", True),
        ("H264", b"\x7c\x05", False),
        ("H264", b"\x7c\x81", False),
        ("H264", b"\x65", False),
        ("H264", b"", False),
        ("AV1", b"\x18\x0a", True),
        ("AV1", b"\x10\x0a", False),
        ("AV1", b"\x98\x0a", False),
        ("AV1", b"\x18", False),
        ("AV1", b"", False),
        ("opus", b"\x08\x0a", False),
        ("H265", b"\x26\x01", False),
    ],
)
def test_where_a_decoder_can_begin(codec: str, payload: bytes, *, start: bool) -> None:
    """Key frames are told from their first bytes; anything cut short is no start."""
    assert is_keyframe_start(codec, payload) is start
    assert is_keyframe_start(codec, memoryview(payload)) is start
