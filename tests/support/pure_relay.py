"""Parts for pure scenarios of a relay: a fan-out that records, a source of RTP, a receiver that repairs its losses."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

from relay.core.feed import Stream, Want
from relay.core.nack_register import NackRegister
from relay.core.packet_cache import PacketCache
from relay.core.router import Router
from relay.core.srtp import SrtpKeys
from relay.core.timeline import nearest
from relay.fanout.interface import NOTHING_SENT, Address, FanOutTotals, OutputTotals, PeerSlot, Tail, TrackSlot
from relay.wire.rtcp import GenericNack, PictureLossIndication, RtcpPacket, SenderReport
from relay.wire.rtp import RtpHeader, parse_rtp_header
from relay.wire.sdp import Codec

FEED = ("hn2026", "program")
VP8 = Codec(96, "VP8", 90_000)
VP9 = Codec(98, "VP9", 90_000, 1, {"profile-id": "0"})
AV1 = Codec(45, "AV1", 90_000)
H264 = Codec(102, "H264", 90_000, 1, {"packetization-mode": "1", "profile-level-id": "42e01f"})
OPUS = Codec(111, "opus", 48_000, 2)
RECEIVER_CODECS = (VP8, H264, VP9, AV1)
OnSent = Callable[[bytes], None]


class _Output:
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


class RecordingFanOut:
    """A fan-out without sockets and encryption.

    It holds every packet that it ever sent against the rule that one SRTP index is never used for two contents.

    Attributes:
        sent: per peer, what went out, in order: (SRTP index, RTP packet in the clear).
        by_index: (peer, ssrc, SRTP index) to the bytes that were encrypted under it.
        bursts: per track, how many indexes each burst had.
        tails: bursts that had one.
        reports: per peer, the sender reports that it was sent.
    """

    def __init__(self) -> None:
        self.sent: dict[PeerSlot, list[tuple[int, bytes]]] = {}
        self.by_index: dict[tuple[PeerSlot, int, int], bytes] = {}
        self.bursts: dict[TrackSlot, list[int]] = {}
        self.tails = 0
        self.reports: dict[PeerSlot, list[SenderReport]] = {}
        self.appended: dict[PeerSlot, list[bytes]] = {}
        self.on_sent: dict[PeerSlot, OnSent] = {}
        self._outputs: dict[tuple[TrackSlot, PeerSlot], _Output] = {}

    def add_peer(self, peer: PeerSlot, address: Address, keys: SrtpKeys) -> None:
        """Nothing to know of a peer here."""

    def set_address(self, peer: PeerSlot, address: Address) -> None:
        """Nothing to know of a peer here."""

    def remove_peer(self, peer: PeerSlot) -> None:
        """Forget its outputs."""
        for track, known in list(self._outputs):
            if known == peer:
                del self._outputs[track, known]

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
        """See `FanOut`."""
        self._outputs[track, peer] = _Output(ssrc, payload_type, index_offset, timestamp_offset, sent_before)

    def remove_output(self, track: TrackSlot, peer: PeerSlot) -> None:
        """See `FanOut`."""
        self._outputs.pop((track, peer), None)

    def send_burst(
        self, track: TrackSlot, cache: PacketCache, indexes: Sequence[int], tail: Tail | None = None
    ) -> None:
        """See `FanOut`."""
        cache.equalise(indexes)
        self.bursts.setdefault(track, []).append(len(indexes))
        for known, peer in list(self._outputs):
            if known == track:
                self._send(track, peer, cache, indexes)
        if tail is not None:
            self.tails += 1
            self.send_burst(tail.track, tail.cache, [tail.index])

    def resend(self, track: TrackSlot, peer: PeerSlot, cache: PacketCache, indexes: Sequence[int]) -> int:
        """See `FanOut`."""
        cache.equalise(indexes)
        return self._send(track, peer, cache, indexes) if (track, peer) in self._outputs else 0

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
        """See `FanOut`."""
        for (known, to), output in self._outputs.items():
            if known == track and peer in {None, to}:
                report = SenderReport(
                    output.ssrc,
                    ntp_timestamp,
                    (rtp_timestamp + output.timestamp_offset) % (1 << 32),
                    output.sent_before.packets + output.packets,
                    output.sent_before.octets + output.octets,
                )
                self.reports.setdefault(to, []).append(report)
                if appended:
                    self.appended.setdefault(to, []).append(appended)
                assert cname

    def output_totals(self, track: TrackSlot, peer: PeerSlot) -> OutputTotals:
        """See `FanOut`."""
        output = self._outputs.get((track, peer))
        return OutputTotals() if output is None else OutputTotals(packets=output.packets, octets=output.octets)

    def totals(self) -> FanOutTotals:
        """See `FanOut`."""
        return FanOutTotals(packets_sent=sum(map(len, self.sent.values())))

    def close(self) -> None:
        """See `FanOut`."""
        self._outputs.clear()

    def _send(self, track: TrackSlot, peer: PeerSlot, cache: PacketCache, indexes: Sequence[int]) -> int:
        output = self._outputs[track, peer]
        count = 0
        for index in indexes:
            packet = cache.get(index)
            if packet is None:
                continue
            wire_index = index + output.index_offset
            assert 0 <= wire_index < 1 << 48
            plain = bytearray(packet)
            plain[1] = (plain[1] & 0x80) | output.payload_type
            timestamp = int.from_bytes(packet[4:8]) + output.timestamp_offset & 0xFFFFFFFF
            struct.pack_into("!HII", plain, 2, wire_index & 0xFFFF, timestamp, output.ssrc)
            data = bytes(plain)
            first = self.by_index.setdefault((peer, output.ssrc, wire_index), data)
            assert first == data, f"SRTP index {wire_index} of peer {peer} was used for two contents"
            self.sent.setdefault(peer, []).append((wire_index, data))
            output.packets += 1
            output.octets += len(data) - 12
            count += 1
            if peer in self.on_sent:
                self.on_sent[peer](data)
        return count


class RtpSource:
    """An encoder that numbers its packets as RFC 3550 says."""

    def __init__(
        self, ssrc: int, codec: Codec = VP8, *, sequence_number: int = 0, timestamp: int = 0, payload_words: int = 20
    ) -> None:
        self.ssrc = ssrc
        self.codec = codec
        self.sequence_number = sequence_number
        self.timestamp = timestamp
        self.history: dict[int, bytes] = {}
        self.counter = 0
        self.payload_words = payload_words

    def frame(self, *, keyframe: bool = False, packets: int = 4) -> list[bytes]:
        """A frame of video, 1/30 s after the one before; the payload of each packet is like no other's."""
        made = []
        for position in range(packets):
            descriptor = self._descriptor(position == 0, keyframe=keyframe)
            marker = position == packets - 1
            made.append(self._packet(descriptor + struct.pack("!I", self.counter) * self.payload_words, marker=marker))
        self.timestamp = (self.timestamp + 3_000) % (1 << 32)
        return made

    def audio(self) -> bytes:
        """A packet of Opus, 20 ms after the one before."""
        packet = self._packet(struct.pack("!I", self.counter) * 10, marker=False)
        self.timestamp = (self.timestamp + 960) % (1 << 32)
        return packet

    def answer(self, packets: Sequence[RtcpPacket]) -> list[bytes]:
        """What NACKs ask for, from the history."""
        return [
            self.history[number]
            for packet in packets
            if isinstance(packet, GenericNack) and packet.media_ssrc == self.ssrc
            for number in packet.lost
            if number in self.history
        ]

    def _descriptor(self, is_first: bool, *, keyframe: bool) -> bytes:  # noqa: FBT001 (private to this class)
        if self.codec.name == "VP8":
            return (b"\x10" if is_first else b"\x00") + (b"\x00" if keyframe else b"\x01")
        if self.codec.name == "VP9":  # RFC 9628 section 4.2: picture ID of 15 bits, P but in a key frame, B in front
            return bytes([0x80 | (0x00 if keyframe else 0x40) | (0x08 if is_first else 0x00), 0x80, 0x01])
        if self.codec.name == "AV1":  # aggregation header: Z behind the first packet, N at a coded video sequence
            return bytes([0x10 | (0x00 if is_first else 0x80) | (0x08 if keyframe and is_first else 0x00)])
        return b"\x65" if keyframe else b"\x41"  # a slice of an IDR picture, or of another one

    def _packet(self, payload: bytes, *, marker: bool) -> bytes:
        second = self.codec.payload_type | (0x80 if marker else 0)
        number = self.sequence_number
        packet = struct.pack("!BBHII", 0x80, second, number, self.timestamp, self.ssrc) + payload
        self.history[number] = packet
        self.history.pop((number - 4_096) % 65_536, None)
        self.sequence_number = (number + 1) % 65_536
        self.counter += 1
        return packet


class Receiver:
    """A receiver of one video stream that registers what it misses.

    Attributes:
        packets: by index, counted from the first number as SRTP counts it.
        retransmitted: RTX packets that came.
    """

    def __init__(self, ssrc: int, *, rtx_ssrc: int = -1) -> None:
        self.ssrc = ssrc
        self.rtx_ssrc = rtx_ssrc
        self.retransmitted = 0
        self.packets: dict[int, bytes] = {}
        self.headers: dict[int, RtpHeader] = {}
        self.nacks = NackRegister()
        self.first: int | None = None
        self._highest = 0

    def handle(self, packet: bytes, now: float) -> None:
        """Take a packet."""
        header = parse_rtp_header(packet)
        if header.ssrc == self.rtx_ssrc:
            self.retransmitted += 1
            packet = self._unwrap(packet, header)
            header = parse_rtp_header(packet)
        elif header.ssrc != self.ssrc:
            return
        if self.first is None:
            self.first = self._highest = header.sequence_number
        index = nearest(header.sequence_number, self._highest, 65_536)
        self._highest = max(self._highest, index)
        self.nacks.handle_packet(index, now)
        first = self.packets.setdefault(index, packet)
        # An RTX packet leaves the padding out.
        assert first == packet or self.rtx_ssrc >= 0, "a resend is byte-identical"
        assert payload_of(first) == payload_of(packet)
        self.headers[index] = header

    def _unwrap(self, packet: bytes, header: RtpHeader) -> bytes:
        """The packet that an RTX packet repairs (RFC 4588 section 4), under the payload type of RTX."""
        original = bytearray(packet[: len(packet) - header.padding_length])
        original[0] &= ~0x20
        original[2:4] = packet[12:14]
        original[8:12] = struct.pack("!I", self.ssrc)
        del original[12:14]
        assert self.first is not None
        known = next(iter(self.packets.values()))
        original[1] = (original[1] & 0x80) | (known[1] & 0x7F)
        return bytes(original)

    def poll(self, now: float) -> list[RtcpPacket]:
        """The NACK that is due."""
        missing = self.nacks.poll(now)
        return [GenericNack(sender_ssrc=9, media_ssrc=self.ssrc, lost=tuple(missing))] if missing else []

    def payloads(self) -> list[bytes]:
        """Payloads without padding, in order of index."""
        return [payload_of(self.packets[index]) for index in sorted(self.packets)]


def payload_of(packet: bytes) -> bytes:
    """The payload without padding."""
    header = parse_rtp_header(packet)
    return packet[header.header_length : len(packet) - header.padding_length]


def payloads_of(packets: Sequence[bytes]) -> list[bytes]:
    """Payloads of packets with plain headers."""
    return [packet[12:] for packet in packets]


def new_router() -> tuple[Router, RecordingFanOut]:
    """A router over a fan-out that records."""
    fan_out = RecordingFanOut()
    return Router(fan_out, publisher_bitrate_bps=2_500_000), fan_out


def add_publisher(router: Router, peer: int, source: RtpSource, *, is_publisher: bool = True) -> None:
    """Let a source of video publish."""
    streams = [Stream(kind="video", codecs=(source.codec,), ssrcs=(source.ssrc,))]
    router.add_source(PeerSlot(peer), FEED, streams, is_publisher=is_publisher)


def add_receiver(
    router: Router,
    peer: int,
    ssrc: int,
    now: float,
    *,
    active: bool = True,
    keeps_numbers: bool = False,
    rtx_ssrc: int = -1,
) -> None:
    """Let a peer receive video, repaired by RTX where it gives an SSRC for that."""
    rtx = {codec.payload_type: codec.payload_type + 1 for codec in RECEIVER_CODECS} if rtx_ssrc >= 0 else {}
    want = Want(kind="video", codecs=RECEIVER_CODECS, ssrc=ssrc, rtx_ssrc=max(rtx_ssrc, 0), rtx_payload_types=rtx)
    wants = [want]
    router.add_subscriber(PeerSlot(peer), FEED, wants, active=active, now=now, keeps_numbers=keeps_numbers)


def send(router: Router, peer: int, packets: Sequence[bytes], now: float) -> None:
    """Packets of a source arrive."""
    for packet in packets:
        router.handle_rtp(PeerSlot(peer), packet, now)


def rtcp_for(router: Router, peer: int) -> list[RtcpPacket]:
    """Take all waiting RTCP and give what is for one peer."""
    return [packet for slot, compound in router.rtcp_to_send() if slot == peer for packet in compound]


def plis_in(packets: Sequence[RtcpPacket]) -> int:
    """How many keyframes are asked for."""
    return sum(isinstance(packet, PictureLossIndication) for packet in packets)


def survive(packets: Sequence[bytes], rng: random.Random, loss: float) -> list[bytes]:
    """What a lossy way leaves of packets."""
    return [packet for packet in packets if rng.random() >= loss]
