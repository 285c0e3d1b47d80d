"""A receiver that notes when each packet reached its socket, by the system's clock and not by when it was read.

Each packet is opened and known by its stamp (`benchmarks.support.stamp`), so that the same packet can be found at
several probes. A probe is one more subscriber of its server. Shell over asyncio; the sockets are read by the loop, and
reading late costs no precision (SO_TIMESTAMPNS).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import time
from collections.abc import AsyncIterator

from benchmarks.support.stamp import stamp_of
from relay.core.dtls import Certificate, DtlsContext
from relay.core.ice import IceCredentials
from relay.core.peer import Peer, PeerState
from relay.errors import WireError
from relay.net.negotiation import new_credentials
from relay.net.udp import UDP_GRO
from relay.swarm.signalling import Opened, Signalling
from relay.wire.demux import Kind, classify
from relay.wire.rtp import parse_rtp_header

SO_TIMESTAMPNS = 35
RECEIVE_BYTES = 65_535
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024  # seconds of the programme, should the loop be late
TICK_S = 0.02
CONNECT_TIMEOUT_S = 20.0
_GRO_SIZE = struct.Struct("=i")
_TIMESPEC = struct.Struct("=qq")


class Probe:
    """One receiver.

    Attributes:
        arrivals_ns: per kind, stamp to time of arrival, both nanoseconds since the epoch.
    """

    def __init__(self, peer: Peer, kinds: dict[int, str]) -> None:
        """Make one from a peer that has not sent anything yet; `kinds` tells media by payload type."""
        self._peer = peer
        self._kinds = kinds
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._sock.setsockopt(socket.SOL_UDP, UDP_GRO, 1)
        self._sock.bind(("127.0.0.1", 0))
        self._buffer = bytearray(RECEIVE_BYTES)
        self._connected = asyncio.Event()
        self.arrivals_ns: dict[str, dict[int, int]] = {"audio": {}, "video": {}}

    async def connected(self) -> None:
        """Return once DTLS is through.

        Raises:
            TimeoutError: it was not.
        """
        await asyncio.wait_for(self._connected.wait(), CONNECT_TIMEOUT_S)

    def forget(self) -> None:
        """Begin a new window."""
        for arrivals in self.arrivals_ns.values():
            arrivals.clear()

    def start(self) -> None:
        """Read from now on."""
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._readable)

    def handle_timer(self) -> None:
        """Do what is due."""
        self._peer.handle_timer(time.monotonic())
        self._flush()

    def close(self) -> None:
        """Leave."""
        asyncio.get_running_loop().remove_reader(self._sock.fileno())
        self._peer.close(time.monotonic())
        self._flush()
        self._sock.close()

    def _flush(self) -> None:
        for data, address in self._peer.datagrams_to_send():
            with contextlib.suppress(OSError):
                self._sock.sendto(data, address)

    def _readable(self) -> None:
        while True:
            try:
                length, ancillary, _, address = self._sock.recvmsg_into([self._buffer], 128)
            except OSError:
                return
            segment, arrival_ns = length, time.time_ns()
            for level, kind, value in ancillary:
                if level == socket.SOL_UDP and kind == UDP_GRO:
                    segment = _GRO_SIZE.unpack_from(value)[0]
                elif level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                    seconds, nanoseconds = _TIMESPEC.unpack_from(value)
                    arrival_ns = seconds * 1_000_000_000 + nanoseconds
            for start in range(0, length, segment or 1):
                datagram = bytes(memoryview(self._buffer)[start : min(start + segment, length)])
                with contextlib.suppress(WireError):
                    self._handle(datagram, address[:2], arrival_ns)
            self._flush()

    def _handle(self, datagram: bytes, address: tuple[str, int], arrival_ns: int) -> None:
        if classify(datagram) is not Kind.RTP:
            self._peer.handle_datagram(datagram, address, time.monotonic())
            if self._peer.state is PeerState.CONNECTED:
                self._connected.set()
            return
        packet = self._peer.unprotect_rtp(datagram)
        header = parse_rtp_header(packet)
        payload = packet[header.header_length : len(packet) - header.padding_length]
        self.arrivals_ns[self._kinds[header.payload_type]][stamp_of(payload)] = arrival_ns


@contextlib.asynccontextmanager
async def probing(signalling: Signalling) -> AsyncIterator[Probe]:
    """Join a server with one probe; it is connected inside the block and has left after it."""
    certificate, local = Certificate.generate(time.time()), new_credentials()
    opened = await signalling.open(local, certificate.fingerprint)
    probe = _new_probe(opened, local, DtlsContext(certificate))
    probe.start()
    ticking = asyncio.create_task(_tick(probe))
    try:
        await probe.connected()
        yield probe
    finally:
        ticking.cancel()
        probe.close()
        await signalling.close(opened)


def _new_probe(opened: Opened, local: IceCredentials, context: DtlsContext) -> Probe:
    media = opened.description.media
    transport = media[0]
    if transport.fingerprint is None:
        raise RuntimeError("the answer has no fingerprint")
    peer = Peer.connect(
        local=local,
        remote=IceCredentials(transport.ice_ufrag, transport.ice_pwd),
        remote_candidates=[(found.address, found.port) for found in transport.candidates],
        remote_fingerprint=transport.fingerprint,
        context=context,
        rng=random.SystemRandom(),
        now=time.monotonic(),
    )
    return Probe(peer, {codec.payload_type: section.kind for section in media for codec in section.codecs})


async def _tick(probe: Probe) -> None:
    while True:
        probe.handle_timer()
        await asyncio.sleep(TICK_S)
