"""Two parents are merged by what their packets carry, and never by their numbers alone."""

from __future__ import annotations

import random

import pytest
from support.pure_relay import RtpSource, payloads_of, send
from support.two_parents import A, B, Child

from relay.core.inbound import DELIVERS_S
from relay.core.merge_proof import TRIAL_S
from relay.fanout.interface import PeerSlot


def begin(shift: tuple[int, int], *order: int) -> Child:
    """A child to which parent b numbers otherwise; it has seen half a second of both."""
    child = Child()
    child.shift[B] = shift
    first = child.frame(keyframe=True)
    for peer in order:
        child.arrive(peer, first)
    child.play(15, *order)
    return child


@pytest.mark.parametrize("order", [(A, B), (B, A)])
@pytest.mark.parametrize("shift", [(0, 0), (0, 1_234), (3, 777), (-40, -90_000), (200, 5)])
def test_a_second_parent_is_aligned_by_content(shift: tuple[int, int], order: tuple[int, int]) -> None:
    """Whatever it adds to numbers and times: what one parent loses the other brings, once, at its place and time."""
    child = begin(shift, *order)
    rng = random.Random(7)
    for _ in range(60):
        made = child.frame()
        kept = [(peer, packet) for packet in made for peer in [rng.choice((A, B))]]
        for peer, packet in kept:
            child.arrive(peer, [packet])
    assert child.shown() == payloads_of(child.published)
    assert child.steps() == {3_000}
    assert child.router.packets_unlike() == 0


def test_the_loss_of_the_first_leaves_the_second_on_its_place() -> None:
    """A parent that numbers otherwise goes on alone, with nothing missing, nothing doubled and the same clock."""
    child = begin((5, 90_001), A, B)
    child.router.remove_peer(PeerSlot(A))
    child.play(60, B)
    assert child.shown() == payloads_of(child.published)
    assert child.steps() == {3_000}


def test_parents_whose_numbering_parts_are_not_mixed() -> None:
    """One origin continues its own numbering when the publisher changes: the child notices, parts and aligns anew."""
    child = begin((0, 0), A, B)
    child.shift[B] = (-7, 3_300)
    child.play(2, A, B)
    assert child.router.packets_unlike() == 1
    child.play(15, A, B)
    assert child.shown() == payloads_of(child.published)
    for _ in range(30):
        child.arrive(B, child.frame())
    assert child.shown() == payloads_of(child.published), "it is aligned again"
    assert child.steps() == {3_000}


def test_a_parent_that_paused_proves_itself_again() -> None:
    """Both were silent while another publisher came: what the second sends afterwards is not taken for what it was."""
    child = begin((0, 0), A, B)
    child.now += 2.0
    child.shift[B] = (-2, 1_000)
    child.play(3, B, A)
    assert child.router.packets_unlike() == 0
    made = len(child.shown())
    assert len(set(child.shown())) == made, "nothing was shown twice"
    child.play(15, A, B)
    before = len(child.published)
    for _ in range(30):
        child.arrive(B, child.frame())
    assert child.shown()[-120:] == payloads_of(child.published[before:])


def test_a_stranger_with_near_numbers_is_not_merged() -> None:
    """Another encoder whose numbers happen to be near is heard only once the first is silent."""
    child = Child()
    stranger = RtpSource(0xB, sequence_number=65_002, timestamp=500)
    stranger.counter = 1 << 20
    first = child.frame(keyframe=True)
    child.arrive(A, first)
    send(child.router, B, stranger.frame(keyframe=True), child.now)
    for _ in range(30):
        child.arrive(A, child.frame())
        send(child.router, B, stranger.frame(), child.now + TRIAL_S / 2)
    assert child.shown() == payloads_of(child.published)
    after = stranger.frame(keyframe=True)
    send(child.router, B, after, child.now + DELIVERS_S + 0.2)
    assert child.shown()[-4:] == payloads_of(after)
