"""The relay's HTTP door: who may come in, CORS, sizes, and every error as problem details."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from relay.access import Action, RelayClaims, require, verify_relay_token
from relay.errors import AccessError, RelayError, WireError
from relay.net.problems import problem
from relay.wire.sdp_parser import MAX_CHARACTERS as MAX_SDP_BYTES

log = structlog.get_logger(__name__)

# The hall page comes from the coordinator, another origin. Tokens travel in a header and never in a cookie, so that any
# origin may ask: it gains nothing that it could not ask for without a browser.
CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, PUT, PATCH, DELETE, GET, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Expose-Headers": "Location, Link, ETag, Retry-After",
    "Access-Control-Max-Age": "86400",
}
SDP_TYPE = "application/sdp"
FRAGMENT_TYPE = "application/trickle-ice-sdpfrag"  # RFC 8840 section 9


def authorise(
    request: web.Request, keys: Sequence[str], now: float, *, action: Action, conference: str, feed: str
) -> RelayClaims:
    """Check the bearer token of a request (RFC 6750) for one action on one feed.

    Raises:
        AccessError: 401 without a valid token, 403 when it does not cover the feed.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise AccessError("a bearer token is needed")
    claims = verify_relay_token(token.strip(), keys, now)
    require(claims, action=action, conference=conference, feed=feed)
    return claims


async def read_sdp(request: web.Request, content_type: str = SDP_TYPE) -> str:
    """The offer, or the fragment of one, in the body.

    Raises:
        web.HTTPUnsupportedMediaType: the body is not of this type.
        WireError: it is no UTF-8 text.
    """
    if request.content_type != content_type:
        raise web.HTTPUnsupportedMediaType(text=f"the body must be {content_type}, not {request.content_type}")
    body = await request.read()
    if len(body) > MAX_SDP_BYTES:
        raise web.HTTPRequestEntityTooLarge(max_size=MAX_SDP_BYTES, actual_size=len(body))
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise WireError("sdp", f"byte {error.start} is not UTF-8") from error


def middleware(count_malformed: Callable[[str], None]) -> Middleware:
    """Answer errors as problem details and add the CORS headers.

    Args:
        count_malformed: called with the protocol of each malformed input.
    """

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except AccessError as error:
            headers = {"WWW-Authenticate": 'Bearer realm="diemcau"'} if error.status == 401 else None
            response = problem(error.status, error.code, str(error), headers)
        except WireError as error:
            count_malformed(error.protocol)
            response = problem(400, error.code, str(error))
        except RelayError as error:
            response = problem(400, error.code, str(error))
        except web.HTTPException as error:
            kept = {
                name: error.headers[name] for name in ("Accept-Patch", "Allow", "Retry-After") if name in error.headers
            }
            response = problem(error.status, f"http_{error.status}", error.text or error.reason, kept)
        except Exception:  # the last line of defence at the door: tell nothing, log all
            log.exception("request failed", method=request.method, path=request.path)
            response = problem(500, "internal", "the relay failed to answer; it is in its log")
        if not response.prepared:
            response.headers.update(CORS_HEADERS)
        return response

    return guard
