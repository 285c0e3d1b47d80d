"""The compiled fan-out kernel: one call sends one burst or report to many outputs, without the interpreter's lock.

Hot path: `relay.fanout.protection` for each packet, one `sendmsg` with UDP generic segmentation offload per run and
output. It equals `relay.fanout.reference` byte for byte and count for count. A run whose encryption fails in any step
is not sent.
"""

from __future__ import annotations

import errno
import socket

from relay.core.packet_cache import MAX_RUN_BYTES, MAX_RUN_SEGMENTS
from relay.core.srtp import MAX_SRTCP_INDEX
from relay.fanout.compiling import compiled
from relay.fanout.externals import errno_location, memcpy, sendmsg
from relay.fanout.layout import (
    AEAD,
    BURSTS_DROPPED,
    BYTES_SENT,
    COUNTER_MODE,
    INDEX,
    LENGTH,
    PACKETS_DROPPED,
    PACKETS_SENT,
    PAYLOAD_OCTETS,
    REPORTS_DROPPED,
    REPORTS_SENT,
    RTCP,
    RTP,
    RUN_END,
    SEND_ERRORS,
    SENDS,
    Burst,
    Ints,
    Octets,
    Outputs,
    Peers,
    Scratch,
)
from relay.fanout.protection import (
    AEAD_TAG_BYTES,
    SHA1_TAG_BYTES,
    TRAILER_BYTES,
    packet_address,
    protect_aead,
    protect_counter_mode,
    write_header,
    write_uint32,
)

_MAX_INDEX = 1 << 48  # RFC 3711 section 9.2: after so many packets a key is used up
_ENCRYPTED = 1 << 31  # the flag in front of the SRTCP index, RFC 3711 section 3.4
_RTCP_HEADER_BYTES, _SENDER_REPORT_BYTES = 8, 28
_CONTROL_LENGTH = 18  # CMSG_LEN(2): a header of 16 octets and a segment size of 2
_CONTROL_SPACE = 24
_UDP_SEGMENT = 17 | 103 << 32  # level SOL_UDP, type UDP_SEGMENT of linux/udp.h
_DONT_WAIT = int(socket.MSG_DONTWAIT)
_EAGAIN, _ENOBUFS = errno.EAGAIN, errno.ENOBUFS  # EWOULDBLOCK is EAGAIN on Linux
_EINVAL, _EIO, _EMSGSIZE, _EOPNOTSUPP = errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.EOPNOTSUPP

SENT, WOULD_BLOCK, FAILED = 0, 1, 2


@compiled
def _send_at(fd: int, begin: int, length: int, scratch: Scratch) -> int:
    scratch.vector[0] = scratch.datagrams.ctypes.data + begin
    scratch.vector[1] = length
    if sendmsg(fd, scratch.message.ctypes.data, _DONT_WAIT) >= 0:
        return 0
    error: int = errno_location()[0]
    return error


@compiled
def send_run(
    fd: int, count: int, length: int, segment: int, address: int, address_length: int, scratch: Scratch, counters: Ints
) -> int:
    """Send `count` datagrams, `length` octets in all, each of `segment` save the last, which may be shorter.

    Returns:
        `SENT`, `WOULD_BLOCK` or `FAILED`.
    """
    message = scratch.message
    message[0] = address
    message[1] = address_length
    if count > 1:
        scratch.control[0] = _CONTROL_LENGTH
        scratch.control[1] = _UDP_SEGMENT
        scratch.control[2] = segment
        message[4] = scratch.control.ctypes.data
        message[5] = _CONTROL_SPACE
        error = _send_at(fd, 0, length, scratch)
        if error == 0:
            counters[SENDS] += 1
            return SENT
        if error not in (_EINVAL, _EIO, _EMSGSIZE, _EOPNOTSUPP):
            return WOULD_BLOCK if error in (_EAGAIN, _ENOBUFS) else FAILED
    message[4] = 0
    message[5] = 0
    begin = 0
    while begin < length:
        error = _send_at(fd, begin, min(segment, length - begin), scratch)
        if error != 0:
            return WOULD_BLOCK if error in (_EAGAIN, _ENOBUFS) else FAILED
        counters[SENDS] += 1
        begin += segment
    return SENT


@compiled
def _protect_run(
    output: int, first: int, begin: int, outputs: Outputs, peers: Peers, burst: Burst, scratch: Scratch, counters: Ints
) -> tuple[int, int, int, int]:
    """Protect the run that begins at position `first` into `scratch.datagrams`, at octet `begin` of it.

    Returns:
        Datagrams (-1 when one could not be protected), their octets, octets of the first, payload octets.
    """
    peer = outputs.peers[output]
    protection = peers.protections[peer]
    ssrc = outputs.ssrcs[output]
    count = 0
    end = begin
    segment = 0
    octets = 0
    intact = True
    for position in range(first, burst[first, RUN_END]):
        index = burst[position, INDEX] + outputs.index_offsets[output]
        if index < 0 or index >= _MAX_INDEX:
            counters[PACKETS_DROPPED] += 1  # older than this output's first packet: it has no index here
            continue
        header = write_header(output, position, index, end, outputs, burst, scratch)
        length = burst[position, LENGTH]
        plain = packet_address(burst, position)
        if protection == AEAD:
            intact &= protect_aead(peer, RTP, ssrc, index, end, header, plain, length, 0, peers, scratch)
            length += AEAD_TAG_BYTES
        elif protection == COUNTER_MODE:
            write_uint32(index >> 16, scratch.trailer, 0)
            intact &= protect_counter_mode(peer, RTP, ssrc, index, end, header, plain, length, 0, peers, scratch)
            length += SHA1_TAG_BYTES
        else:
            intact = False
        if count == 0:
            segment = length
        end += length
        count += 1
        octets += burst[position, PAYLOAD_OCTETS]
    return (count if intact else -1), end - begin, segment, octets


@compiled
def _rides(count: int, length: int, segment: int, output: int, outputs: Outputs, peers: Peers, tail: Burst) -> int:
    """Octets on the wire of a tail that can follow `count` datagrams in one send; 0 when it cannot."""
    index = tail[0, INDEX] + outputs.index_offsets[output]
    if index < 0 or index >= _MAX_INDEX or count < 1 or count >= MAX_RUN_SEGMENTS or length != count * segment:
        return 0
    tag = AEAD_TAG_BYTES if peers.protections[outputs.peers[output]] == AEAD else SHA1_TAG_BYTES
    wanted: int = tail[0, LENGTH] + tag
    return wanted if wanted <= segment and length + wanted <= MAX_RUN_BYTES else 0


@compiled
def _send_to(
    output: int,
    tail_output: int,
    fd: int,
    address_length: int,
    outputs: Outputs,
    peers: Peers,
    burst: Burst,
    tail: Burst,
    scratch: Scratch,
    counters: Ints,
) -> bool:
    """Send a burst to one output, and behind it the tail if there is an output for it; says whether that rode along."""
    address = peers.addresses.ctypes.data + outputs.peers[output] * peers.addresses.strides[0]
    first = 0
    while first < burst.shape[0]:
        behind = burst[first, RUN_END]
        count, length, segment, octets = _protect_run(output, first, 0, outputs, peers, burst, scratch, counters)
        riding, tail_octets = 0, 0
        if tail_output >= 0 and behind == burst.shape[0]:
            riding = _rides(count, length, segment, tail_output, outputs, peers, tail)
        if riding > 0:
            intact, _, _, tail_octets = _protect_run(tail_output, 0, length, outputs, peers, tail, scratch, counters)
            count = count + 1 if intact == 1 else -1
            length += riding
        result = FAILED
        if count > 0:
            result = send_run(fd, count, length, segment, address, address_length, scratch, counters)
        if result == WOULD_BLOCK:
            counters[PACKETS_DROPPED] += burst.shape[0] - first + (1 if riding > 0 else 0)
            counters[BURSTS_DROPPED] += 1
            return riding > 0
        if result == SENT:
            counters[PACKETS_SENT] += count
            counters[BYTES_SENT] += length
            outputs.octets[output] += octets
            if riding > 0:
                count -= 1
                outputs.packets[tail_output] += 1
                outputs.octets[tail_output] += tail_octets
            outputs.packets[output] += count
        elif count != 0:
            counters[SEND_ERRORS] += 1
        if riding > 0:
            return True
        first = behind
    return False


@compiled
def fan_out(
    fd: int,
    address_length: int,
    rows: Ints,
    tail_rows: Ints,
    outputs: Outputs,
    peers: Peers,
    burst: Burst,
    tail: Burst,
    scratch: Scratch,
    counters: Ints,
) -> None:
    """Protect a burst for each output in `rows` and send it; nothing waits.

    Args:
        fd: a UDP socket.
        address_length: octets of a socket address of its family.
        rows: rows of `outputs`.
        tail_rows: for each of them the row of the same peer's output for the tail, or -1; empty without a tail.
        outputs: the shard's outputs; their counters grow.
        peers: the shard's peers.
        burst: what to send.
        tail: a burst of one packet, or of none without a tail.
        scratch: memory of this thread.
        counters: the shard's counters.
    """
    for position in range(rows.shape[0]):
        row, tail_row = rows[position], tail_rows[position] if tail_rows.shape[0] > 0 else -1
        rode = _send_to(row, tail_row, fd, address_length, outputs, peers, burst, tail, scratch, counters)
        if tail_row >= 0 and not rode:
            _send_to(tail_row, -1, fd, address_length, outputs, peers, tail, tail, scratch, counters)


@compiled
def _protect_report(output: int, rtp_timestamp: int, length: int, outputs: Outputs, peers: Peers, to: Scratch) -> int:
    """Complete `to.report` for an output and protect it; returns its octets on the wire, 0 when that failed."""
    peer, ssrc, report = outputs.peers[output], outputs.ssrcs[output], to.report
    write_uint32(ssrc, report, 4)
    write_uint32(rtp_timestamp + outputs.timestamp_offsets[output], report, 16)
    write_uint32(outputs.packets_before[output] + outputs.packets[output], report, 20)
    write_uint32(outputs.octets_before[output] + outputs.octets[output], report, 24)
    write_uint32(ssrc, report, _SENDER_REPORT_BYTES + 4)
    index = peers.srtcp_indexes[peer] + 1
    if index >= MAX_SRTCP_INDEX:
        return 0
    peers.srtcp_indexes[peer] = index
    write_uint32(index | _ENCRYPTED, to.trailer, 0)
    plain, at = report.ctypes.data, to.datagrams.ctypes.data
    memcpy(at, plain, _RTCP_HEADER_BYTES)
    if peers.protections[peer] == AEAD:
        if not protect_aead(peer, RTCP, ssrc, index, 0, _RTCP_HEADER_BYTES, plain, length, TRAILER_BYTES, peers, to):
            return 0
        memcpy(at + length + AEAD_TAG_BYTES, to.trailer.ctypes.data, TRAILER_BYTES)
        return length + AEAD_TAG_BYTES + TRAILER_BYTES
    if peers.protections[peer] == COUNTER_MODE and protect_counter_mode(
        peer, RTCP, ssrc, index, 0, _RTCP_HEADER_BYTES, plain, length, TRAILER_BYTES, peers, to
    ):
        return length + TRAILER_BYTES + SHA1_TAG_BYTES
    return 0


@compiled
def send_reports(
    fd: int,
    address_length: int,
    rows: Ints,
    outputs: Outputs,
    peers: Peers,
    report: Octets,
    rtp_timestamp: int,
    scratch: Scratch,
    counters: Ints,
) -> None:
    """Send a sender report for each output in `rows` (RFC 3711 section 3.4, RFC 7714 section 9); nothing waits.

    Args are those of `fan_out`, and besides:
        report: a sender report without report blocks and a description of one chunk. SSRC, RTP time and counts are
            written for each output.
        rtp_timestamp: of the track.
    """
    length = report.shape[0]
    scratch.report[:length] = report
    for output in rows:
        address = peers.addresses.ctypes.data + outputs.peers[output] * peers.addresses.strides[0]
        protected = _protect_report(output, rtp_timestamp, length, outputs, peers, scratch)
        result = FAILED
        if protected > 0:
            result = send_run(fd, 1, protected, protected, address, address_length, scratch, counters)
        if result == SENT:
            counters[REPORTS_SENT] += 1
        elif result == WOULD_BLOCK:
            counters[REPORTS_DROPPED] += 1
        else:
            counters[SEND_ERRORS] += 1
