"""`GET /metrics`: a program's registry over HTTP, in the format that the scraper prefers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from monitoring.metrics import Registry

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def metrics_handler(registry: Registry) -> Handler:
    """An aiohttp handler that answers with the exposition of `registry`."""

    async def metrics(request: web.Request) -> web.StreamResponse:
        body, content_type = registry.render(request.headers.get("Accept", ""))
        # The header is set whole: aiohttp would refuse the charset inside `content_type`.
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    return metrics
