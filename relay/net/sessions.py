"""The relay's table of sessions: datagrams to peers, peers to router and fan-out, presence out of it all.

Only addresses that ICE validated are heard; what is malformed or unknown is counted and dropped.
"""

from __future__ import annotations

import heapq
import secrets
from collections import Counter, deque
from collections.abc import Callable
from collections.abc import Set as AbstractSet

from relay.core.ice import IceCredentials
from relay.core.peer import AddressChanged, Closed, Connected
from relay.core.presence_outbox import PresenceOutbox
from relay.core.router import Router
from relay.errors import WireError
from relay.fanout.interface import FanOut, PeerSlot
from relay.messages import SessionClosed, SessionOpened
from relay.net.session import Session
from relay.net.udp import Address, UdpSocket
from relay.wire.demux import Kind, classify
from relay.wire.rtcp import parse_compound, serialize_compound
from relay.wire.stun import BindingRequest, parse_message

# Receivers of media report at least every few seconds. One that says nothing for so long is not present, although its
# session lives on until consent expires (RFC 7675: 30 s).
SILENT_S = 8.0

# Deadlines of peers are seconds long; asking each peer for its own after every read would cost the square of a join
# storm. Those that connect are looked at often (retransmissions, checks), the others seldom.
CONNECTING_TICK_S = 0.05
SLOW_TICK_S = 0.5

# A datagram of a handshake costs about half a millisecond. Those of a storm of joins wait and are handled a few at a
# time, and the loop reads its sockets in between: media of halls that are there must not wait for those that come.
HANDSHAKES_AT_ONCE = 4
MAX_WAITING_HANDSHAKES = 8192  # datagrams; what is dropped beyond is sent again (RFC 6347 section 4.2.4)

MAX_ADDRESSES = 8  # remembered for one session, as many as ICE remembers
HELD_S = 2.0  # so long an address stays with the session that was heard there: a forged check must not take it away


class SessionTotals:
    """Counters since the start, by label."""

    def __init__(self) -> None:
        self.malformed: Counter[str] = Counter()
        self.handshakes: Counter[str] = Counter()
        self.stun_requests: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()
        self.datagrams_unknown = 0
        self.ice_restarts = 0


class Sessions:
    """All sessions of one relay."""

    def __init__(
        self,
        router: Router,
        fanout: FanOut,
        outbox: PresenceOutbox,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        """Make an empty table.

        Args:
            router: routes media between the sessions.
            fanout: is told where subscribers are and with which key.
            outbox: takes presence deltas.
            clock: monotonic seconds.
            wall_clock: seconds since the epoch, for presence.
        """
        self._router = router
        self._fanout = fanout
        self._outbox = outbox
        self._clock = clock
        self._wall_clock = wall_clock
        self._by_id: dict[str, Session] = {}
        self._by_slot: dict[PeerSlot, Session] = {}
        self._by_ufrag: dict[str, Session] = {}
        self._by_address: dict[tuple[UdpSocket, Address], Session] = {}
        self._connecting: set[Session] = set()
        self._handshakes: deque[tuple[Session, bytes, Address]] = deque()
        self._free_slots: list[int] = []
        self._next_slot = 0
        self._next_connecting_tick_s = 0.0
        self._next_slow_tick_s = 0.0
        self.totals = SessionTotals()
        self.on_timers_changed: Callable[[], None] = lambda: None
        # Whoever drives the table has it called again while some wait; by default it is done at once.
        self.on_handshakes_waiting: Callable[[], None] = self.handle_handshakes
        self.on_closed: Callable[[Session, str], None] = lambda _session, _reason: None

    def __len__(self) -> int:
        return len(self._by_id)

    # --- the table -----------------------------------------------------------------------------------------------

    def get(self, session_id: str) -> Session | None:
        """The session of this id."""
        return self._by_id.get(session_id)

    def all(self) -> list[Session]:
        """All sessions."""
        return list(self._by_id.values())

    def count(self, kind: str) -> int:
        """How many sessions of this kind are open."""
        return sum(session.kind == kind for session in self._by_id.values())

    def of_subjects(self, subjects: AbstractSet[str]) -> list[Session]:
        """Sessions whose token was issued to one of these subjects."""
        return [session for session in self._by_id.values() if session.subject in subjects]

    def new_slot(self) -> PeerSlot:
        """The smallest free slot."""
        if self._free_slots:
            return PeerSlot(heapq.heappop(self._free_slots))
        self._next_slot += 1
        return PeerSlot(self._next_slot - 1)

    @staticmethod
    def new_id() -> str:
        """An unguessable name for a resource (128 bits)."""
        return secrets.token_urlsafe(16)

    def add(self, session: Session) -> None:
        """Take a session whose peer has just been made."""
        session.heard_at_s = self._clock()
        self._by_id[session.session_id] = session
        self._by_slot[session.slot] = session
        for ufrag in session.local_ufrags:
            self._by_ufrag[ufrag] = session
        self._connecting.add(session)
        for address in session.addresses:
            self._by_address[session.socket, address] = session
        self._drain(session)
        self.on_timers_changed()

    def set_active(self, session: Session, *, active: bool) -> None:
        """Turn a standby into a receiver, or back."""
        if session.active == active:
            return
        session.active = active
        if session.connected and session.kind == "subscriber":
            self._router.set_active(session.slot, active=active, now=self._clock())
            self._update_presence(session)
            self.send_rtcp()
            self.on_timers_changed()

    def restart_ice(self, session: Session, *, local: IceCredentials, remote: IceCredentials) -> None:
        """Take new ICE credentials of both ends for a session at our own port; media goes on meanwhile."""
        self.totals.ice_restarts += 1
        session.peer.restart_ice(local=local, remote=remote, now=self._clock())
        answered = session.peer.local_ufrags
        for ufrag in session.local_ufrags:
            if ufrag not in answered:
                del self._by_ufrag[ufrag]
        session.local_ufrags = answered
        self._by_ufrag[local.ufrag] = session

    def close(self, session: Session, reason: str) -> None:
        """Close a session from our side."""
        session.peer.close(self._clock())
        self._drain(session, closing_reason=reason)

    def close_conference(self, conference: str) -> None:
        """The conference ended: tell and close all its sessions, and forget its feeds."""
        for session in self.all():
            if session.key[0] == conference:
                session.tell("ended")
                self.close(session, "ended")
        self._router.drop_conference(conference)

    # --- datagrams -----------------------------------------------------------------------------------------------

    def handle_datagrams(self, socket: UdpSocket, datagrams: list[bytes], address: Address) -> None:
        """Take the datagrams of one read, all from one address."""
        now = self._clock()
        session = self._by_address.get((socket, address))
        for datagram in datagrams:
            kind = classify(datagram)
            try:
                if kind is Kind.RTP and session is not None:
                    if session.connected:
                        packet = session.peer.unprotect_rtp(datagram)
                        session.media_at_s = now
                        self._router.handle_rtp(session.slot, packet, now)
                elif kind is Kind.RTCP and session is not None:
                    if session.connected:
                        packets = parse_compound(session.peer.unprotect_rtcp(datagram))
                        session.heard_at_s = now
                        self._router.handle_rtcp(session.slot, packets, now)
                elif kind is Kind.STUN:
                    self._handle_stun(socket, datagram, address, now)
                    session = self._by_address.get((socket, address))
                elif kind is Kind.DTLS and session is not None:
                    self._handle_dtls(session, datagram, address, now)
                else:
                    self.totals.datagrams_unknown += 1
            except WireError as error:
                self.totals.malformed[error.protocol] += 1
        self.send_rtcp()
        self.on_timers_changed()

    @property
    def waiting_handshakes(self) -> int:
        """How many datagrams of DTLS wait for `handle_handshakes`."""
        return len(self._handshakes)

    def handle_handshakes(self) -> None:
        """Handle some of the DTLS that waits."""
        for _ in range(min(HANDSHAKES_AT_ONCE, len(self._handshakes))):
            session, datagram, address = self._handshakes.popleft()
            try:
                session.peer.handle_dtls(datagram, address, self._clock())
                self._drain(session)
            except WireError as error:
                self.totals.malformed[error.protocol] += 1
        self.send_rtcp()
        self.on_timers_changed()

    def handle_timers(self) -> float:
        """Do what is due. Returns the time of the next call, on the monotonic clock."""
        now = self._clock()
        if now >= self._next_connecting_tick_s:
            self._next_connecting_tick_s = now + CONNECTING_TICK_S
            for session in list(self._connecting):
                session.peer.handle_timer(now)
                self._drain(session)
        if now >= self._next_slow_tick_s:
            self._next_slow_tick_s = now + SLOW_TICK_S
            for session in self.all():
                session.peer.handle_timer(now)
                self._drain(session)
                self._update_presence(session)
                if session.kind == "upstream" and session.peer.rtt_s is not None:
                    self._router.set_rtt(session.slot, session.peer.rtt_s)
        self._router.handle_timer(now)
        self.send_rtcp()
        return self.next_deadline()

    def next_deadline(self) -> float:
        """When `handle_timers` is due, on the monotonic clock."""
        deadline = min(self._router.next_deadline(), self._next_slow_tick_s)
        return min(deadline, self._next_connecting_tick_s) if self._connecting else deadline

    def send_rtcp(self) -> None:
        """Send what the router has to say."""
        for slot, packets in self._router.rtcp_to_send():
            session = self._by_slot.get(slot)
            if session is not None and session.connected and session.peer.address is not None:
                session.socket.send(session.peer.protect_rtcp(serialize_compound(packets)), session.peer.address)

    # --- inside --------------------------------------------------------------------------------------------------

    def _handle_dtls(self, session: Session, datagram: bytes, address: Address, now: float) -> None:
        if session.kind == "upstream":
            # A parent's media follows upon its last flight, and would be refused before that is handled.
            session.peer.handle_dtls(datagram, address, now)
            self._drain(session)
        elif len(self._handshakes) >= MAX_WAITING_HANDSHAKES:
            self.totals.handshakes["delayed"] += 1
        else:
            self._handshakes.append((session, datagram, address))
            if len(self._handshakes) == 1:
                self.on_handshakes_waiting()

    def _handle_stun(self, socket: UdpSocket, datagram: bytes, address: Address, now: float) -> None:
        message = parse_message(datagram)
        if isinstance(message, BindingRequest):
            session = self._by_ufrag.get(message.username.partition(":")[0])
        else:
            session = self._by_address.get((socket, address))
        if session is None:
            self.totals.stun_requests["unknown"] += 1
            return
        session.peer.handle_stun(message, address, now)
        if session.peer.last_consent == now:  # it was authentic
            self.totals.stun_requests["answered"] += 1
            session.heard_at_s = now
            self._hear_from(session, address)
        else:
            self.totals.stun_requests["refused"] += 1
        self._drain(session)

    def _hear_from(self, session: Session, address: Address) -> None:
        """Take datagrams of this address to be the session's; it forgets the oldest of too many."""
        holder = self._by_address.get((session.socket, address))
        if holder is not None and holder is not session and holder.connected:
            last_s = max(holder.heard_at_s, holder.media_at_s)
            if session.heard_at_s - last_s < HELD_S:
                return
        self._by_address[session.socket, address] = session
        session.addresses.pop(address, None)
        session.addresses[address] = None
        if len(session.addresses) > MAX_ADDRESSES:
            oldest = next(known for known in session.addresses if known != session.peer.address)
            self._forget_address(session, oldest)
            del session.addresses[oldest]

    def _forget_address(self, session: Session, address: Address) -> None:
        if self._by_address.get((session.socket, address)) is session:
            del self._by_address[session.socket, address]

    def _drain(self, session: Session, closing_reason: str = "") -> None:
        for data, address in session.peer.datagrams_to_send():
            session.socket.send(data, address)
        while (event := session.peer.next_event()) is not None:
            match event:
                case Connected():
                    self._handle_connected(session)
                case AddressChanged(address=address):
                    if session.connected and session.kind == "subscriber":
                        self._fanout.set_address(session.slot, address)
                case Closed(reason=reason):
                    self._handle_closed(session, closing_reason or reason.value)

    def _handle_connected(self, session: Session) -> None:
        self._connecting.discard(session)
        session.connected = True
        now = self._clock()
        self.totals.handshakes["completed"] += 1
        address = session.peer.address
        if session.kind == "subscriber" and address is not None:
            self._fanout.add_peer(session.slot, address, session.peer.hand_over_keys())
            self._router.add_subscriber(
                session.slot,
                session.key,
                session.wants,
                active=session.active,
                now=now,
                keeps_numbers=session.is_link,
            )
        else:
            is_publisher = session.kind == "publisher"
            if is_publisher:
                self._replace_publisher(session)
            self._router.add_source(session.slot, session.key, session.streams, is_publisher=is_publisher)
        self._update_presence(session)
        self.send_rtcp()

    def _replace_publisher(self, session: Session) -> None:
        """A publisher that came back replaces the one that it was, once it is there: two would speak at once."""
        for other in self.all():
            if other.kind == "publisher" and other.key == session.key and other.connected and other is not session:
                self.close(other, "replaced")

    def _handle_closed(self, session: Session, reason: str) -> None:
        if self._by_id.pop(session.session_id, None) is None:
            return
        if not session.connected:
            self.totals.handshakes["failed"] += 1
        self.totals.closed[reason] += 1
        self._end_presence(session, reason)
        session.connected = False
        self._connecting.discard(session)
        for ufrag in session.local_ufrags:
            self._by_ufrag.pop(ufrag, None)
        self._by_slot.pop(session.slot, None)
        for address in session.addresses:
            self._forget_address(session, address)
        self._router.remove_peer(session.slot)
        self._fanout.remove_peer(session.slot)
        heapq.heappush(self._free_slots, session.slot)
        session.hang_up()
        self.on_closed(session, reason)

    def _update_presence(self, session: Session) -> None:
        if session.kind != "subscriber" or session.is_link or not session.connected:
            return
        silent = self._clock() - session.heard_at_s > SILENT_S
        present = session.active and not silent and self._router.is_receiving(session.slot)
        if present and not session.presence_id:
            session.presence_count += 1
            session.presence_id = f"{session.session_id}.{session.presence_count}"
            conference, feed = session.key
            self._outbox.opened(
                SessionOpened(
                    session_id=session.presence_id,
                    subject=session.subject,
                    conference=conference,
                    feed=feed,
                    at_ms=int(self._wall_clock() * 1000),
                )
            )
        elif not present:
            self._end_presence(session, "silent" if silent else "standby")

    def _end_presence(self, session: Session, reason: str) -> None:
        if not session.presence_id:
            return
        unheard_s = max(0.0, self._clock() - session.heard_at_s) if reason in {"silent", "consent_expired"} else 0.0
        conference, feed = session.key
        self._outbox.closed(
            SessionClosed(
                session_id=session.presence_id,
                subject=session.subject,
                conference=conference,
                feed=feed,
                at_ms=int((self._wall_clock() - unheard_s) * 1000),
                reason=reason,
                packets_sent=self._router.packets_sent(session.slot),
            )
        )
        session.presence_id = ""
