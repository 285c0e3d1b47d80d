from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from support.pure_relay import payloads_of
from support.two_parents import A, B, Child

SHIFTS = st.tuples(st.integers(-400, 400), st.integers(0, (1 << 32) - 1))
# What becomes of a packet on its way: which parents bring it, and whether the second one is first.
FATES = st.lists(st.sampled_from([(A, B), (B, A), (A,), (B,), ()]), min_size=40, max_size=160)


@settings(max_examples=40)
@given(shift=SHIFTS, fates=FATES)
def test_a_hall_is_shown_the_programme_and_nothing_else(shift: tuple[int, int], fates: list[tuple[int, ...]]) -> None:
    """However two parents number it, lose it and overtake each other: in order, nothing twice, at its own times."""
    child = Child()
    child.shift[B] = shift
    child.arrive(A, child.frame(keyframe=True))
    child.play(8, A, B)
    for number in range(0, len(fates) - 3, 4):
        for packet, fate in zip(child.frame(), fates[number : number + 4], strict=True):
            for peer in fate:
                child.arrive(peer, [packet])
    shown = child.shown()
    published = payloads_of(child.published)
    assert len(set(shown)) == len(shown)
    positions = [published.index(payload) for payload in shown]
    assert positions == sorted(positions)
    assert all(step % 3_000 == 0 for step in child.steps())
