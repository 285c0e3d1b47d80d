"""Two fan-outs side by side: the same calls, and what each puts on the wire, captured at real UDP sockets."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from pylibsrtp import Policy, Session

from relay.core.packet_cache import PacketCache
from relay.core.srtp import SrtpKeys, SrtpProfile
from relay.fanout.interface import FanOut, TrackSlot
from relay.fanout.shards import KernelFanOut

RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def bound_socket(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """A UDP socket on loopback, with room for what a test sends."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    sock.bind((HOSTS[family], 0))
    return sock


def made_up_keys(profile: SrtpProfile, seed: int) -> SrtpKeys:
    """Keys that differ by seed."""
    key = bytes((seed * 7 + octet) % 256 for octet in range(profile.key_length))
    return SrtpKeys(profile, key, bytes((seed * 11 + octet) % 256 for octet in range(profile.salt_length)))


def opener(keys: SrtpKeys) -> Session:
    """The receiving end, by libsrtp."""
    policy = Policy(
        key=keys.master_key + keys.master_salt,
        ssrc_type=Policy.SSRC_ANY_INBOUND,
        srtp_profile=keys.profile.libsrtp_profile,
    )
    return Session(policy)


def take_all(sock: socket.socket) -> list[bytes]:
    """Every datagram that has arrived; loopback delivers before a send returns."""
    taken = []
    while True:
        try:
            taken.append(sock.recv(2048, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return taken


class Side:
    """One fan-out with a sending socket, a cache per track and receiving sockets."""

    def __init__(self, fan_out: FanOut, sender: socket.socket, *, tracks: int, receivers: int, capacity: int) -> None:
        self.fan_out = fan_out
        self.sender = sender
        self.caches = {TrackSlot(track): PacketCache(capacity) for track in range(tracks)}
        self.receivers = [bound_socket(sender.family) for _ in range(receivers)]

    def address(self, receiver: int) -> tuple[str, int]:
        """Where a receiver listens."""
        host, port = self.receivers[receiver].getsockname()[:2]
        return host, port

    def put(self, track: TrackSlot, packets: Sequence[tuple[int, bytes]]) -> list[int]:
        """Keep packets of a frame; returns their indexes."""
        for index, packet in packets:
            self.caches[track].put(index, packet)
        return [index for index, _ in packets]

    def settle(self) -> None:
        """Wait until all that was asked for is on the wire."""
        if isinstance(self.fan_out, KernelFanOut):
            assert self.fan_out.wait_idle()

    def arrived(self) -> list[list[bytes]]:
        """Datagrams by receiver, since the last time."""
        self.settle()
        return [take_all(receiver) for receiver in self.receivers]

    def close(self) -> None:
        """Close the fan-out and all sockets."""
        self.fan_out.close()
        for sock in (self.sender, *self.receivers):
            sock.close()
