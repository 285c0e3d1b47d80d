"""The ring of a track's packets and the runs that bursts are cut into."""

from __future__ import annotations

import struct

import pytest

from relay.core.packet_cache import MAX_RUN_BYTES, MAX_RUN_SEGMENTS, MAX_SEGMENT_BYTES, TAG_BYTES, PacketCache, Run


def rtp(sequence_number: int, size: int, *, first: int = 0x80) -> bytes:
    """A packet of `size` octets with a 12-byte header."""
    header = struct.pack("!BBHII", first, 96, sequence_number & 0xFFFF, 0, 7)
    return header + bytes([sequence_number % 251 + 1]) * (size - 12)


def held(cache: PacketCache, index: int) -> bytes | None:
    """The bytes that the cache holds."""
    view = cache.get(index)
    return None if view is None else bytes(view)


def fill(cache: PacketCache, sizes: list[int], *, begin: int = 0) -> list[int]:
    """Put packets of these sizes; returns their indexes."""
    indexes = list(range(begin, begin + len(sizes)))
    for index, size in zip(indexes, sizes, strict=True):
        assert cache.put(index, rtp(index, size))
    return indexes


def test_a_packet_is_kept_until_the_ring_comes_round() -> None:
    """Newer packets take the rows of old ones; what is gone stays gone."""
    cache = PacketCache(8)
    assert cache.highest_index == -1
    assert cache.get(0) is None
    fill(cache, [100] * 12)
    assert cache.highest_index == 11
    assert cache.get(3) is None
    assert held(cache, 4) == rtp(4, 100)
    assert cache.get(-5) is None
    assert not cache.put(3, rtp(3, 100))
    assert not cache.put(4, rtp(4, 50))
    assert held(cache, 4) == rtp(4, 100)


def test_views_are_read_only() -> None:
    """Nobody writes into the ring by way of a view."""
    cache = PacketCache(2)
    fill(cache, [20])
    view = cache.get(0)
    assert view is not None
    assert view.readonly


def test_reordered_packets_find_their_rows() -> None:
    """A late packet is kept as long as no newer one has its row, and the highest index does not go back."""
    cache = PacketCache(8)
    fill(cache, [60], begin=70_000)
    assert cache.put(69_995, rtp(69_995, 40))
    assert held(cache, 69_995) == rtp(69_995, 40)
    assert cache.highest_index == 70_000


@pytest.mark.parametrize(
    ("index", "packet"),
    [
        (-1, rtp(0, 40)),
        (0, b""),
        (0, bytes(11)),
        (0, rtp(0, 1501)),
        (0, rtp(0, 14, first=0x81)),
        (0, rtp(0, 14, first=0x90)),
        (0, b"\x90" + bytes(11) + b"\xbe\xde\x00\x04" + bytes(15)),
    ],
)
def test_what_was_never_parsed_is_our_own_bug(index: int, packet: bytes) -> None:
    """Sizes and headers that the parser refuses do not come in."""
    with pytest.raises(ValueError, match="packet"):
        PacketCache(4).put(index, packet)


def test_header_lengths_count_csrc_and_extension() -> None:
    """The payload begins behind both."""
    cache = PacketCache(4)
    cache.put(0, rtp(0, 30))
    cache.put(1, b"\x92" + bytes(11) + bytes(8) + b"\xbe\xde\x00\x02" + bytes(8) + b"payload")
    assert cache.header_length(0) == 12
    assert cache.header_length(1) == 32


def test_a_frame_that_differs_by_a_byte_becomes_one_run() -> None:
    """All but the last are padded to the longest."""
    cache = PacketCache(16)
    indexes = fill(cache, [1100, 1101, 1100, 1101, 700])
    assert cache.equalise(indexes) == [Run(0, 5, 1101)]
    assert [int(cache.lengths[index]) for index in indexes] == [1101, 1101, 1101, 1101, 700]
    padded = cache.get(0)
    assert padded is not None
    assert padded[0] == 0xA0
    assert padded[-1] == 1
    assert padded[12:-1] == rtp(0, 1100)[12:]


def test_a_small_parameter_set_starts_its_own_run() -> None:
    """30 octets cannot grow to 1,100 by 255 octets of padding."""
    cache = PacketCache(16)
    indexes = fill(cache, [30, 1100, 1100, 300, 1100])
    assert cache.equalise(indexes) == [Run(0, 1, 30), Run(1, 4, 1100), Run(4, 5, 1100)]
    assert int(cache.lengths[0]) == 30


def test_padding_that_is_there_already_grows() -> None:
    """The count says how much padding there is in all."""
    cache = PacketCache(8)
    cache.put(0, rtp(0, 96, first=0xA0) + b"\x00\x00\x00\x04")
    cache.put(1, rtp(1, 110))
    assert cache.equalise([0, 1]) == [Run(0, 2, 110)]
    assert held(cache, 0) == rtp(0, 96, first=0xA0) + bytes(13) + b"\x0e"


def test_impossible_padding_is_left_alone() -> None:
    """A count of 0, or beyond the payload, cannot be extended."""
    cache = PacketCache(8)
    for index, count in enumerate((0, 200)):
        cache.put(index, rtp(index, 99, first=0xA0) + bytes([count]))
    cache.put(2, rtp(2, 120))
    assert cache.equalise([0, 1, 2]) == [Run(0, 2, 100), Run(2, 3, 120)]


def test_runs_end_at_the_kernels_limits() -> None:
    """At most 60 segments, at most 65,000 octets, and no segment longer than a path carries."""
    cache = PacketCache(256)
    small = fill(cache, [100] * 130)
    assert [run.end - run.start for run in cache.equalise(small)] == [MAX_RUN_SEGMENTS, MAX_RUN_SEGMENTS, 10]
    large = fill(cache, [1400] * 60, begin=1000)
    runs = cache.equalise(large)
    assert [run.end - run.start for run in runs] == [45, 15]
    assert all((run.segment_length + TAG_BYTES) * (run.end - run.start) <= MAX_RUN_BYTES for run in runs)
    too_long = MAX_SEGMENT_BYTES - TAG_BYTES + 1
    assert len(cache.equalise(fill(cache, [too_long] * 3, begin=2000))) == 3


def test_sealed_packets_never_change() -> None:
    """A second burst that could profit from padding takes them as they are."""
    cache = PacketCache(16)
    fill(cache, [1000])
    cache.equalise([0])
    fill(cache, [1010, 1005], begin=1)
    assert cache.equalise([0, 1, 2]) == [Run(0, 1, 1000), Run(1, 3, 1010)]
    assert held(cache, 0) == rtp(0, 1000)
    assert cache.equalise([0, 1, 2]) == [Run(0, 1, 1000), Run(1, 3, 1010)]


def test_a_row_that_is_taken_again_is_open_again() -> None:
    """The seal belongs to the packet, not to its row."""
    cache = PacketCache(2)
    fill(cache, [100, 100])
    cache.equalise([0, 1])
    fill(cache, [100, 110], begin=2)
    assert cache.equalise([2, 3]) == [Run(0, 2, 110)]


def test_missing_packets_are_in_no_run() -> None:
    """A gap ends a run, and an empty burst has none."""
    cache = PacketCache(16)
    fill(cache, [100, 100])
    fill(cache, [100], begin=3)
    assert cache.equalise([9, 0, 1, 2, 3]) == [Run(1, 3, 100), Run(4, 5, 100)]
    assert cache.equalise([]) == []


def test_a_cache_holds_something() -> None:
    """No capacity is our own bug."""
    with pytest.raises(ValueError, match="at least one"):
        PacketCache(0)
