"""The phases of a conference and the moves between them, as data.

draft (soạn thảo) → open (mở cổng) → rehearsal (tổng duyệt) → live (đang họp) → ended (đã kết thúc).
"""

from __future__ import annotations

from typing import Literal, get_args

# A dress rehearsal (tổng duyệt) is a conference of its own, with presence and pre-checks of its own.
ConferenceKind = Literal["conference", "rehearsal"]
Phase = Literal["draft", "open", "rehearsal", "live", "ended"]
PHASES: tuple[Phase, ...] = get_args(Phase)

# A rehearsal may be repeated or left out; an opened conference may be ended without having been live (cancelled).
TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    "draft": frozenset({"open"}),
    "open": frozenset({"rehearsal", "live", "ended"}),
    "rehearsal": frozenset({"open", "live", "ended"}),
    "live": frozenset({"ended"}),
    "ended": frozenset(),
}

# Halls may join from `open` on, an hour before the start, and stay until the end.
JOINABLE: frozenset[Phase] = frozenset({"open", "rehearsal", "live"})


def can_move(current: Phase, target: Phase) -> bool:
    """Say whether a conference in phase `current` may go to `target`."""
    return target in TRANSITIONS[current]
