"""The table of routes: what both the server and its OpenAPI document are made from, so that they cannot differ.

A `Route` says who may call it, what it takes and what it gives; `add_routes` turns it into an aiohttp route that
checks the token, bounds and decodes the body, calls the handler and encodes what it returns.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, Literal, TypeVar

import msgspec
from aiohttp import web

from bridges.readiness import Thresholds
from conference.access import (
    OF_ONE_HALL,
    STAFF_ROLES,
    ApiClaims,
    KeyRing,
    Role,
    require_conference,
    require_role,
    require_whole,
)
from conference.api.bodies import decode_body, read_body
from conference.api.finding import HallFinder
from conference.api.limiting import caller
from conference.api.problems import RequestError
from conference.checkin.desk import CheckinDesk
from conference.config import CoordinatorConfig
from conference.coordinator import Coordinator
from conference.decider import Decider
from conference.forwarding import ForwardingDoor
from conference.gateway import Gateway
from conference.live import LiveBoard
from conference.people.contract import PeopleStore
from conference.people.erasing import Erasing
from conference.people.reading import Reading
from conference.people.rostering import Rostering
from conference.reach import Reach
from conference.readiness.payload import PrecheckPayload
from conference.relay_desk import RelayDesk
from conference.reporting.making import ReportMaker
from configs.turn import TurnCredentials
from monitoring.metrics import CoordinatorMetrics, FrontMetrics

JSON = "application/json"
CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_BODY_BYTES = 64 * 1024
MAX_IMPORT_BYTES = 32 * 1024 * 1024

STAFF: frozenset[Role] = STAFF_ROLES
ORGANISER: frozenset[Role] = frozenset({"organiser"})
HALL: frozenset[Role] = frozenset({"hall"})
POSTER: frozenset[Role] = frozenset({"poster"})
Scope = Literal["whole", "reach", "open"]
"""What a holder who is bound to a unit meets at a route.

`whole`: a refusal; the route is about the whole country. `reach`: his own subtree; the handler keeps to `Call.reach`.
`open`: what everybody meets; the route shows and changes nothing of halls or persons.
"""

_PARAMETER = re.compile(r"\{([a-z_]+)\}")
T = TypeVar("T")


class HallServices(msgspec.Struct, frozen=True, kw_only=True):
    """What the handlers of halls work with, in a coordinator and in a gateway.

    Attributes:
        decider: takes their commands and has the state.
        avoid: relays that no hall is newly sent to, as far as this process knows.
        relay_token_s: how long a hall's token for a relay is good for.
        turn: issues credentials for TURN servers, None where there are none.
        reading: gives the names of delegates to those who may have them.
        checkins: checks delegates in.
        thresholds: when a hall is ready.
        payload: what halls download to try their line.
    """

    decider: Decider
    avoid: Callable[[], frozenset[str]]
    keys: KeyRing
    relay_token_s: int
    metrics: FrontMetrics
    turn: TurnCredentials | None
    reading: Reading
    checkins: CheckinDesk
    thresholds: Thresholds
    payload: PrecheckPayload


class Services(HallServices, frozen=True, kw_only=True):
    """What the coordinator's handlers work with; made once by the composition root.

    Attributes:
        people: who the delegates are.
        rostering: imports rosters.
        erasing: erases people.
        public_url: where halls and operators reach this coordinator, without a slash at the end.
    """

    coordinator: Coordinator
    people: PeopleStore
    rostering: Rostering
    erasing: Erasing
    desk: RelayDesk
    gateway: Gateway
    forwarding: ForwardingDoor
    config: CoordinatorConfig
    live: LiveBoard
    finder: HallFinder
    metrics: CoordinatorMetrics
    public_url: Callable[[], str]
    reports: ReportMaker


ServicesT = TypeVar("ServicesT", bound=HallServices)


class CallOf(Generic[ServicesT]):
    """One request on its way through a handler."""

    __slots__ = ("_body", "_claims", "_reach", "request", "services")

    def __init__(self, services: ServicesT, request: web.Request, claims: ApiClaims | None, body: object) -> None:
        self.services = services
        self.request = request
        self._claims = claims
        self._body = body
        self._reach: Reach | None = None

    @property
    def claims(self) -> ApiClaims:
        """The caller's verified claims; only on routes with roles."""
        assert self._claims is not None, "a public route asked who calls"  # noqa: S101 - a bug of ours, not input
        return self._claims

    @property
    def reach(self) -> Reach:
        """The halls and units that the caller may see and change.

        Raises:
            JournalError: there is no state at the moment.
        """
        if self._reach is None:
            self._reach = Reach(self.services.decider.state.units, self.claims.unit)
        return self._reach

    def body(self, kind: type[T]) -> T:
        """The decoded body, of the type that the route names."""
        assert isinstance(self._body, kind), "the route names another type"  # noqa: S101 - a bug of ours, not input
        return self._body

    def path(self, name: str) -> str:
        """A parameter of the path."""
        return self.request.match_info[name]

    def query(self, name: str, allowed: Iterable[str] | None = None, default: str = "") -> str:
        """A parameter of the query.

        Raises:
            RequestError: 422 when it is none of `allowed`.
        """
        value = self.request.query.get(name, default)
        if allowed is not None and value not in {*allowed, default}:
            raise RequestError(
                "bad_parameter", f"{name} is {value[:40]!r}; expected {', '.join(sorted(allowed))}", status=422
            )
        return value


Call = CallOf[Services]
HallCall = CallOf[HallServices]
Handler = Callable[[CallOf[Any]], Awaitable[object]]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A query parameter in the document; `values` are all that are allowed, where that is a closed set."""

    name: str
    text: str
    values: tuple[str, ...] = ()


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One operation.

    Attributes:
        method: HTTP method.
        path: template, `{name}` stands for one segment.
        handler: returns a value of the type `response`, or an aiohttp response of its own.
        summary: one line for the document.
        tag: the resource.
        roles: who may call; None for everybody.
        scope: what a caller who is bound to a unit meets. Refusal unless said otherwise, so that no route forgets it.
        request: type of the JSON body, or None.
        request_media: media type of the body; other than JSON it is given as bytes. A `CSV` may be XLSX.
        response: type of the JSON answer, or None for none or another media type.
        response_media: media types of a good answer.
        status: status of a good answer.
        errors: statuses of refusals, beyond those that every route has.
        query: its query parameters.
        max_body_bytes: bound on the body, checked before and while it is read.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    tag: str
    roles: frozenset[Role] | None = None
    scope: Scope = "whole"
    request: Any = None
    request_media: str = JSON
    response: Any = None
    response_media: tuple[str, ...] = (JSON,)
    status: int = 200
    errors: tuple[int, ...] = ()
    query: tuple[Query, ...] = ()
    max_body_bytes: int = MAX_BODY_BYTES

    @property
    def parameters(self) -> list[str]:
        """Names of the path's parameters, in order."""
        return _PARAMETER.findall(self.path)

    @property
    def takes_body(self) -> bool:
        """Whether a body is read at all."""
        return self.request is not None


def add_routes(app: web.Application, routes: Iterable[Route], services: HallServices) -> None:
    """Make aiohttp routes of the table; `services` must be what its handlers work with."""
    for route in routes:
        app.router.add_route(route.method, route.path, _serve(route, services))


def _serve(route: Route, services: HallServices) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    decoder = msgspec.json.Decoder(route.request) if route.takes_body and route.request_media == JSON else None
    encoder = msgspec.json.Encoder()

    async def serve(request: web.Request) -> web.StreamResponse:
        claims = None
        if route.roles is not None:
            claims = caller(request)
            require_role(claims, route.roles)
            if route.scope == "whole":
                require_whole(claims)
            if claims.role not in OF_ONE_HALL:  # a hall's routes take the conference from the token itself
                require_conference(claims, request.match_info.get("conference_id", ""))
        body: object = None
        if route.takes_body:
            body = await read_body(request, route.max_body_bytes)
            if decoder is not None:
                body = decode_body(decoder, body)
        answer = await route.handler(CallOf(services, request, claims, body))
        if isinstance(answer, web.StreamResponse):
            return answer
        if answer is None:
            return web.Response(status=204)
        return web.Response(body=encoder.encode(answer), status=route.status, content_type=JSON)

    return serve
