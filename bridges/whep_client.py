"""What a WHEP session (draft-ietf-wish-whep) has beyond a WHIP one: its state and its events. Shell over aiohttp."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Literal

import aiohttp

from bridges.http_answers import NO_ANSWER, bearer
from bridges.whip_client import REQUEST_TIMEOUT_S, Resource, refusal, unanswered

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
                raise await refusal(response, f"trạm từ chối / the relay refused the state {state}")
    except NO_ANSWER as error:
        raise unanswered(error) from error


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
                raise await refusal(response, "trạm từ chối / the relay refused the events")
            name = ""
            async for line in response.content:
                text = line.decode(errors="replace").rstrip("\r\n")
                if not text and name:
                    yield name
                    name = ""
                elif text.startswith("event:"):
                    name = text[6:].strip()
    except NO_ANSWER as error:
        raise unanswered(error) from error
