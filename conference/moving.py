"""The mover: which halls are moved now, because operators ordered it. Pure; time is an argument.

What is to be done is in the state (`SeatLedger.misplaced`), what was done is in the journal; here is only the pace, so
that a coordinator that starts anew, or another one, goes on where the last one stopped.

A move is made before the old link is broken: the new seat is charged when it is assigned, and the seat at the relay
that the hall plays from stays charged until the hall says that it went, or was silent for `Policy.move_patience_ms`. So
no relay is asked for more than its hard limit, whichever of its two sessions a hall holds. A standby is sent nothing:
its seat is free at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from conference.assignment import move
from conference.events import HallAssigned, HallReleased
from conference.ledger import SeatKey
from conference.roster import HallSeat
from conference.state import State

# Time that a hall needs to follow: a drain gives its last order so long before its deadline.
MARGIN_MS = 3_000
# What was not used of the pace in so long is lost: halls do not all come at once after a pause.
_BURST_S = 0.25
# The order of the queue is a second old at most; one that has run out, because too many were on their way to the same
# relays, is filled again sooner.
_REBUILD_MS = 1_000
_REFILL_MS = 200
# Halls without room cost a search each: so many in one step for each hall that may be moved, and none twice in so long.
_TRIES = 4
_RETRY_MS = 3_000
_NEVER = float("inf")


class Mover:
    """The pace of moves, over one state."""

    def __init__(self) -> None:
        self._allowance = 0.0  # halls that may be moved now by the common pace
        self._extra = 0.0  # and beside them of those whose deadline needs more than that
        self._at_ms = 0
        self._queue: list[SeatKey] = []
        self._queued_at_ms = 0
        self._in_vain: dict[SeatKey, int] = {}

    def next_events(self, state: State, now_ms: int) -> Iterator[HallAssigned | HallReleased]:
        """The moves that are due. Each event must be applied before the next is asked for.

        Args:
            state: read; what is decided next sees what was decided before.
            now_ms: milliseconds since the epoch; a call every tenth of a second spreads halls well.
        """
        yield from _released(state, now_ms)
        if not state.ledger.misplaced:
            self._at_ms = now_ms
            return
        urgent = _deadlines(state)
        self._refill(state, urgent, now_ms)
        under_way = Counter(_seat(state, key).primary for key in state.ledger.leaving)
        for _ in range(int(self._allowance + self._extra) * _TRIES):
            key = self._next_key(state, urgent, now_ms)
            if key is None:
                return
            seat = _seat(state, key)
            deadline_ms = _deadline(urgent, seat)
            is_hurried = self._extra >= 1 and deadline_ms < _NEVER
            limit = len(state.halls) if deadline_ms < now_ms + MARGIN_MS else state.policy.moves_at_once
            if (self._allowance < 1 and not is_hurried) or under_way[seat.wanted or seat.backup] >= limit:
                continue
            event = move(state, key)
            if event is None:
                self._in_vain[key] = now_ms
            elif event.primary == seat.primary or under_way[event.primary] < limit:
                under_way[event.primary] += event.primary != seat.primary
                self._extra -= is_hurried
                self._allowance -= not is_hurried
                self._in_vain.pop(key, None)
                yield event

    def _refill(self, state: State, urgent: dict[str, int], now_ms: int) -> None:
        """Earn what the pace gives, and what deadlines need beyond it."""
        ledger, needed = state.ledger, 0.0
        for relay_id, deadline_ms in urgent.items():
            # Those without room would only make others faster than they need be.
            left = (ledger.seats_on.get(relay_id, set()) & ledger.misplaced) - self._in_vain.keys()
            needed += 1000 * len(left) / max(1, deadline_ms - MARGIN_MS - now_ms)
        elapsed_s = min(_BURST_S, max(0, now_ms - self._at_ms) / 1000)
        per_s = state.policy.moves_per_s
        self._allowance = min(max(1.0, per_s * _BURST_S), self._allowance + per_s * elapsed_s)
        extra_per_s = max(0.0, needed - per_s)
        self._extra = min(extra_per_s * _BURST_S + 1.0, self._extra + extra_per_s * elapsed_s) if extra_per_s else 0.0
        self._at_ms = now_ms

    def _next_key(self, state: State, urgent: dict[str, int], now_ms: int) -> SeatKey | None:
        if not 0 <= now_ms - self._queued_at_ms < (_REBUILD_MS if self._queue else _REFILL_MS):
            self._fill_queue(state, urgent, now_ms)
        ledger = state.ledger
        while self._queue:
            key = self._queue.pop()
            if key in ledger.misplaced and key not in ledger.leaving:
                return key
        return None

    def _fill_queue(self, state: State, urgent: dict[str, int], now_ms: int) -> None:
        """Those not tried yet come first, then by deadline; the last of the list is the next."""
        ledger = state.ledger
        self._in_vain = {key: at_ms for key, at_ms in self._in_vain.items() if key in ledger.misplaced}
        tried = {key for key, at_ms in self._in_vain.items() if 0 <= now_ms - at_ms < _RETRY_MS}
        self._queue = sorted(
            ledger.misplaced - ledger.leaving - tried,
            key=lambda key: (self._in_vain.get(key, 0), _deadline(urgent, _seat(state, key)), key),
            reverse=True,
        )
        self._queued_at_ms = now_ms


def _released(state: State, now_ms: int) -> Iterator[HallReleased]:
    """Seats of halls that were moved long enough ago, and did not say that they went."""
    before_ms = now_ms - state.policy.move_patience_ms
    for key in sorted(key for key in state.ledger.leaving if _seat(state, key).assigned_at_ms <= before_ms):
        yield HallReleased(conference_id=key[0], hall_id=key[1], relay_id=_seat(state, key).leaving)


def _deadlines(state: State) -> dict[str, int]:
    """When relays that are drained are to be empty."""
    return {
        relay_id: order.deadline_ms
        for relay_id, order in state.orders.relays.items()
        if order.mode == "draining" and order.deadline_ms
    }


def _deadline(urgent: dict[str, int], seat: HallSeat) -> float:
    """The earlier deadline of a hall's relays; infinity without one."""
    return min(urgent.get(seat.primary, _NEVER), urgent.get(seat.backup, _NEVER))


def _seat(state: State, key: SeatKey) -> HallSeat:
    return state.conferences[key[0]].seats[key[1]]
