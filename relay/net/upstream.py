"""A feed taken from parent relays: one link that delivers, one standby behind it.

A link is a WHEP subscription like a hall's, over a UDP socket of its own, so that two feeds from one parent do not
share a 5-tuple. When the active link is silent for `SILENCE_S` the standby is activated at once; whichever delivers
first is the active one from then on. While both are silent the source is silent, and nobody moves.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine

import aiohttp
import structlog

from relay.core.dtls import DtlsContext
from relay.core.ice import IceCredentials
from relay.core.peer import Peer
from relay.core.router import FeedKey, Stream
from relay.core.track import Kind
from relay.errors import RelayError
from relay.messages import Parent, Pull
from relay.net.door import SDP_TYPE
from relay.net.negotiation import new_credentials
from relay.net.session import Session
from relay.net.sessions import Sessions
from relay.net.udp import UdpSocket
from relay.wire.sdp import SessionDescription, build_play_offer, parse_session, serialize_session

SILENCE_S = 0.3  # audio alone sends 50 packets a second; 15 missing in a row is no jitter
TICK_S = 0.05
REQUEST_TIMEOUT_S = 3.0
FIRST_RETRY_S = 0.2
LAST_RETRY_S = 3.0
MAX_ANSWER_BYTES = 65_536

log = structlog.get_logger(__name__)


class UpstreamError(RelayError):
    """A parent refused a subscription or answered it wrongly."""

    code = "upstream_refused"


class Link:
    """One subscription at one parent; it is closed once and then forgotten."""

    def __init__(self, parent: Parent) -> None:
        self.parent = parent
        self.session: Session | None = None
        self.resource = ""
        self.connected_at_s = 0.0
        self.active = False
        self.task: asyncio.Task[None] | None = None
        self.failed = False

    @property
    def connected(self) -> bool:
        """True while ICE and DTLS are up."""
        return self.session is not None and self.session.connected

    def silent_for_s(self, now: float) -> float:
        """Seconds since media last arrived, or since the link came up."""
        media_at_s = self.session.media_at_s if self.session is not None else float("-inf")
        return now - max(media_at_s, self.connected_at_s)


class Upstream:
    """Keeps one feed subscribed at the best parents."""

    def __init__(
        self,
        key: FeedKey,
        sessions: Sessions,
        client: aiohttp.ClientSession,
        *,
        context: DtlsContext,
        fingerprint: str,
        bind_host: str,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        """Make an upstream without parents; `follow` gives it some, `run` keeps it.

        Args:
            key: the feed.
            sessions: the relay's table.
            client: HTTP client of the program.
            context: DTLS state shared by all sessions.
            fingerprint: SHA-256 fingerprint of the relay's certificate.
            bind_host: local address of the links' sockets.
            clock: monotonic seconds.
            rng: jitter of retries and ICE transactions.
        """
        self.key = key
        self.failovers = 0
        self._sessions = sessions
        self._client = client
        self._context = context
        self._fingerprint = fingerprint
        self._bind_host = bind_host
        self._clock = clock
        self._rng = rng
        self._token = ""
        self._parents: list[Parent] = []
        self._links: dict[str, Link] = {}
        self._retry_at_s: dict[str, float] = {}
        self._retry_s: dict[str, float] = {}
        self._active: Link | None = None
        self._requests: set[asyncio.Task[None]] = set()

    @property
    def active_parent(self) -> str:
        """Id of the parent that delivers, "" without one."""
        return self._active.parent.relay_id if self._active is not None else ""

    def follow(self, parents: list[Parent], pull: Pull) -> None:
        """Take a new place in the tree, best parent first, and a fresh token."""
        self._parents = parents[:2]
        self._token = pull.token

    async def run(self) -> None:
        """Keep the links until cancelled; then close them."""
        try:
            while True:
                self._tick(self._clock())
                await asyncio.sleep(TICK_S)
        finally:
            for link in list(self._links.values()):
                self._drop(link)

    # --- decisions -----------------------------------------------------------------------------------------------

    def _tick(self, now: float) -> None:
        for link in list(self._links.values()):
            lost = link.session is not None and link.connected_at_s > 0 and not link.connected
            if link.failed or lost:
                self._drop(link)
                self._delay(link.parent.relay_id, now)
            elif link.connected and link.connected_at_s == 0:
                link.connected_at_s = now
                self._retry_s.pop(link.parent.relay_id, None)
        for parent in self._parents:
            if parent.relay_id not in self._links and now >= self._retry_at_s.get(parent.relay_id, 0.0):
                self._open(parent)
        self._choose(now)

    def _choose(self, now: float) -> None:
        """Say which links are to deliver, and which of them is the one that does."""
        wanted = [self._links[parent.relay_id] for parent in self._parents if parent.relay_id in self._links]
        up = [link for link in wanted if link.connected]
        active = self._active
        if active is None:
            if up:
                self._take(up[0])
            return
        if active not in wanted:
            # The tree changed: the old parent delivers until a new one does.
            for link in up:
                self._activate(link)
                if link.silent_for_s(now) < SILENCE_S and link.session is not None and link.session.media_at_s > 0:
                    self._take(link)
                    self._drop(active)
                    return
            return
        others = [link for link in up if link is not active]
        if active.silent_for_s(now) < SILENCE_S:
            for link in others:
                self._stand_by(link)
            return
        for link in others:
            self._activate(link)
            if link.silent_for_s(now) < SILENCE_S and link.session is not None and link.session.media_at_s > 0:
                log.warning("feed moved to another parent", feed="/".join(self.key), parent=link.parent.relay_id)
                self.failovers += 1
                self._take(link)
                # Opened anew as a standby: a session that was sent media cannot be a fresh standby of the same numbers.
                self._drop(active)
                self._delay(active.parent.relay_id, now)
                return

    def _take(self, link: Link) -> None:
        self._active = link
        self._activate(link)

    def _activate(self, link: Link) -> None:
        if not link.active:
            link.active = True
            self._put_state(link, "active")

    def _stand_by(self, link: Link) -> None:
        if link.active:
            # See above: a used link is no standby; it is closed, and a fresh one is opened.
            self._drop(link)

    def _drop(self, link: Link) -> None:
        if self._links.get(link.parent.relay_id) is link:
            del self._links[link.parent.relay_id]
        if self._active is link:
            self._active = None
        if link.task is not None:
            link.task.cancel()
        if link.session is not None:
            self._sessions.close(link.session, "upstream_dropped")
            link.session.socket.close()
        if link.resource:
            self._spawn(self._request("DELETE", link.resource))

    def _delay(self, relay_id: str, now: float) -> None:
        retry_s = self._retry_s.get(relay_id, FIRST_RETRY_S)
        self._retry_at_s[relay_id] = now + retry_s * self._rng.uniform(0.5, 1.5)
        self._retry_s[relay_id] = min(retry_s * 2, LAST_RETRY_S)

    # --- requests ------------------------------------------------------------------------------------------------

    def _open(self, parent: Parent) -> None:
        link = self._links[parent.relay_id] = Link(parent)
        is_first = self._active is None and parent is self._parents[0]
        link.active = is_first
        link.task = asyncio.create_task(self._subscribe(link, standby=not is_first))

    async def _subscribe(self, link: Link, *, standby: bool) -> None:
        try:
            await self._subscribe_or_raise(link, standby=standby)
        except (aiohttp.ClientError, OSError, TimeoutError, RelayError) as error:
            link.failed = True
            reason = str(error) or type(error).__name__
            log.info("parent not reached", feed="/".join(self.key), parent=link.parent.relay_id, reason=reason)

    async def _subscribe_or_raise(self, link: Link, *, standby: bool) -> None:
        local = new_credentials()
        offer = build_play_offer(ice_ufrag=local.ufrag, ice_pwd=local.pwd, fingerprint=("sha-256", self._fingerprint))
        conference, feed = self.key
        url = f"{link.parent.base_url.rstrip('/')}/{conference}/{feed}/whep"
        async with self._client.post(
            url,
            params={"standby": "1"} if standby else None,
            data=serialize_session(offer).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": SDP_TYPE},
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
        ) as response:
            if response.status != 201:
                raise UpstreamError(f"{link.parent.relay_id} answered {response.status}")
            body = await response.content.read(MAX_ANSWER_BYTES)
            link.resource = str(response.url.origin()) + response.headers.get("Location", "")
        answer = parse_session(body.decode(errors="replace"))
        socket = UdpSocket(self._bind_host, 0, self._sessions.handle_datagrams)
        try:
            session = self._new_session(link, local, answer, socket)
        except RelayError:
            socket.close()
            raise
        socket.start(asyncio.get_running_loop())
        link.session = session
        self._sessions.add(session)

    def _new_session(self, link: Link, local: IceCredentials, answer: SessionDescription, socket: UdpSocket) -> Session:
        accepted = [media for media in answer.media if not media.rejected]
        if not accepted or accepted[0].fingerprint is None:
            raise UpstreamError(f"{link.parent.relay_id} accepted nothing")
        transport = accepted[0]
        candidates = [(found.address, found.port) for found in transport.candidates if found.protocol == "udp"]
        if not candidates:
            raise UpstreamError(f"{link.parent.relay_id} gave no UDP candidate")
        peer = Peer.connect(
            local=local,
            remote=IceCredentials(transport.ice_ufrag, transport.ice_pwd),
            remote_candidates=candidates,
            remote_fingerprint=accepted[0].fingerprint,
            context=self._context,
            rng=self._rng,
            now=self._clock(),
        )
        kinds: dict[str, Kind] = {"audio": "audio", "video": "video"}
        streams = tuple(
            Stream(kind=kinds[media.kind], codecs=media.codecs, ssrcs=media.media_ssrcs)
            for media in accepted
            if media.kind in kinds
        )
        session = Session(
            session_id=self._sessions.new_id(),
            kind="upstream",
            slot=self._sessions.new_slot(),
            peer=peer,
            socket=socket,
            local_ufrag=local.ufrag,
            key=self.key,
            subject=link.parent.relay_id,
            is_link=True,
            streams=streams,
        )
        session.addresses.update(candidates)
        return session

    def _put_state(self, link: Link, state: str) -> None:
        if link.resource:
            self._spawn(self._request("PUT", f"{link.resource}/state", {"state": state}))

    async def _request(self, method: str, url: str, body: dict[str, str] | None = None) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._client.request(method, url, json=body, headers=headers, timeout=timeout):
                pass

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)
