"""Pre-checks and sign-offs may come from several writers, in any order, more than once."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from bridges.prechecks import KEPT_PRECHECKS, Precheck
from bridges.readiness import Thresholds, judge
from conference.events import PrecheckReported, ReadinessEvent, RehearsalSignedOff
from conference.readiness.prechecking import Prechecks

halls = st.sampled_from(["h1", "h2"])
prechecks = st.builds(
    Precheck,
    at_ms=st.integers(0, 20),
    source=st.sampled_from(["page", "agent"]),
    media_bps=st.none() | st.floats(0, 1e9),
    layer_bps=st.integers(0, 10**7),
)
events: st.SearchStrategy[ReadinessEvent] = st.one_of(
    st.builds(PrecheckReported, conference_id=st.just("c"), hall_id=halls, precheck=prechecks),
    st.builds(
        RehearsalSignedOff,
        conference_id=st.just("c"),
        hall_id=halls,
        at_ms=st.integers(0, 5),
        by=st.sampled_from(["user:an", "user:binh"]),
        note=st.sampled_from(["", "đạt"]),
        withdrawn=st.booleans(),
    ),
)


def folded(given_events: list[ReadinessEvent]) -> tuple[object, object]:
    """What the events make."""
    found = Prechecks()
    for event in given_events:
        found.apply(event)
    return found.by_hall, found.sign_offs


@given(st.lists(events, max_size=20), st.randoms(use_true_random=False))
def test_the_order_and_repetitions_do_not_matter(given_events: list[ReadinessEvent], random: object) -> None:
    """Any order, any repetition: the same; and no more than the last few are kept."""
    shuffled = given_events + given_events[::2]
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' Random has no public type
    assert folded(shuffled) == folded(given_events)
    found = Prechecks()
    for event in given_events:
        found.apply(event)
    for kept in found.by_hall.get("c", {}).values():
        assert len(kept) <= KEPT_PRECHECKS
        assert [each.at_ms for each in kept] == sorted(each.at_ms for each in kept)


@given(prechecks)
def test_every_precheck_can_be_judged(precheck: Precheck) -> None:
    """Whatever was measured: sentences in both languages, and an owner."""
    for finding in judge(precheck, Thresholds()):
        assert finding.vi
        assert finding.en
        assert finding.owner
