"""Errors over HTTP: problem details (RFC 9457) for everything that can go wrong, in one place.

Every typed error becomes its own status and `code`; aiohttp's own refusals (404, 405, 413) take the same form; an
unexpected exception is logged with its traceback and tells the caller nothing but that it was ours.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from bridges.errors import BridgesError, ImportFailedError, UnknownUnitError
from conference.access import AccessDeniedError
from conference.errors import ConferenceError, JournalError, RateLimitedError, RejectedError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2  # a journal that comes back is folded again within a second; capacity comes with the next relay


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Problem details, RFC 9457.

    Attributes:
        type: always `about:blank`: `title` is the status' phrase and `code` tells cases apart.
        title: phrase of the HTTP status.
        status: HTTP status.
        detail: one sentence for people.
        code: stable snake_case word for machines.
        errors: single mistakes, for example the rows of an import.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: list[Any] = []


class RequestError(ConferenceError):
    """The request itself is wrong: its body does not parse, or a parameter is not what it must be."""

    def __init__(self, code: str, detail: str, *, status: int = 400) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status


def problem_of(error: Exception) -> Problem:
    """Describe an error to the caller."""
    match error:
        case ImportFailedError():
            rows = [msgspec.to_builtins(row) for row in error.errors]
            return _problem(422, error.code, str(error), rows)
        case UnknownUnitError():
            return _problem(404, error.code, str(error))
        case BridgesError():
            return _problem(422, error.code, str(error))
        case RejectedError():
            return _problem(error.status, error.code, error.detail, error.errors)
        case ConferenceError():
            return _problem(error.status, error.code, str(error))
        case web.HTTPException():
            return _problem(error.status, _code_of(error.status), error.text or error.reason)
        case _:
            return _problem(500, "internal", "an unexpected error; it was logged")


def response_of(error: Exception) -> web.Response:
    """The whole HTTP answer for an error."""
    problem = problem_of(error)
    headers = {"Content-Type": MEDIA_TYPE}
    if isinstance(error, AccessDeniedError) and problem.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="diemcau"'
    if isinstance(error, web.HTTPMethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.allowed_methods))
    if isinstance(error, JournalError) or problem.status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if isinstance(error, RejectedError) and error.retry_after_s > 0:
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    if isinstance(error, RateLimitedError):
        headers["Retry-After"] = str(math.ceil(error.wait_s))
    return web.Response(body=msgspec.json.encode(problem), status=problem.status, headers=headers)


def _problem(status: int, code: str, detail: str, errors: list[Any] | None = None) -> Problem:
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, code=code, errors=errors or [])


def _code_of(status: int) -> str:
    return HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")
