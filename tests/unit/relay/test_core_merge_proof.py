"""A second source is placed by what its packets carry."""

from __future__ import annotations

import struct

from relay.core.merge_proof import MIN_PAYLOAD_BYTES, SEARCH_PACKETS, TRIAL_S, MergeProof, Place, is_copy
from relay.core.packet_cache import PacketCache


def packet(number: int, payload: bytes, timestamp: int = 0) -> bytes:
    """A plain packet."""
    return struct.pack("!BBHII", 0x80, 96, number % 65_536, timestamp % (1 << 32), 7) + payload


def unique(number: int) -> bytes:
    """A payload like no other's."""
    return struct.pack("!I", number) * (MIN_PAYLOAD_BYTES // 4)


def filled(count: int, *, first: int = 70_000) -> PacketCache:
    """So many packets, 10 units of time apart."""
    cache = PacketCache(1024)
    for index in range(first, first + count):
        cache.put(index, packet(index, unique(index), 10 * index))
    return cache


def test_the_same_packet_proves_it_at_once() -> None:
    """Number, timestamp and payload agree, however short the payload is."""
    cache = PacketCache(64)
    cache.put(65_540, packet(4, b"s", 99))
    assert MergeProof().handle_packet(cache, packet(4, b"s", 99), 0.0) == (4, Place(65_540, 0))
    assert MergeProof().handle_packet(cache, packet(4, b"s", 98), 0.0) is None
    assert MergeProof().handle_packet(cache, packet(4, b"t", 99), 0.0) is None


def test_another_number_is_found_by_its_payload() -> None:
    """After a while of waiting, with the distance of the clocks."""
    cache, proof = filled(300), MergeProof()
    early = packet(70_100 + 9, unique(70_100), 10 * 70_100 + 44)
    assert proof.handle_packet(cache, early, 1.0) is None
    later = packet(70_101 + 9, unique(70_101), 10 * 70_101 + 44)
    assert proof.handle_packet(cache, later, 1.0 + TRIAL_S) == (
        (70_100 + 9) % 65_536,
        Place(70_100, (1 << 32) - 44),
    )


def test_what_the_first_source_has_not_brought_yet_is_waited_for() -> None:
    """The second may be ahead: its packet is found once the first has brought it, be it ever so short."""
    cache, proof = filled(3), MergeProof()
    ahead = packet(70_010, b"s", 5)
    assert proof.handle_packet(cache, ahead, 0.0) is None
    cache.put(70_010, packet(70_010, b"s", 5))
    found = proof.handle_packet(cache, packet(70_020, b"t", 6), TRIAL_S)
    assert found == (70_010 % 65_536, Place(70_010, 0))


def test_chance_is_no_proof() -> None:
    """Short payloads, payloads that are there twice, and what lies too far back."""
    cache = filled(10)
    cache.put(70_020, packet(70_020, b"silence", 1))
    cache.put(70_021, packet(70_021, unique(70_003), 2))
    cache.put(70_022 + SEARCH_PACKETS, packet(0, unique(1), 3))
    for payload in (b"silence", unique(70_003), unique(70_001), unique(5), b""):
        proof = MergeProof()
        other = packet(9, payload, 12_345)
        assert proof.handle_packet(cache, other, 0.0) is None
        assert proof.handle_packet(cache, other, TRIAL_S) is None


def test_a_packet_that_was_padded_for_sending_is_the_same() -> None:
    """Padding is not content; another length without padding is."""
    cache = PacketCache(64)
    cache.put(1, packet(1, b"four"))
    cache.put(2, packet(2, b"longer than four"))
    cache.equalise([1, 2])
    padded = cache.get(1)
    assert padded is not None
    assert len(padded) > 16
    assert is_copy(padded, packet(1, b"four"))
    assert not is_copy(padded, packet(1, b"fou"))
    assert not is_copy(padded, packet(1, b"four" + bytes(20)))
