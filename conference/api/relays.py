"""`/api/v1/relays`: the relays and their place in the tree, and their control connection."""

from __future__ import annotations

import msgspec
from aiohttp import web

from conference.api.routing import Call, Route
from conference.live import RelayView, view_relays


class RelayList(msgspec.Struct, frozen=True, kw_only=True):
    """Relays by id, live and lost."""

    relays: list[RelayView]


async def list_relays(call: Call) -> RelayList:
    """All relays."""
    services = call.services
    return RelayList(relays=view_relays(services.coordinator.state, services.desk.sessions()))


async def control(call: Call) -> web.StreamResponse:
    """The WebSocket of one relay (`relay.messages`)."""
    return await call.services.gateway.serve(call.request, call.claims)


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/relays",
        handler=list_relays,
        summary="All relays, with parents and charged halls",
        tag="relays",
        roles=frozenset({"organiser", "operator"}),
        response=RelayList,
        errors=(503,),
    ),
    Route(
        method="GET",
        path="/api/v1/relays/control",
        handler=control,
        summary="Control connection of one relay (WebSocket)",
        tag="relays",
        roles=frozenset({"relay"}),
        status=101,
        errors=(400, 503),
    ),
)
