"""The cached group of pictures: when it serves a joiner, and how it is cut into slices."""

from __future__ import annotations

import pytest

from relay.core.catch_up import (
    MAX_BEHIND_PACKETS,
    MAX_GROUP_AGE_S,
    MAX_GROUP_BYTES,
    MAX_GROUP_PACKETS,
    SLICE_BYTES,
    SLICE_INTERVAL_S,
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
    """Each carries at most so many octets, one an interval, in order, until the end, which may move."""
    cache = cache_of(60, without=(33,))
    catch_up = CatchUp(10, 5.0)
    sent: list[int] = []
    now, end = 5.0, 50
    while catch_up.next_index < end:
        indexes = catch_up.next_slice(cache, end, now)
        assert len(indexes) * 1_000 <= SLICE_BYTES
        assert catch_up.next_slice(cache, end, now + SLICE_INTERVAL_S / 2) == []
        sent += indexes
        now, end = catch_up.due_s, 60
    assert sent == [index for index in range(10, 60) if index != 33]
    assert now >= 5.0 + 3 * SLICE_INTERVAL_S


def test_a_source_that_outruns_the_slices_is_noticed() -> None:
    """Before the ring has come round."""
    catch_up = CatchUp(0, 0.0)
    assert not catch_up.is_lost(MAX_BEHIND_PACKETS)
    assert catch_up.is_lost(MAX_BEHIND_PACKETS + 1)
