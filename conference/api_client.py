"""A client of the coordinator's HTTP API, for the command line and the demo.

Owns: one HTTP session, the bearer token, the mapping of problem details (RFC 9457) to typed errors. Refuses: retrying
by itself; the caller knows whether a request may be repeated. Answers are the API's JSON documents as they come.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from bridges.http_answers import NO_ANSWER, why_no_answer
from bridges.units import TreeName
from conference.errors import ConferenceError
from conference.lifecycle import Phase

Document = dict[str, Any]

# An import of 200,000 halls is decided and made durable before it is answered.
TIMEOUT_S = 120.0
CONNECT_TIMEOUT_S = 5.0
HALLS_AT_ONCE = "5000"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_ANSWER_BYTES = 128 * 1024 * 1024


def whip_urls_of(answer: Document) -> list[str]:
    """Where a publisher is to publish, by the answer of `ApiClient.authorise_publisher`; the first origin first."""
    urls = answer.get("whip_urls")
    return [str(url) for url in urls] if isinstance(urls, list) and urls else [str(answer.get("whip_url", ""))]


class ApiError(ConferenceError):
    """The coordinator answered with a problem.

    Attributes:
        code: stable word of the problem, for example `wrong_phase`.
        status: HTTP status of the answer.
        detail: one sentence for people.
        rows: for an import, each refused row as the API reports it.
    """

    def __init__(self, code: str, detail: str, *, status: int, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status
        self.detail = detail
        self.rows = list(rows)


class ApiUnreachableError(ConferenceError):
    """No answer came from the coordinator: wrong address, not started, or the line is cut."""

    code = "unreachable"
    status = 503


def parse_problem(status: int, body: bytes) -> ApiError:
    """Turn an answer of 400 and above into a typed error, whatever its body holds.

    Args:
        status: HTTP status.
        body: the answer's body, problem details or anything else.

    Returns:
        The error to raise.
    """
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, ValueError, RecursionError):
        problem = {}
    detail = str(problem.get("detail") or problem.get("title") or f"the server answered {status}")
    errors = problem.get("errors")
    rows = [row for row in errors if isinstance(row, dict)] if isinstance(errors, list) else []
    return ApiError(str(problem.get("code") or "http_error"), detail, status=status, rows=rows)


class ApiClient:
    """One connection to one coordinator; use it as an async context manager.

    Args:
        server: base address, for example `http://127.0.0.1:8080`.
        token: bearer token of audience `api`, or "" for the surfaces that are open.
    """

    def __init__(self, server: str, token: str = "") -> None:
        self._server = server.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        table: bytes | None = None,
        query: Mapping[str, str] | None = None,
    ) -> bytes:
        """Send one request and return the body of its answer.

        Args:
            method: HTTP method.
            path: path below the server's address, with its leading slash.
            body: a JSON document to send, or None.
            table: a table to send instead, CSV or XLSX.
            query: parameters of the query.

        Returns:
            The answer's body; one announced as longer than 128 MiB is refused.

        Raises:
            ApiError: the answer is 400 or above.
            ApiUnreachableError: there was no answer.
        """
        payload, _ = await self.exchange(method, path, body=body, table=table, query=query)
        return payload

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        table: bytes | None = None,
        query: Mapping[str, str] | None = None,
    ) -> tuple[bytes, Mapping[str, str]]:
        """Like `request`, with the headers of the answer beside its body."""
        if self._session is None:
            raise RuntimeError("use ApiClient as an async context manager")
        data: bytes | None = None
        headers: dict[str, str] = {}
        if table is not None:
            data, headers["Content-Type"] = table, XLSX if table.startswith(b"PK") else "text/csv; charset=utf-8"
        elif body is not None:
            data, headers["Content-Type"] = msgspec.json.encode(body), "application/json"
        try:
            async with self._session.request(
                method, self._server + path, data=data, headers=headers, params=query
            ) as answer:
                if (answer.content_length or 0) > MAX_ANSWER_BYTES:
                    raise ApiUnreachableError(f"the answer of {self._server} is longer than 128 MiB")
                payload = await answer.read()
                if answer.status >= 400:
                    raise parse_problem(answer.status, payload)
                return payload, answer.headers
        except NO_ANSWER as error:
            raise ApiUnreachableError(f"no answer from {self._server}: {why_no_answer(error)}") from error

    async def _document(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        table: bytes | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Document:
        payload = await self.request(method, path, body=body, table=table, query=query)
        if not payload:
            return {}
        try:
            return msgspec.json.decode(payload, type=Document)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise ApiUnreachableError(f"{self._server} does not speak this API: {error}") from error

    async def _pages(self, path: str, key: str, wanted: Mapping[str, str]) -> Document:
        """The first page of a list, with what the others have under `key` as well."""
        query = {name: value for name, value in wanted.items() if value}
        first: Document = {}
        found: list[Document] = []
        asked: set[str] = set()
        while True:
            answer = await self._document("GET", path, query=query)
            first = first or answer
            found += _list(answer, key)
            after = answer.get("next")
            if not isinstance(after, str) or not after or after in asked:  # whoever goes in circles is left there
                return {**first, key: found, "next": ""}
            asked.add(after)
            query["after"] = after

    async def is_ready(self) -> bool:
        """Say whether the program at this address answers `/readyz` with 200."""
        try:
            await self.request("GET", "/readyz")
        except ConferenceError:
            return False
        return True

    async def metrics(self) -> str:
        """Return the text of `/metrics`."""
        return (await self.request("GET", "/metrics")).decode(errors="replace")

    async def import_units(self, table: bytes, *, dry_run: bool = False, sheet: str = "") -> Document:
        """Add or replace units, all or nothing; answers `{"units", "changed", "dry_run", "difference"}`."""
        query = {"dry_run": "1" if dry_run else "0", "sheet": sheet}
        return await self._document("POST", "/api/v1/units/import", table=table, query=query)

    async def units(self, *, search: str = "", tree: str = "", on: str = "") -> list[Document]:
        """List the units: those that answer a search, of one tree, or as they stood on a day, where given."""
        query = _given(search=search, tree=tree, on=on)
        return _list(await self._document("GET", "/api/v1/units", query=query), "units")

    async def unit(self, code: str) -> Document:
        """Read one unit with what stands above, below, before and after it."""
        return await self._document("GET", f"/api/v1/units/{code}")

    async def export_units(self, form: str = "csv", *, tree: str = "", on: str = "") -> bytes:
        """Return the units as a table."""
        return await self.request("GET", "/api/v1/units/export", query=_given(format=form, tree=tree, on=on))

    async def import_halls(
        self,
        table: bytes,
        *,
        dry_run: bool = False,
        propose: bool = False,
        follow_mergers: bool = False,
        sheet: str = "",
    ) -> Document:
        """Add, replace or propose halls, all or nothing.

        Answers `{"halls", "changed", "dry_run", "difference", "followed", "proposal_id"}`.
        """
        wishes = {"dry_run": dry_run, "propose": propose, "follow_mergers": follow_mergers}
        query = {name: "1" if wish else "0" for name, wish in wishes.items()}
        return await self._document("POST", "/api/v1/halls/import", table=table, query={**query, "sheet": sheet})

    async def import_roster(
        self, conference_id: str, table: bytes, *, dry_run: bool = False, sheet: str = ""
    ) -> Document:
        """Add or change delegates, all or nothing; answers what changed."""
        path = f"/api/v1/conferences/{conference_id}/delegates/import"
        query = {"dry_run": "1" if dry_run else "0", "sheet": sheet}
        return await self._document("POST", path, table=table, query=query)

    async def delegates(self, conference_id: str, *, hall: str = "", unit: str = "") -> list[Document]:
        """List delegates with names, of one hall or unit where given; page after page."""
        path = f"/api/v1/conferences/{conference_id}/delegates"
        return _list(await self._pages(path, "delegates", {"hall": hall, "unit": unit}), "delegates")

    async def delegate(self, conference_id: str, number: int) -> Document:
        """Read one delegate."""
        return await self._document("GET", f"/api/v1/conferences/{conference_id}/delegates/{number}")

    async def change_delegates(self, conference_id: str, change: str, **body: object) -> bytes:
        """Change delegates: `withdraw`, `move` or `reissue`."""
        return await self.request("POST", f"/api/v1/conferences/{conference_id}/delegates/{change}", body=body)

    async def sheets(self, conference_id: str, what: str, *, hall: str = "", unit: str = "") -> bytes:
        """Pages to print, as HTML: `delegates/codes` or `posters`, of one hall or unit."""
        path = f"/api/v1/conferences/{conference_id}/{what}"
        return await self.request("GET", path, query=_given(hall=hall, unit=unit))

    async def privacy(self, conference_id: str) -> Document:
        """Read what is stored about the people of a conference, and who read it."""
        return await self._document("GET", f"/api/v1/conferences/{conference_id}/privacy")

    async def hall(self, hall_id: str) -> Document:
        """Read one hall; answers `{"hall", "revision", "withdrawn"}`."""
        return await self._document("GET", f"/api/v1/halls/{hall_id}")

    async def hall_history(self, hall_id: str) -> Document:
        """Read who changed what of a hall, the newest first; answers `{"hall_id", "revision", "changes"}`."""
        return await self._document("GET", f"/api/v1/halls/{hall_id}/history")

    async def withdraw_hall(self, hall_id: str) -> Document:
        """Take a hall out of the register, or propose that; answers `{"changed", "proposal_id"}`."""
        return await self._document("DELETE", f"/api/v1/halls/{hall_id}")

    async def proposals(self, *, standing: str = "", unit: str = "") -> Document:
        """List proposals, the newest first; answers `{"proposals", "more"}`."""
        return await self._document("GET", "/api/v1/proposals", query=_given(standing=standing, unit=unit))

    async def proposal(self, proposal_id: str) -> Document:
        """Read one proposal and what it changes; answers `{"proposal", "halls", "conflicts", "more"}`."""
        return await self._document("GET", f"/api/v1/proposals/{proposal_id}")

    async def decide_proposals(
        self, proposal_ids: Sequence[str], verdict: str, *, reason: str = "", despite_changes: bool = False
    ) -> Document:
        """Approve or reject proposals, all or nothing; answers `{"proposals"}`."""
        decision = {"verdict": verdict, "reason": reason, "despite_changes": despite_changes}
        body = {"proposal_ids": list(proposal_ids), **decision}
        return await self._document("POST", "/api/v1/proposals/decide", body=body)

    async def halls(
        self, *, conference: str = "", status: str = "", unit: str = "", search: str = "", order: str = ""
    ) -> list[Document]:
        """List all halls, of one conference, status, unit or search where given; page after page."""
        asked = _given(conference=conference, status=status, unit=unit, search=search, order=order)
        wanted = {**asked, "limit": HALLS_AT_ONCE}
        return _list(await self._pages("/api/v1/halls", "halls", wanted), "halls")

    async def export_halls(self, form: str = "csv") -> bytes:
        """Return the registry of halls as a table."""
        return await self.request("GET", "/api/v1/halls/export", query={"format": form})

    async def hall_link(self, hall_id: str, conference_id: str) -> Document:
        """Make the link that a hall opens; answers `{"link", "expires_at_ms"}`."""
        return await self._document("POST", f"/api/v1/halls/{hall_id}/link", body={"conference_id": conference_id})

    async def hall_links(self, hall_ids: Sequence[str], conference_id: str) -> dict[str, str]:
        """Make the links of many halls at once, by hall id."""
        answer = await self._document(
            "POST", "/api/v1/halls/links", body={"conference_id": conference_id, "hall_ids": list(hall_ids)}
        )
        return {str(hall_id): str(link) for hall_id, link in dict(answer.get("links") or {}).items()}

    async def create_conference(
        self,
        conference_id: str,
        title: str,
        feeds: Sequence[str] = ("program",),
        *,
        reporting: TreeName = "territory",
        starts_at_ms: int = 0,
    ) -> Document:
        """Draft a conference, whose halls report in one of the two trees; `starts_at_ms` 0 where that is not known."""
        named = {"conference_id": conference_id, "title": title, "feeds": list(feeds)}
        body = {**named, "reporting": reporting, "starts_at_ms": starts_at_ms}
        return await self._document("POST", "/api/v1/conferences", body=body)

    async def conferences(self) -> list[Document]:
        """List all conferences."""
        return _list(await self._document("GET", "/api/v1/conferences"), "conferences")

    async def conference(self, conference_id: str) -> Document:
        """Read one conference with its totals."""
        return await self._document("GET", f"/api/v1/conferences/{conference_id}")

    async def change_phase(self, conference_id: str, phase: Phase) -> Document:
        """Move a conference to another phase of its life."""
        return await self._document("POST", f"/api/v1/conferences/{conference_id}/phase", body={"phase": phase})

    async def authorise_publisher(self, conference_id: str, feed: str) -> Document:
        """Give a publisher its addresses (see `whip_urls_of`) and its token, `{"token", "expires_at_ms"}`."""
        return await self._document("POST", f"/api/v1/conferences/{conference_id}/publishers", body={"feed": feed})

    async def attendance(
        self, conference_id: str, *, unit: str = "", tree: str = "", closing: bool = False
    ) -> Document:
        """Read the attendance of a unit and of all units right below it, each source apart, now or at the closing."""
        path = f"/api/v1/conferences/{conference_id}/attendance"
        return await self._pages(path, "children", {"unit": unit, "tree": tree, "closing": "1" if closing else ""})

    async def close_attendance(self, conference_id: str) -> Document:
        """Close the attendance of a conference that has ended."""
        return await self._document("POST", f"/api/v1/conferences/{conference_id}/close")

    async def create_rehearsal(self, conference_id: str, title: str, rehearsal_of: str) -> Document:
        """Draft a dress rehearsal of a conference."""
        body = {"conference_id": conference_id, "title": title, "kind": "rehearsal", "rehearsal_of": rehearsal_of}
        return await self._document("POST", "/api/v1/conferences", body=body)

    async def readiness(self, conference_id: str, what: str = "", *, unit: str = "", state: str = "") -> Document:
        """Read which halls are ready; `calls`: whom to phone; `comparison`: what changed since the last rehearsal."""
        path = f"/api/v1/conferences/{conference_id}/readiness{'/' if what else ''}{what}"
        return await self._pages(path, "halls", {"unit": unit, "state": state})

    async def rehearsal(self, conference_id: str, *, unit: str = "") -> Document:
        """Read what became of a dress rehearsal."""
        return await self._pages(f"/api/v1/conferences/{conference_id}/rehearsal", "halls", {"unit": unit})

    async def sign_off(self, conference_id: str, **body: object) -> Document:
        """Answer for a hall or a unit, or take that back."""
        return await self._document("POST", f"/api/v1/conferences/{conference_id}/readiness/signoff", body=body)

    async def corrections(self, conference_id: str, *, unit: str = "", tree: str = "") -> Document:
        """Read when the attendance was closed and what changed since, in a unit and all below it."""
        path = f"/api/v1/conferences/{conference_id}/corrections"
        return await self._pages(path, "corrections", {"unit": unit, "tree": tree})

    async def discrepancies(self, conference_id: str, *, unit: str = "", tree: str = "") -> list[Document]:
        """List where the sources contradict each other, in a unit and all below it; page after page."""
        path = f"/api/v1/conferences/{conference_id}/discrepancies"
        return _list(await self._pages(path, "discrepancies", {"unit": unit, "tree": tree}), "discrepancies")

    async def report(self, conference_id: str, report_format: str, **query: str) -> bytes:
        """Read a report as `json`, `csv`, `html`, `text` or `xlsx`; see `sealed_report`."""
        payload, _ = await self.sealed_report(conference_id, report_format, **query)
        return payload

    async def sealed_report(self, conference_id: str, report_format: str, **query: str) -> tuple[bytes, bytes]:
        """Read a report in one of its forms, and the seal of its bytes (`conference.reports.sealing.FileSeal`).

        Args:
            conference_id: which conference.
            report_format: the form.
            query: what else the API takes: `kind`, `language`, `unit`, `tree`, `section`.
        """
        asked = {"format": report_format, **{name: value for name, value in query.items() if value}}
        payload, headers = await self.exchange("GET", f"/api/v1/conferences/{conference_id}/report", query=asked)
        return payload, base64.urlsafe_b64decode(headers.get("Diemcau-Seal", ""))

    async def public_keys(self) -> list[str]:
        """The keys with which reports are verified, PEM; needs no token."""
        return [str(key) for key in (await self._document("GET", "/api/v1/public-keys")).get("keys") or []]

    async def relays(self) -> list[Document]:
        """List the relays with their place in the tree."""
        return _list(await self._document("GET", "/api/v1/relays"), "relays")

    async def relay(self, relay_id: str) -> Document:
        """Read one relay, and which halls could not leave it."""
        return await self._document("GET", f"/api/v1/relays/{relay_id}")

    async def order(self, path: str, **body: object) -> Document:
        """Give an operator's order at a path below `/api/v1/`; `reason` says why."""
        return await self._document("POST", f"/api/v1/{path}", body=body)

    async def orders(self) -> Document:
        """Read the orders that stand."""
        return await self._document("GET", "/api/v1/orders")

    async def operations(self) -> list[Document]:
        """List the latest orders, the newest first."""
        return _list(await self._document("GET", "/api/v1/operations"), "operations")


def _list(document: Document, key: str) -> list[Document]:
    found = document.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _given(**wanted: str) -> dict[str, str]:
    """The parameters that are not empty."""
    return {name: value for name, value in wanted.items() if value}
