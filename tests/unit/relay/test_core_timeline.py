"""The numbering of a track outlives its sources."""

from __future__ import annotations

import pytest

from relay.core.timeline import SAME_STREAM_PACKETS, Timeline


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


@pytest.mark.parametrize("away_s", [1, 30, 100, 250, 3_600])
def test_a_publisher_that_is_connected_again_falls_on_its_own_numbers(away_s: int) -> None:
    """It counted on meanwhile, for another relay: numbers and timestamps are those of the source, and go forward."""
    timeline = Timeline(90_000)
    first = timeline.join(1_000, 7_000, 0.0)
    highest, _ = first.map_packet(1_000, 7_000, 0.0)
    number, timestamp = (1_000 + 240 * away_s) % 65_536, (7_000 + 90_000 * away_s) % (1 << 32)
    again = timeline.join(number, timestamp, float(away_s), first)
    index, mapped = again.map_packet(number, timestamp, float(away_s))
    assert again.continues
    assert (index % 65_536, mapped) == (number, timestamp)
    assert index > highest - SAME_STREAM_PACKETS
    assert again.skips == (index > highest + SAME_STREAM_PACKETS)


def test_it_keeps_the_shift_that_it_had() -> None:
    """A publisher that followed another one is connected again: its second mapping is its first."""
    timeline = Timeline(90_000)
    timeline.join(100, 9_000, 0.0).map_packet(100, 9_000, 0.0)
    second = timeline.join(40_000, 3_000_000_000, 2.0)
    second.map_packet(40_000, 3_000_000_000, 2.0)
    again = timeline.join(50_000, 3_000_000_000 + 40 * 90_000, 42.0, second)
    assert again.map_packet(50_000, 3_000_000_000 + 40 * 90_000, 42.0) == (101 + 10_000, 9_000 + 42 * 90_000)
    assert again.source_sequence_number(101 + 10_000) == 50_000


def test_an_ssrc_that_is_used_for_another_stream_is_shifted() -> None:
    """Some encoders begin with the same SSRC every time: a timestamp that does not fit tells them apart."""
    timeline = Timeline(90_000)
    first = timeline.join(100, 9_000, 0.0)
    first.map_packet(100, 9_000, 0.0)
    other = timeline.join(30_000, 2_000_000_000, 1.0, first)
    assert not other.continues
    assert other.map_packet(30_000, 2_000_000_000, 1.0) == (101, 99_000)
