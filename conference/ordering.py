"""What operators' orders change in the state: the part of `conference.state.apply` that is about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, assert_never

from conference.events import (
    HallPinned,
    HallsExcluded,
    HallsOrdered,
    JoinsPaused,
    JoinsResumed,
    LimitsChanged,
    OrderEvent,
    RelayModeChanged,
)
from conference.ledger import SeatKey
from conference.orders import Limits, Operation, Pause, RelayOrder
from conference.planner.loads import RelayMode
from conference.roster import HallSeat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sized

    from conference.state import State

T = TypeVar("T", bound="Sized")


def apply_order(state: State, event: OrderEvent, at_ms: int, actor: str) -> None:
    """Fold one order into the state, in place."""
    match event:
        case RelayModeChanged():
            subject, detail = event.relay_id, str(event.mode)
            _change_mode(state, event, at_ms)
        case HallsOrdered():
            subject, detail = event.subject, _words(len(event.hall_ids), to=event.to, away=event.away)
            for key, seat in _seats_of(state, event.hall_ids):
                seat.wanted, seat.unwanted = seat.ordered(event.to, event.away)
                state.ledger.review(key, seat)
        case HallPinned():
            subject, detail = event.hall_id, " ".join(event.relay_ids)
            _put(state.orders.pins, event.hall_id, event.relay_ids)
        case HallsExcluded():
            subject, detail = event.subject, " ".join(event.relay_ids)
            _put(state.orders.exclusions, event.subject, list(event.relay_ids))
            concerned = [hall_id for hall_id, region in state.provinces.items() if event.subject in (hall_id, region)]
            for key, seat in _seats_of(state, concerned):
                state.ledger.review(key, seat)
        case JoinsPaused():
            subject, detail = event.conference_id, f"retry_after_s {event.retry_after_s}"
            pause = Pause(at_ms=at_ms, retry_after_s=event.retry_after_s, reason=event.reason)
            state.orders.pauses[event.conference_id] = pause
        case JoinsResumed():
            subject, detail = event.conference_id, ""
            state.orders.pauses.pop(event.conference_id, None)
        case LimitsChanged():
            subject, detail = event.relay_id, f"soft {event.soft_limit:g}, hard {event.hard_limit:g}"
            _change_limits(state, event)
        case _:
            assert_never(event)
    action = str(type(event).__struct_config__.tag)
    state.orders.note(
        Operation(at_ms=at_ms, actor=actor, action=action, subject=subject, detail=detail, reason=event.reason)
    )


def _change_mode(state: State, event: RelayModeChanged, at_ms: int) -> None:
    """What operators want of a relay."""
    relay_id = event.relay_id
    if event.mode == "open":
        state.orders.relays.pop(relay_id, None)
    else:
        state.orders.relays[relay_id] = RelayOrder(
            mode=event.mode, at_ms=at_ms, deadline_ms=event.deadline_ms, reason=event.reason
        )
    renew_mode(state, relay_id)


def mode_of(state: State, relay_id: str) -> RelayMode:
    """How a relay serves: as operators want it, but one that is suspected is emptied."""
    ordered = state.orders.mode(relay_id)
    return "draining" if ordered in ("open", "cordoned") and state.is_suspected(relay_id) else ordered


def renew_mode(state: State, relay_id: str) -> None:
    """How a relay serves has changed, and with it the tree and what its halls are to do."""
    relay = state.relays.get(relay_id)
    if relay is None:
        return
    relay.load.mode = mode_of(state, relay_id)
    for conference_id, hall_id in state.ledger.seats_on.get(relay_id, ()):
        state.ledger.review((conference_id, hall_id), state.conferences[conference_id].seats[hall_id])
    state.ledger.replan({relay.virtual})


def _change_limits(state: State, event: LimitsChanged) -> None:
    orders = state.orders
    if event.hard_limit:
        orders.limits[event.relay_id] = Limits(soft=event.soft_limit, hard=event.hard_limit)
    else:
        orders.limits.pop(event.relay_id, None)
    for relay in state.relays.values():
        relay.load.soft_seats, relay.load.hard_seats = orders.seats(relay.relay_id, relay.capacity, state.policy)
    state.ledger.replan((False, True))


def _put(orders: dict[str, T], subject: str, relay_ids: T) -> None:
    """Let an order stand; one without relays takes it back."""
    if relay_ids:
        orders[subject] = relay_ids
    else:
        orders.pop(subject, None)


def _seats_of(state: State, hall_ids: Iterable[str]) -> Iterator[tuple[SeatKey, HallSeat]]:
    """Charged seats of halls, in every conference that is on."""
    on = [conference for conference in state.conferences.values() if conference.joinable]
    for hall_id in hall_ids:
        for conference in on:
            seat = conference.seats.get(hall_id)
            if seat is not None and not seat.left:
                yield (conference.conference_id, hall_id), seat


def _words(halls: int, *, to: str, away: str) -> str:
    parts = [f"{halls} halls", f"to {to}" if to else "", f"away from {away}" if away else ""]
    return ", ".join(part for part in parts if part) if to or away else f"{halls} halls may stay"
