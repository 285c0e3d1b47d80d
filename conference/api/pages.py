"""The web pages: `/hall`, `/checkin`, `/live`, `/halls`, `/attendance` and what they load from `/static/`.

All files are read once at the start into a table by name: no path of a request ever reaches the file system.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from aiohttp import web

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".wasm": "application/wasm",
}
_COMMON_POLICY: Final = (
    "media-src 'self' blob: mediastream:; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Relays stand at other addresses than this coordinator and are not known beforehand, so `connect-src` is open to the
# web's schemes; scripts and styles come from here alone, and none stands inside a page.
PAGE_POLICY: Final = f"default-src 'self'; connect-src 'self' http: https:; {_COMMON_POLICY}"
# Of pages that speak to their own coordinator alone.
OWN_POLICY: Final = f"default-src 'self'; {_COMMON_POLICY}"
# As these, and reads QR codes by WebAssembly where the browser has no reader of its own.
CHECKIN_POLICY: Final = f"default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; {_COMMON_POLICY}"
# A worker has the policy of its own script.
_POLICIES: Final = {
    "checkin.html": CHECKIN_POLICY,
    "checkin-worker.js": OWN_POLICY,
    "live.html": OWN_POLICY,
    "halls.html": OWN_POLICY,
    "attendance.html": OWN_POLICY,
}
_HALL_PAGES: Final = {
    "/hall": "hall.html",
    "/checkin": "checkin.html",
    # At the root and not under /static/, for a worker may serve only what lies below its own folder.
    "/checkin-worker.js": "checkin-worker.js",
}
_STAFF_PAGES: Final = {"/live": "live.html", "/halls": "halls.html", "/attendance": "attendance.html"}
_VENDOR: Final = "vendor"


class Page:
    """One file, as it is answered."""

    __slots__ = ("body", "content_type", "etag", "policy")

    def __init__(self, body: bytes, content_type: str, policy: str = PAGE_POLICY) -> None:
        self.body = body
        self.content_type = content_type
        self.policy = policy
        self.etag = hashlib.sha256(body).hexdigest()[:32]

    def answer(self, request: web.Request) -> web.Response:
        """The file, or 304 for who has it."""
        headers = {"ETag": f'"{self.etag}"', "Cache-Control": "no-cache", "Content-Security-Policy": self.policy}
        if request.if_none_match is not None and any(tag.value == self.etag for tag in request.if_none_match):
            return web.Response(status=304, headers=headers)
        return web.Response(body=self.body, headers={**headers, "Content-Type": self.content_type})


def load_pages(package: str = "conference") -> dict[str, Page]:
    """All files of the folder `pages` whose type is known, by name; what npm brought as `vendor/…`, where it did."""
    folder = resources.files(package).joinpath("pages")
    return {**_read(folder, ""), **_read(folder.joinpath(_VENDOR), f"{_VENDOR}/")}


def _read(folder: Traversable, prefix: str) -> dict[str, Page]:
    if not folder.is_dir():
        return {}
    found = {}
    for file in folder.iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if file.is_file() and suffix in _TYPES:
            name = prefix + file.name
            found[name] = Page(file.read_bytes(), _TYPES[suffix], _POLICIES.get(name, PAGE_POLICY))
    return found


def hall_page_routes(pages: dict[str, Page]) -> Iterable[web.RouteDef]:
    """What halls and delegates open: `/hall`, `/checkin`, and `/static/{name}`."""

    async def static(request: web.Request) -> web.StreamResponse:
        return _named(pages, request.match_info["name"], request)

    # The pattern is that of the table's names; a name that is not in the table is not found.
    return (*_routes(pages, _HALL_PAGES), web.get("/static/{name:(?:vendor/)?[^/]+}", static))


def page_routes(pages: dict[str, Page]) -> Iterable[web.RouteDef]:
    """The halls' pages, those of the staff, and a way from `/` to the operators' page."""

    async def root(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "/live"})

    return (*hall_page_routes(pages), web.get("/", root), *_routes(pages, _STAFF_PAGES))


def _routes(pages: dict[str, Page], names: Mapping[str, str]) -> Iterable[web.RouteDef]:
    def serving(name: str) -> web.RouteDef:
        async def serve(request: web.Request) -> web.StreamResponse:
            return _named(pages, names[name], request)

        return web.get(name, serve)

    return [serving(name) for name in names]


def _named(pages: dict[str, Page], name: str, request: web.Request) -> web.StreamResponse:
    page = pages.get(name)
    if page is None:
        raise web.HTTPNotFound(text="no such page")
    return page.answer(request)
