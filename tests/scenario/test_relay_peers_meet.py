"""Two pure peers, one ICE-lite and one controlling, over an in-memory link: meeting, media, ending."""

from __future__ import annotations

import random
import struct
import time

import pytest

from relay.core.dtls import Certificate, DtlsContext
from relay.core.ice import CONSENT_EXPIRY_S, IceCredentials
from relay.core.peer import HANDSHAKE_TIMEOUT_S, AddressChanged, Closed, CloseReason, Connected, Peer, PeerState
from relay.core.srtp import RtpProtector, SrtcpProtector, SrtpProfile, protect_rtp
from relay.errors import WireError

SERVER_AT = ("192.0.2.1", 8_101)
CLIENT_AT = ("192.0.2.7", 40_000)
SERVER_ICE = IceCredentials("lite", "lite-password-of-22-chars")
CLIENT_ICE = IceCredentials("full", "full-password-of-22-chars")


class Link:
    """A server and a client and the datagrams between them, each lost with a seeded chance."""

    def __init__(self, *, loss: float = 0.0, seed: int = 1, wrong_fingerprint: bool = False) -> None:
        server_certificate, client_certificate = Certificate.generate(1e9), Certificate.generate(1e9)
        shown = Certificate.generate(1e9) if wrong_fingerprint else client_certificate
        self.rng = random.Random(seed)
        self.loss = loss
        self.client_at = CLIENT_AT
        self.server = Peer.accept(
            local=SERVER_ICE,
            remote=CLIENT_ICE,
            remote_fingerprint=("sha-256", shown.fingerprint),
            context=DtlsContext(server_certificate),
            now=0.0,
        )
        self.client = Peer.connect(
            local=CLIENT_ICE,
            remote=SERVER_ICE,
            remote_candidates=[SERVER_AT],
            remote_fingerprint=("sha-256", server_certificate.fingerprint),
            context=DtlsContext(client_certificate),
            rng=self.rng,
            now=0.0,
        )

    def deliver(self, now: float) -> None:
        """Carry datagrams until nobody has one left."""
        while True:
            from_client, from_server = self.client.datagrams_to_send(), self.server.datagrams_to_send()
            if not from_client and not from_server:
                return
            for data, address in from_client:
                if address == SERVER_AT and self.rng.random() >= self.loss:
                    self.server.handle_datagram(data, self.client_at, now)
            for data, address in from_server:
                if address == self.client_at and self.rng.random() >= self.loss:
                    self.client.handle_datagram(data, SERVER_AT, now)

    def tick(self, now: float) -> None:
        """Let both look at the clock, then carry what they say."""
        self.client.handle_timer(now)
        self.server.handle_timer(now)
        self.deliver(now)

    def connected(self) -> bool:
        """Whether both have keys."""
        return self.client.state is self.server.state is PeerState.CONNECTED


def rtp(sequence_number: int) -> bytes:
    """A small RTP packet."""
    return struct.pack("!BBHII", 0x80, 96, sequence_number, 0, 7) + b"payload"


def test_peers_connect_and_exchange_media() -> None:
    """One tick is enough without loss; each opens what the other seals."""
    link = Link()
    assert link.client.state is link.server.state is PeerState.NEW
    link.tick(0.0)
    assert link.connected()
    assert link.server.next_event() == Connected(CLIENT_AT, SrtpProfile.AEAD_AES_128_GCM)
    assert link.client.next_event() == Connected(SERVER_AT, SrtpProfile.AEAD_AES_128_GCM)
    assert link.server.next_event() is None
    assert link.client.rtt_s == 0.0
    assert link.server.rtt_s is None
    for sender, receiver in ((link.server, link.client), (link.client, link.server)):
        protector = RtpProtector(sender.local_keys)
        assert receiver.unprotect_rtp(protect_rtp(protector, rtp(5), 12, 5)) == rtp(5)
        report = bytes.fromhex("80c9000100000007")
        assert receiver.unprotect_rtcp(sender.protect_rtcp(report)) == report
        with pytest.raises(WireError, match="authentication failed"):
            sender.unprotect_rtp(protect_rtp(protector, rtp(6), 12, 6))


def test_a_peer_whose_keys_were_handed_over_protects_nothing_more() -> None:
    """Whoever has them counts the SRTCP index from now on; what the other side says is still opened."""
    link = Link()
    link.tick(0.0)
    report = bytes.fromhex("80c9000100000007")
    keys = link.server.hand_over_keys()
    with pytest.raises(WireError, match="no keys"):
        link.server.protect_rtcp(report)
    with pytest.raises(ValueError, match="while it is connected"):
        link.server.hand_over_keys()
    assert link.client.unprotect_rtcp(SrtcpProtector(keys).protect_rtcp(report)) == report
    assert link.server.unprotect_rtcp(link.client.protect_rtcp(report)) == report


@pytest.mark.parametrize("seed", [3, 4])
def test_peers_connect_in_spite_of_loss(seed: int) -> None:
    """A fifth of all datagrams is lost and they still meet. OpenSSL times its flights by the machine's clock."""
    link = Link(loss=0.2, seed=seed)
    begin = time.monotonic()
    while not link.connected():
        now = time.monotonic() - begin
        assert now < HANDSHAKE_TIMEOUT_S
        link.tick(now)
        deadlines = [peer.next_deadline(now) for peer in (link.client, link.server)]
        wait = min(deadline for deadline in deadlines if deadline is not None) - now
        if not link.connected() and wait > 0:
            time.sleep(wait)
    protector = RtpProtector(link.server.local_keys)
    assert link.client.unprotect_rtp(protect_rtp(protector, rtp(1), 12, 1)) == rtp(1)


def test_a_forged_client_hello_disturbs_nobody() -> None:
    """DTLS from an address that ICE did not validate is refused, before and after the validation."""
    link = Link()
    stranger = Link()
    stranger.tick(0.0)
    attacker = Link()
    attacker.client.handle_timer(0.0)
    ((request, _),) = attacker.client.datagrams_to_send()
    attacker.server.handle_datagram(request, CLIENT_AT, 0.0)
    ((answer, _),) = attacker.server.datagrams_to_send()
    attacker.client.handle_datagram(answer, SERVER_AT, 0.0)
    hello = attacker.client.datagrams_to_send()[0][0]
    assert hello[0] == 22
    link.server.handle_datagram(hello, ("203.0.113.66", 666), 0.0)
    assert link.server.datagrams_to_send() == []
    link.tick(0.0)
    link.server.handle_datagram(hello, ("203.0.113.66", 666), 0.1)
    assert link.connected()
    assert link.server.datagrams_refused == 2


def test_media_before_the_handshake_is_refused() -> None:
    """Without keys every packet is a WireError, and there are no keys to hand out."""
    link = Link()
    for attempt in (link.server.unprotect_rtp, link.server.unprotect_rtcp, link.server.protect_rtcp):
        with pytest.raises(WireError, match="no keys"):
            attempt(bytes(40))
    with pytest.raises(ValueError, match="keys"):
        _ = link.server.local_keys


def test_a_certificate_of_another_ends_the_session() -> None:
    """The fingerprint of the SDP decides; both ends close."""
    link = Link(wrong_fingerprint=True)
    link.tick(0.0)
    event = link.server.next_event()
    assert isinstance(event, Closed)
    assert event.reason is CloseReason.DTLS_FAILED
    assert "fingerprint" in event.detail
    assert link.server.state is PeerState.CLOSED
    assert link.client.state is PeerState.CLOSED


def test_consent_is_kept_up_and_expires() -> None:
    """While checks go round the session lives for minutes; 30 s after the last one both ends close."""
    link = Link()
    link.tick(0.0)
    now = 0.0
    while now < 120:
        deadline = link.client.next_deadline(now)
        assert deadline is not None
        now = deadline
        link.tick(now)
    assert link.connected()
    last_consent = link.server.last_consent
    assert last_consent is not None
    link.loss = 1.0
    link.tick(last_consent + CONSENT_EXPIRY_S - 0.1)
    assert link.connected()
    link.tick(last_consent + CONSENT_EXPIRY_S)
    for peer in (link.server, link.client):
        peer.next_event()
        assert peer.next_event() == Closed(CloseReason.CONSENT_EXPIRED)
        assert peer.next_deadline(now) is None


def test_nobody_waits_for_ever() -> None:
    """Without an answer both close after ten seconds."""
    link = Link(loss=1.0)
    link.tick(0.0)
    link.tick(HANDSHAKE_TIMEOUT_S)
    for peer in (link.server, link.client):
        event = peer.next_event()
        assert isinstance(event, Closed)
        assert event.reason is CloseReason.HANDSHAKE_TIMEOUT


def test_closing_tells_the_other_side() -> None:
    """close_notify travels; a closed peer answers nothing more and its keys are gone."""
    link = Link()
    link.tick(0.0)
    for peer in (link.server, link.client):
        peer.next_event()
    link.server.close(1.0)
    link.server.close(1.0)
    assert link.server.next_event() == Closed(CloseReason.LOCAL)
    assert link.server.next_event() is None
    link.deliver(1.0)
    assert link.client.next_event() == Closed(CloseReason.DTLS_CLOSED)
    with pytest.raises(WireError, match="no keys"):
        link.server.protect_rtcp(bytes(8))
    link.client.handle_timer(9.0)
    assert link.client.datagrams_to_send() == []


def test_a_hall_that_changes_its_line_is_followed() -> None:
    """The next check from the new address nominates it, and the shell hears of it."""
    link = Link()
    link.tick(0.0)
    link.server.next_event()
    link.client_at = ("198.51.100.20", 41_000)
    deadline = link.client.next_deadline(0.0)
    assert deadline is not None
    link.tick(deadline)
    assert link.server.next_event() == AddressChanged(link.client_at)
    assert link.server.address == link.client_at


def test_malformed_input_raises_wire_error_alone() -> None:
    """STUN that does not parse is the shell's to count; malformed DTLS and anything else is dropped in silence."""
    link = Link()
    link.tick(0.0)
    rng = random.Random(2)
    protocols = set()
    for _ in range(2000):
        data = bytes([rng.choice([0, 1, 20, 21, 22, 23, 63, 128, 255])]) + rng.randbytes(rng.randrange(80))
        try:
            link.server.handle_datagram(data, CLIENT_AT, 1.0)
        except WireError as error:
            protocols.add(error.protocol)
    assert protocols == {"stun"}
    assert link.server.state is PeerState.CONNECTED
