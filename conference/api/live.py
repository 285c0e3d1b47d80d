"""`/api/v1/live`: server-sent events for the operators' page; see `conference.live`."""

from __future__ import annotations

import contextlib

from aiohttp import web
from aiohttp_sse import sse_response

from conference.api.problems import RequestError
from conference.api.routing import STAFF, Call, Route
from conference.lookup import unit_of

HEARTBEAT_S = 10.0
# A viewer whose socket takes no more for so long is gone, or so slow that it hinders more than it helps.
SLOW_VIEWER_S = 10.0


async def live(call: Call) -> web.StreamResponse:
    """Snapshots on change, at most once a second, until the viewer goes."""
    board, unit = call.services.live, call.reach.unit
    if unit:
        unit_of(call.services.coordinator.state, unit)
    if board.is_full:
        raise RequestError("too_many_viewers", "too many viewers of the live page", status=503)
    async with (
        sse_response(call.request, send_timeout=SLOW_VIEWER_S, ping_interval=HEARTBEAT_S) as response,
        contextlib.aclosing(board.watch(HEARTBEAT_S, unit)) as snapshots,
    ):
        async for snapshot in snapshots:
            if not response.is_connected():
                break
            if snapshot is None:
                continue
            try:
                await response.send(snapshot.decode("utf-8"), event="snapshot")
            except (TimeoutError, ConnectionError):
                break
    return response


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/live",
        handler=live,
        summary="Snapshots of all that the caller reaches as server-sent events (event `snapshot`)",
        tag="live",
        roles=STAFF,
        scope="reach",
        response_media=("text/event-stream",),
        errors=(404, 503),
    ),
)
