"""Whatever a receiver reports, its picture does not flicker between layers."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.core.layer_selector import AUDIO_ONLY, FIRST_RETRY_S, SETTLE_S, UP_AFTER_S, LayerSelector, Rung

LADDER = (Rung(0, 150_000), Rung(1, 500_000), Rung(2, 2_000_000))
STEP_S = 0.5

reports = st.tuples(
    st.sampled_from([0.0, 0.0, 0.0, 0.04, 0.06, 0.12, 0.3, 1.0, -0.1]),
    st.integers(0, 200),
    st.integers(0, 300),
    st.one_of(st.none(), st.integers(0, 5_000_000)),
)


@settings(max_examples=150)
@given(said=st.lists(reports, min_size=1, max_size=240))
def test_changes_keep_their_distance(said: list[tuple[float, int, int, int | None]]) -> None:
    """Down no sooner than reports can speak of the layer; up after a calm time; up after down only after the retry."""
    selector, sent, missing = LayerSelector(), 0, 0
    changes: list[tuple[float, int]] = []
    for number, (lost, nacked, packets, estimate) in enumerate(said):
        now = number * STEP_S
        sent += packets
        missing += int(lost * packets)
        selector.handle_nack(range(nacked))
        selector.handle_report(sent, missing, sent + nacked, now)
        if estimate is not None:
            selector.handle_estimate(estimate, LADDER[max(selector.layer or 0, 0)].bitrate_bps, now)
        layer = selector.choose(LADDER, now)
        assert layer in {AUDIO_ONLY, 0, 1, 2}
        if not changes or changes[-1][1] != layer:
            changes.append((now, layer))
    for (before_s, before), (after_s, after) in pairwise(changes):
        assert after_s - before_s >= (UP_AFTER_S if after > before else SETTLE_S)
        if after > before:
            assert after == before + 1, "one step at a time"
    downs = [at for (at, layer), (_, before) in zip(changes[1:], changes, strict=False) if layer < before]
    ups = [at for (at, layer), (_, before) in zip(changes[1:], changes, strict=False) if layer > before]
    assert all(up - down >= FIRST_RETRY_S for down in downs for up in ups if up > down)
