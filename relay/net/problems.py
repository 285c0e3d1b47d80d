"""HTTP errors of a relay as problem details (RFC 9457)."""

from __future__ import annotations

import json
from http import HTTPStatus

from aiohttp import web


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    """A response of `application/problem+json`; `code` is for machines, `detail` one sentence for people."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    return web.Response(
        status=status,
        body=json.dumps(body, ensure_ascii=False).encode(),
        content_type="application/problem+json",
        headers=headers,
    )
