"""Every error at the door is a problem document with CORS headers, and tells no secrets."""

from __future__ import annotations

import json

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from relay.errors import AccessError, RelayError, WireError
from relay.net.door import middleware, read_sdp
from relay.net.problems import problem


async def answer(error: Exception) -> tuple[web.Response, dict[str, object], list[str]]:
    """What the door makes of an error: the response, its document, and what was counted as malformed."""
    counted: list[str] = []

    async def handler(_request: web.Request) -> web.StreamResponse:
        raise error

    guard = middleware(counted.append)
    response = await guard(make_mocked_request("POST", "/a/b/whep"), handler)
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    document: dict[str, object] = json.loads(response.body)
    assert response.content_type == "application/problem+json"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert document["status"] == response.status
    return response, document, counted


async def test_access_errors() -> None:
    """401 says how to authenticate, 403 does not."""
    response, document, _ = await answer(AccessError("who are you"))
    assert (response.status, document["code"], document["title"]) == (401, "access_denied", "Unauthorized")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="diemcau"'
    response, _, _ = await answer(AccessError("not for you", status=403))
    assert response.status == 403
    assert "WWW-Authenticate" not in response.headers


async def test_malformed_input_is_counted_by_protocol() -> None:
    """400 with the reason; other errors of the relay are 400 and not counted."""
    response, document, counted = await answer(WireError("sdp", "line 3: no type"))
    assert (response.status, document["code"], document["detail"]) == (400, "malformed", "sdp: line 3: no type")
    assert counted == ["sdp"]
    response, document, counted = await answer(RelayError("no"))
    assert (response.status, document["code"], counted) == (400, "relay_error", [])


async def test_http_errors_keep_what_clients_need() -> None:
    """Allow and Retry-After stay."""
    response, document, _ = await answer(web.HTTPMethodNotAllowed("GET", ["POST"]))
    assert (response.status, response.headers["Allow"], document["code"]) == (405, "POST", "http_405")
    response, _, _ = await answer(web.HTTPServiceUnavailable(headers={"Retry-After": "7", "X-Other": "1"}))
    assert response.headers["Retry-After"] == "7"
    assert "X-Other" not in response.headers


async def test_a_bug_of_ours_tells_nothing() -> None:
    """500 without the exception's words."""
    response, document, _ = await answer(ValueError("the secret is 42"))
    assert (response.status, document["code"]) == (500, "internal")
    assert "42" not in json.dumps(document)


def test_a_problem_is_one_of_rfc_9457() -> None:
    """Type, title by the status, detail in any language."""
    made = problem(503, "full", "trạm đã đầy", {"Retry-After": "5"})
    assert isinstance(made.body, bytes)
    assert json.loads(made.body) == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "code": "full",
        "detail": "trạm đã đầy",
    }
    assert made.headers["Retry-After"] == "5"
    assert made.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "application/sdpx", ""])
async def test_the_body_is_sdp(content_type: str) -> None:
    """Anything else is 415 before it is read."""
    request = make_mocked_request("POST", "/a/b/whep", headers={"Content-Type": content_type} if content_type else {})
    with pytest.raises(web.HTTPUnsupportedMediaType):
        await read_sdp(request)
