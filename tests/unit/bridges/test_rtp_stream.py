from bridges.rtp_stream import (
    HISTORY_PACKETS,
    WRAP_GUARD_PACKETS,
    RtpStream,
    may_begin,
    sequence_number_of,
    with_payload_type,
)


def stream(first: int = 100) -> RtpStream:
    """A stream with known numbers."""
    return RtpStream(0xAABBCCDD, first_sequence_number=first, timestamp_offset=2**32 - 10)


def test_a_frame_is_numbered_and_marked() -> None:
    """RFC 3550 section 5.1: numbers grow by one and wrap, the marker ends a frame, timestamps wrap."""
    made = stream(65_535)
    packets = made.packetize([b"one", b"two"], 25, ntp_timestamp=7)
    assert packets == [
        bytes.fromhex("8000 ffff 0000000f aabbccdd") + b"one",
        bytes.fromhex("8080 0000 0000000f aabbccdd") + b"two",
    ]
    assert (made.last_ntp_timestamp, made.last_rtp_timestamp) == (7, 15)
    assert with_payload_type(packets[1], 102) == bytes.fromhex("80e6 0000 0000000f aabbccdd") + b"two"


def test_lost_packets_are_found_while_they_are_recent() -> None:
    """The very bytes that were sent; None for what is too old or was never made."""
    made = stream()
    packets = made.packetize([b"x"] * (HISTORY_PACKETS + 2), 0, ntp_timestamp=1)
    assert made.find(sequence_number_of(packets[-1])) == packets[-1]
    assert made.find(sequence_number_of(packets[2])) == packets[2]
    assert made.find(sequence_number_of(packets[1])) is None
    assert made.find(99) is None


def test_nobody_begins_just_before_the_wrap() -> None:
    """SRTP's roll-over counter of a new receiver would miss the wrap with the first lost packets."""
    last = stream(65_536 - WRAP_GUARD_PACKETS - 1).packetize([b"x"] * (WRAP_GUARD_PACKETS + 2), 0, ntp_timestamp=1)
    assert [may_begin(packet) for packet in last] == [True, *[False] * WRAP_GUARD_PACKETS, True]
