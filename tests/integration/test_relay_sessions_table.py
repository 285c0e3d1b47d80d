"""The table of sessions with clocks of our own: presence, addresses, publishers; datagrams are handed over directly."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from support.pure_relay import FEED, VP8, RecordingFanOut, RtpSource

from relay.core.dtls import Certificate, DtlsContext
from relay.core.feed import Stream, Want
from relay.core.ice import CONSENT_EXPIRY_S
from relay.core.peer import Peer, PeerState
from relay.core.presence_outbox import PresenceOutbox
from relay.core.router import Router
from relay.core.srtp import RtpProtector, protect_rtp
from relay.messages import PresenceDelta, SessionClosed, SessionOpened
from relay.net.negotiation import new_credentials
from relay.net.session import Session, SessionKind
from relay.net.sessions import HANDSHAKES_AT_ONCE, HELD_S, MAX_ADDRESSES, SILENT_S, SLOW_TICK_S, Sessions
from relay.net.udp import Address, UdpSocket
from relay.wire.rtcp import ReceiverReport, serialize_compound
from relay.wire.stun import serialize_binding_request

pytestmark = pytest.mark.integration  # a socket is bound; nothing is sent on it
RELAY_AT = ("192.0.2.1", 8_100)
WALL_S = 1_700_000_000.0


class KeptSocket(UdpSocket):
    """A socket that keeps what it is to send."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1", 0, lambda *_: None)
        self.outbox: list[tuple[bytes, Address]] = []

    def send(self, data: bytes, address: Address) -> None:
        """Keep a datagram."""
        self.outbox.append((data, address))


class Member:
    """The remote end of a session."""

    def __init__(self, table: Table, kind: SessionKind, number: int) -> None:
        self.table = table
        self.at: Address = ("192.0.2.50", 40_000 + number)
        self.local, remote = new_credentials(), new_credentials()
        self.remote = remote
        certificate = Certificate.generate(1e9)
        self.peer = Peer.connect(
            local=self.local,
            remote=remote,
            remote_candidates=[RELAY_AT],
            remote_fingerprint=("sha-256", table.certificate.fingerprint),
            context=DtlsContext(certificate),
            rng=random.Random(number),
            now=table.now,
        )
        server = Peer.accept(
            local=remote,
            remote=self.local,
            remote_fingerprint=("sha-256", certificate.fingerprint),
            context=table.context,
            now=table.now,
        )
        self.ssrc = 5_000 + number
        self.session = Session(
            session_id=f"s{number}",
            kind=kind,
            slot=table.sessions.new_slot(),
            peer=server,
            socket=table.socket,
            local_ufrag=remote.ufrag,
            key=FEED,
            subject=f"hall-{number}",
            streams=(Stream(kind="video", codecs=(VP8,), ssrcs=(self.ssrc,)),) if kind == "publisher" else (),
            wants=(Want(kind="video", codecs=(VP8,), ssrc=self.ssrc),) if kind == "subscriber" else (),
        )
        table.sessions.add(self.session)

    def meet(self) -> None:
        """Carry datagrams both ways until there are none."""
        self.peer.handle_timer(self.table.now)
        while True:
            outgoing = self.peer.datagrams_to_send()
            for data, _ in outgoing:
                self.table.sessions.handle_datagrams(self.table.socket, [data], self.at)
            incoming, self.table.socket.outbox = self.table.socket.outbox, []
            for data, address in incoming:
                if address == self.at:
                    self.peer.handle_datagram(data, RELAY_AT, self.table.now)
            if not outgoing and not incoming:
                return

    def check(self, at: Address | None = None) -> None:
        """A good STUN check, from anywhere."""
        username = f"{self.remote.ufrag}:{self.local.ufrag}"
        request = serialize_binding_request(
            random.randbytes(12),
            username,
            priority=1,
            use_candidate=False,
            ice_controlling=1,
            password=self.remote.pwd,
        )
        self.table.sessions.handle_datagrams(self.table.socket, [request], at or self.at)

    def report(self) -> None:
        """An RTCP receiver report."""
        data = self.peer.protect_rtcp(serialize_compound([ReceiverReport(9)]))
        self.table.sessions.handle_datagrams(self.table.socket, [data], self.at)

    def publish(self, packets: list[bytes]) -> None:
        """Media."""
        protector = RtpProtector(self.peer.local_keys)
        for packet in packets:
            number = int.from_bytes(packet[2:4], "big")
            self.table.sessions.handle_datagrams(
                self.table.socket, [protect_rtp(protector, packet, 12, number)], self.at
            )


class Table:
    """Sessions over clocks that stand still."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.certificate = Certificate.generate(1e9)
        self.context = DtlsContext(self.certificate)
        self.socket = KeptSocket()
        self.fan_out = RecordingFanOut()
        self.outbox = PresenceOutbox()
        self.sessions = Sessions(
            Router(self.fan_out, publisher_bitrate_bps=1_000_000),
            self.fan_out,
            self.outbox,
            clock=lambda: self.now,
            wall_clock=lambda: WALL_S + self.now,
        )

    def connect(self, kind: SessionKind, number: int) -> Member:
        """A member that is there."""
        member = Member(self, kind, number)
        self.now += 0.001
        member.meet()
        assert member.session.connected
        return member

    def pass_time(self, seconds: float, *, keep: tuple[Member, ...] = ()) -> None:
        """Let time pass tick by tick; members in `keep` report."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + SLOW_TICK_S)
            for member in keep:
                member.report()
            self.sessions.handle_timers()

    def deltas(self) -> list[PresenceDelta]:
        """Presence that waits."""
        found: list[PresenceDelta] = []
        while (batch := self.outbox.next_batch()) is not None:
            found += batch.deltas
        return found


@pytest.fixture
def table() -> Iterator[Table]:
    """A table, closed afterwards."""
    made = Table()
    yield made
    made.socket.close()


def live(table: Table) -> tuple[Member, Member, RtpSource]:
    """A publisher and a hall that receives."""
    publisher, hall = table.connect("publisher", 1), table.connect("subscriber", 2)
    source = RtpSource(publisher.ssrc)
    publisher.publish(source.frame(keyframe=True))
    table.pass_time(SLOW_TICK_S, keep=(hall,))
    return publisher, hall, source


def test_presence_is_what_the_relay_sends_and_the_hall_confirms(table: Table) -> None:
    """Opened when media flow, not when DTLS is up."""
    hall = table.connect("subscriber", 2)
    table.pass_time(2.0, keep=(hall,))
    assert table.deltas() == []
    publisher = table.connect("publisher", 1)
    publisher.publish(RtpSource(publisher.ssrc).frame(keyframe=True))
    table.pass_time(1.0, keep=(hall,))
    (opened,) = table.deltas()
    assert isinstance(opened, SessionOpened)
    assert (opened.subject, opened.conference, opened.feed) == ("hall-2", *FEED)


def test_a_silent_hall_was_present_until_it_was_last_heard(table: Table) -> None:
    """No RTCP and no check for eight seconds: closed, at the moment of the last one; heard again, it opens anew."""
    _, hall, _ = live(table)
    assert len(table.deltas()) == 1
    hall.report()
    heard_ms = int((WALL_S + table.now) * 1000)
    table.pass_time(SILENT_S - 0.1)
    assert table.deltas() == []
    table.pass_time(1.0)
    (closed,) = table.deltas()
    assert isinstance(closed, SessionClosed)
    assert closed.reason == "silent"
    assert abs(closed.at_ms - heard_ms) <= 1
    assert closed.packets_sent == 4
    assert len(table.sessions) == 2, "the session itself lives until consent expires"
    hall.check()
    table.pass_time(SLOW_TICK_S)
    (again,) = table.deltas()
    assert isinstance(again, SessionOpened)
    assert again.session_id != closed.session_id


def test_consent_that_expires_closes_the_session(table: Table) -> None:
    """After 30 s without a check, RTCP or not; presence then ends when it was last heard."""
    publisher, hall, _ = live(table)
    table.deltas()
    for _ in range(int(CONSENT_EXPIRY_S / SLOW_TICK_S) + 2):
        publisher.check()
        table.pass_time(SLOW_TICK_S, keep=(hall,) if hall.session.connected else ())
    assert table.sessions.get(hall.session.session_id) is None
    (closed,) = table.deltas()
    assert isinstance(closed, SessionClosed)
    assert closed.reason == "consent_expired"
    assert table.sessions.totals.closed["consent_expired"] == 1


def test_a_standby_is_not_present(table: Table) -> None:
    """Neither before it is active nor after it stood by again."""
    _, hall, _ = live(table)
    table.deltas()
    table.sessions.set_active(hall.session, active=False)
    (closed,) = table.deltas()
    assert isinstance(closed, SessionClosed)
    assert closed.reason == "standby"
    table.pass_time(2.0, keep=(hall,))
    assert table.deltas() == []


def test_activation_asks_for_a_keyframe_at_once(table: Table) -> None:
    """The request does not wait for the next tick."""
    publisher, hall, source = live(table)
    table.sessions.set_active(hall.session, active=False)
    publisher.publish(source.frame())
    table.now += 5
    table.socket.outbox.clear()
    table.sessions.set_active(hall.session, active=True)
    assert [address for _, address in table.socket.outbox] == [publisher.at]


def test_addresses_are_bounded(table: Table) -> None:
    """Checks from many ports leave the latest eight, the selected one among them."""
    hall = table.connect("subscriber", 2)
    for port in range(50_000, 50_100):
        hall.check(("192.0.2.50", port))
    assert len(hall.session.addresses) == MAX_ADDRESSES
    assert hall.at in hall.session.addresses
    assert len(table.sessions._by_address) == MAX_ADDRESSES
    hall.report()
    table.sessions.close(hall.session, "deleted")
    assert table.sessions._by_address == {}


def test_an_address_is_not_taken_from_who_speaks_there(table: Table) -> None:
    """A check of another session with a forged source changes nothing; once the old one is silent, it does."""
    one, two = table.connect("subscriber", 1), table.connect("subscriber", 2)
    one.check()
    two.check(one.at)
    before = one.session.heard_at_s
    table.now += 0.1
    one.report()
    assert one.session.heard_at_s > before, "its datagrams are still its own"
    table.now += HELD_S + 0.1
    two.check(one.at)
    assert table.sessions._by_address[table.socket, one.at] is two.session


def test_a_forged_check_is_no_sign_of_life(table: Table) -> None:
    """A wrong password is refused and counted, and nothing is answered."""
    hall = table.connect("subscriber", 2)
    table.now += 1
    table.socket.outbox.clear()
    hall.remote = type(hall.remote)(hall.remote.ufrag, "wrong" * 6)
    hall.check()
    assert table.sessions.totals.stun_requests["refused"] == 1
    assert table.socket.outbox == []
    assert hall.session.heard_at_s < table.now


def test_rubbish_from_a_peer_is_no_media(table: Table) -> None:
    """What is not authentic does not make a link look alive."""
    publisher, _, _ = live(table)
    before = publisher.session.media_at_s
    table.now += 1
    table.sessions.handle_datagrams(table.socket, [b"\x80\x60" + bytes(60)], publisher.at)
    assert publisher.session.media_at_s == before
    assert table.sessions.totals.malformed["rtp"] == 1


def test_a_publisher_is_replaced_only_when_the_new_one_is_there(table: Table) -> None:
    """An offer alone takes nothing away."""
    old = table.connect("publisher", 1)
    new = Member(table, "publisher", 2)
    assert old.session.connected
    table.now += 1
    new.meet()
    assert new.session.connected
    assert table.sessions.get(old.session.session_id) is None
    assert table.sessions.totals.closed["replaced"] == 1
    assert table.sessions.count("publisher") == 1


def test_slots_are_used_again_and_nothing_is_left(table: Table) -> None:
    """After all have gone the tables are empty and the smallest slots are free."""
    members = [table.connect("subscriber", number) for number in range(5)]
    for member in members[:3]:
        table.sessions.close(member.session, "deleted")
    assert table.sessions.new_slot() == 0
    for member in members[3:]:
        member.peer.close(table.now)
        member.meet()
        assert member.peer.state is PeerState.CLOSED
    assert len(table.sessions) == 0
    assert table.sessions._by_ufrag == {}
    assert table.sessions._by_slot == {}
    assert table.sessions._connecting == set()
    assert table.sessions.totals.closed == {"deleted": 3, "dtls_closed": 2}


def test_who_never_connects_is_dropped(table: Table) -> None:
    """Ten seconds after the offer."""
    Member(table, "subscriber", 1)
    table.pass_time(9.5)
    assert len(table.sessions) == 1
    table.pass_time(1.0)
    assert len(table.sessions) == 0
    assert table.sessions.totals.handshakes["failed"] == 1


def test_media_does_not_wait_for_handshakes(table: Table) -> None:
    """In a storm of joins, DTLS waits until it is its turn; media that comes behind it passes at once."""
    publisher, _, source = live(table)
    told: list[None] = []
    table.sessions.on_handshakes_waiting = lambda: told.append(None)
    joining = [Member(table, "subscriber", 10 + number) for number in range(2 * HANDSHAKES_AT_ONCE + 1)]
    for member in joining:
        member.meet()  # ICE; the ClientHello of each is left waiting
    assert (len(told), len(table.sessions)) == (1, 2 + len(joining))
    sent = sum(len(bursts) for bursts in table.fan_out.bursts.values())
    publisher.publish(source.frame())
    assert sum(len(bursts) for bursts in table.fan_out.bursts.values()) == sent + 1
    table.sessions.handle_handshakes()
    assert {address for _, address in table.socket.outbox} == {member.at for member in joining[:HANDSHAKES_AT_ONCE]}
    table.sessions.handle_handshakes()
    assert table.sessions.waiting_handshakes == 1
    table.sessions.handle_handshakes()
    assert table.sessions.waiting_handshakes == 0
    assert {address for _, address in table.socket.outbox} == {member.at for member in joining}


def test_a_handshake_that_waits_too_long_is_left_to_the_peer(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded: more is dropped and counted, and comes again by the peer's own timer."""
    monkeypatch.setattr("relay.net.sessions.MAX_WAITING_HANDSHAKES", 2)
    table.sessions.on_handshakes_waiting = lambda: None
    for number in range(3):
        Member(table, "subscriber", number).meet()
    assert table.sessions.totals.handshakes["delayed"] == 1
    table.sessions.handle_handshakes()
    assert table.sessions.waiting_handshakes == 0


def test_a_session_that_closed_meanwhile_has_no_handshake(table: Table) -> None:
    """What waits of it is passed over."""
    table.sessions.on_handshakes_waiting = lambda: None
    member = Member(table, "subscriber", 3)
    member.meet()
    table.sessions.close(member.session, "deleted")
    table.socket.outbox.clear()
    table.sessions.handle_handshakes()
    assert table.sessions.waiting_handshakes == 0
    assert table.socket.outbox == []
    assert len(table.sessions) == 0
