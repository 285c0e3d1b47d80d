"""A hall's link, and a hall's calls to the coordinator (`/api/v1/halls/*`). Shell over aiohttp."""

from __future__ import annotations

import asyncio
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from bridges.errors import HallApiError, LinkError
from bridges.http_answers import NO_ANSWER, bearer, parse_problem, parse_retry_after, read_body, why_no_answer
from bridges.messages import Assignment, HeadcountReport, JoinRequest, MovedReport
from bridges.precheck_messages import PrecheckPlan, PrecheckReport, PrecheckVerdict
from bridges.token_claims import read_claims

T = TypeVar("T")

MAX_LINK_BYTES = 4096
MAX_REPLY_BYTES = 256 * 1024
REQUEST_TIMEOUT_S = 10.0  # a join storm is answered late rather than refused


class HallLink(msgspec.Struct, frozen=True, kw_only=True):
    """What a hall's link says.

    Attributes:
        base_url: where the coordinator is, without a trailing slash.
        token: bearer token for it.
        hall_id: the hall, as its token claims; only the coordinator verifies it.
        conference_id: the conference, likewise.
    """

    base_url: str
    token: str
    hall_id: str
    conference_id: str


class _Claims(msgspec.Struct):
    hall: str
    conference: str


def parse_link(link: str) -> HallLink:
    """Parse `<public_url>/hall#token=<jwt>`.

    Raises:
        LinkError: it is not such a link.
    """
    if len(link) > MAX_LINK_BYTES:
        raise LinkError("liên kết quá dài / the link is longer than 4096 bytes")
    try:
        parts = urlsplit(link.strip())
    except ValueError as error:
        raise LinkError(f"liên kết sai / not a link: {error}") from error
    path, slash, page = parts.path.rpartition("/")
    if parts.scheme not in {"http", "https"} or not parts.netloc or not slash or page != "hall":
        raise LinkError("liên kết sai / not a hall's link: https://…/hall#token=…")
    name, _, token = parts.fragment.partition("=")
    if name != "token" or token.count(".") != 2:
        raise LinkError("liên kết thiếu mã truy cập / the link carries no token")
    try:
        claims = read_claims(token, _Claims)
    except ValueError as error:
        raise LinkError(f"mã truy cập sai / the token does not parse: {error}") from error
    if not claims.hall or not claims.conference:
        raise LinkError("mã truy cập không phải của điểm cầu / the token is not a hall's")
    return HallLink(
        base_url=f"{parts.scheme}://{parts.netloc}{path}",
        token=token,
        hall_id=claims.hall,
        conference_id=claims.conference,
    )


class HallApi:
    """The calls of one hall.

    Args:
        http: shared by any number of halls.
        base_url: where the coordinator is.
        token: the hall's bearer token.
    """

    def __init__(self, http: aiohttp.ClientSession, base_url: str, token: str) -> None:
        self._http = http
        self._base_url = f"{base_url}/api/v1/halls"
        self._headers = {**bearer(token), "Content-Type": "application/json"}

    async def join(self, request: JoinRequest) -> Assignment:
        """Join the conference. All calls raise HallApiError when refused or not answered."""
        return self._decoded(await self._call("POST", "join", request), Assignment)

    async def assignment(self) -> Assignment:
        """Get the assignment that holds now."""
        return self._decoded(await self._call("GET", "assignment"), Assignment)

    async def moved(self, report: MovedReport) -> Assignment:
        """Tell of a move; the answer names the new backup."""
        return self._decoded(await self._call("POST", "moved", report), Assignment)

    async def headcount(self, report: HeadcountReport) -> None:
        """Send the technician's figures."""
        await self._call("POST", "headcount", report)

    async def leave(self) -> None:
        """Leave in order."""
        await self._call("POST", "leave")

    async def precheck_plan(self) -> PrecheckPlan:
        """Ask which relays the hall would have; nothing is assigned."""
        return self._decoded(await self._call("POST", "precheck/plan"), PrecheckPlan)

    async def precheck(self, report: PrecheckReport) -> PrecheckVerdict:
        """Send what a pre-check measured; the answer says what it means."""
        return self._decoded(await self._call("POST", "precheck", report), PrecheckVerdict)

    async def try_download(self, longest_s: float) -> float | None:
        """Download for so long at most; the rate in bit/s, or None where the coordinator gave nothing."""
        loop = asyncio.get_running_loop()
        size, started = 0, loop.time()
        try:
            async with (
                asyncio.timeout(longest_s),
                self._http.get(f"{self._base_url}/precheck/payload", headers=self._headers) as response,
            ):
                if response.status != 200:
                    return None
                started = loop.time()
                async for chunk in response.content.iter_any():
                    size += len(chunk)
        except NO_ANSWER:
            pass  # what came until then tells
        return size * 8 / max(0.001, loop.time() - started) if size else None

    def _decoded(self, body: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise HallApiError("malformed", f"the coordinator's answer is no {kind.__name__}: {error}") from error

    async def _call(self, method: str, name: str, message: msgspec.Struct | None = None) -> bytes:
        try:
            async with self._http.request(
                method,
                f"{self._base_url}/{name}",
                data=msgspec.json.encode(message) if message is not None else None,
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
                allow_redirects=False,
            ) as response:
                body = await read_body(response, MAX_REPLY_BYTES)
                if response.status < 300:
                    return body
                retry_after_s = parse_retry_after(response.headers.get("Retry-After"))
        except NO_ANSWER as error:
            detail = f"máy chủ điều phối không trả lời / no answer from the coordinator: {why_no_answer(error)}"
            raise HallApiError("unreachable", detail) from error
        problem = parse_problem(body)
        raise HallApiError(
            problem.code or f"http_{response.status}",
            problem.detail or problem.title or f"HTTP {response.status}",
            status=response.status,
            retry_after_s=retry_after_s,
        )
