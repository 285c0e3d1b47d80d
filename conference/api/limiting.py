"""Who calls, and how often: verifies the bearer token once per request, and holds its holder to a rate.

A request with a valid token counts for the token's holder, and all phones that read the poster of one hall are one
holder with a rate of its own; any other counts for the address that it came from. So a
province of halls behind one address joins all at once, and somebody without a token cannot use up a hall's rate.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from conference.access import OF_ONE_HALL, AccessDeniedError, ApiClaims, KeyRing
from conference.config import RateLimitsConfig
from conference.errors import RateLimitedError
from conference.rate_limits import RateLimit
from monitoring.metrics import FrontMetrics

# Liveness must not depend on how busy anybody is.
UNLIMITED = frozenset({"/healthz", "/readyz", "/metrics"})
_CALLER: Final[web.RequestKey[ApiClaims | AccessDeniedError]] = web.RequestKey("caller")


def caller(request: web.Request) -> ApiClaims:
    """The verified claims of a request's bearer token.

    Raises:
        AccessDeniedError: 401 without a valid one.
    """
    found = request[_CALLER]
    if isinstance(found, AccessDeniedError):
        raise found
    return found


def limiting(
    keys: KeyRing,
    limits: RateLimitsConfig,
    metrics: FrontMetrics,
    clock_s: Callable[[], float] = time.monotonic,
) -> Middleware:
    """A middleware that names the caller of each request and refuses those who ask too often.

    Args:
        keys: verify tokens.
        limits: how often is too often.
        metrics: counts refusals.
        clock_s: a monotonic clock, seconds.
    """
    by_holder = RateLimit(per_s=limits.holder_per_s, burst=limits.holder_burst)
    by_poster = RateLimit(per_s=limits.poster_per_s, burst=limits.poster_burst)
    by_address = RateLimit(per_s=limits.address_per_s, burst=limits.address_burst)

    @web.middleware
    async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in UNLIMITED:
            return await handler(request)
        found = request[_CALLER] = _identify(request, keys)
        if isinstance(found, ApiClaims):
            kind = "poster" if found.role == "poster" else "holder"
            wait_s = (by_poster if kind == "poster" else by_holder).take(_holder(found), clock_s())
        else:
            kind, wait_s = "address", by_address.take(_address(request, behind_proxy=limits.behind_proxy), clock_s())
        if wait_s > 0:
            metrics.rate_limited_total.labels(by=kind).inc()
            raise RateLimitedError(wait_s)
        return await handler(request)

    return limit


def _holder(claims: ApiClaims) -> str:
    """Who is held to a rate; a hall is another one in each conference."""
    return f"{claims.conference}/{claims.actor}" if claims.role in OF_ONE_HALL else claims.actor


def _identify(request: web.Request, keys: KeyRing) -> ApiClaims | AccessDeniedError:
    """Verify the bearer token (RFC 6750, only the header form), or say why there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return AccessDeniedError("a bearer token is needed in the Authorization header")
    try:
        return keys.verify_api_token(token.strip(), time.time())
    except AccessDeniedError as error:
        return error


def _address(request: web.Request, *, behind_proxy: bool) -> str:
    """The caller's address; of IPv6 the /64, because whoever has one has all of it.

    A proxy appends the address that it saw to X-Forwarded-For; what stands before that, the caller may have written.
    """
    address = request.remote or ""
    if behind_proxy:
        address = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or address
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""  # nothing that a proxy of ours writes; all such callers share one bucket
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped or ipaddress.ip_network((int(parsed), 64), strict=False))
    return address
