"""The reference fan-out over real loopback sockets, with libsrtp as the receiver."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest
from pylibsrtp import Policy, Session

from relay.core.packet_cache import PacketCache
from relay.core.srtp import SrtpKeys, SrtpProfile
from relay.fanout.interface import FanOut, FanOutTotals, OutputTotals, PeerSlot, TrackSlot
from relay.fanout.reference import ReferenceFanOut
from relay.wire.rtp import parse_rtp_header

pytestmark = pytest.mark.integration

TRACK, PEER, OTHER = TrackSlot(1), PeerSlot(1), PeerSlot(2)
SSRC = 0x0A0B_0C0D
PROFILES = list(SrtpProfile)


class Subscriber:
    """A receiving socket with the keys of its session."""

    def __init__(self, family: socket.AddressFamily, profile: SrtpProfile, salt: int) -> None:
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self.socket.settimeout(5)
        self.address: tuple[str, int] = self.socket.getsockname()[:2]
        self.keys = SrtpKeys(profile, bytes([salt]) * profile.key_length, bytes([salt + 1]) * profile.salt_length)
        self._session = Session(
            Policy(
                key=self.keys.master_key + self.keys.master_salt,
                ssrc_type=Policy.SSRC_ANY_INBOUND,
                srtp_profile=profile.libsrtp_profile,
            )
        )

    def receive(self, count: int) -> list[bytes]:
        """The next datagrams, still protected."""
        return [self.socket.recv(2048) for _ in range(count)]

    def open(self, datagrams: list[bytes]) -> list[bytes]:
        """The RTP packets inside."""
        return [bytes(self._session.unprotect(datagram)) for datagram in datagrams]

    def has_nothing(self) -> bool:
        """Whether no datagram waits; loopback delivers before the send returns."""
        self.socket.settimeout(0)
        try:
            self.socket.recv(2048)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(5)
        return False


class Scene:
    """A sending socket, a fan-out over it and a cache."""

    def __init__(self, family: socket.AddressFamily = socket.AF_INET) -> None:
        self.family = family
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self.fan_out: FanOut = ReferenceFanOut(self.socket)
        self.cache = PacketCache(256)
        self.subscribers: list[Subscriber] = []

    def subscribe(self, peer: PeerSlot, profile: SrtpProfile = PROFILES[0], *, index_offset: int = 0) -> Subscriber:
        """A new subscriber of the track."""
        subscriber = Subscriber(self.family, profile, salt=10 * peer)
        self.subscribers.append(subscriber)
        self.fan_out.add_peer(peer, subscriber.address, subscriber.keys)
        self.fan_out.add_output(TRACK, peer, ssrc=SSRC + peer, payload_type=96 + peer, index_offset=index_offset)
        return subscriber

    def put(self, sizes: list[int], *, begin: int = 0) -> list[int]:
        """Packets of a frame, the last with the marker; returns their indexes."""
        indexes = list(range(begin, begin + len(sizes)))
        for index, size in zip(indexes, sizes, strict=True):
            second = 0x80 | 33 if index == indexes[-1] else 33
            header = struct.pack("!BBHII", 0x80, second, index & 0xFFFF, 3000, 7)
            self.cache.put(index, header + bytes([index % 256]) * (size - 12))
        return indexes

    def close(self) -> None:
        """Close all sockets."""
        self.fan_out.close()
        self.socket.close()
        for subscriber in self.subscribers:
            subscriber.socket.close()


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A scene over IPv4."""
    made = Scene()
    yield made
    made.close()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_frame_goes_out_in_one_send(profile: SrtpProfile, family: socket.AddressFamily) -> None:
    """Header rewritten, payload and marker kept, one send for the whole frame, over IPv4 and IPv6."""
    scene = Scene(family)
    try:
        subscriber = scene.subscribe(PEER, profile, index_offset=1000)
        indexes = scene.put([1100, 1101, 1100, 1101, 400])
        scene.fan_out.send_burst(TRACK, scene.cache, indexes)
        datagrams = subscriber.receive(5)
        assert subscriber.has_nothing()
        for index, packet in zip(indexes, subscriber.open(datagrams), strict=True):
            header = parse_rtp_header(packet)
            assert (header.ssrc, header.payload_type, header.timestamp) == (SSRC + PEER, 96 + PEER, 3000)
            assert header.sequence_number == index + 1000
            assert header.marker == (index == 4)
            size = 400 if index == 4 else 1100 + index % 2
            assert packet[12 : len(packet) - header.padding_length] == bytes([index]) * (size - 12)
        wire_bytes = 4 * 1101 + 400 + 5 * profile.tag_length
        assert scene.fan_out.totals() == FanOutTotals(packets_sent=5, bytes_sent=wire_bytes, sends=1)
        octets = 2 * 1100 + 2 * 1101 + 400 - 5 * 12
        assert scene.fan_out.output_totals(TRACK, PEER) == OutputTotals(packets=5, octets=octets)
    finally:
        scene.close()


@pytest.mark.parametrize("profile", PROFILES)
def test_the_roll_over_counter_follows_the_index(scene: Scene, profile: SrtpProfile) -> None:
    """Across the wrap of the sequence number the receiver goes on decrypting."""
    subscriber = scene.subscribe(PEER, profile, index_offset=30_000)
    begin = 0
    sequence_numbers = []
    while begin < 45_000:
        indexes = scene.put([200, 200, 150], begin=begin)
        scene.fan_out.send_burst(TRACK, scene.cache, indexes)
        sequence_numbers += [
            parse_rtp_header(packet).sequence_number for packet in subscriber.open(subscriber.receive(3))
        ]
        begin += 500
    assert sequence_numbers[:3] == [30_000, 30_001, 30_002]
    assert sequence_numbers[-1] == (44_502 + 30_000) & 0xFFFF


def test_a_resend_is_the_same_byte_for_byte(scene: Scene) -> None:
    """Also of a padded packet in the middle of a run; what the cache has lost is not counted."""
    subscriber = scene.subscribe(PEER)
    indexes = scene.put([1100, 1101, 1101, 90])
    scene.fan_out.send_burst(TRACK, scene.cache, indexes)
    first = subscriber.receive(4)
    assert scene.fan_out.resend(TRACK, PEER, scene.cache, [0]) == 1
    assert scene.fan_out.resend(TRACK, PEER, scene.cache, [3, 1, 999]) == 2
    assert subscriber.receive(3) == [first[0], first[3], first[1]]
    assert scene.fan_out.resend(TRACK, OTHER, scene.cache, [0]) == 0


def test_a_packet_that_is_first_sent_by_resend_is_sealed(scene: Scene) -> None:
    """A joiner's group of pictures and the live burst carry the same bytes."""
    subscriber = scene.subscribe(PEER)
    indexes = scene.put([1100, 1101])
    scene.fan_out.resend(TRACK, PEER, scene.cache, [0])
    scene.fan_out.send_burst(TRACK, scene.cache, indexes)
    datagrams = subscriber.receive(3)
    assert datagrams[0] == datagrams[1]
    assert len(datagrams[0]) == 1100 + 16


def test_each_subscriber_has_its_own_key_and_numbers(scene: Scene) -> None:
    """Two profiles and two offsets side by side; after removal only one is left."""
    first = scene.subscribe(PEER, SrtpProfile.AEAD_AES_256_GCM)
    second = scene.subscribe(OTHER, SrtpProfile.AES128_CM_SHA1_80, index_offset=7)
    scene.fan_out.send_burst(TRACK, scene.cache, scene.put([100, 100]))
    assert [parse_rtp_header(packet).sequence_number for packet in first.open(first.receive(2))] == [0, 1]
    assert [parse_rtp_header(packet).sequence_number for packet in second.open(second.receive(2))] == [7, 8]
    scene.fan_out.remove_peer(PEER)
    scene.fan_out.send_burst(TRACK, scene.cache, scene.put([100], begin=2))
    assert len(second.receive(1)) == 1
    assert first.has_nothing()
    assert scene.fan_out.output_totals(TRACK, PEER) == OutputTotals()
    scene.fan_out.remove_output(TRACK, OTHER)
    scene.fan_out.remove_output(TRACK, OTHER)
    scene.fan_out.send_burst(TRACK, scene.cache, scene.put([100], begin=3))
    assert second.has_nothing()


def test_a_peer_is_followed_to_its_new_address(scene: Scene) -> None:
    """ICE moved the peer; the key stays."""
    subscriber = scene.subscribe(PEER)
    other = scene.subscribe(OTHER)
    scene.fan_out.remove_peer(OTHER)
    scene.fan_out.set_address(PEER, other.address)
    scene.fan_out.set_address(OTHER, other.address)
    scene.fan_out.send_burst(TRACK, scene.cache, scene.put([100]))
    assert len(subscriber.open(other.receive(1))) == 1
    assert subscriber.has_nothing()


def test_packets_before_an_outputs_beginning_are_not_sent(scene: Scene) -> None:
    """A late packet would have a negative index at this output: it is dropped and counted."""
    subscriber = scene.subscribe(PEER, index_offset=-10)
    scene.fan_out.send_burst(TRACK, scene.cache, scene.put([100, 100, 100, 100], begin=8))
    assert [parse_rtp_header(packet).sequence_number for packet in subscriber.open(subscriber.receive(2))] == [0, 1]
    assert scene.fan_out.totals().packets_dropped == 2


def test_one_bad_subscriber_disturbs_nobody(scene: Scene) -> None:
    """An address that cannot be reached counts as an error, and the next subscriber gets its packets."""
    bad = scene.subscribe(PEER)
    good = scene.subscribe(OTHER)
    scene.fan_out.set_address(PEER, ("::1", bad.address[1]))
    scene.fan_out.send_burst(TRACK, scene.cache, scene.put([100, 100]))
    assert len(good.open(good.receive(2))) == 2
    totals = scene.fan_out.totals()
    assert (totals.send_errors, totals.packets_sent) == (1, 2)


def test_a_full_socket_drops_the_burst_and_counts_it() -> None:
    """When the send would block, the rest of the burst is dropped for this subscriber; nothing waits."""
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    class Full(socket.socket):
        """A UDP socket whose buffer is full; the error is the kernel's own, from a socket pair that nobody reads."""

        def sendmsg(self, *_: object) -> int:
            return sender.send(bytes(1000), socket.MSG_DONTWAIT)

        def sendto(self, *_: object) -> int:
            return sender.send(bytes(1000), socket.MSG_DONTWAIT)

    full = Full(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        while True:
            sender.send(bytes(1000), socket.MSG_DONTWAIT)
    except BlockingIOError:
        pass
    scene = Scene()
    try:
        fan_out = ReferenceFanOut(full)
        keys = SrtpKeys(PROFILES[0], bytes(16), bytes(12))
        fan_out.add_peer(PEER, ("127.0.0.1", 9), keys)
        fan_out.add_output(TRACK, PEER, ssrc=1, payload_type=96, index_offset=0)
        fan_out.send_burst(TRACK, scene.cache, scene.put([30, 1100, 1100]))
        assert fan_out.totals() == FanOutTotals(packets_dropped=3, bursts_dropped=1)
        assert fan_out.output_totals(TRACK, PEER) == OutputTotals()
    finally:
        scene.close()
        for opened in (full, sender, receiver):
            opened.close()


def test_segments_that_the_kernel_refuses_go_one_by_one(scene: Scene) -> None:
    """Without segmentation offload each packet is its own datagram."""
    subscriber = scene.subscribe(PEER)

    class NoOffload(socket.socket):
        """A UDP socket on a kernel that knows no UDP_SEGMENT."""

        def sendmsg(self, *_: object) -> int:
            raise OSError(22, "Invalid argument")

    with NoOffload(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fan_out = ReferenceFanOut(sock)
        fan_out.add_peer(PEER, subscriber.address, subscriber.keys)
        fan_out.add_output(TRACK, PEER, ssrc=1, payload_type=96, index_offset=0)
        fan_out.send_burst(TRACK, scene.cache, scene.put([100, 100, 50]))
        assert len(subscriber.open(subscriber.receive(3))) == 3
        assert fan_out.totals().sends == 3


def test_mistakes_of_ours_are_told(scene: Scene) -> None:
    """An output for nobody, or an address that is a name, is a bug and raises; a track without outputs is not."""
    with pytest.raises(KeyError):
        scene.fan_out.add_output(TRACK, OTHER, ssrc=1, payload_type=96, index_offset=0)
    with pytest.raises(ValueError, match="localhost"):
        scene.fan_out.add_peer(PEER, ("localhost", 1), SrtpKeys(PROFILES[0], bytes(16), bytes(12)))
    scene.fan_out.send_burst(TRACK, scene.cache, scene.put([100]))
    scene.fan_out.close()
    assert scene.fan_out.totals() == FanOutTotals()


def test_a_dual_stack_socket_reaches_ipv4() -> None:
    """On an IPv6 socket an IPv4 address is written as a mapped one."""
    scene = Scene()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        subscriber = Subscriber(socket.AF_INET, PROFILES[0], salt=1)
        fan_out = ReferenceFanOut(sock)
        fan_out.add_peer(PEER, subscriber.address, subscriber.keys)
        fan_out.add_output(TRACK, PEER, ssrc=1, payload_type=96, index_offset=0)
        fan_out.send_burst(TRACK, scene.cache, scene.put([100, 100]))
        assert len(subscriber.open(subscriber.receive(2))) == 2
        subscriber.socket.close()
    scene.close()
