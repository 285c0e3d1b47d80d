import pytest

from relay.wire.demux import Kind, classify


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (0, 1, Kind.STUN),
        (3, 0, Kind.STUN),
        (4, 0, Kind.UNKNOWN),
        (16, 0, Kind.UNKNOWN),
        (19, 0, Kind.UNKNOWN),
        (20, 254, Kind.DTLS),
        (63, 254, Kind.DTLS),
        (64, 0, Kind.UNKNOWN),
        (127, 0, Kind.UNKNOWN),
        (128, 96, Kind.RTP),
        (128, 191, Kind.RTP),
        (128, 192, Kind.RTCP),
        (129, 200, Kind.RTCP),
        (191, 223, Kind.RTCP),
        (144, 224, Kind.RTP),
        (192, 200, Kind.UNKNOWN),
        (255, 0, Kind.UNKNOWN),
    ],
)
def test_the_first_bytes_tell_the_protocol(first: int, second: int, kind: Kind) -> None:
    """The ranges are those of RFC 7983 and RFC 9443, RTCP those of RFC 5761."""
    assert classify(bytes((first, second, 0, 0))) is kind
    assert classify(memoryview(bytes((first, second)))) is kind


@pytest.mark.parametrize("datagram", [b"", b"\x00", b"\x80"])
def test_less_than_two_bytes_are_unknown(datagram: bytes) -> None:
    """Nothing that a relay speaks fits into one byte."""
    assert classify(datagram) is Kind.UNKNOWN
