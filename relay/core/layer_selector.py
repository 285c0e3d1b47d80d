"""Which simulcast layer one receiver is sent, judged by what it reports: down fast, up slowly, sound kept to the last.

A receiver says how much it lost (receiver reports, NACKs) and, if it estimates, how much its line carries (REMB,
draft-alvestrand-rmcat-remb-03). Loss is believed. An estimate is believed where it is far below what is sent and does
not rise: an estimator that was shown a low layer knows of no more and needs seconds to see what a higher one fits, and
one on a busy machine takes its own delays for the line's. Nothing proves in advance that a higher layer fits, so a
step up is a trial, and one that fails is not repeated before a time that doubles.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

AUDIO_ONLY = -1  # in place of a layer

# Losses at random that repair hides from the viewer are not worth a smaller picture. Shares are of windows so long that
# 3 % lost at random pass neither limit, even on a layer of 75 packets a second.
WINDOW_S = 1.0
LONG_WINDOWS = 5
LOST_AT_ONCE = 0.15
LOST_FOR_LONG = 0.07
MIN_PACKETS = 20  # of fewer, a share says nothing
MANY_PACKETS = 100  # sent while so few arrived: the line carries next to nothing
ESTIMATE_SHARE = 0.5
ESTIMATE_LASTS_S = 2.5  # an estimate that stays low for so long without rising is meant
MAX_ESTIMATE_AGE_S = 5.0  # estimates come about once a second
BUDGET_SHARE = 0.85  # of what the line carries; the rest is sound, headers and repair
SETTLE_S = 1.0  # reports of this time still speak of the layer before
UP_AFTER_S = 5.0  # without trouble
TRIAL_S = 10.0  # trouble within so long after a step up: the step has failed
FIRST_RETRY_S = 10.0
LAST_RETRY_S = 160.0

# Sound alone: the least picture does not get through either.
AUDIO_ONLY_LOST = 0.25
AUDIO_ONLY_SHARE = 0.5
AUDIO_ONLY_AFTER_S = 5.0


class Rung(NamedTuple):
    """A layer that flows, and its measured bitrate."""

    layer: int
    bitrate_bps: int


class _Counted(NamedTuple):
    at_s: float
    packets: int
    lost: int
    sent: int


class LayerSelector:
    """The choice for one receiver.

    Attributes:
        layer: chosen last; None before the first choice, `AUDIO_ONLY` while no picture gets through.
    """

    __slots__ = (
        "_changed_at_s",
        "_counted",
        "_estimate_at_s",
        "_estimate_bps",
        "_estimate_is_low_since_s",
        "_lost",
        "_nacked",
        "_retry_at_s",
        "_retry_s",
        "_starved_since_s",
        "_stepped_up_at_s",
        "_troubled_at_s",
        "_windows",
        "layer",
    )

    def __init__(self) -> None:
        self.layer: int | None = None
        self._lost = 0.0  # share of the last window
        self._windows: deque[tuple[int, int]] = deque(maxlen=LONG_WINDOWS)  # packets and, of them, lost
        self._counted: _Counted | None = None  # when the window began
        self._nacked: set[int] = set()
        self._estimate_bps = 0
        self._estimate_at_s = float("-inf")
        self._estimate_is_low_since_s: float | None = None
        self._starved_since_s: float | None = None
        self._changed_at_s = float("-inf")
        self._stepped_up_at_s = float("-inf")
        self._troubled_at_s = float("-inf")
        self._retry_s = 0.0
        self._retry_at_s = float("-inf")

    # --- what the receiver says ----------------------------------------------------------------------------------

    def handle_nack(self, sequence_numbers: Sequence[int]) -> None:
        """Take what was asked for again; a long queue on the way makes receivers ask often for the same packet."""
        self._nacked.update(sequence_numbers)

    def handle_report(self, packets: int, lost: int, sent: int, now: float) -> None:
        """Take a receiver report, over all streams of the receiver.

        Args:
            packets: expected so far; the extended highest sequence numbers serve as well.
            lost: of them, so far.
            sent: packets that were sent to it so far.
            now: seconds.
        """
        if now - self._changed_at_s < SETTLE_S:
            return
        if self._counted is None or packets < self._counted.packets:
            self._begin_window(packets, lost, sent, now)
            return
        before = self._counted
        window, age_s = packets - before.packets, now - before.at_s
        # Resends hide from a report what the line has lost all the same.
        missing = max(lost - before.lost, len(self._nacked))
        if window < MIN_PACKETS:
            # It may wait in a queue of seconds, or nothing may have been sent.
            window, missing = sent - before.sent, sent - before.sent - window
            if window < MANY_PACKETS and age_s < LONG_WINDOWS * WINDOW_S:
                return
            window = max(window, MANY_PACKETS)
        if age_s < WINDOW_S:
            return
        self._windows.append((window, min(window, max(0, missing))))
        self._lost = self._windows[-1][1] / window
        self._begin_window(packets, lost, sent, now)

    def _begin_window(self, packets: int, lost: int, sent: int, now: float) -> None:
        self._counted = _Counted(now, packets, lost, sent)
        self._nacked.clear()

    def handle_estimate(self, bitrate_bps: int, bitrate_of_layer_bps: int, now: float) -> None:
        """Take a REMB; `bitrate_of_layer_bps` is what the receiver is sent now."""
        is_low = bitrate_bps < ESTIMATE_SHARE * bitrate_of_layer_bps
        is_rising = now - self._estimate_at_s < MAX_ESTIMATE_AGE_S and bitrate_bps > 1.01 * self._estimate_bps
        if not is_low or is_rising:
            self._estimate_is_low_since_s = None
        elif self._estimate_is_low_since_s is None:
            self._estimate_is_low_since_s = now
        self._estimate_bps, self._estimate_at_s = bitrate_bps, now

    # --- the choice ----------------------------------------------------------------------------------------------

    def choose(self, ladder: Sequence[Rung], now: float, *, has_sound: bool = True) -> int | None:
        """The layer to send, `AUDIO_ONLY`, or None while nothing flows and nothing was chosen.

        Args:
            ladder: the layers that flow, the least bitrate first.
            now: seconds.
            has_sound: there is sound that could be sent alone; without, the least layer is the last step.
        """
        if not ladder:
            return self.layer
        place = next((place for place, rung in enumerate(ladder) if rung.layer == self.layer), None)
        if self.layer is None:
            self.layer = ladder[-1].layer
            self._changed_at_s = now
        elif self.layer == AUDIO_ONLY:
            self._leave_audio_only(ladder, now)
        elif place is None:  # it ceased to flow, which is no fault of this line
            self._change(self._fitting(ladder, now).layer, now)
        else:
            self._step(ladder, place, now, has_sound=has_sound)
        return self.layer

    def _step(self, ladder: Sequence[Rung], place: int, now: float, *, has_sound: bool) -> None:
        rung = ladder[place]
        if self._is_in_trouble(now):
            self._troubled_at_s = now
            if self._is_starved(rung, now) and place == 0 and has_sound:
                self._fail(now)
                self._change(AUDIO_ONLY, now)
            elif place > 0:
                self._fail(now)
                below = ladder[:place]
                self._change(self._fitting(below, now, carried_bps=rung.bitrate_bps * (1 - self._lost)).layer, now)
            return
        self._starved_since_s = None
        if place + 1 < len(ladder) and self._may_step_up(now):
            self._change(ladder[place + 1].layer, now)
            self._stepped_up_at_s = now
        elif now - self._stepped_up_at_s >= TRIAL_S and now >= self._retry_at_s:
            self._retry_s = 0.0  # it has held

    def _leave_audio_only(self, ladder: Sequence[Rung], now: float) -> None:
        if self._lost >= LOST_AT_ONCE:
            self._troubled_at_s = now
        if self._may_step_up(now):
            self._change(ladder[0].layer, now)
            self._stepped_up_at_s = now

    def _may_step_up(self, now: float) -> bool:
        calm_since_s = max(self._troubled_at_s, self._changed_at_s)
        return now >= self._retry_at_s and now - calm_since_s >= UP_AFTER_S and self._lost < LOST_FOR_LONG

    def _is_in_trouble(self, now: float) -> bool:
        if self._lost >= LOST_AT_ONCE:
            return True
        if len(self._windows) == LONG_WINDOWS:
            packets, lost = (sum(counts) for counts in zip(*self._windows, strict=True))
            if lost >= LOST_FOR_LONG * packets:
                return True
        low_since_s = self._estimate_is_low_since_s
        return (
            low_since_s is not None
            and now - low_since_s >= ESTIMATE_LASTS_S
            and now - self._estimate_at_s < MAX_ESTIMATE_AGE_S
        )

    def _is_starved(self, rung: Rung, now: float) -> bool:
        """True when the least picture has not got through for long."""
        estimate_bps = self._fresh_estimate_bps(now)
        starved = self._lost >= AUDIO_ONLY_LOST or (
            estimate_bps is not None and estimate_bps < AUDIO_ONLY_SHARE * rung.bitrate_bps
        )
        if not starved:
            self._starved_since_s = None
        elif self._starved_since_s is None:
            self._starved_since_s = now
        return self._starved_since_s is not None and now - self._starved_since_s >= AUDIO_ONLY_AFTER_S

    def _fitting(self, ladder: Sequence[Rung], now: float, carried_bps: float | None = None) -> Rung:
        """The highest rung that fits what the line is known to carry; the lowest when none does."""
        estimate_bps = self._fresh_estimate_bps(now) if self._estimate_is_low_since_s is not None else None
        known = [bps for bps in (estimate_bps, carried_bps) if bps is not None]
        if not known:
            return ladder[-1]
        budget_bps = BUDGET_SHARE * min(known)
        return next((rung for rung in reversed(ladder) if rung.bitrate_bps <= budget_bps), ladder[0])

    def _fresh_estimate_bps(self, now: float) -> int | None:
        return self._estimate_bps if now - self._estimate_at_s < MAX_ESTIMATE_AGE_S else None

    def _fail(self, now: float) -> None:
        """The layer is too much: no step up for a while, for twice as long when the last one has just failed."""
        failed_step = now - self._stepped_up_at_s < TRIAL_S
        self._retry_s = min(2 * self._retry_s, LAST_RETRY_S) if failed_step and self._retry_s else FIRST_RETRY_S
        self._retry_at_s = now + self._retry_s

    def _change(self, layer: int, now: float) -> None:
        self.layer = layer
        self._changed_at_s = now
        self._lost, self._counted = 0.0, None
        self._windows.clear()
        self._estimate_is_low_since_s = None
        self._starved_since_s = None
