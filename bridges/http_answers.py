"""What this package's HTTP clients have in common: the token's header, bounded bodies, and why there was no answer."""

from __future__ import annotations

import errno
import os
import re

import aiohttp
import msgspec

MAX_PROBLEM_BYTES = 16 * 1024
# Everything by which aiohttp says that there was no whole answer; ValueError: a body or a URL that is none.
NO_ANSWER = (aiohttp.ClientError, TimeoutError, OSError, ValueError)
_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MAX_DETAIL = 300


class Problem(msgspec.Struct, frozen=True):
    """The parts of a problem detail (RFC 9457) that a client here uses; each may be ""."""

    code: str = ""
    detail: str = ""
    title: str = ""


def bearer(token: str) -> dict[str, str]:
    """Make the Authorization header (RFC 6750)."""
    return {"Authorization": f"Bearer {token}"}


def parse_retry_after(value: str | None) -> float:
    """Read a Retry-After header (RFC 9110 section 10.2.3): seconds, at most 60; 0 for none and for a date."""
    if value is None or not value.isascii() or not value.isdigit():
        return 0.0
    return float(min(int(value[:6]), 60))


async def read_body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read a body whole.

    Raises:
        ValueError: it is longer than `limit` bytes; the rest is not read.
    """
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise ValueError(f"the answer is longer than {limit} bytes")
    return bytes(body)


def parse_problem(body: bytes) -> Problem:
    """Read a problem detail; one without fields for anything else. A code is a short snake_case word or ""."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Problem()
    return Problem(
        code=problem.code if _CODE.fullmatch(problem.code) else "",
        detail=problem.detail[:_MAX_DETAIL],
        title=problem.title[:_MAX_DETAIL],
    )


def why_no_answer(error: Exception) -> str:
    """Say in a short clause why a request had no answer; `error` is one of `NO_ANSWER`."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "its name does not resolve"
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not accepted"
        case aiohttp.ClientSSLError():
            return "TLS failed"
        case TimeoutError():  # aiohttp's own timeouts are of this kind as well
            return "no answer in time"
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection"
        case aiohttp.InvalidURL():
            return "its address is not a URL"
        case OSError(errno=errno.ECONNREFUSED):
            return "nobody listens there"
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number).lower()
        case aiohttp.ClientError():
            return type(error).__name__.removesuffix("Error")
        case _:
            return str(error)[:_MAX_DETAIL]
