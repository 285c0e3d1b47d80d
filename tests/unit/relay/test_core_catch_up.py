"""The cached group of pictures: when it serves a joiner, and how it is cut into slices."""

from __future__ import annotations

import pytest

from relay.core.catch_up import (
    FIRST_OCTETS,
    LIVE_OCTETS,
    MAX_BEHIND_PACKETS,
    MAX_GROUP_AGE_S,
    MAX_GROUP_BYTES,
    MAX_GROUP_PACKETS,
    CachedGroup,
    CatchUp,
)
from relay.core.packet_cache import PacketCache

HEADER = bytes([0x80]) + bytes(11)


def cache_of(count: int, *, first: int = 0, octets: int = 1_000, without: tuple[int, ...] = ()) -> PacketCache:
    """A cache with packets `first` to `first + count`, some left out."""
    cache = PacketCache(1_024)
    for index in range(first, first + count):
        if index not in without:
            cache.put(index, HEADER + bytes(octets - 12))
    return cache


def group_at(index: int) -> CachedGroup:
    """A group that began at time 0."""
    group = CachedGroup()
    group.handle_keyframe_start(index, 90_000, 0.0)
    return group


def test_a_whole_young_group_serves() -> None:
    """From the keyframe to the newest packet, right up to the limits."""
    assert group_at(10).first_index(cache_of(20), MAX_GROUP_AGE_S) == 10
    assert group_at(10).first_index(cache_of(MAX_GROUP_PACKETS, first=10), 0.0) == 10


@pytest.mark.parametrize(
    ("cache", "now"),
    [
        (cache_of(20, without=(15,)), 0.0),
        (cache_of(20, without=(10,)), 0.0),
        (cache_of(MAX_GROUP_PACKETS + 1, first=10), 0.0),
        (cache_of(MAX_GROUP_BYTES // 1_400 + 1, first=10, octets=1_400), 0.0),
        (cache_of(20), MAX_GROUP_AGE_S + 0.01),
    ],
    ids=["hole", "no keyframe", "too many packets", "too many octets", "too old"],
)
def test_what_is_incomplete_too_long_or_too_old_does_not(cache: PacketCache, now: float) -> None:
    """A joiner waits for the next keyframe then."""
    assert group_at(10).first_index(cache, now) is None


def test_a_group_begins_with_the_first_packet_of_its_keyframe() -> None:
    """H.264 marks parameter sets and slices; they share a timestamp, and may come late."""
    group = group_at(12)
    group.handle_keyframe_start(14, 90_000, 0.01)
    group.handle_keyframe_start(10, 90_000, 0.02)
    assert group.first_index(cache_of(20), 0.0) == 10
    group.handle_keyframe_start(16, 93_000, 0.03)
    group.handle_keyframe_start(5, 80_000, 0.04)
    assert group.first_index(cache_of(20), 0.0) == 16, "a late packet of an older keyframe changes nothing"


def test_a_forgotten_group_serves_nobody() -> None:
    """Neither does one that never was."""
    group = group_at(10)
    group.forget()
    assert group.first_index(cache_of(20), 0.0) is None
    assert CachedGroup().first_index(cache_of(20), 0.0) is None


def test_slices_are_bounded_and_spaced() -> None:
    """At once goes what a thin line's buffer takes, then what the rate allows, in order, until the end."""
    cache = cache_of(100, without=(33,))
    catch_up = CatchUp(10, 5.0)
    sent = catch_up.next_slice(cache, 90, 5.0, 100_000)
    assert len(sent) == FIRST_OCTETS // 1_000
    assert catch_up.next_slice(cache, 90, 5.0, 100_000) == []
    now = 5.0
    for _ in range(50):
        now += 0.011
        indexes = catch_up.next_slice(cache, 100, now, 100_000)
        assert len(indexes) <= 2
        sent += indexes
    assert sent == [index for index in range(10, 100) if index != 33]


def test_a_receiver_is_live_once_its_line_is_empty_again() -> None:
    """The next keyframe may come on top of what the line still holds."""
    cache = cache_of(30)
    catch_up = CatchUp(0, 0.0)
    assert len(catch_up.next_slice(cache, 30, 0.0, 100_000)) == 30
    assert not catch_up.is_done(30)
    wait_s = (LIVE_OCTETS - (FIRST_OCTETS - 30_000)) / 100_000
    assert catch_up.next_slice(cache, 30, wait_s - 0.01, 100_000) == []
    assert not catch_up.is_done(30)
    assert catch_up.next_slice(cache, 30, wait_s + 0.01, 100_000) == []
    assert catch_up.is_done(30)
    assert not catch_up.is_done(31), "something came meanwhile"


def test_a_source_that_outruns_the_slices_is_noticed() -> None:
    """Before the ring has come round."""
    catch_up = CatchUp(0, 0.0)
    assert not catch_up.is_lost(MAX_BEHIND_PACKETS)
    assert catch_up.is_lost(MAX_BEHIND_PACKETS + 1)
