"""Which layer a receiver is sent, from what it reports."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from relay.core.layer_selector import (
    AUDIO_ONLY,
    AUDIO_ONLY_AFTER_S,
    FIRST_RETRY_S,
    LAST_RETRY_S,
    UP_AFTER_S,
    LayerSelector,
    Rung,
)

LOW, MIDDLE, TOP = Rung(0, 150_000), Rung(1, 500_000), Rung(2, 2_000_000)
LADDER = (LOW, MIDDLE, TOP)
BITRATES = {rung.layer: rung.bitrate_bps for rung in LADDER}


class Receiver:
    """A selector that is told something once a second.

    Attributes:
        shown: (second, layer) of each change.
    """

    def __init__(self) -> None:
        self.selector = LayerSelector()
        self.ladder: tuple[Rung, ...] = LADDER
        self.has_sound = True
        self.second = 0
        self.sent = self.lost = 0
        self.shown: list[tuple[int, int]] = []

    def live(
        self,
        seconds: int,
        *,
        lost: float = 0.0,
        nacked: int = 0,
        estimate: Callable[[int], int] | None = None,
        carries_bps: float = float("inf"),
    ) -> int | None:
        """So many seconds pass; what the line does not carry is lost as well."""
        for _ in range(seconds):
            self.second += 1
            now = float(self.second)
            bitrate_bps = BITRATES.get(self.selector.layer if self.selector.layer is not None else -2, 0)
            self.sent += 100
            if nacked:
                self.selector.handle_nack(range(self.sent, self.sent + nacked))
            over = max(0.0, 1 - carries_bps / bitrate_bps) if bitrate_bps else 0.0
            self.lost += round(100 * max(lost, over))
            self.selector.handle_report(self.sent, self.lost, self.sent, now)
            if estimate is not None:
                self.selector.handle_estimate(estimate(self.second), bitrate_bps, now)
            layer = self.selector.choose(self.ladder, now, has_sound=self.has_sound)
            if layer is not None and (not self.shown or self.shown[-1][1] != layer):
                self.shown.append((self.second, layer))
        return self.selector.layer


@pytest.mark.parametrize(
    ("told", "seconds", "layer"),
    [
        pytest.param({}, 5, 2, id="all is well: the best"),
        pytest.param({"lost": 0.03}, 60, 2, id="what repair hides"),
        pytest.param({"lost": 0.09}, 3, 2, id="a bad moment"),
        pytest.param({"lost": 0.09}, 7, 1, id="a bad line"),
        pytest.param({"nacked": 9}, 7, 1, id="a bad line whose losses are repaired"),
        pytest.param({"lost": 0.5}, 2, 1, id="half gets through: what fits that half"),
        pytest.param({"lost": 0.95}, 3, 0, id="next to nothing gets through"),
        pytest.param({"carries_bps": 1_000_000}, 4, 1, id="1 Mbit/s"),
        pytest.param({"carries_bps": 300_000}, 6, 0, id="300 kbit/s"),
        pytest.param({"estimate": lambda _: 300_000}, 6, 0, id="a constant estimate is meant"),
        pytest.param({"estimate": lambda _: 900_000}, 6, 1, id="which fits the middle one"),
        pytest.param({"estimate": lambda second: int(150_000 * 1.08**second)}, 20, 2, id="one that rises is not"),
        pytest.param({"estimate": lambda _: 1_200_000}, 20, 2, id="nor one that is near"),
    ],
)
def test_what_a_receiver_says_decides(told: dict[str, object], seconds: int, layer: int) -> None:
    """From the best layer on, after so many seconds of the same reports."""
    receiver = Receiver()
    receiver.live(2)
    assert receiver.live(seconds, **told) == layer  # type: ignore[arg-type] # the table's values fit their names


def test_it_goes_up_step_by_step_and_slowly() -> None:
    """Down at once; up no sooner than the first retry, then one layer after each calm time."""
    receiver = Receiver()
    receiver.live(2)
    receiver.live(4, lost=0.95)
    fell_at, layer = receiver.shown[-1]
    assert layer == 0
    receiver.live(60)
    (middle_at, middle), (top_at, top) = receiver.shown[-2:]
    assert (middle, top) == (1, 2)
    assert FIRST_RETRY_S <= middle_at - fell_at <= FIRST_RETRY_S + UP_AFTER_S
    assert UP_AFTER_S <= top_at - middle_at <= UP_AFTER_S + 1


def test_a_step_that_fails_is_tried_again_after_twice_the_time() -> None:
    """To a bound; and from the beginning once a step has held."""
    receiver = Receiver()
    receiver.live(1_200, carries_bps=1_000_000)
    trials = [second for second, layer in receiver.shown if layer == 2][1:]
    pauses = [later - earlier for earlier, later in pairwise(trials)]
    assert all(later >= earlier for earlier, later in pairwise(pauses))
    assert pauses[-1] == pytest.approx(LAST_RETRY_S, abs=UP_AFTER_S)
    receiver.live(400)
    healed_at = receiver.shown[-1][0]
    receiver.live(40, carries_bps=1_000_000)
    fell_at = next(second for second, layer in receiver.shown if second > healed_at and layer == 1)
    again_at = next(second for second, layer in receiver.shown if second > fell_at and layer == 2)
    assert again_at - fell_at <= FIRST_RETRY_S + UP_AFTER_S


def test_a_layer_that_ceases_is_no_fault_of_the_line() -> None:
    """What flows is taken at once, and the better one again after a calm time, without the pause of a failure."""
    receiver = Receiver()
    receiver.live(20)
    receiver.ladder = LADDER[:2]
    assert receiver.live(1) == 1
    receiver.ladder = LADDER
    assert receiver.live(int(UP_AFTER_S) - 1) == 1
    assert receiver.live(2) == 2


def test_sound_alone_is_the_last_step_and_is_left_again() -> None:
    """Only where the least layer does not get through for seconds; the way back is the same as any step up."""
    receiver = Receiver()
    receiver.live(2)
    receiver.live(30, lost=0.4)
    changes = {layer: second for second, layer in reversed(receiver.shown)}
    assert changes[AUDIO_ONLY] - changes[0] >= AUDIO_ONLY_AFTER_S
    receiver.live(60)
    assert [layer for _, layer in receiver.shown[-3:]] == [0, 1, 2]


def test_without_sound_the_least_picture_is_the_last_step() -> None:
    """Slides without a microphone: what gets through is better than nothing."""
    receiver = Receiver()
    receiver.has_sound = False
    receiver.live(60, lost=0.9)
    assert receiver.selector.layer == 0


def test_a_moderate_loss_on_the_least_layer_is_borne() -> None:
    """A picture with faults is worth more than none."""
    receiver = Receiver()
    receiver.live(60, lost=0.15)
    assert receiver.selector.layer == 0


def test_few_packets_say_nothing() -> None:
    """One NACK of a receiver that was sent three packets is not a third of a line."""
    selector = LayerSelector()
    selector.choose(LADDER, 0.0)
    for second in range(1, 6):
        selector.handle_nack([second])
        selector.handle_report(3 * second, 0, 3 * second, float(second))
        assert selector.choose(LADDER, float(second)) == 2


def test_what_waits_in_a_queue_of_seconds_does_not_arrive() -> None:
    """Hundreds are sent, a handful comes, and none of them is reported lost."""
    selector = LayerSelector()
    selector.choose(LADDER, 0.0)
    for second in range(1, 4):
        selector.handle_report(8 * second, 0, 250 * second, float(second))
        selector.choose(LADDER, float(second))
    assert selector.layer == 0


def test_nothing_is_chosen_before_anything_flows() -> None:
    """And what was chosen stays while nothing does."""
    selector = LayerSelector()
    assert selector.choose((), 0.0) is None
    assert selector.choose(LADDER, 1.0) == 2
    assert selector.choose((), 2.0) == 2
