"""One session of a relay: a publisher, a subscriber, or our own subscription at a parent."""

from __future__ import annotations

import asyncio
from typing import Literal

from relay.core.feed import FeedKey, Stream, Want
from relay.core.peer import Peer
from relay.fanout.interface import PeerSlot
from relay.net.udp import Address, UdpSocket

SessionKind = Literal["publisher", "subscriber", "upstream"]
EVENTS_WAITING = 16  # a page that reads no events is not worth more memory
HANG_UP = ""  # the name of no event: the session is gone, and so are its events


class Session:
    """What the shells know of one peer.

    Attributes:
        session_id: unguessable; names the WHIP or WHEP resource.
        local_ufrags: our ICE user name fragments, by which datagrams from new addresses find it; the latest last.
        addresses: remote addresses from which datagrams are taken to be its own, the latest last.
        subject: opaque id of the holder of the token.
        is_link: true for a relay-to-relay link, which is not presence.
        active: false for a standby, which is sent nothing.
        connected: ICE and DTLS are up.
        heard_at_s: when the peer last said anything authentic.
        media_at_s: when it last sent media; -inf before the first.
        presence_id: id of the open presence interval, or "".
    """

    def __init__(
        self,
        *,
        session_id: str,
        kind: SessionKind,
        slot: PeerSlot,
        peer: Peer,
        socket: UdpSocket,
        local_ufrag: str,
        key: FeedKey,
        subject: str,
        is_link: bool = False,
        active: bool = True,
        streams: tuple[Stream, ...] = (),
        wants: tuple[Want, ...] = (),
    ) -> None:
        self.session_id = session_id
        self.kind: SessionKind = kind
        self.slot = slot
        self.peer = peer
        self.socket = socket
        self.local_ufrags: tuple[str, ...] = (local_ufrag,)
        self.addresses: dict[Address, None] = {}
        self.key = key
        self.subject = subject
        self.is_link = is_link
        self.active = active
        self.streams = streams
        self.wants = wants
        self.connected = False
        self.heard_at_s = 0.0
        self.media_at_s = float("-inf")
        self.presence_id = ""
        self.presence_count = 0
        self._listeners: set[asyncio.Queue[str]] = set()

    def listen(self) -> asyncio.Queue[str]:
        """A queue of the names of this session's events (`assignment`, `ended`), `HANG_UP` behind the last."""
        queue: asyncio.Queue[str] = asyncio.Queue(EVENTS_WAITING)
        self._listeners.add(queue)
        return queue

    def unlisten(self, queue: asyncio.Queue[str]) -> None:
        """Forget a queue."""
        self._listeners.discard(queue)

    @property
    def listeners(self) -> int:
        """How many readers of events there are."""
        return len(self._listeners)

    def tell(self, event: str) -> None:
        """Tell every listener; one that does not read loses the event."""
        for queue in self._listeners:
            if not queue.full():
                queue.put_nowait(event)

    def hang_up(self) -> None:
        """The session is gone: let every listener end, also one that did not read."""
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(HANG_UP)
