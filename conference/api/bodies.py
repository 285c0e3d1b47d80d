"""Bodies of requests: read within bounds of size and time, and decoded; what is wrong is the caller's and says so."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from conference.api.problems import RequestError

# The largest import (32 MiB) at 2.5 Mbit/s; who takes longer holds a connection and sends nothing.
BODY_TIMEOUT_S = 120.0


async def read_body(request: web.Request, limit: int) -> bytes:
    """Read a body of at most `limit` bytes.

    Raises:
        web.HTTPUnsupportedMediaType: it is compressed.
        web.HTTPRequestEntityTooLarge: it is longer, said so or not.
        web.HTTPRequestTimeout: it does not come.
        RequestError: 400 when it breaks off, or its chunks are not what HTTP says.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise web.HTTPUnsupportedMediaType(text="send the body without Content-Encoding")
    if request.content_length is not None and request.content_length > limit:
        raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=request.content_length)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > limit:
                    raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=size)
                chunks.append(chunk)
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text="the body did not arrive in time") from error
    except (ConnectionError, web.RequestPayloadError) as error:
        raise RequestError("broken_body", "the body broke off") from error
    return b"".join(chunks)


def decode_body(decoder: msgspec.json.Decoder[Any], body: bytes) -> object:
    """Decode JSON into the type of a route.

    Raises:
        RequestError: 400 when it is no JSON, 422 when it is not of the type.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise RequestError("bad_body", f"the body is not what this route takes: {error}", status=422) from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RequestError("malformed_json", f"the body is not JSON: {error}") from error
