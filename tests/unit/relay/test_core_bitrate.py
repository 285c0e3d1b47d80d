"""The bitrate that a counter of octets comes to."""

from __future__ import annotations

from relay.core.bitrate import BitrateMeter


def test_the_first_second_counts_whole_and_later_ones_in_part() -> None:
    """Nothing is known before it is over; a single second of another rate moves the mean by a third."""
    meter = BitrateMeter()
    meter.measure(1_000, 10.0)
    meter.measure(50_000, 10.9)
    assert meter.bitrate_bps == 0
    meter.measure(126_000, 11.0)
    assert meter.bitrate_bps == 1_000_000
    meter.measure(126_000, 12.0)
    assert meter.bitrate_bps == 700_000


def test_what_ceased_is_measured_anew() -> None:
    """Neither the old rate nor the silence counts."""
    meter = BitrateMeter()
    meter.measure(0, 0.0)
    meter.measure(125_000, 1.0)
    meter.forget()
    assert meter.bitrate_bps == 0
    meter.measure(125_000, 9.0)
    meter.measure(150_000, 10.0)
    assert meter.bitrate_bps == 200_000
