"""A WHIP client (RFC 9725): POST an offer, take the answer, DELETE the resource. Shell over aiohttp.

The same exchange opens a WHEP session (bridges.whep_client). Bearer tokens go into the Authorization header only. A
redirect (RFC 9725 section 4.5) is not followed: a relay's address comes from the coordinator, and a token given to one
relay is not carried to another host.
"""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import aiohttp
import msgspec

from bridges.errors import ResourceError
from bridges.peer import MAX_SDP_BYTES

REQUEST_TIMEOUT_S = 4.0
# A relay that died must not hold up a hall that closes its session; the relay's own consent check cleans up after us.
DELETE_TIMEOUT_S = 1.0


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """A WHIP or WHEP resource at a relay.

    Attributes:
        url: absolute, from the Location header.
        token: bearer token of all requests to it.
        answer: the relay's SDP answer.
        links: absolute URLs of its Link headers, by relation.
    """

    url: str
    token: str
    answer: str
    links: dict[str, str]


def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds)


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


def _refusal(response: aiohttp.ClientResponse, what: str) -> ResourceError:
    return ResourceError(
        f"{what}: {response.status} {response.reason or ''}".strip(),
        status=response.status,
        retry_after_s=parse_retry_after(response.headers.get("Retry-After")),
    )


def _same_origin(one: str, other: str) -> bool:
    a, b = urlsplit(one), urlsplit(other)
    return (a.scheme, a.netloc) == (b.scheme, b.netloc)


async def post_offer(http: aiohttp.ClientSession, url: str, token: str, offer: str) -> Resource:
    """POST an SDP offer to a WHIP or WHEP endpoint.

    Returns:
        The resource, with the answer.

    Raises:
        ResourceError: refused, no answer, or an answer that is none.
    """
    headers = {**bearer(token), "Content-Type": "application/sdp", "Accept": "application/sdp"}
    try:
        async with http.post(
            url, data=offer.encode(), headers=headers, timeout=_timeout(REQUEST_TIMEOUT_S), allow_redirects=False
        ) as response:
            if response.status != 201:
                raise _refusal(response, "trạm từ chối / the relay refused the offer")
            body = await read_body(response, MAX_SDP_BYTES)
            location = response.headers.get("Location", "")
            links = {relation: str(link["url"]) for relation, link in response.links.items()}
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise ResourceError(f"trạm không trả lời / no answer from the relay: {error!r}") from error
    resource_url = urljoin(url, location)
    if not location or not _same_origin(url, resource_url):
        raise ResourceError("the relay named no resource of its own in Location", status=201)
    return Resource(
        url=resource_url,
        token=token,
        answer=body.decode(errors="replace"),
        links={
            relation: urljoin(url, link) for relation, link in links.items() if _same_origin(url, urljoin(url, link))
        },
    )


async def delete_resource(http: aiohttp.ClientSession, resource: Resource) -> bool:
    """DELETE a resource; says whether the relay confirmed it. Never raises for a relay that is gone."""
    try:
        async with http.delete(
            resource.url, headers=bearer(resource.token), timeout=_timeout(DELETE_TIMEOUT_S), allow_redirects=False
        ) as response:
            return response.status in {200, 204}
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


async def relay_answers(http: aiohttp.ClientSession, url: str) -> bool:
    """Ask a relay whether it lives (OPTIONS, RFC 9725 section 4.2); any answer at all is a yes."""
    try:
        async with http.options(url, timeout=_timeout(REQUEST_TIMEOUT_S), allow_redirects=False):
            return True
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
