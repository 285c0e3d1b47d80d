"""WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) over aiohttp, and the session resources behind them.

Two WHEP extensions: `events` (server-sent events: `assignment`, `ended`) and `state` (a standby has ICE and DTLS up and
is sent nothing until it is made active).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

import msgspec
from aiohttp import web
from aiohttp_sse import sse_response

from configs.turn import TurnCredentials
from relay.access import Action, RelayClaims
from relay.core.dtls import DtlsContext
from relay.core.feed import FeedKey
from relay.core.peer import Peer
from relay.messages import RelayRole
from relay.net.door import FRAGMENT_TYPE, SDP_TYPE, authorise, read_sdp
from relay.net.ice_restart import entity_tag, patch_ice
from relay.net.negotiation import Negotiated, UnacceptableOfferError, negotiate_play, negotiate_publish
from relay.net.problems import problem
from relay.net.session import HANG_UP, Session, SessionKind
from relay.net.sessions import Sessions
from relay.net.turnstile import Turnstile
from relay.net.udp import UdpSocket
from relay.wire.sdp import Candidate, SessionDescription, host_candidate, parse_session, serialize_session

ID = "[A-Za-z0-9._-]{1,64}"
SSE_REL = "urn:ietf:params:whep:ext:core:server-sent-events"
STATE_REL = "urn:diemcau:whep:ext:state"
MAX_EVENT_LISTENERS = 4  # per session
PING_S = 5
RETRY_AFTER_S = 5  # a full relay empties by failover or drain, within seconds


def announce(addresses: Iterable[tuple[str, int]]) -> tuple[Candidate, ...]:
    """Candidates of a lite agent, best first.

    An address before a NAT is a host candidate as well: the peer sends there directly, and nobody gathered it by STUN.
    """
    return tuple(
        host_candidate(address, port, local_preference=65_535 - rank) for rank, (address, port) in enumerate(addresses)
    )


class StateChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT <session>/state`."""

    state: str


class Endpoints:
    """The HTTP handlers of one relay."""

    def __init__(
        self,
        sessions: Sessions,
        socket: UdpSocket,
        *,
        role: RelayRole,
        context: DtlsContext,
        fingerprint: str,
        candidates: Sequence[Candidate],
        turn: TurnCredentials | None,
        public_keys: Callable[[], Sequence[str]],
        max_sessions: int,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        """Make the handlers.

        Args:
            sessions: where sessions are added and found.
            socket: the relay's UDP port.
            role: only an origin takes publishers.
            context: DTLS state shared by all sessions.
            fingerprint: SHA-256 fingerprint of the relay's certificate.
            candidates: where peers are told to send to.
            turn: issues credentials for TURN servers that peers are told of, None where there are none.
            public_keys: gives the keys of the moment.
            max_sessions: beyond it, 503.
            clock: monotonic seconds.
            wall_clock: seconds since the epoch, for tokens.
        """
        self._sessions = sessions
        self._socket = socket
        self._role = role
        self._context = context
        self._fingerprint = fingerprint
        self._candidates = tuple(candidates)
        self._turn = turn
        self._public_keys = public_keys
        self._max_sessions = max_sessions
        self._clock = clock
        self._wall_clock = wall_clock
        self._closed_conferences: set[str] = set()
        self._turnstile = Turnstile()
        self._is_draining = False

    def routes(self) -> list[web.RouteDef]:
        """All routes."""
        feed = f"/{{conference:{ID}}}/{{feed:{ID}}}"
        routes: list[web.RouteDef] = []
        for protocol, create, patch, delete in (
            ("whip", self._create_publisher, self._patch_publisher, self._delete_publisher),
            ("whep", self._create_subscriber, self._patch_subscriber, self._delete_subscriber),
        ):
            endpoint = f"{feed}/{protocol}"
            resource = f"{endpoint}/{{session_id:{ID}}}"
            routes += [
                web.post(endpoint, create),
                web.options(endpoint, self._options),
                web.options(resource, self._options_of_session),
                web.patch(resource, patch),
                web.delete(resource, delete),
            ]
        resource = f"{feed}/whep/{{session_id:{ID}}}"
        routes += [
            web.put(f"{resource}/state", self._put_state),
            web.options(f"{resource}/state", self._options),
            web.get(f"{resource}/events", self._events),
            web.options(f"{resource}/events", self._options),
        ]
        return routes

    def close_conference(self, conference: str) -> None:
        """The conference ended: its sessions end, and its tokens open nothing any more."""
        self._closed_conferences.add(conference)
        self._sessions.close_conference(conference)

    def drain(self) -> None:
        """Take no new sessions from now on: the relay shuts down."""
        self._is_draining = True

    async def _options(self, _request: web.Request) -> web.Response:
        return web.Response(status=204, headers={"Accept-Post": SDP_TYPE})

    async def _options_of_session(self, _request: web.Request) -> web.Response:
        return web.Response(status=204, headers={"Accept-Post": SDP_TYPE, "Accept-Patch": FRAGMENT_TYPE})

    async def _create_publisher(self, request: web.Request) -> web.Response:
        claims = await self._authorise(request, "publish")
        if self._role != "origin":
            return problem(409, "not_an_origin", "this relay takes its feeds from its parents, not from publishers")
        return await self._create(request, claims, "publisher", negotiate_publish, active=True)

    async def _create_subscriber(self, request: web.Request) -> web.Response:
        claims = await self._authorise(request, "play")
        active = request.query.get("standby", "0") != "1"
        return await self._create(request, claims, "subscriber", negotiate_play, active=active)

    async def _create(
        self,
        request: web.Request,
        claims: RelayClaims,
        kind: SessionKind,
        negotiate: Callable[[SessionDescription], Negotiated],
        *,
        active: bool,
    ) -> web.Response:
        offer = parse_session(await read_sdp(request))
        key = _feed_key(request)
        if key[0] in self._closed_conferences:
            return problem(410, "conference_ended", f"the conference {key[0]} has ended")
        if self._is_draining:
            return problem(503, "shutting_down", "this relay shuts down", {"Retry-After": str(RETRY_AFTER_S)})
        if len(self._sessions) >= self._max_sessions:
            return problem(503, "full", "this relay is full", {"Retry-After": str(RETRY_AFTER_S)})
        try:
            negotiated = negotiate(offer)
        except UnacceptableOfferError as error:
            return problem(422, error.code, str(error))
        answer = negotiated.answer(offer, self._fingerprint, self._candidates)
        peer = Peer.accept(
            local=negotiated.local,
            remote=negotiated.remote,
            remote_fingerprint=negotiated.remote_fingerprint,
            context=self._context,
            now=self._clock(),
        )
        session = Session(
            session_id=self._sessions.new_id(),
            kind=kind,
            slot=self._sessions.new_slot(),
            peer=peer,
            socket=self._socket,
            local_ufrag=negotiated.local.ufrag,
            key=key,
            subject=claims.sub,
            is_link=claims.link,
            active=active,
            streams=negotiated.streams,
            wants=negotiated.wants,
        )
        self._sessions.add(session)
        location = f"{request.path}/{session.session_id}"
        response = web.Response(
            status=201,
            # As bytes: a text body would add a charset to a type that has none (RFC 8866 section 8.1).
            body=serialize_session(answer).encode(),
            content_type=SDP_TYPE,
            headers={"Location": location, "ETag": entity_tag(session)},
        )
        if kind == "subscriber":
            response.headers.add("Link", f'<{location}/events>; rel="{SSE_REL}"; events="assignment,ended"')
            response.headers.add("Link", f'<{location}/state>; rel="{STATE_REL}"')
        if self._turn is not None and not claims.link:
            grant = self._turn.issue(claims.sub, self._wall_clock())
            secret = f'username="{grant.username}"; credential="{grant.credential}"; credential-type="password"'
            for url in grant.urls:
                response.headers.add("Link", f'<{url}>; rel="ice-server"; {secret}')
        return response

    async def _patch_publisher(self, request: web.Request) -> web.Response:
        return await patch_ice(
            request, await self._find(request, "publisher", "publish"), self._sessions, self._candidates
        )

    async def _patch_subscriber(self, request: web.Request) -> web.Response:
        return await patch_ice(
            request, await self._find(request, "subscriber", "play"), self._sessions, self._candidates
        )

    async def _delete_publisher(self, request: web.Request) -> web.Response:
        self._sessions.close(await self._find(request, "publisher", "publish"), "deleted")
        return web.Response(status=200)

    async def _delete_subscriber(self, request: web.Request) -> web.Response:
        self._sessions.close(await self._find(request, "subscriber", "play"), "deleted")
        return web.Response(status=200)

    async def _put_state(self, request: web.Request) -> web.Response:
        session = await self._find(request, "subscriber", "play")
        try:
            change = msgspec.json.decode(await request.read(), type=StateChange)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:  # ValueError: text that is not UTF-8
            return problem(400, "malformed", f"the body is not a state: {error}")
        if change.state not in {"active", "standby"}:
            return problem(422, "unknown_state", "state is `active` or `standby`")
        self._sessions.set_active(session, active=change.state == "active")
        return web.Response(status=204)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        session = await self._find(request, "subscriber", "play")
        if session.listeners >= MAX_EVENT_LISTENERS:
            return problem(429, "too_many_listeners", "this session's events are read already")
        queue = session.listen()
        try:
            headers = {"Access-Control-Allow-Origin": "*"}
            async with sse_response(request, headers=headers, ping_interval=PING_S) as stream:
                while stream.is_connected():
                    # A reader that went away is found by its ping; until then nothing else would wake this up.
                    try:
                        event = await asyncio.wait_for(queue.get(), PING_S)
                    except TimeoutError:
                        continue
                    if event == HANG_UP:
                        break
                    await stream.send("{}", event=event)
                return stream
        finally:
            session.unlisten(queue)

    async def _authorise(self, request: web.Request, action: Action) -> RelayClaims:
        await self._turnstile.take()
        conference, feed = _feed_key(request)
        return authorise(
            request, self._public_keys(), self._wall_clock(), action=action, conference=conference, feed=feed
        )

    async def _find(self, request: web.Request, kind: SessionKind, action: Action) -> Session:
        """The session of a resource URL, if the token is its owner's.

        Raises:
            AccessError: see `authorise`.
            web.HTTPNotFound: there is none; another's session is not told from one that does not exist.
        """
        claims = await self._authorise(request, action)
        session = self._sessions.get(request.match_info["session_id"])
        if session is not None and (session.kind, session.key, session.subject) == (
            kind,
            _feed_key(request),
            claims.sub,
        ):
            return session
        raise web.HTTPNotFound(text="there is no such session")


def _feed_key(request: web.Request) -> FeedKey:
    return request.match_info["conference"], request.match_info["feed"]
