"""The arithmetic of the hops benchmark."""

from benchmarks.hops import hops_ns, missing
from benchmarks.support.percentiles import percentile_ms

MS = 1_000_000


def test_a_hop_is_between_two_arrivals_of_one_packet() -> None:
    """Packets that were seen at one place only count for nothing."""
    above, below = {100: 110, 200: 215, 300: 310}, {200: 218, 300: 317, 400: 419}
    assert sorted(hops_ns(above, below)) == [3, 7]


def test_the_first_hop_begins_at_the_source() -> None:
    """Without a relay above, the stamp is the beginning."""
    assert sorted(hops_ns(None, {100: 104, 200: 209})) == [4, 9]


def test_what_was_under_way_is_not_missing() -> None:
    """Packets at either end of the window may have been sent before it or arrive after it."""
    above = {stamp: stamp for stamp in range(0, 2000 * MS, 20 * MS)}
    below = {stamp: stamp for stamp in above if 100 * MS < stamp < 1900 * MS and stamp != 1000 * MS}
    assert missing(above, below) == 1
    assert missing({}, below) == 0


def test_percentiles_are_of_nearest_rank() -> None:
    """One of the values itself, in ms; None of nothing."""
    ordered = [number * MS for number in range(1, 101)]
    assert [percentile_ms(ordered, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]
    assert percentile_ms([5 * MS], 0.01) == 5.0
    assert percentile_ms([], 0.5) is None
