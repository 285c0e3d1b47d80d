"""Tables over HTTP: what an import would change, exports and templates in the form that was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

import msgspec
from aiohttp import web

from bridges.differences import Difference, RecordChange
from bridges.workbooks import FORMS, MEDIA, SUBJECTS, Form, Language, Subject, serialize_template
from conference.api.routing import CSV, STAFF, XLSX, Call, Query, Route

FORM = Query(name="format", text="form of the file", values=FORMS)
LANGUAGE = Query(name="language", text="language of the headings and words", values=("vi", "en"))
DRY_RUN = Query(name="dry_run", text="1: check everything, write nothing", values=("0", "1"))
SHEET = Query(name="sheet", text="name of the sheet of a workbook; the first that is shown unless given")
TABLE_MEDIA = (CSV, XLSX)
# Of each list in an answer: what somebody looks through; the counts are of all.
MAX_LISTED = 1_000


class DifferenceView(msgspec.Struct, frozen=True, kw_only=True):
    """A file beside what is registered; each list holds at most 1,000, the counts are of all.

    Attributes:
        new_count: records that are not registered yet.
        changed_count: records that are, and differ.
        unchanged_count: records that are as in the file.
        absent_count: records that are registered and not in the file; they stay as they are.
        new: their codes.
        changed: what changes, field by field.
        absent: their codes.
    """

    new_count: int
    changed_count: int
    unchanged_count: int
    absent_count: int
    new: list[str]
    changed: list[RecordChange]
    absent: list[str]


def view_difference(found: Difference) -> DifferenceView:
    """A difference as the API shows it."""
    return DifferenceView(
        new_count=len(found.new),
        changed_count=len(found.changed),
        unchanged_count=found.unchanged,
        absent_count=len(found.absent),
        new=found.new[:MAX_LISTED],
        changed=found.changed[:MAX_LISTED],
        absent=found.absent[:MAX_LISTED],
    )


def today(call: Call) -> str:
    """The day, `YYYY-MM-DD`, on which a request came: in Việt Nam, whose units begin and end at its midnight."""
    now_s = call.services.coordinator.now_ms() / 1000
    return datetime.fromtimestamp(now_s + 7 * 3600, UTC).date().isoformat()


async def table_response(call: Call, name: str, serialize: Callable[[Form, Language], bytes]) -> web.Response:
    """A table as a file, in the form and language that were asked for."""
    form = cast("Form", call.query("format", FORMS, default="csv"))
    language = cast("Language", call.query("language", ("vi", "en"), default="vi"))
    body = await asyncio.to_thread(serialize, form, language)
    headers = {"Content-Type": MEDIA[form], "Content-Disposition": f'attachment; filename="{name}.{form}"'}
    return web.Response(body=body, headers=headers)


async def read_template(call: Call) -> web.Response:
    """A file to fill in, with an explained example and the allowed words."""
    subject = cast("Subject", call.query("subject", SUBJECTS, default="halls"))
    return await table_response(call, subject, lambda form, language: serialize_template(subject, form, language))


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/templates",
        handler=read_template,
        summary="A table to fill in: halls, units or kinds of units",
        tag="documents",
        roles=STAFF,
        scope="open",
        response_media=TABLE_MEDIA,
        errors=(422, 503),
        query=(Query(name="subject", text="what the table is of", values=SUBJECTS), FORM, LANGUAGE),
    ),
)
