"""`/api/v1/halls/{precheck,signoff}`: what a hall's page or agent needs to be tried before the day.

A check opens sessions at relays under a name that is no hall's, so that nobody is present because of it. Nothing is
assigned and no seat is charged.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from bridges.messages import RelayAccess
from bridges.precheck_messages import PAYLOAD_PATH, PrecheckPlan, PrecheckReport, PrecheckVerdict, SignOffReport
from bridges.readiness import Readiness, judge
from conference.api.hall_session import ice_servers, relay_access, require_schema
from conference.api.routing import HALL, HallCall, Route
from conference.commands import ReportPrecheck, SignOffReadiness
from conference.errors import RateLimitedError
from conference.lookup import conference_of, hall_of
from conference.readiness.payload import PAYLOAD_BYTES
from conference.readiness.readying import hall_readiness, relays_to_check, sessions_of

# Not a hall's id, which holds no colon: what relays see of such a session is nobody's presence.
CHECKER = "precheck:"


async def plan(call: HallCall) -> PrecheckPlan:
    """Which relays the hall would have, with tokens for them."""
    claims, services = call.claims, call.services
    await services.decider.settled()
    state = services.decider.state
    relay_ids = relays_to_check(state, claims.conference, claims.hall, services.avoid())
    conference, hall = conference_of(state, claims.conference), hall_of(state, claims.hall)
    expires_at_s = services.decider.now_ms() // 1000 + services.relay_token_s
    token = services.keys.issue_relay_token(
        sub=CHECKER + hall.hall_id,
        conference=conference.conference_id,
        feeds=conference.feeds,
        action="play",
        exp=expires_at_s,
    )

    def access(relay_id: str) -> RelayAccess | None:
        return relay_access(conference, state.relays[relay_id], token, expires_at_s) if relay_id else None

    region = state.provinces.get(hall.hall_id, "")
    return PrecheckPlan(
        hall_id=hall.hall_id,
        hall_name=hall.name,
        conference_id=conference.conference_id,
        conference_title=conference.title,
        phase=conference.phase,
        primary=access(relay_ids[0]),
        backup=access(relay_ids[1]),
        layer_bps=state.policy.regions.get(region, state.policy.media).bits_per_s,
        payload_bytes=PAYLOAD_BYTES,
        ice_servers=ice_servers(call),
    )


async def report(call: HallCall) -> PrecheckVerdict:
    """Store what was measured, and say what it means."""
    claims, body = call.claims, call.body(PrecheckReport)
    require_schema(body.schema)
    command = ReportPrecheck(conference_id=claims.conference, hall_id=claims.hall, precheck=body.precheck)
    await call.services.decider.execute(command, claims.actor)
    return PrecheckVerdict(findings=judge(body.precheck, call.services.thresholds), readiness=await _readiness(call))


async def sign_off_own(call: HallCall) -> Readiness:
    """The hall's technician answers for it."""
    claims, body = call.claims, call.body(SignOffReport)
    require_schema(body.schema)
    command = SignOffReadiness(
        conference_id=claims.conference,
        hall_id=claims.hall,
        by=claims.actor,
        note=body.note,
        withdrawn=body.withdrawn,
    )
    await call.services.decider.execute(command, claims.actor)
    return await _readiness(call)


async def read_payload(call: HallCall) -> web.Response:
    """Some megabytes of nothing."""
    wait_s = call.services.payload.take(call.claims.hall, asyncio.get_running_loop().time())
    if wait_s > 0:
        raise RateLimitedError(wait_s)
    return web.Response(body=call.services.payload.body, content_type="application/octet-stream")


async def _readiness(call: HallCall) -> Readiness:
    decider, claims = call.services.decider, call.claims
    await decider.settled()  # at a gateway: once its own partition was read
    state = decider.state
    sessions = sessions_of(state, claims.conference)
    return hall_readiness(state, sessions, claims.hall, call.services.thresholds, decider.now_ms())


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/halls/precheck/plan",
        handler=plan,
        summary="Which relays the hall would have, to try them; assigns nothing",
        tag="hall session",
        roles=HALL,
        response=PrecheckPlan,
        errors=(404, 409, 503),
    ),
    Route(
        method="POST",
        path="/api/v1/halls/precheck",
        handler=report,
        summary="Store a pre-check, and get what it means",
        tag="hall session",
        roles=HALL,
        request=PrecheckReport,
        response=PrecheckVerdict,
        errors=(404, 409, 503),
    ),
    Route(
        method="GET",
        path=PAYLOAD_PATH,
        handler=read_payload,
        summary="Some megabytes to download, a few times a minute",
        tag="hall session",
        roles=HALL,
        response_media=("application/octet-stream",),
        errors=(429,),
    ),
    Route(
        method="POST",
        path="/api/v1/halls/signoff",
        handler=sign_off_own,
        summary="The hall's technician signs off, or takes that back",
        tag="hall session",
        roles=HALL,
        request=SignOffReport,
        response=Readiness,
        errors=(404, 409, 503),
    ),
)
