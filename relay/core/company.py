"""Sound and picture of a feed that leave together: whichever is ready first waits a little for the other.

A peer takes both from one address (BUNDLE, RFC 8843), so that a packet of sound can ride behind a burst of video in one
send, which costs a tenth of a send of its own. It waits only when the other is due within the longest wait, by the
rhythm that it has kept so far, and never where a relay takes the feed: what each hop adds would add up.
"""

from __future__ import annotations

from typing import Protocol

from relay.core.inbound import Kind
from relay.fanout.interface import Tail

LATE_S = 0.004  # sources and machines that are busy are late by about as much; who is later will not come
MIN_GAP_S = 0.004  # what comes sooner belongs to the one before
MAX_GAP_S = 0.25  # what pauses so long keeps no rhythm
_SMOOTHING = 8  # gaps


class Companion(Protocol):
    """One track of the feed."""

    def waits_for_company(self) -> bool:
        """Whether something is ready, and waits."""
        ...

    def leave(self, now: float) -> None:
        """Send what waits."""
        ...

    def give_tail(self, now: float) -> Tail | None:
        """Give away what waits, if it is one packet; whoever takes it sends it."""
        ...


class Rhythm:
    """When a track is ready: the last time, and the mean gap between two times."""

    __slots__ = ("_gap_s", "_last_s")

    def __init__(self) -> None:
        self._last_s = float("-inf")
        self._gap_s = 0.0

    def beat(self, now: float) -> None:
        """It is ready now."""
        gap_s = now - self._last_s
        if gap_s < MIN_GAP_S:
            return
        self._last_s = now
        if gap_s > MAX_GAP_S:
            self._gap_s = 0.0
        elif not self._gap_s:
            self._gap_s = gap_s
        else:
            self._gap_s += (gap_s - self._gap_s) / _SMOOTHING

    def wait_until(self, now: float, hold_s: float) -> float:
        """Until when it is worth waiting for the next time; 0 if it is not."""
        expected_s = self._last_s + self._gap_s
        if not self._gap_s or not expected_s - hold_s <= now <= expected_s + LATE_S:
            return 0.0
        return min(now + hold_s, expected_s + LATE_S)


class Company:
    """The tracks of one feed.

    Attributes:
        links: outputs to relays; while there are any, nobody waits.
    """

    def __init__(self, hold_s: float = 0.0) -> None:
        """Make a company of nobody.

        Args:
            hold_s: the longest wait; 0 for none at all.
        """
        self.links = 0
        self._hold_s = hold_s
        self._members: dict[Kind, list[Companion]] = {"audio": [], "video": []}
        self._rhythms: dict[Kind, list[Rhythm]] = {"audio": [], "video": []}

    def join(self, kind: Kind, companion: Companion) -> Rhythm:
        """A track is one of them; each layer of a picture is a track. Returns its rhythm."""
        rhythm = Rhythm()
        self._members[kind].append(companion)
        self._rhythms[kind].append(rhythm)
        return rhythm

    def wait_until(self, kind: Kind, rhythm: Rhythm, now: float) -> float:
        """A track that somebody takes is ready. Returns until when it is to wait; 0 to leave at once."""
        rhythm.beat(now)
        if not self._hold_s or self.links:
            return 0.0
        other: Kind = "video" if kind == "audio" else "audio"
        if self._waiting(other) is not None:
            return now + self._hold_s if kind == "audio" else 0.0  # both leave now, sound behind picture
        return max((found.wait_until(now, self._hold_s) for found in self._rhythms[other]), default=0.0)

    def handle_audio(self, now: float) -> None:
        """Sound is there: a picture that waits for it leaves."""
        waiting = self._waiting("video")
        if waiting is not None:
            waiting.leave(now)

    def take_tail(self, now: float) -> Tail | None:
        """The packet of sound that waits, to ride behind a picture."""
        waiting = self._waiting("audio")
        return waiting.give_tail(now) if waiting is not None else None

    def _waiting(self, kind: Kind) -> Companion | None:
        for companion in self._members[kind]:
            if companion.waits_for_company():
                return companion
        return None
