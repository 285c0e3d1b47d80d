"""A WHIP client (RFC 9725): POST an offer, take the answer, DELETE the resource. Shell over aiohttp.

The same exchange opens a WHEP session (bridges.whep_client). Bearer tokens go into the Authorization header only. A
redirect (RFC 9725 section 4.5) is not followed: a relay's address comes from the coordinator, and a token given to one
relay is not carried to another host.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from urllib.parse import urljoin, urlsplit

import aiohttp
import msgspec

from bridges.errors import ResourceError
from bridges.http_answers import (
    MAX_PROBLEM_BYTES,
    NO_ANSWER,
    Problem,
    bearer,
    parse_problem,
    parse_retry_after,
    read_body,
    why_no_answer,
)
from bridges.messages import IceServer
from bridges.peer import MAX_SDP_BYTES

REQUEST_TIMEOUT_S = 4.0
# A relay that died must not hold up a hall that closes its session; the relay's own consent check cleans up after us.
DELETE_TIMEOUT_S = 1.0


MAX_LINKS = 16

_LINK = re.compile(r"\s*<(turns?:[!-;=?-~]{1,300})>")
_PARAMETER = re.compile(r';\s*([a-z-]{1,32})="([^"]{0,512})"')


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """A WHIP or WHEP resource at a relay.

    Attributes:
        url: absolute, from the Location header.
        token: bearer token of all requests to it.
        answer: the relay's SDP answer.
        links: absolute URLs of its Link headers, by relation.
        ice_servers: TURN servers that the relay names (RFC 9725 section 4.6), for who does not reach it directly.
    """

    url: str
    token: str
    answer: str
    links: dict[str, str]
    ice_servers: list[IceServer] = []


def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds)


async def refusal(response: aiohttp.ClientResponse, what: str) -> ResourceError:
    """The error for an answer that is none of the good ones, with the relay's own reason if it gave one."""
    problem = Problem()
    with contextlib.suppress(*NO_ANSWER):  # the status alone says enough
        problem = parse_problem(await read_body(response, MAX_PROBLEM_BYTES))
    reason = problem.detail or problem.title or response.reason or ""
    return ResourceError(
        f"{what}: {response.status} {reason}".strip(),
        code=problem.code or "relay_refused",
        status=response.status,
        retry_after_s=parse_retry_after(response.headers.get("Retry-After")),
    )


def unanswered(error: Exception) -> ResourceError:
    """The error for a relay that gave no answer; `error` is one of `bridges.http_answers.NO_ANSWER`."""
    detail = f"trạm không trả lời / no answer from the relay: {why_no_answer(error)}"
    return ResourceError(detail, code="relay_unreachable")


def _same_origin(one: str, other: str) -> bool:
    a, b = urlsplit(one), urlsplit(other)
    return (a.scheme, a.netloc) == (b.scheme, b.netloc)


def parse_ice_servers(links: Sequence[str]) -> list[IceServer]:
    """Read the TURN servers among Link headers, one link to a header; what is no such link is passed over.

    aiohttp's own reading of links takes a credential that ends with `=`, as base64 does, for a parameter's name.
    """
    found = []
    for link in links[:MAX_LINKS]:
        target = _LINK.match(link)
        values = dict(_PARAMETER.findall(link))
        if target is not None and values.get("rel") == "ice-server" and {"username", "credential"} <= values.keys():
            found.append(IceServer(urls=[target[1]], username=values["username"], credential=values["credential"]))
    return found


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
                raise await refusal(response, "trạm từ chối / the relay refused the offer")
            body = await read_body(response, MAX_SDP_BYTES)
            location = response.headers.get("Location", "")
            links = {relation: str(link["url"]) for relation, link in response.links.items()}
            ice_servers = parse_ice_servers(response.headers.getall("Link", []))
    except NO_ANSWER as error:
        raise unanswered(error) from error
    resource_url = urljoin(url, location)
    if not location or not _same_origin(url, resource_url):
        raise ResourceError("the relay named no resource of its own in Location", code="malformed", status=201)
    return Resource(
        url=resource_url,
        token=token,
        answer=body.decode(errors="replace"),
        links={
            relation: urljoin(url, link) for relation, link in links.items() if _same_origin(url, urljoin(url, link))
        },
        ice_servers=ice_servers,
    )


async def delete_resource(http: aiohttp.ClientSession, resource: Resource) -> bool:
    """DELETE a resource; says whether the relay confirmed it. Never raises for a relay that is gone."""
    try:
        async with http.delete(
            resource.url, headers=bearer(resource.token), timeout=_timeout(DELETE_TIMEOUT_S), allow_redirects=False
        ) as response:
            return response.status in {200, 204}
    except NO_ANSWER:
        return False


async def relay_answers(http: aiohttp.ClientSession, url: str) -> bool:
    """Ask a relay whether it lives (OPTIONS, RFC 9725 section 4.2); any answer at all is a yes."""
    try:
        async with http.options(url, timeout=_timeout(REQUEST_TIMEOUT_S), allow_redirects=False):
            return True
    except NO_ANSWER:
        return False
