"""Whatever is sent to a route, the answer is one that the OpenAPI document promises, and never an error of ours."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.coordinator_harness import CONFERENCE, Api, connect_relay, register_message

from conference.access import Role
from conference.api.documents import build_document
from conference.api.problems import MEDIA_TYPE, Problem
from conference.api.routing import CSV, JSON, Route
from conference.api.server import api_routes
from conference.app import serve_coordinator
from conference.config import CoordinatorConfig, RateLimitsConfig

pytestmark = pytest.mark.integration
# A stream has no end, and a control connection is no request: they have tests of their own.
ROUTES = {
    f"{route.method} {route.path}": route for route in api_routes() if not route.path.endswith(("/live", "/control"))
}
DOCUMENT = build_document(api_routes())
EXAMPLES = 40
# Names that exist, so that not every request ends at "unknown".
KNOWN = st.sampled_from([CONFERENCE, "program", "edge-1", "edge-2", "01", "a", "b"])
TEXT = st.one_of(KNOWN, st.text(max_size=20), st.text("abc-_", min_size=1, max_size=80))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


def _fitting(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema of the document allows, as far as it says."""
    if "$ref" in schema:
        return _fitting(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return st.one_of(*(_fitting(each) for each in schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return _of_type(schema)


def _of_type(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    match schema.get("type"):
        case "object":
            fields = {name: _fitting(each) for name, each in schema["properties"].items()}
            required = {name: fields.pop(name) for name in schema["required"]}
            return st.fixed_dictionaries(required, optional=fields)
        case "array":
            bounds = {"min_size": schema.get("minItems", 0), "max_size": min(schema.get("maxItems", 4), 4)}
            return st.lists(_fitting(schema["items"]), **bounds)
        case "string":
            return TEXT.filter(lambda text: schema.get("minLength", 0) <= len(text))
        case "integer":
            return st.integers(-3, 100) | st.integers()
        case "number":
            return st.floats(0, 10_000) | st.floats(allow_nan=False)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    raise AssertionError(schema)


def _bodies(route: Route) -> st.SearchStrategy[bytes]:
    if not route.takes_body:
        return st.just(b"")
    if route.request_media == CSV:
        heading = st.sampled_from(["", "code,name,kind,parent\n", "mã,tên,đơn vị,cấp,số đại biểu\n"])
        text = st.tuples(heading, st.text('01,"\n;a\t', max_size=60) | TEXT).map("".join)
        return text.map(str.encode) | st.binary(max_size=60)
    content = DOCUMENT["paths"][route.path][route.method.lower()]["requestBody"]["content"]
    encoded = (_fitting(content[route.request_media]["schema"]) | ANYTHING).map(msgspec.json.encode)
    return encoded | st.binary(max_size=40)


def _queries(route: Route) -> st.SearchStrategy[dict[str, str]]:
    values = {query.name: (st.sampled_from(query.values) | TEXT if query.values else TEXT) for query in route.query}
    return st.fixed_dictionaries({}, optional=values)


class Served:
    """A coordinator with an open conference, two relays and a hall that has joined; `ask` asks it one thing."""

    def __init__(self, runner: asyncio.Runner, api: Api, halls: list[str]) -> None:
        self._runner = runner
        self._api = api
        self.halls = halls

    def ask(self, route: Route, role: Role | None, path: str, query: dict[str, str], body: bytes) -> None:
        """Send one request, and check its answer against the document."""
        self._runner.run(self._ask(route, role, path, query, body))

    async def _ask(self, route: Route, role: Role | None, path: str, query: dict[str, str], body: bytes) -> None:
        headers = {} if role is None else self._api.bearer(role, hall=self.halls[0] if role == "hall" else "")
        async with self._api.session.request(
            route.method, path, headers=headers, params=query, data=body or None
        ) as answer:
            content, media_type, status = await answer.read(), answer.content_type, str(answer.status)
        promised = DOCUMENT["paths"][route.path][route.method.lower()]["responses"]
        assert status in promised, content
        assert status != "500", content
        assert ("content" in promised[status]) == bool(content)
        assert media_type in promised[status].get("content", {"application/octet-stream": {}})
        if media_type == MEDIA_TYPE:
            assert str(msgspec.json.decode(content, type=Problem).status) == status
        elif media_type == JSON and route.response is not None:
            msgspec.json.decode(content, type=route.response)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """One coordinator for all that is asked here; what earlier requests left behind makes the later ones odder."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        limits = RateLimitsConfig(holder_per_s=100_000, holder_burst=1_000_000)
        config = CoordinatorConfig(port=0, state_dir=Path(folder), rate_limits=limits)
        stack = contextlib.AsyncExitStack()

        async def begin() -> Served:
            running = await stack.enter_async_context(serve_coordinator(config))
            api = await stack.enter_async_context(contextlib.aclosing(Api(running.url, running.services.keys)))
            halls = await api.prepare(3)
            for relay in (register_message("edge-1"), register_message("edge-2"), register_message("o", role="origin")):
                await stack.enter_async_context(connect_relay(api, relay))
            await api.join(halls[0])
            return Served(runner, api, halls)

        yield runner.run(begin())
        runner.run(stack.aclose())


@pytest.mark.parametrize("name", ROUTES)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_each_answer_is_one_that_the_document_promises(served: Served, name: str, data: st.DataObject) -> None:
    """For bodies, parameters and roles of all kinds: a promised status, its media type, and a body of its type."""
    route = ROUTES[name]
    role: Role | None = data.draw(
        st.sampled_from([*sorted(route.roles or {"organiser"})] * 3 + [None, "relay"]), label="role"
    )
    path = route.path
    for parameter in route.parameters:
        known = st.sampled_from([CONFERENCE, *served.halls])
        value = data.draw(known | TEXT.filter(lambda text: text not in {"", ".", ".."}), label=parameter)
        path = path.replace(f"{{{parameter}}}", quote(value, safe=""))
    served.ask(route, role, path, data.draw(_queries(route), label="query"), data.draw(_bodies(route), label="body"))
