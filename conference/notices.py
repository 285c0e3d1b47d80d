"""Which halls are told, and over which of their relays, that they should fetch their assignment again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from conference.events import Event, HallAssigned, PresenceObserved
from conference.roster import HallSeat
from conference.state import State
from relay.messages import PresenceDelta, Register, SessionOpened

# Reasons that come from the coordinator and not from the hall's own request: only these need to be told to the hall.
TOLD_REASONS = frozenset({"relay_lost", "assignment", "backup_wanted", "ordered"})
# A hall that was told to go elsewhere and did not say that it went is told again: a notice is lost with its session.
REMIND_AFTER_MS = 5_000

Notices = dict[str, list[str]]
"""Halls by relay."""


def notices_of(state: State | None, events: Iterable[Event]) -> Notices:
    """What to tell after durable events.

    A hall hears of it over the sessions that it has: at its relays, old or new, and at the one that it is to leave,
    which the state knows, where there is one at the moment. Who had none when it was given other relays, because it was
    still about to connect, shows by where it begins to play that it does not know, and is told there.
    """
    told: dict[str, dict[str, None]] = {}
    for event in events:
        if isinstance(event, HallAssigned) and event.reason in TOLD_REASONS:
            seat = None if state is None else state.seat(event.conference_id, event.hall_id)
            for relay_id in (event.primary, event.backup, "" if seat is None else seat.leaving):
                told.setdefault(relay_id, {})[event.hall_id] = None
        elif isinstance(event, PresenceObserved) and state is not None:
            for session, seat in _opened(state, event.deltas):
                if _is_elsewhere(seat, event.relay_id):
                    told.setdefault(event.relay_id, {})[session.subject] = None
    return {relay_id: list(hall_ids) for relay_id, hall_ids in told.items() if relay_id}


def strayed_of(state: State, register: Register) -> Notices:
    """What to tell over a relay that registers: halls that play there, and were given another assignment since.

    So are those told that play there although it is none of their relays.
    """
    strayed = {
        session.subject: None
        for session, seat in _opened(state, register.sessions)
        if seat.assigned_at_ms > session.at_ms or _is_elsewhere(seat, register.relay_id)
    }
    return {register.relay_id: list(strayed)} if strayed else {}


def _opened(state: State, deltas: Iterable[PresenceDelta]) -> Iterator[tuple[SessionOpened, HallSeat]]:
    """The sessions that were opened by halls that have a seat."""
    for delta in deltas:
        if isinstance(delta, SessionOpened):
            seat = state.seat(delta.conference, delta.subject)
            if seat is not None and not seat.left:
                yield delta, seat


def _is_elsewhere(seat: HallSeat, relay_id: str) -> bool:
    """Whether a relay is none of those that a hall may play from."""
    return relay_id not in (seat.primary, seat.backup, seat.leaving)


def reminders_of(state: State, now_ms: int) -> Notices:
    """What to tell again to halls that were sent elsewhere a while ago."""
    told: Notices = {}
    for conference_id, hall_id in sorted(state.ledger.leaving):
        seat = state.conferences[conference_id].seats[hall_id]
        if seat.assigned_at_ms + REMIND_AFTER_MS <= now_ms:
            for relay_id in (seat.leaving, seat.primary):
                told.setdefault(relay_id, []).append(hall_id)
    return told
