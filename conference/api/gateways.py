"""`/api/v1/gateways/control`: the connections of gateways."""

from __future__ import annotations

from aiohttp import web

from conference.api.routing import Call, Route
from conference.front.messages import PATH


async def gateway_control(call: Call) -> web.StreamResponse:
    """The WebSocket of one gateway (`conference.front.messages`)."""
    return await call.services.forwarding.serve(call.request, call.claims)


ROUTES = (
    Route(
        method="GET",
        path=PATH,
        handler=gateway_control,
        summary="Connection of one gateway (WebSocket)",
        tag="gateways",
        roles=frozenset({"gateway"}),
        status=101,
        errors=(400, 503),
    ),
)
