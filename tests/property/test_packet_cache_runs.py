"""For every burst: runs that one send can carry, and packets whose content stays."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from relay.core.packet_cache import MAX_RUN_BYTES, MAX_RUN_SEGMENTS, MAX_SEGMENT_BYTES, TAG_BYTES, PacketCache
from relay.wire.rtp import parse_rtp_header

CAPACITY = 64


@st.composite
def rtp_packets(draw: st.DrawFn) -> bytes:
    """A valid packet, perhaps with an extension and with padding, mostly about as long as the others."""
    size = draw(st.one_of(st.integers(1080, 1120), st.integers(0, 1400), st.just(1460)))
    padding = draw(st.one_of(st.just(0), st.integers(1, 255)))
    padding = min(padding, 1484 - size)
    extension = draw(st.sampled_from([b"", b"\xbe\xde\x00\x01\x10\xaa\x00\x00"]))
    size = min(size, 1480 - padding - len(extension))
    first = 0x80 | (0x20 if padding > 0 else 0) | (0x10 if extension else 0)
    body = bytes([draw(st.integers(0, 255))]) * size
    tail = bytes(padding - 1) + bytes([padding]) if padding > 0 else b""
    return struct.pack("!BBHII", first, 96, draw(st.integers(0, 65_535)), 0, 7) + extension + body + tail


def without_padding(packet: bytes | memoryview) -> bytes:
    """The packet as it was meant: P bit cleared, padding gone."""
    header = parse_rtp_header(packet)
    return bytes([packet[0] & 0xDF]) + bytes(packet[1 : len(packet) - header.padding_length])


def snapshot(cache: PacketCache, indexes: list[int]) -> dict[int, bytes]:
    """What the cache holds of these indexes."""
    return {index: bytes(packet) for index in indexes if (packet := cache.get(index)) is not None}


@given(
    packets=st.lists(rtp_packets(), max_size=100),
    bursts=st.lists(st.lists(st.integers(0, 110), max_size=80), max_size=4),
)
def test_runs_are_valid_and_content_stays(packets: list[bytes], bursts: list[list[int]]) -> None:
    """Whatever the bursts, each held packet is in one run, lengths fit, content stays, and a seal is for good."""
    cache = PacketCache(CAPACITY)
    sealed: dict[int, bytes] = {}
    for index, packet in enumerate(packets):
        assert cache.put(index, packet)
    for burst in bursts:
        before = snapshot(cache, burst)
        runs = cache.equalise(burst)
        covered = [burst[position] for run in runs for position in range(run.start, run.end)]
        assert covered == [index for index in burst if index in before]
        for run in runs:
            count = run.end - run.start
            lengths = [len(cache.get(index) or b"") for index in burst[run.start : run.end]]
            assert set(lengths[:-1]) <= {run.segment_length}
            assert lengths[-1] <= run.segment_length
            if count > 1:
                assert count <= MAX_RUN_SEGMENTS
                assert (run.segment_length + TAG_BYTES) * count <= MAX_RUN_BYTES
                assert run.segment_length + TAG_BYTES <= MAX_SEGMENT_BYTES
        after = snapshot(cache, burst)
        for index, packet in after.items():
            assert without_padding(packet) == without_padding(before[index])
            assert sealed.setdefault(index, packet) == packet
    assert snapshot(cache, list(sealed)) == sealed
