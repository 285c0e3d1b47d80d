"""The HTTP application of the coordinator: the table of routes, errors as problem details, headers, metrics."""

from __future__ import annotations

import itertools
import secrets
import time

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from conference.api import (
    attendance,
    checkins,
    conferences,
    delegates,
    discovery,
    gateways,
    hall_door,
    hall_records,
    hall_roster,
    hall_session,
    halls,
    live,
    orders,
    precheck,
    privacy,
    proposals,
    readiness,
    rehearsals,
    relays,
    reports,
    sheets,
    tables,
    units,
)
from conference.api.documents import openapi_route
from conference.api.limiting import limiting
from conference.api.pages import hall_page_routes, load_pages, page_routes
from conference.api.problems import response_of
from conference.api.routing import MAX_IMPORT_BYTES, HallServices, Route, Services, add_routes
from conference.config import RateLimitsConfig
from conference.errors import ConferenceError
from monitoring.health import Health
from monitoring.health import routes as health_routes
from monitoring.log_config import get_logger, request_scope
from monitoring.metrics import FrontMetrics, Registry

# An API's answer is data and no document: whatever a browser makes of it may load, run and be framed by nothing.
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"


def api_routes() -> tuple[Route, ...]:
    """Every operation of the API, with the document that describes them."""
    # The hall's own routes come first: `/halls/{hall_id}/link` must never catch one of theirs.
    table = (
        *hall_session.ROUTES,
        *hall_roster.ROUTES,
        *hall_door.ROUTES,
        *checkins.ROUTES,
        *checkins.STAFF_ROUTES,
        *precheck.ROUTES,
        *halls.ROUTES,
        *hall_records.ROUTES,
        *proposals.ROUTES,
        *units.ROUTES,
        *tables.ROUTES,
        *conferences.ROUTES,
        *attendance.ROUTES,
        *privacy.ROUTES,
        *sheets.ROUTES,
        *delegates.ROUTES,
        *readiness.ROUTES,
        *rehearsals.ROUTES,
        *reports.ROUTES,
        *relays.ROUTES,
        *orders.ROUTES,
        *gateways.ROUTES,
        *live.ROUTES,
        *discovery.ROUTES,
    )
    return (*table, openapi_route(table))


def build_app(services: Services, health: Health, registry: Registry) -> web.Application:
    """The coordinator's application, ready to be served."""
    app = bare_app(services, services.config.rate_limits)
    add_routes(app, api_routes(), services)
    app.add_routes(page_routes(load_pages()))
    app.add_routes(health_routes(health, registry))
    return app


def build_hall_app(
    services: HallServices, limits: RateLimitsConfig, health: Health, registry: Registry
) -> web.Application:
    """An application for halls alone: what they ask and the page that they open, ready to be served."""
    app = bare_app(services, limits)
    at_the_door = (*hall_roster.ROUTES, *hall_door.ROUTES, *checkins.ROUTES, *precheck.ROUTES)
    add_routes(app, (*hall_session.ROUTES, *at_the_door), services)
    app.add_routes(hall_page_routes(load_pages()))
    app.add_routes(health_routes(health, registry))
    return app


def bare_app(services: HallServices, limits: RateLimitsConfig) -> web.Application:
    """An application without routes that observes, limits and hardens whatever is added."""
    app = web.Application(
        middlewares=[
            _observing(services.metrics),
            limiting(services.keys, limits, services.metrics),
        ],
        client_max_size=MAX_IMPORT_BYTES,
        # Bodies come as they are: nobody who speaks to us compresses, and what unpacks costs time before it is bounded.
        handler_args={"lingering_time": 2.0, "auto_decompress": False},
    )
    app.on_response_prepare.append(_harden)
    return app


async def _harden(_request: web.Request, response: web.StreamResponse) -> None:
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Content-Security-Policy", _DATA_POLICY)
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Cache-Control", "no-store")
    headers.popall("Server", None)


def _observing(metrics: FrontMetrics) -> Middleware:
    """A middleware: every error becomes a problem, every request is counted and timed by its route's template."""
    log = get_logger("conference.api")
    # Told apart from those of other starts by the first half; random numbers for each would cost as much as a lookup.
    start, numbers = secrets.token_hex(4), itertools.count(1)

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        resource = request.match_info.route.resource
        route = "unknown" if resource is None else resource.canonical
        with request_scope(f"{start}{next(numbers):08x}"):
            try:
                response = await handler(request)
            except (ConferenceError, web.HTTPException) as error:
                response = response_of(error)
            except Exception as error:
                response = response_of(error)
                if response.status >= 500:
                    log.exception("a request failed", route=route, method=request.method)
        metrics.http_requests_total.labels(route=route, status=str(response.status)).inc()
        if response.content_length is not None:  # a socket or a stream lasts as long as its other end wants it
            metrics.http_request_seconds.labels(route=route).observe(time.perf_counter() - started)
        if response.status in {400, 422} and route != "unknown":
            metrics.malformed_total.labels(source="http").inc()
        return response

    return observe
