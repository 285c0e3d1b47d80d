"""What a WHEP session (draft-ietf-wish-whep) has beyond a WHIP one: its state and its events. Shell over aiohttp."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Literal

import aiohttp

from bridges.errors import ResourceError
from bridges.whip_client import REQUEST_TIMEOUT_S, Resource, bearer, parse_retry_after

STATE_LINK = "urn:diemcau:whep:ext:state"
EVENTS_LINK = "urn:ietf:params:whep:ext:core:server-sent-events"
MAX_EVENT_LINE_BYTES = 64 * 1024

SessionState = Literal["active", "standby"]


def standby_url(whep_url: str) -> str:
    """Return the endpoint that opens a session which is sent nothing until it is activated."""
    return f"{whep_url}{'&' if '?' in whep_url else '?'}standby=1"


async def put_state(http: aiohttp.ClientSession, resource: Resource, state: SessionState) -> None:
    """Ask the relay to send (`active`) or to keep still (`standby`). Asking twice for the same is harmless.

    Raises:
        ResourceError: the relay does not answer or does not know the session.
    """
    url = resource.links.get(STATE_LINK, f"{resource.url}/state")
    try:
        async with http.put(
            url,
            json={"state": state},
            headers=bearer(resource.token),
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
            allow_redirects=False,
        ) as response:
            if response.status not in {200, 204}:
                raise ResourceError(
                    f"the relay refused the state {state}: {response.status}",
                    status=response.status,
                    retry_after_s=parse_retry_after(response.headers.get("Retry-After")),
                )
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ResourceError(f"trạm không trả lời / no answer from the relay: {error!r}") from error


async def listen(http: aiohttp.ClientSession, resource: Resource) -> AsyncGenerator[str, None]:
    """Yield the names of the session's server-sent events until the relay ends the stream.

    Data is not read: an event says only what to fetch. Comments and unknown fields are skipped.

    Raises:
        ResourceError: the stream could not be opened, or broke.
    """
    url = resource.links.get(EVENTS_LINK, f"{resource.url}/events")
    headers = {**bearer(resource.token), "Accept": "text/event-stream"}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_TIMEOUT_S)
    try:
        async with http.get(url, headers=headers, timeout=timeout, allow_redirects=False) as response:
            if response.status != 200:
                raise ResourceError(f"the relay refused the events: {response.status}", status=response.status)
            name = ""
            async for line in response.content:
                text = line.decode(errors="replace").rstrip("\r\n")
                if not text and name:
                    yield name
                    name = ""
                elif text.startswith("event:"):
                    name = text[6:].strip()
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise ResourceError(f"the relay's events broke off: {error!r}") from error
