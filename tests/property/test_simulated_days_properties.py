"""Whatever happens on a small day, in whatever order: nothing that must never be."""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from conference.simulation.running import run_scenario
from conference.simulation.scenario import Scenario

MOMENTS = st.integers(8, 60).map(float)
SPANS = st.sampled_from([0.2, 1.0, 2.5, 4.0, 9.0, 20.0])


def happening(kind: str, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """One kind of happening at any moment."""
    return st.fixed_dictionaries({"at_s": MOMENTS, "kind": st.just(kind), **fields})


HAPPENINGS = st.one_of(
    happening("relay_crash", unplugged=st.booleans(), back_after_s=SPANS, role=st.sampled_from(["edge", "origin"])),
    happening("relay_hang", for_s=SPANS),
    happening("region_cut", region=st.sampled_from(["01", "79"]), for_s=SPANS),
    happening(
        "flapping_hall",
        halls=st.integers(1, 4),
        every_s=st.just(5.0),
        down_s=st.sampled_from([0.2, 1.0, 4.0]),
        for_s=SPANS,
    ),
    happening("slow_store", append_ms=st.sampled_from([200.0, 2_500.0]), for_s=SPANS),
    happening("store_down", for_s=SPANS),
    happening("coordinator_crash", back_after_s=SPANS),
    happening("source_silent", for_s=SPANS),
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(HAPPENINGS, max_size=4), st.integers(0, 1_000))
# Halls that were given other relays while they were about to connect, and the first one came back meanwhile.
@example([{"at_s": 8.0, "kind": "region_cut", "region": "01", "for_s": 2.5}], 750)
# Halls that were told to go to the backup while they tried it because of a silence, and the primary came back.
@example([{"at_s": 8.0, "kind": "relay_crash", "unplugged": True, "back_after_s": 2.5, "role": "edge"}], 56)
def test_no_day_breaks_what_must_hold(happenings: list[dict[str, object]], seed: int) -> None:
    """No seat beyond a hard limit, nobody moved without need, everybody seated and seeing at the end, folds agree."""
    scenario = Scenario.model_validate(
        {
            "halls": 40,
            "relays": {"count": 9, "capacity": {"bits_per_s": 60_000_000, "packets_per_s": 20_000}},
            "arrival_s": 10,
            "duration_s": 160,
            "sample_s": 20,
            "seed": seed,
            "happenings": happenings,
        }
    )
    with capture_logs():
        report, _ = run_scenario(scenario)
    assert report.broken == ()
