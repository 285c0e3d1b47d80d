"""What is missing of one track, and when to ask for it (generic NACK, RFC 4585 section 6.2.1).

Memory is bounded: at most `WINDOW_PACKETS` packets are remembered as missing, each for a second at most.
"""

from __future__ import annotations

REORDER_TOLERANCE_S = 0.010  # reordering on a path is mostly shorter; a NACK for what comes anyway costs twice
MIN_RETRY_S = 0.040  # a repeat sooner than a round trip asks for what is already on its way
MAX_TRIES = 10
MAX_AGE_S = 1.0  # what comes later is later than its place in a decoder's buffer
WINDOW_PACKETS = 1024  # what a sender keeps for resending is about as much
MAX_GAP_PACKETS = 512  # beyond, a keyframe is cheaper than the repair
MAX_NACKS_PER_POLL = 250  # scattered ones take four octets each: a thousand octets of RTCP


class _Missing:
    __slots__ = ("next_at", "since", "tries")

    def __init__(self, since: float) -> None:
        self.since = since
        self.next_at = since + REORDER_TOLERANCE_S
        self.tries = 0


class NackRegister:
    """Missing packets of one track, whichever of its sources brings the others.

    Attributes:
        rtt_s: round trip to the sender, as far as it is known; retries keep this distance.
        lost: packets that were given up.
        recovered: packets that came after they had been asked for.
        reordered: packets that came late without having been asked for.
    """

    def __init__(self, *, rtt_s: float = 0.0) -> None:
        self.rtt_s = rtt_s
        self.lost = 0
        self.recovered = 0
        self.reordered = 0
        self._highest = -1
        self._missing: dict[int, _Missing] = {}
        self._keyframe_wanted = False

    def handle_packet(self, index: int, now: float) -> None:
        """Take the index of a packet that arrived."""
        if index > self._highest:
            if self._highest >= 0:
                self._open_gap(index, now)
            self._highest = index
            return
        missing = self._missing.pop(index, None)
        if missing is None:
            return
        if missing.tries:
            self.recovered += 1
        else:
            self.reordered += 1

    @property
    def is_waiting(self) -> bool:
        """True while something is missing: `poll` may have something to do."""
        return bool(self._missing)

    def poll(self, now: float) -> list[int]:
        """Sequence numbers (16 bits) to ask for now, oldest first; those that are too old are given up."""
        due: list[int] = []
        given_up: list[int] = []
        retry_s = max(self.rtt_s, MIN_RETRY_S)
        for index, missing in self._missing.items():
            if now - missing.since >= MAX_AGE_S:
                given_up.append(index)
            elif now >= missing.next_at:
                if missing.tries == MAX_TRIES:
                    given_up.append(index)
                    continue
                if len(due) == MAX_NACKS_PER_POLL:
                    break
                missing.tries += 1
                missing.next_at = now + retry_s
                due.append(index & 0xFFFF)
        for index in given_up:
            del self._missing[index]
        self.lost += len(given_up)
        return due

    def next_deadline(self) -> float | None:
        """When `poll` has something to do; None while nothing is missing."""
        return min(
            (min(missing.next_at, missing.since + MAX_AGE_S) for missing in self._missing.values()), default=None
        )

    def forget(self) -> None:
        """Give up what is missing: whoever had it is gone."""
        self.lost += len(self._missing)
        self._missing.clear()

    def take_keyframe_wanted(self) -> bool:
        """True once after a gap that is too wide to repair."""
        wanted, self._keyframe_wanted = self._keyframe_wanted, False
        return wanted

    def _open_gap(self, index: int, now: float) -> None:
        gap = index - self._highest - 1
        if gap > MAX_GAP_PACKETS:
            self.lost += gap + len(self._missing)
            self._missing.clear()
            self._keyframe_wanted = True
            return
        for missing in range(self._highest + 1, index):
            self._missing[missing] = _Missing(now)
        # The dictionary is in order of index, so that what falls out of the window stands in front.
        while self._missing and (oldest := next(iter(self._missing))) <= index - WINDOW_PACKETS:
            del self._missing[oldest]
            self.lost += 1
