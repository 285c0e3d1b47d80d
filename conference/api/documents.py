"""The OpenAPI 3.1 document of the API, made from the table of routes and their msgspec types."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from conference.api.problems import MEDIA_TYPE as PROBLEM_MEDIA_TYPE
from conference.api.problems import Problem
from conference.api.routing import CSV, JSON, XLSX, Call, Route

VERSION = "1.0.0"


def build_document(routes: Sequence[Route]) -> dict[str, Any]:
    """The document for `routes`."""
    kinds = _kinds(routes)
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schema_of = {_key(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Điểm Cầu: coordinator",
            "version": VERSION,
            "description": "Conferences, halls, relays and attendance. Errors are problem details (RFC 9457).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def openapi_route(routes: Sequence[Route]) -> Route:
    """The route that serves the document of `routes` and of itself."""

    async def openapi(_call: Call) -> object:
        return document

    route = Route(
        method="GET",
        path="/api/v1/openapi.json",
        handler=openapi,
        summary="This document",
        tag="documents",
        response=dict[str, Any],
    )
    document = build_document([*routes, route])
    return route


def _kinds(routes: Sequence[Route]) -> list[Any]:
    """Every type once, in order."""
    found: dict[str, Any] = {_key(Problem): Problem}
    for route in routes:
        for kind in (route.request, route.response):
            if kind is not None and kind is not bytes:
                found.setdefault(_key(kind), kind)
    return list(found.values())


def _key(kind: Any) -> str:
    return repr(kind)


def _operation(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": getattr(route.handler, "__name__", route.path),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in route.parameters
        ]
        + [
            {
                "name": query.name,
                "in": "query",
                "required": False,
                "description": query.text,
                "schema": {"type": "string", "enum": list(query.values)} if query.values else {"type": "string"},
            }
            for query in route.query
        ],
        "responses": _responses(route, schema_of),
        "security": [{"bearer": []}] if route.roles is not None else [],
    }
    if route.roles is not None:
        operation["description"] = f"For the roles: {', '.join(sorted(route.roles))}."
    if route.takes_body:
        # A table comes in either form.
        takes = {key: {"schema": {"type": "string"}} for key in (CSV, XLSX)}
        if route.request_media != CSV:
            takes = {route.request_media: {"schema": schema_of[_key(route.request)]}}
        operation["requestBody"] = {"required": True, "content": takes}
    return operation


def _responses(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if route.response is not None:
        good["content"] = {JSON: {"schema": schema_of[_key(route.response)]}}
    elif route.status not in {101, 204}:
        good["content"] = {media: {"schema": {"type": "string"}} for media in route.response_media}
    statuses = {429, 500, *route.errors}
    if route.roles is not None:
        statuses |= {401, 403}
    if route.takes_body:
        statuses |= {400, 408, 413, 415, 422}
    problem = {"content": {PROBLEM_MEDIA_TYPE: {"schema": schema_of[_key(Problem)]}}}
    bad = {str(status): {"description": HTTPStatus(status).phrase, **problem} for status in sorted(statuses)}
    return {str(route.status): good, **bad}
