"""Arrays that the compiled kernel works on: who is sent to, and what is sent.

Each table is a struct of arrays with one row per peer or output; only the thread of the shard that owns a table changes
it. A burst is a copy of its packets, taken once per burst, never written again, and read by all shards.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relay.core.packet_cache import MAX_PACKET_BYTES, MAX_RUN_BYTES, ROW_BYTES, TAG_BYTES, PacketCache
from relay.fanout.interface import Address
from relay.wire.rtcp import SenderReport, SourceDescription, serialize_compound

Ints = npt.NDArray[np.int64]
Octets = npt.NDArray[np.uint8]

SALT_BYTES = 16  # 14 for counter mode, 12 for AEAD, zeros behind
HMAC_STATE_BYTES = 192  # two SHA_CTX of openssl/sha.h: after the inner and after the outer padded key
ADDRESS_BYTES = 28  # struct sockaddr_in6, the longer one
INET_BYTES = 16  # struct sockaddr_in

# Positions of what a peer has for each of the two protocols.
RTP, RTCP = 0, 1

# How a peer's packets are protected; 0 is no protection, and nothing is sent to such a peer.
AEAD = 1
COUNTER_MODE = 2

# Positions in the counters of a shard, in the order of `relay.fanout.interface.FanOutTotals`.
PACKETS_SENT, BYTES_SENT, SENDS, PACKETS_DROPPED, BURSTS_DROPPED, SEND_ERRORS, REPORTS_SENT, REPORTS_DROPPED = range(8)
COUNTERS = 8
MAX_REPORT_BYTES = 320  # a sender report, a CNAME of 255 octets (296 in all), and 24 for what is appended

# Packets as they go to every output, without what differs between outputs: an array of words with a row for each, since
# Numba looks at every array of a call. Columns are octets with padding, octets before the payload, octets of payload
# without padding, the track's packet index, and the position behind the packet's run, which one send carries; then
# unused ones up to a cache line, and the packet itself in the order of the network.
LENGTH, HEADER_LENGTH, PAYLOAD_OCTETS, INDEX, RUN_END = range(5)
FIRST_WORD = 8
BURST_WORDS = FIRST_WORD + ROW_BYTES // 8
Burst = Ints

_FIRST_ROWS = 64
_COLUMNS = struct.Struct("=5q")
_FAMILY = struct.Struct("=H")
_PORT_AND_FLOW = struct.Struct("!HI")
_SCOPE = struct.Struct("=I")


class Peers(NamedTuple):
    """Where peers are and how to encrypt for them; a row without a peer is zero.

    Attributes:
        ciphers: shape [rows, 2], for RTP and RTCP: addresses of EVP_CIPHER_CTX, each with its key set; it knows the
            profile's cipher.
        protections: `AEAD` or `COUNTER_MODE`.
        salts: shape [rows, 2, 2], session salts of 16 octets as two words of the machine.
        hmac_states: shape [rows, 2, 192], for counter mode.
        addresses: shape [rows, 28], socket addresses as the kernel takes them.
        srtcp_indexes: the last SRTCP index that was used.
    """

    ciphers: Ints
    protections: Ints
    salts: Ints
    hmac_states: Octets
    addresses: Octets
    srtcp_indexes: Ints


class Outputs(NamedTuple):
    """One track to one peer; a row without an output is zero.

    Attributes:
        peers: row of the peer.
        ssrcs: SSRC on the wire.
        payload_types: payload type on the wire.
        index_offsets: added to a packet's index, gives the 48-bit SRTP index.
        timestamp_offsets: added to its RTP timestamp, modulo 2^32.
        packets: packets sent so far.
        octets: payload octets sent so far, without padding (RFC 3550 section 6.4.1).
        packets_before: packets sent under the SSRC before, for reports.
        octets_before: the same of payload octets.
    """

    peers: Ints
    ssrcs: Ints
    payload_types: Ints
    index_offsets: Ints
    timestamp_offsets: Ints
    packets: Ints
    octets: Ints
    packets_before: Ints
    octets_before: Ints


class Scratch(NamedTuple):
    """Memory of one thread's kernel calls.

    Attributes:
        datagrams: the protected packets of one run, end to end.
        report: a compound RTCP packet in the clear.
        header: the fixed RTP header, as two words.
        nonce: initialisation vector or first counter block, as two words.
        trailer: roll-over counter, or the SRTCP index with its flag.
        digest: SHA-1 digest.
        hmac_state: one SHA_CTX.
        written: where EVP tells how many octets it wrote; int32.
        message: struct msghdr of a 64-bit little-endian Linux.
        vector: struct iovec.
        control: a control message with UDP_SEGMENT.
    """

    datagrams: Octets
    report: Octets
    header: Ints
    nonce: Ints
    trailer: Octets
    digest: Octets
    hmac_state: Octets
    written: npt.NDArray[np.int32]
    message: Ints
    vector: Ints
    control: Ints


def new_peers(rows: int = _FIRST_ROWS) -> Peers:
    """An empty table."""
    return Peers(
        ciphers=np.zeros((rows, 2), dtype=np.int64),
        protections=np.zeros(rows, dtype=np.int64),
        salts=np.zeros((rows, 2, 2), dtype=np.int64),
        hmac_states=np.zeros((rows, 2, HMAC_STATE_BYTES), dtype=np.uint8),
        addresses=np.zeros((rows, ADDRESS_BYTES), dtype=np.uint8),
        srtcp_indexes=np.zeros(rows, dtype=np.int64),
    )


def new_outputs(rows: int = _FIRST_ROWS) -> Outputs:
    """An empty table."""
    return Outputs(*(np.zeros(rows, dtype=np.int64) for _ in Outputs._fields))


def new_scratch() -> Scratch:
    """Memory for one thread; `message` points into it."""
    scratch = Scratch(
        datagrams=np.zeros(MAX_RUN_BYTES + MAX_PACKET_BYTES + TAG_BYTES, dtype=np.uint8),
        report=np.zeros(MAX_REPORT_BYTES, dtype=np.uint8),
        header=np.zeros(2, dtype=np.int64),
        nonce=np.zeros(2, dtype=np.int64),
        trailer=np.zeros(4, dtype=np.uint8),
        digest=np.zeros(20, dtype=np.uint8),
        hmac_state=np.zeros(HMAC_STATE_BYTES // 2, dtype=np.uint8),
        written=np.zeros(2, dtype=np.int32),
        message=np.zeros(7, dtype=np.int64),
        vector=np.zeros(2, dtype=np.int64),
        control=np.zeros(3, dtype=np.int64),
    )
    scratch.vector[0] = scratch.datagrams.ctypes.data
    scratch.message[2] = scratch.vector.ctypes.data
    scratch.message[3] = 1
    return scratch


def peers_with(peers: Peers, row: int) -> Peers:
    """The table itself, or a larger copy when it does not reach `row`; keys do not stay behind in the old one."""
    if row < peers.ciphers.shape[0]:
        return peers
    larger = new_peers(2 * row)
    _copy_rows(peers, larger)
    for array in peers:
        array[:] = 0
    return larger


def outputs_with(outputs: Outputs, row: int) -> Outputs:
    """The table itself, or a larger copy when it does not reach `row`; the old one can still be read."""
    if row < outputs.peers.shape[0]:
        return outputs
    larger = new_outputs(2 * row)
    _copy_rows(outputs, larger)
    return larger


def _copy_rows(table: Sequence[Any], larger: Sequence[Any]) -> None:
    for old, new in zip(table, larger, strict=True):
        new[: old.shape[0]] = old


def copy_burst(cache: PacketCache, indexes: Sequence[int]) -> Burst:
    """Cut a burst into runs, seal it, and copy those of its packets that the cache holds."""
    runs = cache.equalise(indexes)
    burst = np.empty((sum(run.end - run.start for run in runs), BURST_WORDS), dtype=np.int64)
    octets = burst.reshape(-1).view(np.uint8).data
    begin = behind = 0
    for run in runs:
        behind += run.end - run.start
        for index in indexes[run.start : run.end]:
            packet = cache.get(index)
            if packet is None:  # a run holds what the cache holds
                continue
            length = len(packet)
            _COLUMNS.pack_into(
                octets, begin, length, cache.header_length(index), cache.payload_octets(index), index, behind
            )
            at = begin + 8 * FIRST_WORD
            octets[at : at + length] = packet
            begin += 8 * BURST_WORDS
    return burst


def report_template(ntp_timestamp: int, cname: str, appended: bytes = b"") -> Octets:
    """A sender report, a source description and what follows them, with zeros where outputs differ.

    Raises:
        ValueError: the CNAME has more than 255 octets (our own bug).
    """
    report = SenderReport(0, ntp_timestamp, 0, 0, 0)
    compound = serialize_compound([report, SourceDescription(((0, cname),))]) + appended
    return np.frombuffer(compound, dtype=np.uint8)


def socket_address(address: Address, family: int) -> bytes:
    """The address as the system call takes it on a socket of this family, 28 octets.

    An IPv6 socket reaches IPv4 by mapped addresses (RFC 4291 section 2.5.5.2). An IPv6 address on an IPv4 socket stays
    what it is: each send to it fails and is counted.

    Raises:
        ValueError: the address is not numeric.
    """
    host = ipaddress.ip_address(address[0])
    if family == socket.AF_INET and isinstance(host, ipaddress.IPv4Address):
        packed = _FAMILY.pack(socket.AF_INET) + _PORT_AND_FLOW.pack(address[1], int(host))
        return packed.ljust(ADDRESS_BYTES, b"\0")
    scope = 0
    if isinstance(host, ipaddress.IPv6Address):
        octets = host.packed
        scope = _scope_number(host.scope_id)
    else:
        octets = ipaddress.ip_address(f"::ffff:{host}").packed
    return _FAMILY.pack(socket.AF_INET6) + _PORT_AND_FLOW.pack(address[1], 0) + octets + _SCOPE.pack(scope)


def _scope_number(scope: str | None) -> int:
    """The interface of a link-local address; 0, which no send accepts there, when it has gone."""
    if scope is None:
        return 0
    if scope.isdecimal():
        return int(scope) & 0xFFFF_FFFF
    try:
        return socket.if_nametoindex(scope)
    except OSError:
        return 0
