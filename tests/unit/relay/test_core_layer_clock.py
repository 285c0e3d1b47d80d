"""The offset that puts the times of one layer behind those of another."""

from __future__ import annotations

import pytest

from relay.core.layer_clock import LayerTime, offset_after

RATE = 90_000
SECOND = 1 << 32  # in NTP


@pytest.mark.parametrize(
    ("old", "old_offset", "new", "first"),
    [
        pytest.param((9_000, 1.0, None), 0, (500, 1.1, None), 18_000, id="by arrival: a tenth of a second later"),
        pytest.param((9_000, 1.0, None), 40, (500, 1.1, None), 18_040, id="whatever the old one was shifted by"),
        pytest.param(
            (9_000, 1.0, (5 * SECOND, 9_000)), 0, (500, 1.1, (5 * SECOND, 500)), 9_001, id="the same moment, a tick on"
        ),
        pytest.param(
            (9_000, 1.0, (5 * SECOND, 0)), 0, (500, 1.1, (6 * SECOND, 84_500)), 9_001, id="a moment before, a tick on"
        ),
        pytest.param(
            (9_000, 1.0, (5 * SECOND, 0)), 7, (3_500, 1.1, (5 * SECOND, 0)), 9_008, id="reports win over the arrival"
        ),
        pytest.param(
            (9_000, 1.0, (5 * SECOND, 9_000)), 0, (3_500, 1.0, (5 * SECOND, 500)), 12_000, id="one frame later"
        ),
        pytest.param(
            (9_000, 1.0, (5 * SECOND, 9_000)),
            0,
            (500, 1.1, (99 * SECOND, 500)),
            18_000,
            id="reports of two encoders say nothing",
        ),
        pytest.param((9_000, 1.0, (5 * SECOND, 0)), 0, (500, 1.1, None), 18_000, id="one report says nothing"),
        pytest.param(((1 << 32) - 10, 1.0, None), 0, (500, 1.001, None), 80, id="over the wrap of the old"),
        pytest.param((9_000, 1.0, None), 0, ((1 << 32) - 10, 1.1, None), 18_000, id="near the wrap of the new"),
        pytest.param((9_000, 1.0, None), 0, (500, 0.5, None), 9_001, id="never back"),
    ],
)
def test_times_go_on(
    old: tuple[int, float, tuple[int, int] | None],
    old_offset: int,
    new: tuple[int, float, tuple[int, int] | None],
    first: int,
) -> None:
    """By sender reports where both layers have one that fits, else by arrival, and always forward."""
    offset = offset_after(LayerTime(*old), old_offset, LayerTime(*new), RATE)
    assert 0 <= offset < 1 << 32
    assert (new[0] + offset) % (1 << 32) == first
