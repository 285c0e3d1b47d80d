"""RTX packets of any packet: unwrapped, they are what was sent."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from relay.core.packet_cache import PacketCache
from relay.core.retransmission import Retransmission
from relay.wire.rtp import parse_rtp_header

PAYLOADS = st.lists(st.binary(min_size=1, max_size=1_400), min_size=1, max_size=12)


@given(
    payloads=PAYLOADS,
    first=st.integers(0, 1 << 40),
    offset=st.integers(0, 1 << 20),
    marker=st.booleans(),
    rounds=st.integers(1, 4),
)
def test_unwrapped_it_is_what_was_sent(
    *, payloads: list[bytes], first: int, offset: int, marker: bool, rounds: int
) -> None:
    """Number, marker, timestamp and payload, whatever padding the packets had; numbers of RTX only grow."""
    cache = PacketCache(16)
    indexes = range(first, first + len(payloads))
    second = 96 | (0x80 if marker else 0)
    for index, payload in zip(indexes, payloads, strict=True):
        cache.put(index, struct.pack("!BBHII", 0x80, second, index & 0xFFFF, index & 0xFFFFFFFF, 9) + payload)
    cache.equalise(indexes)
    stream = Retransmission(5, {96: 97})
    for turn in range(rounds):
        begin = stream.next_index
        assert begin == turn * len(payloads)
        made = stream.wrap(cache, [*indexes, first + 100], offset)
        numbers = range(begin, stream.next_index)
        made.equalise(numbers)
        for number, index, payload in zip(numbers, indexes, payloads, strict=True):
            found = made.get(number)
            assert found is not None
            header = parse_rtp_header(found)
            whole = bytes(found[header.header_length : len(found) - header.padding_length])
            assert whole == struct.pack("!H", (index + offset) & 0xFFFF) + payload
            assert (header.marker, header.timestamp) == (marker, index & 0xFFFFFFFF)
