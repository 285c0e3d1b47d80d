"""The numbering of a track outlives its sources."""

from __future__ import annotations

from relay.core.timeline import Timeline


def test_first_source_sets_the_numbering() -> None:
    """The first source's sequence numbers and timestamps pass unchanged."""
    timeline = Timeline(90_000)
    clock = timeline.join(65_534, 1_000, 0.0)
    mapped = [clock.map_packet((65_534 + n) % 65_536, 1_000 + n, 0.0) for n in range(4)]
    assert mapped == [(65_534, 1_000), (65_535, 1_001), (65_536, 1_002), (65_537, 1_003)]


def test_a_late_packet_gets_its_own_earlier_index() -> None:
    """Reordering across the wrap keeps each packet's place."""
    timeline = Timeline(90_000)
    clock = timeline.join(65_535, 0, 0.0)
    assert clock.map_packet(1, 20, 0.0)[0] == 65_537
    assert clock.map_packet(0, 10, 0.0)[0] == 65_536


def test_an_exchanged_parent_continues_the_numbering() -> None:
    """A second source that carries the same stream maps a packet to the index it already has."""
    timeline = Timeline(90_000)
    first = timeline.join(100, 9_000, 0.0)
    first.map_packet(100, 9_000, 0.0)
    second = timeline.join(95, 8_000, 0.1)
    assert second.map_packet(100, 9_000, 0.1) == (100, 9_000)
    assert second.map_packet(101, 12_000, 0.2) == (101, 12_000)


def test_another_stream_is_shifted_to_follow_on() -> None:
    """A publisher that comes back with random numbers follows the last packet without a gap in the numbering."""
    timeline = Timeline(90_000)
    first = timeline.join(100, 9_000, 0.0)
    first.map_packet(100, 9_000, 0.0)
    second = timeline.join(40_000, 3_000_000_000, 2.0)
    index, timestamp = second.map_packet(40_000, 3_000_000_000, 2.0)
    assert index == 101
    assert timestamp == 9_000 + 2 * 90_000
    assert second.source_sequence_number(index) == 40_000


def test_timestamps_wrap() -> None:
    """A source near the end of the 32-bit timestamp range is mapped modulo 2^32."""
    timeline = Timeline(48_000)
    timeline.join(0, 4_294_967_000, 0.0).map_packet(0, 4_294_967_000, 0.0)
    clock = timeline.join(0, 500, 0.02)
    assert clock.map_packet(1, 664, 0.02) == (1, 664)
