"""The reference fan-out, in Python: what a faster one must equal byte for byte, and what serves where none runs.

Hot path: no logging, no labels; per packet and subscriber one header, one encryption. A run of equal packets goes out
by one `sendmsg` with UDP generic segmentation offload (UDP_SEGMENT, udp(7)); a kernel or a device without it gets the
packets one by one. Nothing waits: a send that would block drops the rest of the burst for that subscriber.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from collections.abc import Sequence

from relay.core.packet_cache import MAX_RUN_BYTES, MAX_RUN_SEGMENTS, PacketCache
from relay.core.srtp import RtpProtector, SrtcpProtector, SrtpKeys
from relay.errors import WireError
from relay.fanout.interface import NOTHING_SENT, Address, FanOutTotals, OutputTotals, PeerSlot, Tail, TrackSlot
from relay.wire.rtcp import SenderReport, SourceDescription, serialize_compound

_SOL_UDP = 17  # linux/socket.h
_UDP_SEGMENT = 103  # linux/udp.h
_MAX_INDEX = 1 << 48  # RFC 3711 section 9.2: after so many packets a key is used up
_HEADER = struct.Struct("!BBHII")
_SEGMENT = struct.Struct("=H")
_WOULD_BLOCK = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS})
_NO_OFFLOAD = frozenset({errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.EOPNOTSUPP})


class _Peer:
    __slots__ = ("address", "protector", "rtcp_protector")

    def __init__(self, address: Address, keys: SrtpKeys) -> None:
        self.address = address
        self.protector = RtpProtector(keys)
        self.rtcp_protector = SrtcpProtector(keys)


class _Output:
    __slots__ = ("index_offset", "octets", "packets", "payload_type", "sent_before", "ssrc", "timestamp_offset")

    def __init__(
        self, ssrc: int, payload_type: int, index_offset: int, timestamp_offset: int, sent_before: OutputTotals
    ) -> None:
        self.ssrc = ssrc
        self.payload_type = payload_type
        self.index_offset = index_offset
        self.timestamp_offset = timestamp_offset
        self.sent_before = sent_before
        self.packets = 0
        self.octets = 0


class _Packet:
    """What all outputs share of one packet: fields of its header, the rest of it, and the payload."""

    __slots__ = ("extension", "first_octet", "index", "marker", "octets", "payload", "timestamp")

    def __init__(self, index: int, packet: memoryview, header_length: int) -> None:
        self.index = index
        self.first_octet = packet[0]
        self.marker = packet[1] & 0x80
        self.timestamp = int.from_bytes(packet[4:8])
        self.extension = bytes(packet[12:header_length])
        self.payload = bytes(packet[header_length:])
        # RFC 3550 section 6.4.1 counts payload octets without padding.
        self.octets = len(self.payload) - (packet[-1] if packet[0] & 0x20 else 0)


class ReferenceFanOut:
    """Implements `relay.fanout.interface.FanOut` over one UDP socket, which stays the caller's."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._peers: dict[PeerSlot, _Peer] = {}
        self._tracks: dict[TrackSlot, dict[PeerSlot, _Output]] = {}
        self._packets_sent = 0
        self._bytes_sent = 0
        self._sends = 0
        self._packets_dropped = 0
        self._bursts_dropped = 0
        self._send_errors = 0
        self._reports_sent = 0
        self._reports_dropped = 0

    def add_peer(self, peer: PeerSlot, address: Address, keys: SrtpKeys) -> None:
        """Know a peer: where it is and with which key to encrypt for it.

        Raises:
            ValueError: the address is not numeric (our own bug).
        """
        self._peers[peer] = _Peer(self._reachable(address), keys)

    def set_address(self, peer: PeerSlot, address: Address) -> None:
        """ICE validated another address for the peer; an unknown peer is ignored."""
        known = self._peers.get(peer)
        if known is not None:
            known.address = self._reachable(address)

    def remove_peer(self, peer: PeerSlot) -> None:
        """Forget a peer, its outputs and its key; Python cannot overwrite the key's memory."""
        self._peers.pop(peer, None)
        for track in list(self._tracks):
            self.remove_output(track, peer)

    def add_output(
        self,
        track: TrackSlot,
        peer: PeerSlot,
        *,
        ssrc: int,
        payload_type: int,
        index_offset: int,
        timestamp_offset: int = 0,
        sent_before: OutputTotals = NOTHING_SENT,
    ) -> None:
        """Send `track` to `peer` from the next burst on; an output that exists begins anew.

        Raises:
            KeyError: the peer is unknown (our own bug).
        """
        if peer not in self._peers:
            raise KeyError(peer)
        output = _Output(ssrc, payload_type, index_offset, timestamp_offset, sent_before)
        self._tracks.setdefault(track, {})[peer] = output

    def remove_output(self, track: TrackSlot, peer: PeerSlot) -> None:
        """Stop sending `track` to `peer`; unknown outputs are ignored."""
        outputs = self._tracks.get(track)
        if outputs is None:
            return
        outputs.pop(peer, None)
        if not outputs:
            del self._tracks[track]

    def send_burst(
        self, track: TrackSlot, cache: PacketCache, indexes: Sequence[int], tail: Tail | None = None
    ) -> None:
        """Send these packets of the cache, in order, to every output of the track, and the tail to those of its own."""
        runs = _gather(cache, indexes)
        tail_runs = _gather(tail.cache, [tail.index]) if tail is not None else []
        outputs = self._tracks.get(track, {})
        tail_outputs = self._tracks.get(tail.track, {}) if tail is not None and tail_runs else {}
        for peer, output in outputs.items():
            tail_output = tail_outputs.get(peer)
            if tail_output is None:
                self._send_runs(self._peers[peer], output, runs)
            elif not self._send_runs(self._peers[peer], output, runs, (tail_output, tail_runs[0][0])):
                self._send_runs(self._peers[peer], tail_output, tail_runs)
        for peer, output in tail_outputs.items():
            if peer not in outputs:
                self._send_runs(self._peers[peer], output, tail_runs)

    def resend(self, track: TrackSlot, peer: PeerSlot, cache: PacketCache, indexes: Sequence[int]) -> int:
        """Send packets again to one output, byte for byte as the first time. Returns how many the cache still had."""
        output = self._tracks.get(track, {}).get(peer)
        if output is None:
            return 0
        runs = _gather(cache, indexes)
        self._send_runs(self._peers[peer], output, runs)
        return sum(map(len, runs))

    def send_report(
        self,
        track: TrackSlot,
        *,
        ntp_timestamp: int,
        rtp_timestamp: int,
        cname: str,
        peer: PeerSlot | None = None,
        appended: bytes = b"",
    ) -> None:
        """Send a sender report, the CNAME and what is appended to every output of the track, or to one."""
        for known, output in self._tracks.get(track, {}).items():
            if peer is None or known == peer:
                self._send_report(self._peers[known], output, ntp_timestamp, rtp_timestamp, cname, appended)

    def output_totals(self, track: TrackSlot, peer: PeerSlot) -> OutputTotals:
        """Counters of one output; zero for an unknown one."""
        output = self._tracks.get(track, {}).get(peer)
        return OutputTotals() if output is None else OutputTotals(packets=output.packets, octets=output.octets)

    def totals(self) -> FanOutTotals:
        """Counters of all outputs."""
        return FanOutTotals(
            packets_sent=self._packets_sent,
            bytes_sent=self._bytes_sent,
            sends=self._sends,
            packets_dropped=self._packets_dropped,
            bursts_dropped=self._bursts_dropped,
            send_errors=self._send_errors,
            reports_sent=self._reports_sent,
            reports_dropped=self._reports_dropped,
        )

    def close(self) -> None:
        """Forget all peers, outputs and keys; the socket belongs to the caller."""
        self._peers.clear()
        self._tracks.clear()

    def _reachable(self, address: Address) -> Address:
        """The address as this socket takes it: an IPv6 socket reaches IPv4 by mapped addresses (RFC 4291)."""
        host = ipaddress.ip_address(address[0])
        if self._socket.family == socket.AF_INET6 and host.version == 4:
            return f"::ffff:{host}", address[1]
        return str(host), address[1]

    def _send_runs(
        self, peer: _Peer, output: _Output, runs: list[list[_Packet]], tail: tuple[_Output, _Packet] | None = None
    ) -> bool:
        """Send a burst, and a tail behind its last run if it can ride there. Says whether it did."""
        waiting = sum(map(len, runs))
        for position, run in enumerate(runs):
            datagrams = self._protect_run(peer, output, run)
            rides = tail is not None and position == len(runs) - 1 and self._rides(peer, datagrams, *tail)
            carried = [(output, packet) for packet in run if 0 <= packet.index + output.index_offset < _MAX_INDEX]
            if tail is not None and rides:
                datagrams += self._protect_run(peer, tail[0], [tail[1]])
                carried.append(tail)
            if not self._send_run(peer, datagrams, carried):
                self._packets_dropped += waiting + int(rides)
                self._bursts_dropped += 1
                return rides
            if rides:
                return True
            waiting -= len(run)
        return False

    def _protect_run(self, peer: _Peer, output: _Output, run: list[_Packet]) -> list[bytes]:
        datagrams: list[bytes] = []
        protect, offset, ssrc, payload_type = (
            peer.protector.protect,
            output.index_offset,
            output.ssrc,
            output.payload_type,
        )
        for packet in run:
            index = packet.index + offset
            if not 0 <= index < _MAX_INDEX:
                self._packets_dropped += 1  # older than this output's first packet: it has no index here
                continue
            timestamp = (packet.timestamp + output.timestamp_offset) & 0xFFFFFFFF
            header = _HEADER.pack(packet.first_octet, packet.marker | payload_type, index & 0xFFFF, timestamp, ssrc)
            datagrams.append(protect(header + packet.extension, packet.payload, index))
        return datagrams

    @staticmethod
    def _rides(peer: _Peer, datagrams: list[bytes], output: _Output, packet: _Packet) -> bool:
        """Whether a tail can follow these datagrams in one send: all are of one length, and it is not longer."""
        if not datagrams or not 0 <= packet.index + output.index_offset < _MAX_INDEX:
            return False
        length = _HEADER.size + len(packet.extension) + len(packet.payload) + peer.protector.tag_length
        return (
            len(datagrams) < MAX_RUN_SEGMENTS
            and length <= len(datagrams[0]) == len(datagrams[-1])
            and sum(map(len, datagrams)) + length <= MAX_RUN_BYTES
        )

    def _send_run(self, peer: _Peer, datagrams: list[bytes], carried: list[tuple[_Output, _Packet]]) -> bool:
        """Send one run; False when the socket would have to wait."""
        if not datagrams:
            return True
        try:
            self._send(datagrams, peer.address)
        except OSError as error:
            if error.errno in _WOULD_BLOCK:
                return False
            self._send_errors += 1
            return True
        self._packets_sent += len(datagrams)
        self._bytes_sent += sum(map(len, datagrams))
        for output, packet in carried:
            output.packets += 1
            output.octets += packet.octets
        return True

    def _send_report(
        self, peer: _Peer, output: _Output, ntp_timestamp: int, rtp_timestamp: int, cname: str, appended: bytes
    ) -> None:
        report = SenderReport(
            ssrc=output.ssrc,
            ntp_timestamp=ntp_timestamp,
            rtp_timestamp=(rtp_timestamp + output.timestamp_offset) & 0xFFFFFFFF,
            packet_count=(output.sent_before.packets + output.packets) & 0xFFFFFFFF,
            octet_count=(output.sent_before.octets + output.octets) & 0xFFFFFFFF,
        )
        plain = serialize_compound([report, SourceDescription(((output.ssrc, cname),))]) + appended
        try:
            self._send([peer.rtcp_protector.protect_rtcp(plain)], peer.address)
        except WireError:  # the key is used up
            self._send_errors += 1
        except OSError as error:
            if error.errno in _WOULD_BLOCK:
                self._reports_dropped += 1
            else:
                self._send_errors += 1
        else:
            self._reports_sent += 1

    def _send(self, datagrams: list[bytes], address: Address) -> None:
        if len(datagrams) > 1:
            segment = (_SOL_UDP, _UDP_SEGMENT, _SEGMENT.pack(len(datagrams[0])))
            try:
                self._socket.sendmsg([b"".join(datagrams)], [segment], socket.MSG_DONTWAIT, address)
            except OSError as error:
                if error.errno not in _NO_OFFLOAD:
                    raise
            else:
                self._sends += 1
                return
        for datagram in datagrams:
            self._socket.sendto(datagram, socket.MSG_DONTWAIT, address)
            self._sends += 1


def _gather(cache: PacketCache, indexes: Sequence[int]) -> list[list[_Packet]]:
    """Cut a burst into runs, and read once what every output needs of them."""
    runs: list[list[_Packet]] = []
    for run in cache.equalise(indexes):
        packets: list[_Packet] = []
        for index in indexes[run.start : run.end]:
            packet = cache.get(index)
            if packet is not None:
                packets.append(_Packet(index, packet, cache.header_length(index)))
        runs.append(packets)
    return runs
