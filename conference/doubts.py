"""What halls said of relays by leaving them, as records of the state: the part of `conference.state.apply` about that.

When a relay is to be suspected, `conference.suspicion` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from conference.events import RelayCleared, RelaySuspected
from conference.ordering import renew_mode

if TYPE_CHECKING:
    from conference.state import State

FIRST_MS = 30_000  # an operator can have looked by then, and a fault of a moment is over
MAX_MS = 600_000
FORGET_MS = 3_600_000
_DOUBLINGS = 10  # beyond the limit by far; keeps the power small


class Suspicion(msgspec.Struct, frozen=True, kw_only=True):
    """One relay under suspicion, or some time after that.

    Attributes:
        since_ms: when it was suspected.
        until_ms: when it is tried again; when that was, once it is not active.
        left: of its halls, those that left it because nothing came.
        halls: that it had.
        times: how often it was suspected, one time soon after the other.
        is_active: it is suspected now.
    """

    since_ms: int
    until_ms: int
    left: int
    halls: int
    times: int
    is_active: bool = True


def hold_ms(before: Suspicion | None, now_ms: int) -> int:
    """How long a relay is suspected from now on: twice as long each time, unless the last time was long ago."""
    return int(min(MAX_MS, FIRST_MS * 2 ** min(_times(before, now_ms), _DOUBLINGS)))


def apply_doubt(state: State, event: RelaySuspected | RelayCleared, at_ms: int) -> None:
    """Fold a verdict into the state, in place."""
    if isinstance(event, RelayCleared):
        end_suspicion(state, event.relay_id, at_ms)
        return
    state.suspicions[event.relay_id] = Suspicion(
        since_ms=at_ms,
        until_ms=event.until_ms,
        left=event.left,
        halls=event.halls,
        times=_times(state.suspicions.get(event.relay_id), at_ms) + 1,
    )
    renew_mode(state, event.relay_id)


def end_suspicion(state: State, relay_id: str, at_ms: int) -> None:
    """The relay is tried again; how often it was suspected stays known for a while."""
    if state.is_suspected(relay_id):
        suspicion = state.suspicions[relay_id]
        state.suspicions[relay_id] = msgspec.structs.replace(suspicion, is_active=False, until_ms=at_ms)
        renew_mode(state, relay_id)


def _times(before: Suspicion | None, now_ms: int) -> int:
    return 0 if before is None or now_ms - before.until_ms > FORGET_MS else before.times
