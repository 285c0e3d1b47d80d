"""`/api/v1/{relays,halls,joins,limits,orders,operations}`: what operators order, what stands, and who ordered it.

An order is answered as soon as it is durable. What takes time (halls that move) is carried out after that, and is read
from `GET /api/v1/relays/{relay_id}` and `GET /api/v1/orders`.
"""

from __future__ import annotations

import msgspec

from conference.access import Role
from conference.api.routing import MAX_BODY_BYTES, Call, Handler, Route
from conference.assignment import halls_without_room
from conference.commands import (
    ChangeLimits,
    ExcludeRelays,
    MoveHalls,
    OrderRelay,
    PauseJoins,
    PinHall,
    ResumeJoins,
)
from conference.events import HallsOrdered
from conference.live import RelayView, view_relay
from conference.lookup import relay_of
from conference.orders import Limits, Operation, Pause, RelayOrder
from conference.planner.loads import RelayMode

OPERATORS: frozenset[Role] = frozenset({"organiser", "operator"})
MAX_HALLS_BYTES = 8 * 1024 * 1024  # the ids of 100,000 halls
MAX_SHOWN_HALLS = 500


class Because(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, in the operator's words."""

    reason: str


class DrainRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, and within how many seconds the relay is to be empty; 0 for no deadline."""

    reason: str
    within_s: int = 0


class LimitsRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shares of a relay's capacity; both 0 give back what held before."""

    reason: str
    soft_limit: float
    hard_limit: float


class MoveRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Halls, or a unit with everything under it; a relay to go to, or one to leave; neither takes orders back."""

    reason: str
    hall_ids: list[str] = []
    unit: str = ""
    to: str = ""
    away: str = ""


class PinRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Relays that the hall shall have, the primary first; none unpins it."""

    reason: str
    relay_ids: tuple[str, ...]


class ExcludeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hall, or a unit without a parent, and the relays that shall not have it; none ends it."""

    reason: str
    subject: str
    relay_ids: tuple[str, ...]


class PauseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which conference joins are paused, or "" for all, and when halls are to ask again."""

    reason: str
    conference_id: str = ""
    retry_after_s: int = 10


class ResumeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which conference joins are resumed; what was paused for all is resumed for all, with ""."""

    reason: str
    conference_id: str = ""


class RelayAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A relay, and the halls that could not leave it now because no other has room.

    Attributes:
        halls_without_room: how many.
        halls_without_room_ids: of these the first 500.
        halls_waiting: halls that are to leave it and were not sent elsewhere yet.
    """

    relay: RelayView
    halls_without_room: int
    halls_without_room_ids: list[str]
    halls_waiting: int


class MoveAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How many halls were ordered to move, and how many halls of the whole country wait for their turn."""

    halls: int
    halls_waiting: int


class OrdersView(msgspec.Struct, frozen=True, kw_only=True):
    """All orders that stand.

    Attributes:
        relays: by relay id; those that are not here are open.
        pins: by hall id.
        exclusions: by hall id or unit.
        limits: by relay id, "" for all.
        pauses: by conference id, "" for all.
        halls_waiting: halls that orders want elsewhere and that were not sent there yet.
        halls_leaving: halls that were sent and have not said yet that they went.
    """

    relays: dict[str, RelayOrder]
    pins: dict[str, tuple[str, ...]]
    exclusions: dict[str, list[str]]
    limits: dict[str, Limits]
    pauses: dict[str, Pause]
    halls_waiting: int
    halls_leaving: int


class OperationList(msgspec.Struct, frozen=True, kw_only=True):
    """Orders as they were given, the newest first."""

    operations: list[Operation]


async def cordon(call: Call) -> RelayAnswer:
    """The relay keeps what it has and takes nothing new."""
    return await _order(call, "cordoned", call.body(Because).reason)


async def uncordon(call: Call) -> RelayAnswer:
    """The relay serves again, whatever was ordered."""
    return await _order(call, "open", call.body(Because).reason)


async def drain(call: Call) -> RelayAnswer:
    """The relay is emptied at a pace, by a deadline where one is given."""
    body = call.body(DrainRequest)
    within_ms = 1000 * body.within_s
    return await _order(
        call, "draining", body.reason, call.services.coordinator.now_ms() + within_ms if within_ms else 0
    )


async def evacuate(call: Call) -> RelayAnswer:
    """The relay is emptied at once."""
    return await _order(call, "evacuating", call.body(Because).reason)


async def _order(call: Call, mode: RelayMode, reason: str, deadline_ms: int = 0) -> RelayAnswer:
    command = OrderRelay(relay_id=call.path("relay_id"), mode=mode, deadline_ms=deadline_ms, reason=reason)
    await call.services.coordinator.execute(command, call.claims.actor)
    return await read_relay(call)


async def read_relay(call: Call) -> RelayAnswer:
    """One relay, and who could not leave it."""
    state = call.services.coordinator.state
    relay = relay_of(state, call.path("relay_id"))
    stuck = halls_without_room(state, relay.relay_id) if relay.load.is_leaving else []
    waiting = state.ledger.seats_on.get(relay.relay_id, set()) & state.ledger.misplaced
    return RelayAnswer(
        relay=view_relay(state, relay, call.services.desk.sessions()),
        halls_without_room=len(stuck),
        halls_without_room_ids=[hall_id for _, hall_id in stuck[:MAX_SHOWN_HALLS]],
        halls_waiting=len(waiting),
    )


async def change_relay_limits(call: Call) -> RelayAnswer:
    """Limits of one relay."""
    await _change_limits(call, call.path("relay_id"))
    return await read_relay(call)


async def change_limits(call: Call) -> OrdersView:
    """Limits of all relays that have none of their own."""
    await _change_limits(call, "")
    return await read_orders(call)


async def _change_limits(call: Call, relay_id: str) -> None:
    body = call.body(LimitsRequest)
    command = ChangeLimits(
        relay_id=relay_id, soft_limit=body.soft_limit, hard_limit=body.hard_limit, reason=body.reason
    )
    await call.services.coordinator.execute(command, call.claims.actor)


async def move_halls(call: Call) -> MoveAnswer:
    """Halls, or a unit, go to a relay or leave one, at the pace of moves."""
    body = call.body(MoveRequest)
    command = MoveHalls(hall_ids=body.hall_ids, unit=body.unit, to=body.to, away=body.away, reason=body.reason)
    events = await call.services.coordinator.execute(command, call.claims.actor)
    return MoveAnswer(
        halls=sum(len(event.hall_ids) for event in events if isinstance(event, HallsOrdered)),
        halls_waiting=len(call.services.coordinator.state.ledger.misplaced),
    )


async def pin_hall(call: Call) -> OrdersView:
    """The hall shall have these relays."""
    body = call.body(PinRequest)
    command = PinHall(hall_id=call.path("hall_id"), relay_ids=body.relay_ids, reason=body.reason)
    await call.services.coordinator.execute(command, call.claims.actor)
    return await read_orders(call)


async def exclude_relays(call: Call) -> OrdersView:
    """A hall, or the halls of a region, shall not have these relays."""
    body = call.body(ExcludeRequest)
    command = ExcludeRelays(subject=body.subject, relay_ids=body.relay_ids, reason=body.reason)
    await call.services.coordinator.execute(command, call.claims.actor)
    return await read_orders(call)


async def pause_joins(call: Call) -> OrdersView:
    """Who has no seat gets none for now."""
    body = call.body(PauseRequest)
    command = PauseJoins(conference_id=body.conference_id, retry_after_s=body.retry_after_s, reason=body.reason)
    await call.services.coordinator.execute(command, call.claims.actor)
    return await read_orders(call)


async def resume_joins(call: Call) -> OrdersView:
    """Halls may join again."""
    body = call.body(ResumeRequest)
    command = ResumeJoins(conference_id=body.conference_id, reason=body.reason)
    await call.services.coordinator.execute(command, call.claims.actor)
    return await read_orders(call)


async def read_orders(call: Call) -> OrdersView:
    """All orders that stand."""
    state = call.services.coordinator.state
    orders = state.orders
    return OrdersView(
        relays=orders.relays,
        pins=orders.pins,
        exclusions=orders.exclusions,
        limits=orders.limits,
        pauses=orders.pauses,
        halls_waiting=len(state.ledger.misplaced),
        halls_leaving=len(state.ledger.leaving),
    )


async def list_operations(call: Call) -> OperationList:
    """The latest orders, who gave them, when and why."""
    return OperationList(operations=call.services.coordinator.state.orders.operations[::-1])


def _post(path: str, handler: Handler, summary: str, request: type, response: type) -> Route:
    """An order: they are all alike in who may give it and how it may be refused."""
    return Route(
        method="POST",
        path=path,
        handler=handler,
        summary=summary,
        tag="operations",
        roles=OPERATORS,
        request=request,
        response=response,
        errors=(404, 409, 503),
        max_body_bytes=MAX_HALLS_BYTES if request is MoveRequest else MAX_BODY_BYTES,
    )


ROUTES = (
    _post("/api/v1/relays/{relay_id}/cordon", cordon, "Keep what it has, take nothing new", Because, RelayAnswer),
    _post("/api/v1/relays/{relay_id}/uncordon", uncordon, "Serve again", Because, RelayAnswer),
    _post("/api/v1/relays/{relay_id}/drain", drain, "Empty it at a pace", DrainRequest, RelayAnswer),
    _post("/api/v1/relays/{relay_id}/evacuate", evacuate, "Empty it at once", Because, RelayAnswer),
    _post("/api/v1/relays/{relay_id}/limits", change_relay_limits, "Limits of one relay", LimitsRequest, RelayAnswer),
    Route(
        method="GET",
        path="/api/v1/relays/{relay_id}",
        handler=read_relay,
        summary="One relay, and the halls that could not leave it",
        tag="operations",
        roles=OPERATORS,
        response=RelayAnswer,
        errors=(404, 503),
    ),
    _post("/api/v1/limits", change_limits, "Limits of all relays", LimitsRequest, OrdersView),
    _post("/api/v1/halls/move", move_halls, "Move halls to a relay or away from one", MoveRequest, MoveAnswer),
    _post("/api/v1/halls/exclude", exclude_relays, "Keep halls off relays", ExcludeRequest, OrdersView),
    _post("/api/v1/halls/{hall_id}/pin", pin_hall, "Pin a hall to relays, or unpin it", PinRequest, OrdersView),
    _post("/api/v1/joins/pause", pause_joins, "Keep newcomers out", PauseRequest, OrdersView),
    _post("/api/v1/joins/resume", resume_joins, "Let newcomers in again", ResumeRequest, OrdersView),
    Route(
        method="GET",
        path="/api/v1/orders",
        handler=read_orders,
        summary="All orders that stand, and halls that are still to move",
        tag="operations",
        roles=OPERATORS,
        response=OrdersView,
        errors=(503,),
    ),
    Route(
        method="GET",
        path="/api/v1/operations",
        handler=list_operations,
        summary="The latest orders: who, when, why",
        tag="operations",
        roles=OPERATORS,
        response=OperationList,
        errors=(503,),
    ),
)
