"""`/api/v1/conferences/{id}/report`: the flash report (báo cáo nhanh) in the form that is asked for."""

from __future__ import annotations

import asyncio
from typing import cast, get_args

from aiohttp import web

from conference.api.routing import STAFF, Call, Query, Route
from conference.api.turns import in_turns
from conference.attendance_sources import flash_halls, flash_input_of
from conference.lookup import conference_of
from conference.reports.flash import FlashInput, build_flash_report
from conference.reports.page import content_security_policy
from conference.reports.rendering import ReportFormat, render

FORMATS: tuple[str, ...] = get_args(ReportFormat)


async def read_report(call: Call) -> web.Response:
    """The flash report now, also before the end."""
    wanted = cast("ReportFormat", call.query("format", FORMATS, default="json"))
    coordinator = call.services.coordinator
    conference = conference_of(coordinator.state, call.path("conference_id"))
    state, now_ms = coordinator.state, coordinator.now_ms()
    halls = await in_turns(sorted(state.halls), lambda hall_ids: flash_halls(state, conference, hall_ids, now_ms))
    given = flash_input_of(conference, halls, now_ms)
    media_type, body = await asyncio.to_thread(_build, given, wanted)
    headers = {"Content-Type": media_type}
    if wanted == "html":
        headers["Content-Security-Policy"] = f"{content_security_policy()}; frame-ancestors 'none'"
    if wanted == "csv":
        headers["Content-Disposition"] = f'attachment; filename="{conference.conference_id}.csv"'
    return web.Response(body=body, headers=headers)


def _build(given: FlashInput, wanted: ReportFormat) -> tuple[str, bytes]:
    """The longer part of the work, for a thread: it touches plain values only."""
    return render(build_flash_report(given), wanted)


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/conferences/{conference_id}/report",
        handler=read_report,
        summary="The flash report",
        tag="conferences",
        roles=STAFF,
        response_media=("application/json", "text/csv", "text/html", "text/plain"),
        errors=(404, 422, 503),
        query=(Query(name="format", text="json unless given", values=FORMATS),),
    ),
)
