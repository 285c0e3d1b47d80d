"""The web pages: `/hall`, `/live` and what they load from `/static/`.

All files are read once at the start into a table by name: no path of a request ever reaches the file system.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib import resources
from typing import Final

from aiohttp import web

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
}
# Relays stand at other addresses than this coordinator and are not known beforehand, so `connect-src` is open to the
# web's schemes; scripts and styles come from here alone, and none stands inside a page.
PAGE_POLICY: Final = (
    "default-src 'self'; connect-src 'self' http: https:; media-src 'self' blob: mediastream:; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Page:
    """One file, as it is answered."""

    __slots__ = ("body", "content_type", "etag")

    def __init__(self, body: bytes, content_type: str) -> None:
        self.body = body
        self.content_type = content_type
        self.etag = hashlib.sha256(body).hexdigest()[:32]

    def answer(self, request: web.Request) -> web.Response:
        """The file, or 304 for who has it."""
        headers = {"ETag": f'"{self.etag}"', "Cache-Control": "no-cache", "Content-Security-Policy": PAGE_POLICY}
        if request.if_none_match is not None and any(tag.value == self.etag for tag in request.if_none_match):
            return web.Response(status=304, headers=headers)
        return web.Response(body=self.body, headers={**headers, "Content-Type": self.content_type})


def load_pages(package: str = "conference") -> dict[str, Page]:
    """All files of the folder `pages` whose type is known, by name."""
    folder = resources.files(package).joinpath("pages")
    if not folder.is_dir():
        return {}
    found = {}
    for file in folder.iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if file.is_file() and suffix in _TYPES:
            found[file.name] = Page(file.read_bytes(), _TYPES[suffix])
    return found


def hall_page_routes(pages: dict[str, Page]) -> Iterable[web.RouteDef]:
    """`/hall` and `/static/{name}`."""

    async def hall(request: web.Request) -> web.StreamResponse:
        return _named(pages, "hall.html", request)

    async def static(request: web.Request) -> web.StreamResponse:
        return _named(pages, request.match_info["name"], request)

    return (web.get("/hall", hall), web.get("/static/{name}", static))


def page_routes(pages: dict[str, Page]) -> Iterable[web.RouteDef]:
    """The hall's page, `/live`, and a way from `/` to the operators' page."""

    async def live(request: web.Request) -> web.StreamResponse:
        return _named(pages, "live.html", request)

    async def root(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "/live"})

    return (*hall_page_routes(pages), web.get("/", root), web.get("/live", live))


def _named(pages: dict[str, Page], name: str, request: web.Request) -> web.StreamResponse:
    page = pages.get(name)
    if page is None:
        raise web.HTTPNotFound(text="no such page")
    return page.answer(request)
