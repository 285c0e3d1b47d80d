"""The rules of operators' orders: how relays serve, which halls are moved, who may join, how full a relay may be.

Each order carries its reason; who gave it and when are in its record. One that would change nothing gives no events.
What an order takes time for is not done here: it stands in the state, and `conference.moving` carries it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

import msgspec

from conference.assignment import Draft
from conference.commands import (
    ChangeLimits,
    ExcludeRelays,
    MoveHalls,
    OrderRelay,
    PauseJoins,
    PinHall,
    ResumeJoins,
)
from conference.errors import RejectedError
from conference.events import (
    Event,
    HallPinned,
    HallsExcluded,
    HallsOrdered,
    JoinsPaused,
    JoinsResumed,
    LimitsChanged,
    RelayCleared,
    RelayModeChanged,
)
from conference.lookup import conference_of, hall_of, relay_of, unit_of
from conference.orders import EVERYTHING, Limits
from conference.planner.loads import SEAT_MILLISEATS, open_for_halls
from conference.roster import HallSeat, RelayState
from conference.state import State

MAX_REASON_CHARACTERS = 500
MAX_DEADLINE_MS = 7 * 86_400_000  # an order that stands for longer than a week is no drain
MAX_RETRY_AFTER_S = 3_600
MAX_PINS = 2  # a primary and a backup
MAX_EXCLUDED_RELAYS = 1_000
MAX_HALLS = 200_000
# So many ids stand in a refusal; the others are counted.
_SHOWN = 5

OrderCommand = OrderRelay | MoveHalls | PinHall | ExcludeRelays | PauseJoins | ResumeJoins | ChangeLimits


def decide_order(state: State, command: OrderCommand, now_ms: int) -> list[Event]:
    """Decide an operator's order; see `conference.decide.decide`."""
    if not command.reason.strip() or len(command.reason) > MAX_REASON_CHARACTERS:
        raise RejectedError("bad_reason", f"say why, in 1 to {MAX_REASON_CHARACTERS} characters", status=422)
    events: list[Event]
    match command:
        case OrderRelay():
            events = _order_relay(state, command, now_ms)
        case MoveHalls():
            events = _move_halls(state, command)
        case PinHall():
            events = _pin(state, command)
        case ExcludeRelays():
            events = _exclude(state, command)
        case PauseJoins():
            events = _pause(state, command)
        case ResumeJoins():
            events = _resume(state, command)
        case ChangeLimits():
            events = _change_limits(state, command)
        case _:
            assert_never(command)
    return events


def _order_relay(state: State, command: OrderRelay, now_ms: int) -> list[Event]:
    relay = relay_of(state, command.relay_id)
    deadline_ms = command.deadline_ms
    if deadline_ms and (command.mode != "draining" or not now_ms < deadline_ms <= now_ms + MAX_DEADLINE_MS):
        raise RejectedError("bad_deadline", "a drain's deadline is later than now, and within a week", status=422)
    order = state.orders.relays.get(relay.relay_id)
    present = ("open", 0) if order is None else (order.mode, order.deadline_ms)
    cleared: list[Event] = []
    if command.mode == "open" and state.is_suspected(relay.relay_id):
        cleared = [RelayCleared(relay_id=relay.relay_id, reason="operator")]
    if present == (command.mode, deadline_ms):
        return cleared
    changed = RelayModeChanged(
        relay_id=relay.relay_id, mode=command.mode, deadline_ms=deadline_ms, reason=command.reason
    )
    if command.mode != "evacuating" or not relay.live:
        return [changed, *cleared]
    draft = Draft(state, virtual=relay.virtual)
    draft.evacuate(relay.relay_id)
    return [changed, *draft.settle_all(sorted(state.ledger.seats_on.get(relay.relay_id, ())), "ordered")]


def _move_halls(state: State, command: MoveHalls) -> list[Event]:
    if bool(command.hall_ids) == bool(command.unit) or len(command.hall_ids) > MAX_HALLS:
        raise RejectedError("bad_halls", f"name a unit, or 1 to {MAX_HALLS} halls", status=422)
    if command.to and command.to == command.away:
        raise RejectedError("bad_target", "a hall cannot go to the relay that it is to leave", status=422)
    if command.away:
        relay_of(state, command.away)
    hall_ids = _halls_under(state, command.unit) if command.unit else command.hall_ids
    if command.unit and command.to:
        # In a unit both kinds may stand side by side; those of the relay's kind are meant.
        virtual = relay_of(state, command.to).virtual
        hall_ids = [hall_id for hall_id in hall_ids if state.halls[hall_id].virtual == virtual]
    found = [(hall_id, seat) for hall_id in dict.fromkeys(hall_ids) for seat in _seats(state, hall_id)]
    if not command.unit:
        seated = {hall_id for hall_id, _ in found}
        missing = [hall_id for hall_id in command.hall_ids if hall_of(state, hall_id).hall_id not in seated]
        if missing:
            raise RejectedError("not_joined", f"not in a conference now: {_list(missing)}")
    if command.to:
        _check_target(state, relay_of(state, command.to), found)
    changed = dict.fromkeys(
        hall_id for hall_id, seat in found if (seat.wanted, seat.unwanted) != seat.ordered(command.to, command.away)
    )
    if not changed:
        return []
    subject = command.unit or (command.hall_ids[0] if len(command.hall_ids) == 1 else "")
    return [
        HallsOrdered(hall_ids=list(changed), subject=subject, to=command.to, away=command.away, reason=command.reason)
    ]


def _check_target(state: State, relay: RelayState, found: list[tuple[str, HallSeat]]) -> None:
    """Refuse a move that could not be carried out: all of the halls find room at the relay, or none is moved."""
    if not relay.live:
        raise RejectedError("relay_lost", f"relay {relay.relay_id} is lost")
    if relay.load.is_closed:
        raise RejectedError("relay_closed", f"relay {relay.relay_id} takes no halls: it is {relay.load.mode}")
    if relay.load not in open_for_halls(state.ledger.pools[relay.virtual].loads):
        raise RejectedError("relay_role", f"relay {relay.relay_id} is an origin, and halls go to edges")
    needed = 0
    for hall_id, seat in found:
        _check_kind(state, hall_id, relay)
        wish = state.wish(hall_id)
        if relay.relay_id in wish.exclude:
            raise RejectedError("relay_excluded", f"hall {hall_id} must not be on relay {relay.relay_id}")
        if relay.relay_id not in (seat.primary, seat.backup):
            needed += wish.milliseats
    room = max(0, relay.load.limit_milliseats - relay.load.charged_milliseats)
    if needed > room:
        raise RejectedError(
            "no_room",
            f"relay {relay.relay_id} has room for {room // SEAT_MILLISEATS} halls more, "
            f"and {-(-needed // SEAT_MILLISEATS)} were to come",
        )


def _pin(state: State, command: PinHall) -> list[Event]:
    hall = hall_of(state, command.hall_id)
    pins = command.relay_ids
    if len(pins) > MAX_PINS or len(set(pins)) != len(pins):
        raise RejectedError("bad_pins", "a hall is pinned to one relay, or to two different ones", status=422)
    exclude = state.excluded(hall.hall_id)
    for relay_id in pins:
        _check_kind(state, hall.hall_id, relay_of(state, relay_id))
        if relay_id in exclude:
            raise RejectedError("relay_excluded", f"hall {hall.hall_id} must not be on relay {relay_id}")
    if state.orders.pins.get(hall.hall_id, ()) == pins:
        return []
    events: list[Event] = [HallPinned(hall_id=hall.hall_id, relay_ids=pins, reason=command.reason)]
    for seat in _seats(state, hall.hall_id):
        to = pins[0] if pins and pins[0] != seat.primary else ""
        away = seat.backup if len(pins) > 1 and seat.backup not in ("", *pins) else ""
        if seat.ordered(to, away) != (seat.wanted, seat.unwanted):
            events.append(
                HallsOrdered(hall_ids=[hall.hall_id], subject=hall.hall_id, to=to, away=away, reason=command.reason)
            )
            break
    return events


def _exclude(state: State, command: ExcludeRelays) -> list[Event]:
    unit = state.units.get(command.subject)
    if command.subject not in state.halls and (unit is None or unit.parent):
        raise RejectedError(
            "unknown_subject", f"{command.subject[:64]!r} is neither a hall nor a unit without a parent", status=404
        )
    relay_ids = sorted(set(command.relay_ids))
    if len(relay_ids) > MAX_EXCLUDED_RELAYS:
        raise RejectedError("bad_relays", f"at most {MAX_EXCLUDED_RELAYS} relays are excluded", status=422)
    for relay_id in relay_ids:
        relay_of(state, relay_id)
    if state.orders.exclusions.get(command.subject, []) == relay_ids:
        return []
    return [HallsExcluded(subject=command.subject, relay_ids=relay_ids, reason=command.reason)]


def _pause(state: State, command: PauseJoins) -> list[Event]:
    if command.conference_id != EVERYTHING:
        conference_of(state, command.conference_id)
    if not 1 <= command.retry_after_s <= MAX_RETRY_AFTER_S:
        raise RejectedError("bad_retry_after", f"retry_after_s is between 1 and {MAX_RETRY_AFTER_S}", status=422)
    pause = state.orders.pauses.get(command.conference_id)
    if pause is not None and pause.retry_after_s == command.retry_after_s:
        return []
    return [
        JoinsPaused(conference_id=command.conference_id, retry_after_s=command.retry_after_s, reason=command.reason)
    ]


def _resume(state: State, command: ResumeJoins) -> list[Event]:
    if command.conference_id not in state.orders.pauses:
        if command.conference_id != EVERYTHING:
            conference_of(state, command.conference_id)
        return []
    return [JoinsResumed(conference_id=command.conference_id, reason=command.reason)]


def _change_limits(state: State, command: ChangeLimits) -> list[Event]:
    soft, hard = command.soft_limit, command.hard_limit
    takes_back = soft == hard == 0
    if not takes_back and not 0 < soft <= hard <= 1:
        raise RejectedError("bad_limits", "0 < soft_limit <= hard_limit <= 1, or both 0", status=422)
    if command.relay_id != EVERYTHING:
        relay_of(state, command.relay_id)
    limits = dict(state.orders.limits)
    limits.pop(command.relay_id, None)
    if not takes_back:
        limits[command.relay_id] = Limits(soft=soft, hard=hard)
    if limits == state.orders.limits:
        return []
    after = msgspec.structs.replace(state.orders, limits=limits)
    overfull = [
        relay.relay_id
        for relay in state.relays.values()
        if after.seats(relay.relay_id, relay.capacity, state.policy)[1] * SEAT_MILLISEATS
        < min(relay.load.charged_milliseats, relay.load.hard_seats * SEAT_MILLISEATS)
    ]
    if overfull:
        raise RejectedError(
            "limits_below_charged",
            f"more than that is charged already to {_list(overfull)}; move halls away first",
        )
    return [LimitsChanged(relay_id=command.relay_id, soft_limit=soft, hard_limit=hard, reason=command.reason)]


def _seats(state: State, hall_id: str) -> Iterator[HallSeat]:
    """The hall's charged seats, one for each conference that it is in."""
    for conference in state.conferences.values():
        seat = conference.seats.get(hall_id)
        if conference.joinable and seat is not None and not seat.left:
            yield seat


def _halls_under(state: State, unit: str) -> list[str]:
    """Halls of a unit and of everything under it, by id."""
    unit_of(state, unit)
    inside = {unit: True}

    def is_inside(code: str) -> bool:
        known = inside.get(code)
        if known is None:
            above = state.units.get(code)
            inside[code] = False  # ends the walk where old data holds a cycle
            known = inside[code] = above is not None and bool(above.parent) and is_inside(above.parent)
        return known

    return [hall_id for hall_id in sorted(state.halls) if is_inside(state.halls[hall_id].unit)]


def _check_kind(state: State, hall_id: str, relay: RelayState) -> None:
    if state.halls[hall_id].virtual != relay.virtual:
        raise RejectedError("relay_kind", f"hall {hall_id} cannot be on {relay.relay_id}: one of them is virtual")


def _list(names: list[str]) -> str:
    shown = ", ".join(name[:64] for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
