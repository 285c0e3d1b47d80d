"""A UDP socket on the event loop, read in batches (UDP_GRO), never through asyncio's datagram protocol.

Hot path: no await, logging or allocation beyond the datagrams themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
import struct
from collections.abc import Callable

UDP_GRO = 104  # linux/udp.h; Python's socket module does not name it
SEGMENT_SIZE = struct.Struct("=H")
RECEIVE_BYTES = 65_535  # a coalesced read may be as long as one IP packet; a shorter buffer truncates in silence
READS_PER_WAKE_UP = 32  # then the loop may serve others
SOCKET_BUFFER_BYTES = 4 * 1024 * 1024  # a keyframe to a few hundred subscribers, and a burst of joins
MAPPED_PREFIX = "::ffff:"  # as inet_ntop writes an IPv4 address on a dual-stack socket

Address = tuple[str, int]
OnDatagrams = Callable[["UdpSocket", list[bytes], Address], None]


class UdpSocket:
    """One bound UDP socket; hands over the datagrams of one read, all from one sender, as a list.

    Bound to `::` it hears IPv6 and IPv4. An IPv4 peer is known by its IPv4 address on every socket: the mapped form
    (RFC 4291 section 2.5.5.2) that the system gives it on a dual-stack socket stays in here and in the fan-out.

    Attributes:
        sock: the socket, for a fan-out that sends on it.
        sends_dropped: datagrams that the socket would have had to wait for.
    """

    def __init__(self, host: str, port: int, on_datagrams: OnDatagrams) -> None:
        """Bind.

        Raises:
            OSError: the address cannot be bound.
        """
        address = ipaddress.ip_address(host)
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        self._is_dual_stack = family == socket.AF_INET6 and address.is_unspecified
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self.sock.setblocking(False)  # noqa: FBT003 (the standard library takes it so)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
            with contextlib.suppress(OSError):  # an old kernel delivers each datagram by itself
                self.sock.setsockopt(socket.SOL_UDP, UDP_GRO, 1)
            if family == socket.AF_INET6:
                self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not self._is_dual_stack)
            self.sock.bind((host, port))
        except OSError:
            self.sock.close()
            raise
        self.sends_dropped = 0
        self._on_datagrams = on_datagrams
        self._buffer = bytearray(RECEIVE_BYTES)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def port(self) -> int:
        """The local port."""
        return int(self.sock.getsockname()[1])

    def reaches(self, host: str) -> bool:
        """Whether this socket can send to addresses of this one's family; a name is none of either."""
        try:
            version = ipaddress.ip_address(host).version
        except ValueError:
            return False
        return self._is_dual_stack or (version == 6) == (self.sock.family == socket.AF_INET6)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read from now on."""
        self._loop = loop
        loop.add_reader(self.sock.fileno(), self._readable)

    def close(self) -> None:
        """Stop reading and close."""
        if self._loop is not None:
            self._loop.remove_reader(self.sock.fileno())
            self._loop = None
        self.sock.close()

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram, or drop it when the socket would have to wait or the way is closed."""
        if self._is_dual_stack and ":" not in address[0]:
            address = (MAPPED_PREFIX + address[0], address[1])
        try:
            self.sock.sendto(data, address)
        except OSError:
            self.sends_dropped += 1

    def _readable(self) -> None:
        receive, buffers, view = self.sock.recvmsg_into, [self._buffer], memoryview(self._buffer)
        for _ in range(READS_PER_WAKE_UP):
            try:
                length, ancillary, _, address = receive(buffers, 64)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ECONNREFUSED:  # an earlier datagram of ours found nobody: not about this read
                    continue
                return
            segment = length
            for level, kind, value in ancillary:
                if level == socket.SOL_UDP and kind == UDP_GRO:
                    segment = SEGMENT_SIZE.unpack_from(value)[0]
            starts = range(0, length, segment or 1)
            datagrams = [bytes(view[start : min(start + segment, length)]) for start in starts]
            host, remote_port = address[:2]
            if self._is_dual_stack and host.startswith(MAPPED_PREFIX):
                host = host[len(MAPPED_PREFIX) :]
            self._on_datagrams(self, datagrams, (host, remote_port))
            if self._loop is None:
                return
