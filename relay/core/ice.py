"""Interactive Connectivity Establishment (RFC 8445): the lite agent, the one that checks it, and consent (RFC 7675).

A relay is a lite agent to halls, publishers and child relays, and a full controlling agent to its own parent, which is
lite. Full against full is left out, and so is gathering: a peer's own TURN server is an address like any other. Nothing
is answered that does not carry our user name and a valid MESSAGE-INTEGRITY, so that a forged source address gets no
reflection from us.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Sequence

import msgspec

from relay.wire.stun import (
    TRANSACTION_ID_BYTES,
    BindingError,
    BindingRequest,
    BindingSuccess,
    serialize_binding_error,
    serialize_binding_request,
    serialize_binding_success,
    verify_integrity,
)

CONSENT_EXPIRY_S = 30.0  # RFC 7675 section 5.1
CONSENT_INTERVAL_S = 5.0  # randomised by a fifth each way, same section
PACING_S = 0.05  # Ta, RFC 8445 section 14.2
FIRST_RTO_S = 0.5  # RFC 8445 section 14.3
MAX_CHECKS = 7  # Rc, RFC 8489 section 6.2.1
MAX_CANDIDATES = 16  # remote candidates that are worth checking
MAX_ADDRESSES = 8  # validated addresses that are remembered for one peer
NOMINATION_SETTLE_S = 1.0  # an agent that nominates aggressively does so on all of its pairs within this time
MAX_OPEN_CONSENT_CHECKS = 8  # more than fit in CONSENT_EXPIRY_S

_ROLE_CONFLICT = 487
_PEER_REFLEXIVE_PRIORITY = 110 << 24 | 65_535 << 8 | 255  # RFC 8445 sections 5.1.2.1 and 7.1.1, component 1

Address = tuple[str, int]


class IceCredentials(msgspec.Struct, frozen=True):
    """User name fragment and password of one agent (`a=ice-ufrag`, `a=ice-pwd`)."""

    ufrag: str
    pwd: str


class _Nomination(msgspec.Struct, frozen=True):
    address: Address
    priority: int
    at: float


class IceGeneration(msgspec.Struct, frozen=True):
    """The credentials of both agents from one offer and answer to the next restart (RFC 8445 section 9)."""

    local: IceCredentials
    remote: IceCredentials

    @property
    def username(self) -> str:
        """What the peer's checks carry."""
        return f"{self.local.ufrag}:{self.remote.ufrag}"


class IceLite:
    """The lite agent of one session: it answers checks and remembers where they came from.

    After a restart the checks of the generation before are answered on, and media goes where it went, until a check of
    the new generation nominates.

    Attributes:
        last_consent: when the last valid check arrived, None before the first.
    """

    def __init__(self, local: IceCredentials, remote: IceCredentials) -> None:
        self._generation = IceGeneration(local, remote)
        self._restarted: IceGeneration | None = None
        self._seen: dict[Address, float] = {}
        self._nomination: _Nomination | None = None
        self.last_consent: float | None = None

    @property
    def validated_address(self) -> Address | None:
        """Where to send: the nominated address, before a nomination the first that was checked."""
        if self._nomination is not None:
            return self._nomination.address
        return next(iter(self._seen), None)

    def validated(self, address: Address) -> bool:
        """Whether a valid check came from this address."""
        return address in self._seen

    @property
    def latest(self) -> IceGeneration:
        """The generation of the last restart, also before a check of it came."""
        return self._restarted or self._generation

    @property
    def local_ufrags(self) -> tuple[str, ...]:
        """Our user name fragments whose checks are answered, the latest last."""
        generations = (self._generation, self._restarted)
        return tuple(each.local.ufrag for each in generations if each is not None)

    def restart(self, local: IceCredentials, remote: IceCredentials) -> None:
        """Answer checks with new credentials too. A restart that was not validated yet is forgotten for this one."""
        self._restarted = IceGeneration(local, remote)

    def handle_binding(self, request: BindingRequest, address: Address, now: float) -> bytes | None:
        """Take a check that came from `address`.

        Returns:
            The answer for that address, or None: a check without our credentials gets no answer at all.
        """
        generation = self._generation
        if self._restarted is not None and request.username == self._restarted.username:
            generation = self._restarted
        password = generation.local.pwd
        if request.username != generation.username or not verify_integrity(request, password):
            return None
        if request.ice_controlled is not None:
            # A lite agent is always controlled (RFC 8445 section 6.1.1): the other one has to take the other role.
            return serialize_binding_error(request.transaction_id, _ROLE_CONFLICT, "Role Conflict", password=password)
        self._remember(address, now)
        if request.use_candidate and generation is self._restarted:
            # The first nomination of a restart counts whatever was nominated before it.
            self._generation, self._restarted, self._nomination = generation, None, None
        if request.use_candidate:
            self._nominate(_Nomination(address, request.priority, now))
        self.last_consent = now
        return serialize_binding_success(request.transaction_id, address, password)

    def consent_deadline(self) -> float | None:
        """When consent ends unless another check arrives; None before the first check."""
        return None if self.last_consent is None else self.last_consent + CONSENT_EXPIRY_S

    def _remember(self, address: Address, now: float) -> None:
        if address not in self._seen and len(self._seen) >= MAX_ADDRESSES:
            selected = self.validated_address
            oldest = min((seen for seen in self._seen if seen != selected), key=self._seen.__getitem__)
            del self._seen[oldest]
        self._seen[address] = now

    def _nominate(self, nomination: _Nomination) -> None:
        current = self._nomination
        # The latest nomination holds (a hall that changes its line nominates anew), but among those of one aggressive
        # volley the peer itself takes the pair of the highest priority, so that we do as well.
        if (
            current is not None
            and nomination.address != current.address
            and nomination.priority < current.priority
            and nomination.at < current.at + NOMINATION_SETTLE_S
        ):
            return
        self._nomination = nomination


class _Check:
    """One remote candidate and the transaction that checks it."""

    __slots__ = ("address", "datagram", "first_sent_at", "next_at", "rto_s", "sent", "transaction_id")

    def __init__(self, address: Address, transaction_id: bytes, datagram: bytes, next_at: float) -> None:
        self.address = address
        self.transaction_id = transaction_id
        self.datagram = datagram
        self.next_at = next_at
        self.rto_s = FIRST_RTO_S
        self.sent = 0
        self.first_sent_at = next_at


class IceController:
    """The controlling agent toward a lite peer: checks its candidates, keeps to the first that answers, and to consent.

    Attributes:
        last_consent: when the peer last answered, None before.
        rtt_s: round trip of the last answer to a check that was sent once, None before.
    """

    def __init__(
        self,
        local: IceCredentials,
        remote: IceCredentials,
        remote_candidates: Sequence[Address],
        *,
        rng: random.Random,
        now: float,
    ) -> None:
        """Prepare the checks; the first goes out at the first `handle_timer`.

        Args:
            local: our credentials.
            remote: the peer's, from its answer.
            remote_candidates: its addresses, best first; what is no numeric IP address is passed over.
            rng: gives transaction ids and the tie-breaker; must not be guessable outside tests.
            now: seconds on a monotonic clock.
        """
        self._username = f"{remote.ufrag}:{local.ufrag}"
        self._password = remote.pwd
        self._rng = rng
        self._tie_breaker = rng.getrandbits(64)
        self._outbox: list[tuple[bytes, Address]] = []
        self._selected: Address | None = None
        self._consent_checks: dict[bytes, float] = {}
        self._next_consent_at = now
        self.last_consent: float | None = None
        self.rtt_s: float | None = None
        self._checks: list[_Check] = []
        for position, address in enumerate(_usable(remote_candidates)):
            transaction_id, datagram = self._new_request()
            self._checks.append(_Check(address, transaction_id, datagram, now + position * PACING_S))

    @property
    def validated_address(self) -> Address | None:
        """The candidate that answered first."""
        return self._selected

    def validated(self, address: Address) -> bool:
        """Whether this is the selected address."""
        return address == self._selected

    def handle_response(self, message: BindingSuccess | BindingError, address: Address, now: float) -> None:
        """Take an answer from `address`; one that is not signed or that nobody waits for changes nothing."""
        if not verify_integrity(message, self._password):
            return
        if self._selected is None:
            self._handle_first_answer(message, address, now)
        elif address == self._selected and isinstance(message, BindingSuccess):
            sent_at = self._consent_checks.get(message.transaction_id)
            if sent_at is not None:
                self._consent_checks.clear()  # one answer is enough; late ones to older checks prove nothing more
                self.last_consent = now
                self.rtt_s = now - sent_at

    def handle_timer(self, now: float) -> None:
        """Send the checks that are due."""
        if self._selected is not None:
            if now >= self._next_consent_at:
                self._check_consent(now)
            return
        for check in self._checks:
            if now < check.next_at or check.sent == MAX_CHECKS:
                continue
            if check.sent == 0:
                check.first_sent_at = now
            check.sent += 1
            check.next_at = now + check.rto_s
            check.rto_s *= 2
            self._outbox.append((check.datagram, check.address))

    def next_deadline(self) -> float | None:
        """When `handle_timer` has something to send; None when no check is left."""
        if self._selected is not None:
            return self._next_consent_at
        return min((check.next_at for check in self._checks if check.sent < MAX_CHECKS), default=None)

    def consent_deadline(self) -> float | None:
        """When consent ends unless another answer arrives; None before the first answer."""
        return None if self.last_consent is None else self.last_consent + CONSENT_EXPIRY_S

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Take the checks that wait to be sent."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def _handle_first_answer(self, message: BindingSuccess | BindingError, address: Address, now: float) -> None:
        for check in self._checks:
            # RFC 8445 section 7.2.5.2.1: the answer comes from where the check went.
            if check.sent and check.transaction_id == message.transaction_id and check.address == address:
                break
        else:
            return
        if isinstance(message, BindingError):
            check.sent = MAX_CHECKS  # refused: this candidate will not be asked again
            return
        if check.sent == 1:
            self.rtt_s = now - check.first_sent_at
        self._selected = address
        self._checks.clear()
        self.last_consent = now
        self._schedule_consent(now)

    def _check_consent(self, now: float) -> None:
        if self._selected is None:
            return
        transaction_id, datagram = self._new_request()
        while len(self._consent_checks) >= MAX_OPEN_CONSENT_CHECKS:
            del self._consent_checks[next(iter(self._consent_checks))]
        self._consent_checks[transaction_id] = now
        self._outbox.append((datagram, self._selected))
        self._schedule_consent(now)

    def _schedule_consent(self, now: float) -> None:
        self._next_consent_at = now + CONSENT_INTERVAL_S * self._rng.uniform(0.8, 1.2)

    def _new_request(self) -> tuple[bytes, bytes]:
        transaction_id = self._rng.randbytes(TRANSACTION_ID_BYTES)
        datagram = serialize_binding_request(
            transaction_id,
            self._username,
            priority=_PEER_REFLEXIVE_PRIORITY,
            # Toward a lite agent every check may nominate: it has no checks of its own that could disagree.
            use_candidate=True,
            ice_controlling=self._tie_breaker,
            password=self._password,
        )
        return transaction_id, datagram


def _usable(candidates: Sequence[Address]) -> list[Address]:
    """Numeric addresses in canonical form, without doubles; a multicast-DNS name is nothing that we could ask."""
    usable: dict[Address, None] = {}
    for host, port in candidates:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            continue
        if 0 < port <= 65_535 and len(usable) < MAX_CANDIDATES:
            usable[(str(address), port)] = None
    return list(usable)
