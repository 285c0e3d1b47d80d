"""Fan-outs to compare with: the kernel without its encryption, and libsrtp with one system call per packet.

The first is the floor: headers, copies and sends, the same number of octets, nothing protected. It lives here, and not
beside the kernel, so that no program that serves can send in the clear.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from numba import njit, types
from pylibsrtp import Policy, Session

from relay.core.packet_cache import PacketCache
from relay.core.srtp import SrtpKeys
from relay.fanout.interface import Address, PeerSlot, TrackSlot
from relay.fanout.kernel import send_run
from relay.fanout.layout import (
    BYTES_SENT,
    INDEX,
    LENGTH,
    PACKETS_SENT,
    RUN_END,
    SEND_ERRORS,
    Burst,
    Ints,
    Outputs,
    Peers,
    Scratch,
)
from relay.fanout.protection import packet_address, write_header
from relay.fanout.shard import Shard
from relay.fanout.shards import KernelFanOut

_TAG_BYTES = 16  # as many octets as AEAD sends
_memcpy: Any = types.ExternalFunction("memcpy", types.intp(types.intp, types.intp, types.intp))


def _fan_out_clear(
    fd: int,
    address_length: int,
    rows: Ints,
    tail_rows: Ints,  # noqa: ARG001 (measured without tails)
    outputs: Outputs,
    peers: Peers,
    burst: Burst,
    tail: Burst,  # noqa: ARG001 (the same)
    scratch: Scratch,
    counters: Ints,
) -> None:
    for output in rows:
        address = peers.addresses.ctypes.data + outputs.peers[output] * peers.addresses.strides[0]
        begin = 0
        while begin < burst.shape[0]:
            end = 0
            segment = 0
            behind = burst[begin, RUN_END]
            for position in range(begin, behind):
                index = burst[position, INDEX] + outputs.index_offsets[output]
                header = write_header(output, position, index, end, outputs, burst, scratch)
                length = burst[position, LENGTH]
                plain = packet_address(burst, position)
                _memcpy(scratch.datagrams.ctypes.data + end + header, plain + header, length - header)
                if position == begin:
                    segment = length + _TAG_BYTES
                end += length + _TAG_BYTES
            if send_run(fd, behind - begin, end, segment, address, address_length, scratch, counters) == 0:
                counters[PACKETS_SENT] += behind - begin
                counters[BYTES_SENT] += end
            else:
                counters[SEND_ERRORS] += 1
            begin = behind


class FloorShard(Shard):
    """A shard that sends in the clear."""

    fan_out = staticmethod(njit(nogil=True)(_fan_out_clear))  # not kept on disk: its callee may change


class FloorFanOut(KernelFanOut):
    """The fast fan-out with the kernel that sends in the clear."""

    _shard_type = FloorShard


class LibsrtpFanOut:
    """One `protect` of libsrtp and one `sendto` per packet and subscriber: how most servers do it."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._peers: dict[PeerSlot, tuple[Address, Session]] = {}
        self._outputs: list[tuple[PeerSlot, int, int]] = []
        self.packets_sent = 0

    def add_peer(self, peer: PeerSlot, address: Address, keys: SrtpKeys) -> None:
        """Know a peer."""
        policy = Policy(
            key=keys.master_key + keys.master_salt,
            ssrc_type=Policy.SSRC_ANY_OUTBOUND,
            srtp_profile=keys.profile.libsrtp_profile,
        )
        self._peers[peer] = (address, Session(policy))

    def add_output(
        self,
        track: TrackSlot,  # noqa: ARG002 (there is one)
        peer: PeerSlot,
        *,
        ssrc: int,
        payload_type: int,
        index_offset: int,  # noqa: ARG002 (numbers are kept)
        timestamp_offset: int = 0,  # noqa: ARG002 (so are times)
    ) -> None:
        """Send to a peer."""
        self._outputs.append((peer, ssrc, payload_type))

    def send_burst(self, track: TrackSlot, cache: PacketCache, indexes: Sequence[int]) -> None:  # noqa: ARG002 (one track)
        """Send these packets to everybody."""
        packets = [bytes(view) for index in indexes if (view := cache.get(index)) is not None]
        send = self._socket.sendto
        for peer, ssrc, payload_type in self._outputs:
            address, session = self._peers[peer]
            ssrc_octets = ssrc.to_bytes(4, "big")
            for packet in packets:
                header = bytes([packet[0], packet[1] & 0x80 | payload_type]) + packet[2:8] + ssrc_octets
                send(session.protect(header + packet[12:]), socket.MSG_DONTWAIT, address)
        self.packets_sent += len(packets) * len(self._outputs)

    def close(self) -> None:
        """Forget everybody."""
        self._peers.clear()
        self._outputs.clear()
