"""`/api/v1/halls/{join,assignment,moved,headcount,leave}`: what a hall itself asks, with the token of its link.

The hall and the conference come from the token, never from the body. Joining costs one decision, one shared disk sync
and one signature, whatever the number of halls.
"""

from __future__ import annotations

from bridges.messages import SCHEMA as HALL_SCHEMA
from bridges.messages import Assignment, HeadcountReport, IceServer, JoinRequest, MovedReport, RelayAccess
from conference.api.problems import RequestError
from conference.api.routing import HALL, HallCall, Route
from conference.commands import JoinHall, LeaveHall, ReportHeadcount, ReportMove
from conference.errors import ConferenceError
from conference.events import HallMoved
from conference.lookup import hall_of, joinable_conference_of, seat_of
from conference.roster import ConferenceState, RelayState

MAX_AVOIDED = 8  # a hall has two relays, and one more while it moves


async def join(call: HallCall) -> Assignment:
    """Give the hall its relays; a hall that has live ones keeps them."""
    claims, body = call.claims, call.body(JoinRequest)
    require_schema(body.schema)
    joins = call.services.metrics.joins_total
    command = JoinHall(
        conference_id=claims.conference,
        hall_id=claims.hall,
        virtual=body.virtual,
        avoid=call.services.avoid() | _avoided(body),
    )
    try:
        await call.services.decider.execute(command, claims.actor)
    except ConferenceError as error:
        joins.labels(result=error.code).inc()
        raise
    joins.labels(result="ok").inc()
    return _assignment(call)


async def read_assignment(call: HallCall) -> Assignment:
    """The hall's present assignment, with fresh tokens."""
    await call.services.decider.settled()  # never tell of an assignment that the disk may still refuse
    return _assignment(call)


async def report_moved(call: HallCall) -> Assignment:
    """The hall went to another of its relays by itself; it gets a new backup."""
    claims, report = call.claims, call.body(MovedReport)
    require_schema(report.schema)
    command = ReportMove(
        conference_id=claims.conference, hall_id=claims.hall, report=report, avoid=call.services.avoid()
    )
    events = await call.services.decider.execute(command, claims.actor)
    for event in events:
        if isinstance(event, HallMoved):
            call.services.metrics.rehome_interruption_seconds.observe(event.interruption_ms / 1000)
    return _assignment(call)


async def report_headcount(call: HallCall) -> None:
    """The technician's figures."""
    claims, report = call.claims, call.body(HeadcountReport)
    require_schema(report.schema)
    command = ReportHeadcount(conference_id=claims.conference, hall_id=claims.hall, report=report)
    await call.services.decider.execute(command, claims.actor)


async def leave(call: HallCall) -> None:
    """The hall leaves in order; its seats are free."""
    claims = call.claims
    await call.services.decider.execute(LeaveHall(conference_id=claims.conference, hall_id=claims.hall), claims.actor)


def _avoided(body: JoinRequest) -> frozenset[str]:
    """Relays that the hall asks not to be given: for itself alone, and only where there are others.

    Raises:
        RequestError: more than a hall can have met.
    """
    if len(body.avoid) > MAX_AVOIDED:
        raise RequestError("bad_body", f"a hall avoids at most {MAX_AVOIDED} relays", status=422)
    return frozenset(body.avoid)


def require_schema(schema: int) -> None:
    """Refuse a message of another schema than ours.

    Raises:
        RequestError: `schema` (422).
    """
    if schema != HALL_SCHEMA:
        raise RequestError("schema", f"this coordinator speaks schema {HALL_SCHEMA}, not {schema}", status=422)


def _assignment(call: HallCall) -> Assignment:
    claims, state = call.claims, call.services.decider.state
    conference, hall = joinable_conference_of(state, claims.conference), hall_of(state, claims.hall)
    seat = seat_of(conference, hall.hall_id)
    expires_at_s = call.services.decider.now_ms() // 1000 + call.services.relay_token_s
    # One token opens both relays: it names the hall and the feeds, and each relay is asked for its own session.
    token = call.services.keys.issue_relay_token(
        sub=hall.hall_id,
        conference=conference.conference_id,
        feeds=conference.feeds,
        action="play",
        exp=expires_at_s,
    )
    primary = relay_access(conference, state.relays[seat.primary], token, expires_at_s)
    backup = relay_access(conference, state.relays[seat.backup], token, expires_at_s) if seat.backup else None
    return Assignment(
        hall_id=hall.hall_id,
        hall_name=hall.name,
        conference_id=conference.conference_id,
        conference_title=conference.title,
        phase=conference.phase,
        feed=conference.feeds[0],
        epoch=seat.epoch,
        primary=primary,
        backup=backup,
        ice_servers=ice_servers(call),
    )


def ice_servers(call: HallCall) -> list[IceServer]:
    """TURN servers with credentials of the hall's own, where there are any."""
    if call.services.turn is None:
        return []
    grant = call.services.turn.issue(call.claims.hall, call.services.decider.now_ms() / 1000)
    return [IceServer(urls=list(grant.urls), username=grant.username, credential=grant.credential)]


def relay_access(conference: ConferenceState, relay: RelayState, token: str, expires_at_s: int) -> RelayAccess:
    """How a hall reaches a relay's first feed."""
    return RelayAccess(
        relay_id=relay.relay_id,
        whep_url=f"{relay.base_url}/{conference.conference_id}/{conference.feeds[0]}/whep",
        token=token,
        expires_at_ms=expires_at_s * 1000,
    )


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/halls/join",
        handler=join,
        summary="Join: get a primary and a backup relay",
        tag="hall session",
        roles=HALL,
        request=JoinRequest,
        response=Assignment,
        errors=(404, 409, 503),
    ),
    Route(
        method="GET",
        path="/api/v1/halls/assignment",
        handler=read_assignment,
        summary="The present assignment, with fresh tokens",
        tag="hall session",
        roles=HALL,
        response=Assignment,
        errors=(404, 409, 503),
    ),
    Route(
        method="POST",
        path="/api/v1/halls/moved",
        handler=report_moved,
        summary="Tell that the hall went to another of its relays",
        tag="hall session",
        roles=HALL,
        request=MovedReport,
        response=Assignment,
        errors=(404, 409, 503),
    ),
    Route(
        method="POST",
        path="/api/v1/halls/headcount",
        handler=report_headcount,
        summary="Report the headcount",
        tag="hall session",
        roles=HALL,
        request=HeadcountReport,
        status=204,
        errors=(404, 409, 503),
    ),
    Route(
        method="POST",
        path="/api/v1/halls/leave",
        handler=leave,
        summary="Leave in order",
        tag="hall session",
        roles=HALL,
        status=204,
        errors=(404, 409, 503),
    ),
)
