"""The UDP sockets of a swarm: one each, read at once while a receiver connects and in batches afterwards. Shell.

Hot path. Batches save most of the system calls: what arrives within a few milliseconds is read in one go where the
sender used segmentation offload (UDP_GRO), and one epoll wait stands for all sockets. The system's own time of arrival
comes with each read, so that reading late does not show as jitter.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import select
import socket
import struct
from collections.abc import Callable

from relay.core.ice import Address
from relay.net.udp import UDP_GRO
from relay.swarm.receiver import Receiver

SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python's socket module names neither
SO_RXQ_OVFL = 40
SO_ATTACH_FILTER = 26
RECEIVE_BYTES = 65_535  # a coalesced read may be as long as one IP packet
RECEIVE_BUFFER_BYTES = 1024 * 1024  # a keyframe and more, for a batch that comes late
ANCILLARY_BYTES = 128  # three control messages
READS_AT_ONCE = 32  # then the loop may serve others
PASSES = 64  # reads of one socket in one batch

# A filter of the system (linux/filter.h): of what a UDP socket gets, media is dropped, and RTCP, STUN and DTLS pass.
# The first octet behind the 8 of the UDP header tells RTP and RTCP from others, the second one from the other
# (RFC 7983, RFC 5761); see relay.wire.demux. Each line: code, jump if true, jump if false, operand.
_LOAD_OCTET, _AND, _IF_EQUAL, _IF_GREATER, _IF_AT_LEAST, _RETURN = 0x30, 0x54, 0x15, 0x25, 0x35, 0x06
_NO_MEDIA = (
    (_LOAD_OCTET, 0, 0, 8),
    (_AND, 0, 0, 0xC0),
    (_IF_EQUAL, 0, 3, 0x80),
    (_LOAD_OCTET, 0, 0, 9),
    (_IF_GREATER, 2, 0, 223),
    (_IF_AT_LEAST, 0, 1, 192),
    (_RETURN, 0, 0, 0xFFFF_FFFF),
    (_RETURN, 0, 0, 0),
)
_FILTER_LINE = struct.Struct("=HBBI")
_FILTER = struct.Struct("@HP")

_INTEGER = struct.Struct("=i")
_TIMESPEC = struct.Struct("=qq")


class SwarmSocket:
    """The socket of one receiver.

    Attributes:
        receiver: whose it is.
        sock: the socket.
        bucket: at which part of a second it reports.
    """

    __slots__ = ("bucket", "connected", "receiver", "sock")

    def __init__(self, receiver: Receiver, family: socket.AddressFamily, bucket: int) -> None:
        """Open a socket that the system binds at its first send.

        Raises:
            OSError: there is none to be had.
        """
        self.receiver = receiver
        self.bucket = bucket
        self.connected = False
        self.sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        with contextlib.suppress(OSError):  # an old kernel delivers each datagram by itself, and tells no times
            self.sock.setsockopt(socket.SOL_UDP, UDP_GRO, 1)
            self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self.sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)

    def flush(self, now: float) -> None:
        """Send what the receiver has to say; what would block is dropped, as on a full line."""
        for data, address in self.receiver.datagrams_to_send():
            try:
                self.sock.sendto(data, address)
            except OSError as error:
                if error.errno == errno.ECONNREFUSED:
                    self.receiver.handle_refused(now)

    def drop_media(self) -> None:
        """From now on media does not reach this socket; what a session needs still does.

        Raises:
            OSError: the system takes no filter.
        """
        lines = b"".join(_FILTER_LINE.pack(*line) for line in _NO_MEDIA)
        program = ctypes.create_string_buffer(lines, len(lines))
        described = _FILTER.pack(len(_NO_MEDIA), ctypes.addressof(program))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, described)

    def connect(self, address: Address) -> None:
        """Hear this address only, and hear it when nobody listens there."""
        if not self.connected:
            with contextlib.suppress(OSError):
                self.sock.connect(address)
                self.connected = True


class SwarmSockets:
    """All sockets of a swarm on one event loop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._epoll = select.epoll()
        self._batched: dict[int, SwarmSocket] = {}
        self._buffer = bytearray(RECEIVE_BYTES)
        self._view = memoryview(self._buffer)

    def read_at_once(self, member: SwarmSocket, on_read: Callable[[], None]) -> None:
        """Read this socket whenever something arrives, and tell."""
        asyncio.get_running_loop().add_reader(member.sock.fileno(), self._readable, member, on_read)

    def read_in_batches(self, member: SwarmSocket) -> None:
        """From now on read this socket in `read_batch`."""
        file_descriptor = member.sock.fileno()
        asyncio.get_running_loop().remove_reader(file_descriptor)
        self._batched[file_descriptor] = member
        self._epoll.register(file_descriptor, select.EPOLLIN)

    def read_batch(self) -> None:
        """Read whatever waits on the sockets in batches."""
        if not self._batched:
            return
        for _ in range(PASSES):
            # Asking again costs less than reading every socket until it says no.
            ready = self._epoll.poll(0, len(self._batched))
            if not ready:
                return
            now = self._clock()
            for file_descriptor, _ in ready:
                member = self._batched[file_descriptor]
                self._read(member, now)

    def close(self, member: SwarmSocket) -> None:
        """Close one socket."""
        file_descriptor = member.sock.fileno()
        if file_descriptor < 0:
            return
        if self._batched.pop(file_descriptor, None) is not None:
            self._epoll.unregister(file_descriptor)
        else:
            asyncio.get_running_loop().remove_reader(file_descriptor)
        member.sock.close()

    def shut(self) -> None:
        """Let go of what is not a receiver's."""
        self._epoll.close()

    def _readable(self, member: SwarmSocket, on_read: Callable[[], None]) -> None:
        now = self._clock()
        for _ in range(READS_AT_ONCE):
            if not self._read(member, now):
                break
        on_read()

    def _read(self, member: SwarmSocket, now: float) -> bool:
        """One read; False where there was nothing."""
        try:
            length, ancillary, _, address = member.sock.recvmsg_into([self._buffer], ANCILLARY_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:
                member.receiver.handle_refused(now)
            return False
        segment, arrival_s = length, now
        for level, kind, value in ancillary:
            if level == socket.SOL_UDP and kind == UDP_GRO:
                segment = _INTEGER.unpack_from(value)[0]
            elif kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIMESPEC.unpack_from(value)
                arrival_s = seconds + nanoseconds / 1e9
            elif kind == SO_RXQ_OVFL:
                member.receiver.dropped_here = _INTEGER.unpack_from(value)[0]
        member.receiver.handle_read(self._view, length, segment, address[:2], arrival_s, now)
        if member.receiver.has_output:
            member.flush(now)
        return True
