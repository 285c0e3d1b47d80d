"""A feed taken from parent relays: one link that delivers and one standby behind it, or two that deliver at once.

A link is a WHEP subscription like a hall's, over a UDP socket of its own, so that two feeds from one parent do not
share a 5-tuple. When the active link is silent for `SILENCE_S` the standby is activated at once; whichever delivers
first is the active one from then on. While both are silent the source is silent, and nobody moves. A new place in the
tree is taken make-before-break: the old parent delivers until the new first one does. With `merges` both links are
active all the time, and the tracks merge them by sequence number; the active one is then the first that delivers.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine

import aiohttp
import structlog
from yarl import URL

from relay.core.dtls import DtlsContext
from relay.core.feed import MAX_LAYERS, FeedKey
from relay.core.ice import IceCredentials
from relay.core.inbound import Kind
from relay.core.peer import Peer
from relay.errors import RelayError
from relay.messages import Parent, Pull
from relay.net.door import SDP_TYPE
from relay.net.negotiation import layers_by_ssrc, new_credentials
from relay.net.session import Session
from relay.net.sessions import MAX_ADDRESSES, Sessions
from relay.net.udp import UdpSocket
from relay.wire.sdp import SessionDescription, build_play_offer, parse_session, serialize_session

SECOND_SILENCE_S = 5.0  # a second parent that brings nothing for so long, while the first does, is opened anew
SILENCE_S = 0.3  # audio alone sends 50 packets a second; 15 missing in a row is no jitter
TICK_S = 0.05
LATE_TICK_S = 0.1  # we were held up ourselves, and what arrived meanwhile has not been read yet: no parent is to blame
REQUEST_TIMEOUT_S = 3.0
LEAVE_TIMEOUT_S = 1.0  # for telling parents that we go; their DTLS was told already
FIRST_RETRY_S = 0.2
LAST_RETRY_S = 3.0
MAX_ANSWER_BYTES = 65_536
FIRST_PARENT_HEADSTART_S = 1.0  # at the start, the second parent is not taken while the first still connects

log = structlog.get_logger(__name__)


class UpstreamError(RelayError):
    """A parent refused a subscription or answered it wrongly."""

    code = "upstream_refused"


class Link:
    """One subscription at one parent; it is closed once and then forgotten."""

    def __init__(self, parent: Parent, opened_at_s: float) -> None:
        self.parent = parent
        self.opened_at_s = opened_at_s
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

    def delivers(self, now: float) -> bool:
        """True while media arrives."""
        return self.session is not None and now - self.session.media_at_s < SILENCE_S


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
        merges: bool = False,
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
            merges: take the feed from both parents at once.
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
        self._merges = merges
        self._token = ""
        self._parents: list[Parent] = []
        # By parent and not by its id: a relay that came back at another address is another parent.
        self._links: dict[Parent, Link] = {}
        self._retry_at_s: dict[Parent, float] = {}
        self._retry_s: dict[Parent, float] = {}
        self._moves_to_first = False
        self._active: Link | None = None
        self._requests: set[asyncio.Task[None]] = set()

    @property
    def active_parent(self) -> str:
        """Id of the parent that delivers, "" without one."""
        return self._active.parent.relay_id if self._active is not None else ""

    def follow(self, parents: list[Parent], pull: Pull) -> None:
        """Take a new place in the tree, best parent first, and a fresh token."""
        first_changed = self._parents[:1] != parents[:1]
        self._moves_to_first = bool(self._parents) and (first_changed or self._moves_to_first)
        self._parents = parents[:2]
        self._token = pull.token
        self._retry_at_s = {parent: at_s for parent, at_s in self._retry_at_s.items() if parent in self._parents}
        self._retry_s = {parent: retry_s for parent, retry_s in self._retry_s.items() if parent in self._parents}

    async def run(self) -> None:
        """Keep the links until cancelled; then close them."""
        try:
            self._tick(self._clock())
            while True:
                due_s = self._clock() + TICK_S
                await asyncio.sleep(TICK_S)
                now = self._clock()
                if now - due_s < LATE_TICK_S:
                    self._tick(now)
        finally:
            for link in list(self._links.values()):
                self._drop(link)
            if self._requests:
                await asyncio.wait(self._requests, timeout=LEAVE_TIMEOUT_S)

    # --- decisions -----------------------------------------------------------------------------------------------

    def _tick(self, now: float) -> None:
        for link in list(self._links.values()):
            lost = link.session is not None and self._sessions.get(link.session.session_id) is None
            if link.failed or lost:
                self._drop(link)
                self._delay(link.parent, now)
            elif link.parent not in self._parents and link is not self._active:
                self._drop(link)
            elif link.connected and link.connected_at_s == 0:
                link.connected_at_s = now
                self._retry_s.pop(link.parent, None)
        for parent in self._parents:
            if parent not in self._links and now >= self._retry_at_s.get(parent, 0.0):
                self._open(parent, now)
        if self._merges:
            self._merge(now)
        else:
            self._choose(now)

    def _merge(self, now: float) -> None:
        """Let every parent deliver, and say which one is the active one: the first of those that do."""
        up = [
            self._links[parent] for parent in self._parents if parent in self._links and self._links[parent].connected
        ]
        delivering = [link for link in up if link.delivers(now)]
        active = self._active
        if active is None:
            self._active = next(iter(delivering or up), None)
        elif delivering and (active.parent not in self._parents or active.silent_for_s(now) >= SILENCE_S):
            self._move(active, delivering[0], now)
        elif delivering:
            self._active = delivering[0]
            for link in up:
                if link.silent_for_s(now) >= SECOND_SILENCE_S:
                    self._drop(link)
                    self._delay(link.parent, now)

    def _choose(self, now: float) -> None:
        """Say which links are to deliver, and which of them is the one that does."""
        wanted = [self._links[parent] for parent in self._parents if parent in self._links]
        up = [link for link in wanted if link.connected]
        active = self._active
        if active is None:
            if up and (up[0] is wanted[0] or now - wanted[0].opened_at_s > FIRST_PARENT_HEADSTART_S):
                self._take(up[0])
            return
        # Whom to wake up: a new first parent, or anybody when the active one left the tree or is silent.
        others = [link for link in up if link is not active]
        if active in wanted and active.silent_for_s(now) < SILENCE_S:
            self._moves_to_first = self._moves_to_first and active.parent != self._parents[0]
            candidates = [link for link in others if self._moves_to_first and link.parent == self._parents[0]]
        else:
            candidates = others
        for link in others:
            if link in candidates:
                self._activate(link)
            else:
                self._stand_by(link)
        for link in candidates:
            if link.active and link.delivers(now):
                self._move(active, link, now)
                return

    def _move(self, old: Link, new: Link, now: float) -> None:
        silent = old.silent_for_s(now) >= SILENCE_S
        log.warning("feed moved to another parent", feed="/".join(self.key), parent=new.parent.relay_id, lost=silent)
        self.failovers += silent
        self._take(new)
        # Opened anew as a standby: a session that was sent media cannot be a fresh standby of the same numbers.
        self._drop(old)
        if silent:
            self._delay(old.parent, now)

    def _take(self, link: Link) -> None:
        self._active = link
        self._activate(link)

    def _activate(self, link: Link) -> None:
        if not link.active:
            link.active = True
            self._spawn(self._put_active(link))

    def _stand_by(self, link: Link) -> None:
        if link.active:
            # See above: a used link is no standby; it is closed, and a fresh one is opened.
            self._drop(link)

    def _drop(self, link: Link) -> None:
        if self._links.get(link.parent) is link:
            del self._links[link.parent]
        if self._active is link:
            self._active = None
        if link.task is not None:
            link.task.cancel()
        if link.session is not None:
            self._sessions.close(link.session, "upstream_dropped")
            link.session.socket.close()
        if link.resource:
            self._spawn(self._delete(link))

    def _delay(self, parent: Parent, now: float) -> None:
        retry_s = self._retry_s.get(parent, FIRST_RETRY_S)
        self._retry_at_s[parent] = now + retry_s * self._rng.uniform(0.5, 1.5)
        self._retry_s[parent] = min(retry_s * 2, LAST_RETRY_S)

    # --- requests ------------------------------------------------------------------------------------------------

    def _open(self, parent: Parent, now: float) -> None:
        link = self._links[parent] = Link(parent, now)
        is_first = self._active is None and parent is self._parents[0]
        link.active = is_first or self._merges
        link.task = asyncio.create_task(self._subscribe(link, standby=not link.active))

    async def _subscribe(self, link: Link, *, standby: bool) -> None:
        try:
            await self._subscribe_or_raise(link, standby=standby)
        except (aiohttp.ClientError, OSError, TimeoutError, RelayError) as error:
            reason = str(error) or type(error).__name__
            log.info("parent not reached", feed="/".join(self.key), parent=link.parent.relay_id, reason=reason)
        finally:
            link.failed = link.session is None

    async def _subscribe_or_raise(self, link: Link, *, standby: bool) -> None:
        local = new_credentials()
        offer = build_play_offer(
            ice_ufrag=local.ufrag, ice_pwd=local.pwd, fingerprint=("sha-256", self._fingerprint), layers=MAX_LAYERS
        )
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
            # Kept first, so that whatever is wrong with the answer, the session is deleted.
            resource = response.url.join(URL(response.headers.get("Location", "")))
            link.resource = str(resource) if resource.origin() == response.url.origin() else ""
            body = bytearray()
            async for chunk in response.content.iter_chunked(4096):
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise UpstreamError(f"{link.parent.relay_id} answered more than {MAX_ANSWER_BYTES} octets")
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
        candidates = [
            (found.address, found.port)
            for found in transport.candidates
            if found.protocol == "udp" and socket.reaches(found.address)
        ]
        if not candidates:
            raise UpstreamError(f"{link.parent.relay_id} gave no UDP candidate that we can send to")
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
            stream
            for media in accepted
            if media.kind in kinds
            for stream in layers_by_ssrc(media, kinds[media.kind], media.codecs)
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
        session.addresses.update(dict.fromkeys(candidates[:MAX_ADDRESSES]))
        return session

    async def _put_active(self, link: Link) -> None:
        status = await self._request("PUT", f"{link.resource}/state", {"state": "active"}) if link.resource else 0
        # A link that cannot be activated is no standby. Closed and opened anew it may become one.
        link.failed = link.failed or status != 204

    async def _delete(self, link: Link) -> None:
        await self._request("DELETE", link.resource)

    async def _request(self, method: str, url: str, body: dict[str, str] | None = None) -> int:
        """The status of the answer, 0 without one."""
        headers = {"Authorization": f"Bearer {self._token}"}
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._client.request(method, url, json=body, headers=headers, timeout=timeout) as response:
                return response.status
        return 0

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)
