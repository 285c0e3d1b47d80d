"""The server's end of one receiver of the swarm, pure: accepts it, sends it media, reads its reports."""

from __future__ import annotations

import random
import struct

from relay.core.dtls import Certificate, DtlsContext
from relay.core.ice import Address, IceCredentials
from relay.core.peer import Peer, PeerState
from relay.core.srtp import RtpProtector
from relay.swarm.receiver import Milestones, Outcome, Receiver
from relay.wire.demux import Kind, classify
from relay.wire.rtcp import RtcpPacket, SenderReport, Unknown, parse_compound, serialize_compound
from relay.wire.session_description import Codec

SERVER: Address = ("192.0.2.1", 4000)
CLIENT: Address = ("192.0.2.2", 5000)
STRANGER: Address = ("192.0.2.9", 4000)
VIDEO, AUDIO = 96, 111
VIDEO_SSRC, AUDIO_SSRC = 0xA0A0, 0xB0B0
CODECS = {VIDEO: ("video", Codec(VIDEO, "VP8", 90_000)), AUDIO: ("audio", Codec(AUDIO, "opus", 48_000, 2))}
KEYFRAME = b"\x10\x10\x00\x00\x9d\x01\x2a"
DELTA = b"\x10\x11\x00\x00"


class SwarmServer:
    """One server peer, one receiver, and a clock that tests move."""

    def __init__(self, *, sample_every: int = 10, remb_bps: int = 0) -> None:
        local, self.remote = IceCredentials("swarm", "s" * 24), IceCredentials("relay", "r" * 24)
        self.local = local
        ours, theirs = Certificate.generate(1e9), Certificate.generate(1e9)
        self.now = 100.0
        self.server = Peer.accept(
            local=self.remote,
            remote=local,
            remote_fingerprint=("sha-256", ours.fingerprint),
            context=DtlsContext(theirs),
            now=self.now,
        )
        peer = Peer.connect(
            local=local,
            remote=self.remote,
            remote_candidates=[SERVER],
            remote_fingerprint=("sha-256", theirs.fingerprint),
            context=DtlsContext(ours),
            rng=random.Random(1),
            now=self.now,
        )
        at = Milestones(self.now - 0.1, self.now)
        self.receiver = Receiver(
            peer,
            local=local,
            remote=self.remote,
            codecs=CODECS,
            at=at,
            ssrc=7,
            sample_every=sample_every,
            remb_bps=remb_bps,
        )
        self.reports: list[RtcpPacket | Unknown] = []
        self._protector: RtpProtector | None = None

    def connect(self) -> None:
        """Run ICE and DTLS, a millisecond a turn."""
        for _ in range(50):
            self.receiver.handle_timer(self.now)
            self.exchange()
            if self.receiver.outcome is Outcome.CONNECTED and self.server.state is PeerState.CONNECTED:
                return
        raise AssertionError("it did not connect")

    def exchange(self) -> None:
        """Carry what both have to say, one way and then the other."""
        self.now += 0.001
        for data, _ in self.receiver.datagrams_to_send():
            if classify(data) is Kind.RTCP:
                self.reports += parse_compound(self.server.unprotect_rtcp(data))
            else:
                self.server.handle_datagram(data, CLIENT, self.now)
        for data, _ in self.server.datagrams_to_send():
            self.read(data)

    def read(self, *datagrams: bytes, address: Address = SERVER) -> None:
        """Give the receiver one read of datagrams, all but the last of one size."""
        joined = b"".join(datagrams)
        # Longer than the read, as the socket's buffer is.
        view = memoryview(joined + bytes(64))
        self.receiver.handle_read(view, len(joined), len(datagrams[0]), address, self.now, self.now)

    def video(self, number: int, body: bytes = DELTA, timestamp: int = 0) -> bytes:
        """A protected video packet."""
        return self.protect(VIDEO, number, VIDEO_SSRC, body.ljust(60, b"\x00"), timestamp)

    def audio(self, number: int) -> bytes:
        """A protected audio packet."""
        return self.protect(AUDIO, number, AUDIO_SSRC, bytes(40), number * 960)

    def protect(self, payload_type: int, number: int, ssrc: int, payload: bytes, timestamp: int = 0) -> bytes:
        """A protected packet of any kind."""
        if self._protector is None:
            self._protector = RtpProtector(self.server.local_keys)
        header = struct.pack("!BBHII", 0x80, payload_type, number & 0xFFFF, timestamp, ssrc)
        return self._protector.protect(header, payload, number)

    def send_report(self, ssrc: int, ntp_timestamp: int) -> None:
        """A sender report."""
        self.read(self.server.protect_rtcp(serialize_compound([SenderReport(ssrc, ntp_timestamp, 0, 0, 0)])))
