"""One peer over one UDP path: ICE, then DTLS, then the SRTP keys; sans-IO, for both roles.

`Peer.accept` is what a hall or publisher meets at our port (ICE-lite, DTLS server); `Peer.connect` is our own
subscription at a parent (ICE controlling, DTLS client). The shell feeds datagrams and time, and drains outputs after
every call: `datagrams_to_send`, `next_event`, `next_deadline`. DTLS is taken from addresses that ICE validated and from
nowhere else, so that a forged ClientHello cannot take the handshake over.
"""

from __future__ import annotations

import enum
import random
from collections import deque
from collections.abc import Sequence

import msgspec

from relay.core.dtls import DtlsContext, DtlsSession, DtlsState
from relay.core.ice import Address, IceController, IceCredentials, IceGeneration, IceLite
from relay.core.srtp import SrtcpProtector, SrtpKeys, SrtpProfile, SrtpReceiver
from relay.errors import WireError
from relay.wire.demux import Kind, classify
from relay.wire.stun import BindingError, BindingRequest, BindingSuccess, Message, parse_message

HANDSHAKE_TIMEOUT_S = 10.0  # ICE and DTLS together; five DTLS retransmissions with doubling fit


class PeerState(enum.Enum):
    """`NEW` before a path is validated, `CONNECTING` during DTLS, `CONNECTED` with keys, `CLOSED` for good."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"


class CloseReason(enum.Enum):
    """Why a peer is closed; the value is a stable word for metrics."""

    CONSENT_EXPIRED = "consent_expired"
    DTLS_FAILED = "dtls_failed"
    DTLS_CLOSED = "dtls_closed"
    HANDSHAKE_TIMEOUT = "handshake_timeout"
    LOCAL = "local"


class Connected(msgspec.Struct, frozen=True):
    """Keys are there: media may flow to `address`."""

    address: Address
    profile: SrtpProfile


class AddressChanged(msgspec.Struct, frozen=True):
    """ICE selected another address of the peer."""

    address: Address


class Closed(msgspec.Struct, frozen=True):
    """The last event of a peer; `detail` is for the log."""

    reason: CloseReason
    detail: str = ""


PeerEvent = Connected | AddressChanged | Closed


class Peer:
    """ICE, DTLS and SRTP of one session.

    Attributes:
        state: see `PeerState`.
        datagrams_refused: DTLS from an address that ICE has not validated.
    """

    def __init__(
        self,
        ice: IceLite | IceController,
        *,
        is_dtls_server: bool,
        remote_fingerprint: tuple[str, str],
        context: DtlsContext,
        now: float,
    ) -> None:
        """Compose a peer; `accept` and `connect` are the two ways that are used.

        Raises:
            WireError: `dtls`, when the fingerprint is of no use.
        """
        self._ice = ice
        self._dtls = DtlsSession(context, is_server=is_dtls_server, remote_fingerprint=remote_fingerprint)
        self._handshake_deadline = now + HANDSHAKE_TIMEOUT_S
        self._outbox: list[tuple[bytes, Address]] = []
        self._events: deque[PeerEvent] = deque()
        self._address: Address | None = None
        self._local_keys: SrtpKeys | None = None
        self._receiver: SrtpReceiver | None = None
        self._rtcp_protector: SrtcpProtector | None = None
        self.state = PeerState.NEW
        self.datagrams_refused = 0

    @classmethod
    def accept(
        cls,
        *,
        local: IceCredentials,
        remote: IceCredentials,
        remote_fingerprint: tuple[str, str],
        context: DtlsContext,
        now: float,
    ) -> Peer:
        """The relay's side of a session at its own port: ICE-lite, `setup:passive`.

        Args:
            local: our credentials, one pair per session.
            remote: those of the offer.
            remote_fingerprint: hash function and hex value of the offer's `a=fingerprint`.
            context: shared by all sessions of the relay.
            now: seconds on a monotonic clock.

        Raises:
            WireError: `dtls`, when the fingerprint is of no use.
        """
        ice = IceLite(local, remote)
        return cls(ice, is_dtls_server=True, remote_fingerprint=remote_fingerprint, context=context, now=now)

    @classmethod
    def connect(
        cls,
        *,
        local: IceCredentials,
        remote: IceCredentials,
        remote_candidates: Sequence[Address],
        remote_fingerprint: tuple[str, str],
        context: DtlsContext,
        rng: random.Random,
        now: float,
    ) -> Peer:
        """The side that asked an ICE-lite peer for a session: ICE controlling, `setup:active`.

        Args:
            local: our credentials, those of the offer.
            remote: those of the answer.
            remote_candidates: addresses of the answer, best first.
            remote_fingerprint: hash function and hex value of the answer's `a=fingerprint`.
            context: shared by all sessions of the relay.
            rng: source of transaction ids; `random.SystemRandom()` outside tests.
            now: seconds on a monotonic clock.

        Raises:
            WireError: `dtls`, when the fingerprint is of no use.
        """
        ice = IceController(local, remote, remote_candidates, rng=rng, now=now)
        return cls(ice, is_dtls_server=False, remote_fingerprint=remote_fingerprint, context=context, now=now)

    @property
    def ice_generation(self) -> IceGeneration:
        """The ICE credentials of the last offer and answer, at our own port.

        Raises:
            ValueError: it is our own subscription at a parent (our own bug).
        """
        return self._lite().latest

    @property
    def local_ufrags(self) -> tuple[str, ...]:
        """Our user name fragments whose checks are answered, the latest last, at our own port.

        Raises:
            ValueError: it is our own subscription at a parent (our own bug).
        """
        return self._lite().local_ufrags

    def restart_ice(self, *, local: IceCredentials, remote: IceCredentials, now: float) -> None:
        """Take new ICE credentials of both ends (RFC 8445 section 9); DTLS and the keys stay.

        A peer that is not connected yet gets as much time again.

        Raises:
            ValueError: it is our own subscription at a parent (our own bug).
        """
        self._lite().restart(local, remote)
        self._handshake_deadline = now + HANDSHAKE_TIMEOUT_S

    @property
    def address(self) -> Address | None:
        """Where the peer is, None before ICE validated a path."""
        return self._address

    @property
    def local_keys(self) -> SrtpKeys:
        """The keys that we encrypt RTP with.

        Raises:
            ValueError: the peer is not connected, or has handed its keys over (our own bug).
        """
        if self._local_keys is None:
            raise ValueError("a peer has keys only while it is connected")
        return self._local_keys

    def hand_over_keys(self) -> SrtpKeys:
        """Give the keys that we encrypt with to somebody who sends RTP and RTCP in the peer's place.

        The peer protects nothing any more: two who count the SRTCP index would use one twice (RFC 3711 section 9.1).

        Raises:
            ValueError: see `local_keys`.
        """
        keys = self.local_keys
        self._local_keys = None
        self._rtcp_protector = None
        return keys

    @property
    def last_consent(self) -> float | None:
        """When the peer last proved that it is there, None before the first time."""
        return self._ice.last_consent

    @property
    def rtt_s(self) -> float | None:
        """Round trip to the peer by its last answer; a lite agent, which asks nothing, has none."""
        return self._ice.rtt_s if isinstance(self._ice, IceController) else None

    def handle_datagram(self, data: bytes | memoryview, address: Address, now: float) -> None:
        """Take one STUN or DTLS datagram; anything else is ignored here.

        Raises:
            WireError: `stun`, when the message is malformed. A malformed DTLS record is discarded (RFC 6347).
        """
        kind = classify(data)
        if kind is Kind.STUN:
            self.handle_stun(parse_message(data), address, now)
        elif kind is Kind.DTLS:
            self.handle_dtls(data, address, now)

    def handle_stun(self, message: Message, address: Address, now: float) -> None:
        """Take one parsed STUN message, for a shell that had to look into it to find the peer."""
        if self.state is PeerState.CLOSED:
            return
        if isinstance(self._ice, IceLite):
            if isinstance(message, BindingRequest):
                answer = self._ice.handle_binding(message, address, now)
                if answer is not None:
                    self._outbox.append((answer, address))
        elif isinstance(message, BindingSuccess | BindingError):
            self._ice.handle_response(message, address, now)
        self._follow_ice()

    def handle_dtls(self, data: bytes | memoryview, address: Address, now: float) -> None:  # noqa: ARG002 - every input takes the time
        """Take one DTLS datagram; from an address that ICE has not validated it is refused and counted."""
        if self.state is PeerState.CLOSED:
            return
        if not self._ice.validated(address):
            self.datagrams_refused += 1
            return
        self._dtls.handle_datagram(data)
        self._follow_dtls()

    def handle_timer(self, now: float) -> None:
        """Do what is due: checks, retransmissions, expiry."""
        if self.state is PeerState.CLOSED:
            return
        consent_deadline = self._ice.consent_deadline()
        if consent_deadline is not None and now >= consent_deadline:
            self._close(CloseReason.CONSENT_EXPIRED)
            return
        if self.state is not PeerState.CONNECTED and now >= self._handshake_deadline:
            self._close(CloseReason.HANDSHAKE_TIMEOUT, f"in state {self.state.value}")
            return
        if isinstance(self._ice, IceController):
            self._ice.handle_timer(now)
            self._outbox.extend(self._ice.datagrams_to_send())
        if self.state is not PeerState.CONNECTED:  # DTLS has a timer while it shakes hands, and never again
            self._dtls.handle_timer(now)
            self._follow_dtls()

    def next_deadline(self, now: float) -> float | None:
        """When to call `handle_timer` at the latest; None when closed."""
        if self.state is PeerState.CLOSED:
            return None
        deadlines = [self._ice.consent_deadline(), self._dtls.next_deadline(now)]
        if self.state is not PeerState.CONNECTED:
            deadlines.append(self._handshake_deadline)
        if isinstance(self._ice, IceController):
            deadlines.append(self._ice.next_deadline())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Take what waits to be sent, with where to."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def next_event(self) -> PeerEvent | None:
        """Take the oldest event, None when there is none."""
        return self._events.popleft() if self._events else None

    def unprotect_rtp(self, data: bytes | memoryview) -> bytes:
        """Open an SRTP packet of the peer.

        Raises:
            WireError: `rtp`: no keys, replayed, not authentic, or malformed.
        """
        if self._receiver is None:
            raise WireError("rtp", "no keys")
        return self._receiver.unprotect_rtp(data)

    def unprotect_rtcp(self, data: bytes | memoryview) -> bytes:
        """Open an SRTCP packet of the peer.

        Raises:
            WireError: `rtcp`: no keys, replayed, not authentic, or malformed.
        """
        if self._receiver is None:
            raise WireError("rtcp", "no keys")
        return self._receiver.unprotect_rtcp(data)

    def protect_rtcp(self, data: bytes | memoryview) -> bytes:
        """Protect a compound RTCP packet for the peer.

        Raises:
            WireError: `rtcp`: no keys, or a packet that is too short or too long.
        """
        if self._rtcp_protector is None:
            raise WireError("rtcp", "no keys")
        return self._rtcp_protector.protect_rtcp(data)

    def close(self, now: float) -> None:  # noqa: ARG002 - every input takes the time
        """End the session: close_notify waits in `datagrams_to_send`, keys are gone."""
        if self.state is not PeerState.CLOSED:
            self._close(CloseReason.LOCAL)

    def _lite(self) -> IceLite:
        if not isinstance(self._ice, IceLite):
            raise ValueError("a link to a parent is opened anew and never restarted")  # noqa: TRY004 - a role, no type
        return self._ice

    def _follow_ice(self) -> None:
        address = self._ice.validated_address
        if address is None or address == self._address:
            return
        self._address = address
        if self.state is PeerState.NEW:
            self.state = PeerState.CONNECTING
            self._dtls.start()
        elif self.state is PeerState.CONNECTED:
            self._events.append(AddressChanged(address))
        self._follow_dtls()

    def _follow_dtls(self) -> None:
        self._flush_dtls()
        if self._dtls.state is DtlsState.CONNECTED:
            if self.state is PeerState.CONNECTING:
                self._become_connected()
        elif self._dtls.state is DtlsState.FAILED:
            detail = self._dtls.failure.reason if self._dtls.failure is not None else ""
            self._close(CloseReason.DTLS_FAILED, detail)
        elif self._dtls.state is DtlsState.CLOSED:
            self._close(CloseReason.DTLS_CLOSED)

    def _become_connected(self) -> None:
        local_keys, remote_keys = self._dtls.export_keys()
        self._local_keys = local_keys
        self._receiver = SrtpReceiver(remote_keys)
        self._rtcp_protector = SrtcpProtector(local_keys)
        self.state = PeerState.CONNECTED
        if self._address is not None:
            self._events.append(Connected(self._address, local_keys.profile))

    def _close(self, reason: CloseReason, detail: str = "") -> None:
        self.state = PeerState.CLOSED
        self._dtls.close()
        self._flush_dtls()
        self._local_keys = None
        self._receiver = None
        self._rtcp_protector = None
        self._events.append(Closed(reason, detail))

    def _flush_dtls(self) -> None:
        if self._address is not None:
            self._outbox.extend((datagram, self._address) for datagram in self._dtls.datagrams_to_send())
