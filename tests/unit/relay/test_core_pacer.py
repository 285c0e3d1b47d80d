"""The pacer: what passes at once, what waits and how long, and the measured mean."""

from __future__ import annotations

import pytest

from relay.core.pacer import (
    ANEW_AFTER_S,
    DEPTH_S,
    MAX_WAIT_S,
    MAX_WAITING_PACKETS,
    MIN_OCTETS_PER_S,
    PACING_FACTOR,
    PIECE_PACKETS,
    MeanRate,
    Pacer,
    TokenBucket,
)
from relay.core.packet_cache import PacketCache

OCTETS = 1_000
DEPTH_PACKETS = int(MIN_OCTETS_PER_S * DEPTH_S) // OCTETS


def pacer_of(packets: int) -> Pacer:
    """A pacer over a cache with packets of 1,000 octets, from index 0."""
    cache = PacketCache(1_024)
    for index in range(packets):
        cache.put(index, bytes([0x80]) + bytes(OCTETS - 1))
    return Pacer(cache)


def drain(pacer: Pacer) -> list[tuple[float, list[int]]]:
    """All pieces with their times, each at its deadline."""
    pieces = []
    while (deadline := pacer.next_deadline()) is not None:
        given = pacer.poll(deadline)
        assert given, "at its deadline there is something to give"
        pieces += [(deadline, piece) for piece in given]
    return pieces


def test_a_burst_within_the_depth_passes_as_it_is() -> None:
    """Nothing waits then, and no timer is due."""
    pacer = pacer_of(DEPTH_PACKETS)
    burst = list(range(DEPTH_PACKETS))
    assert pacer.handle_burst(burst, 0.0) == [burst]
    assert pacer.first_held() is None
    assert pacer.next_deadline() is None
    assert pacer.poll(1.0) == []


def test_what_exceeds_it_waits_in_order_at_the_rate() -> None:
    """Later bursts queue behind; the pieces are as far apart as the rate says."""
    pacer = pacer_of(120)
    pieces = pacer.handle_burst(list(range(100)), 0.0)
    assert sum(map(len, pieces)) <= DEPTH_PACKETS
    assert pacer.first_held() == sum(map(len, pieces))
    assert pacer.handle_burst(list(range(100, 120)), 0.001) == []
    timed = drain(pacer)
    pieces += [piece for _, piece in timed]
    assert [index for piece in pieces for index in piece] == list(range(120))
    assert max(map(len, pieces)) <= PIECE_PACKETS
    taken_s = timed[-1][0]
    assert taken_s == pytest.approx((120 - DEPTH_PACKETS) * OCTETS / MIN_OCTETS_PER_S, rel=0.05)


def test_a_late_packet_takes_its_place() -> None:
    """It leaves between its neighbours."""
    pacer = pacer_of(100)
    sent = pacer.handle_burst([*range(70), *range(71, 100)], 0.0)
    pacer.insert(70)
    sent += [piece for _, piece in drain(pacer)]
    assert [index for piece in sent for index in piece] == list(range(100))


def test_too_much_leaves_faster() -> None:
    """Nothing waits much longer than half a second, and no more than the cache may hold."""
    pacer = pacer_of(1_000)
    pacer.handle_burst(list(range(60)), 0.0)
    pacer.handle_burst(list(range(60, 500)), 0.0)
    timed = drain(pacer)
    assert timed[-1][0] < 2 * MAX_WAIT_S
    pacer = pacer_of(1_000)
    at_once = pacer.handle_burst(list(range(1_000)), 0.0)
    assert sum(map(len, at_once)) == pytest.approx(1_000 - MAX_WAITING_PACKETS, abs=PIECE_PACKETS)


def test_a_flush_gives_all_that_waits() -> None:
    """And nothing is due afterwards."""
    pacer = pacer_of(100)
    sent = [index for piece in pacer.handle_burst(list(range(100)), 0.0) for index in piece]
    assert sent + pacer.flush() == list(range(100))
    assert pacer.next_deadline() is None
    assert pacer.flush() == []


def test_the_rate_follows_the_mean() -> None:
    """2.5 times what the source sends; a keyframe hardly moves it, and a source that comes back is measured anew."""
    mean = MeanRate()
    for step in range(600):
        mean.count(10_000, step / 30)
    assert mean.octets_per_s == pytest.approx(300_000, rel=0.03)
    mean.count(150_000, 20.0)
    assert mean.octets_per_s < 330_000
    mean.count(10_000, 20.0 + ANEW_AFTER_S + 0.1)
    assert mean.octets_per_s == 10_000

    pacer = pacer_of(1_000)
    for step in range(1_000):
        pacer.handle_burst([step], step / 500)
        pacer.flush()
    assert 0.65 < pacer.mean.octets_per_s / (500 * OCTETS) < 1.0, "after two seconds most of it is seen"
    assert pacer.octets_per_s == PACING_FACTOR * pacer.mean.octets_per_s


def test_a_bucket_fills_up_to_its_depth() -> None:
    """It is full when first asked, never takes what it has not, and time does not run backwards."""
    bucket = TokenBucket()
    bucket.fill(100.0, octets_per_s=10.0, depth=50.0)
    assert bucket.take(50)
    assert not bucket.take(1)
    bucket.fill(102.0, octets_per_s=10.0, depth=50.0)
    bucket.fill(101.0, octets_per_s=10.0, depth=50.0)
    assert bucket.octets == 20.0
    bucket.fill(200.0, octets_per_s=10.0, depth=50.0)
    assert bucket.octets == 50.0
