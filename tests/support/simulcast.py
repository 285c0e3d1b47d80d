"""Parts for pure scenarios of simulcast: an encoder of several layers, and a hall behind a line of some rate."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence

from support.pure_relay import FEED, OPUS, RECEIVER_CODECS, VP8, Receiver, RecordingFanOut, RtpSource, send

from relay.core.feed import Stream, Want
from relay.core.router import Router
from relay.fanout.interface import PeerSlot
from relay.wire.rtcp import PictureLossIndication, ReceiverReport, Remb, ReportBlock, RtcpPacket, SenderReport
from relay.wire.rtp import parse_rtp_header

RID_ID = 10
RIDS = ("q", "h", "f")
FRAME_S = 1 / 30
PACKETS = (1, 3, 10)  # of a frame, by layer; of 900 octets: 216, 648 and 2,160 kbit/s
WORDS = 222
QUEUE_OCTETS = 64_000  # the buffer of a small router
LAYER_SHIFT = 24  # the counter in each payload says in its highest octet which layer it is of


def with_rid(packet: bytes, rid: str) -> bytes:
    """A packet that says its rid (RFC 8852) in the one-byte form of RFC 8285."""
    element = bytes([RID_ID << 4 | len(rid) - 1]) + rid.encode()
    element += bytes(-len(element) % 4)
    extension = struct.pack("!HH", 0xBEDE, len(element) // 4) + element
    return bytes([packet[0] | 0x10]) + packet[1:12] + extension + packet[12:]


class Encoder:
    """Three layers of one picture, each with SSRC, numbers and times of its own.

    Attributes:
        sources: by layer.
        paused: layers that are not sent.
        sound: sends a packet with each picture, if there is one.
        keyframes_asked: times of keyframe requests, by layer.
        answers_requests: false for an encoder that makes keyframes at its own times only.
    """

    def __init__(self, router: Router, peer: int, *, seed: int = 1) -> None:
        self.router = router
        self.peer = peer
        self.sources = [
            RtpSource(
                0xA0 + layer,
                sequence_number=1_000 * layer * seed,
                timestamp=(0x7FFF_0000 * layer * seed) & 0xFFFF_FFFF,
                payload_words=WORDS,
            )
            for layer in range(len(RIDS))
        ]
        for layer, source in enumerate(self.sources):
            source.counter = layer << LAYER_SHIFT
        self.first_timestamps = [source.timestamp for source in self.sources]
        self.paused: set[int] = set()
        self.sound: RtpSource | None = None
        self.keyframes_asked: dict[int, list[float]] = {layer: [] for layer in range(len(RIDS))}
        self._keyframe_due = set(range(len(RIDS)))
        streams = [
            Stream(kind="video", codecs=(VP8,), layer=layer, rid=rid, rid_extension=RID_ID)
            for layer, rid in enumerate(RIDS)
        ]
        streams.append(Stream(kind="audio", codecs=(OPUS,)))
        router.add_source(PeerSlot(peer), FEED, streams, is_publisher=True)

    def frame(self, now: float) -> None:
        """Send the picture of this moment in every layer."""
        if self.sound is not None:
            send(self.router, self.peer, [self.sound.audio()], now)
        for layer, source in enumerate(self.sources):
            packets = source.frame(keyframe=layer in self._keyframe_due, packets=PACKETS[layer])
            if layer in self.paused:
                continue
            self._keyframe_due.discard(layer)
            send(self.router, self.peer, [with_rid(packet, RIDS[layer]) for packet in packets], now)

    def report(self, now: float) -> None:
        """Send a sender report of each layer that is sent."""
        ntp = (1 << 40) + int(now * (1 << 32))
        for layer, source in enumerate(self.sources):
            if layer not in self.paused:
                timestamp = (self.first_timestamps[layer] + round(now * 90_000)) & 0xFFFF_FFFF
                self.router.handle_rtcp(PeerSlot(self.peer), [SenderReport(source.ssrc, ntp, timestamp, 0, 0)], now)

    def handle(self, packets: Sequence[RtcpPacket], now: float) -> None:
        """Take feedback."""
        for packet in packets:
            if isinstance(packet, PictureLossIndication):
                layer = packet.media_ssrc - 0xA0
                self.keyframes_asked[layer].append(now)
                self._keyframe_due.add(layer)
        for layer, source in enumerate(self.sources):
            send(self.router, self.peer, [with_rid(packet, RIDS[layer]) for packet in source.answer(packets)], now)


class Hall:
    """A receiver behind a line with a drop-tail queue; it reports once a second.

    Attributes:
        rate_bps: what the line carries.
        estimates: it sends REMB, of what it received in the last second and a tenth.
        shown: (time, layer) of each change of layer as packets arrive.
    """

    def __init__(self, router: Router, fan_out: RecordingFanOut, peer: int, *, estimates: bool = False) -> None:
        self.router = router
        self.peer = PeerSlot(peer)
        self.ssrc = 0xB000 + peer
        self.rate_bps = float("inf")
        self.estimates = estimates
        self.receiver = Receiver(self.ssrc)
        self.shown: list[tuple[float, int]] = []
        self._fan_out = fan_out
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._credit = 0.0
        self._octets = 0
        self._first = -1
        self._received = 0
        fan_out.on_sent[self.peer] = self._enqueue

    def join(self, now: float) -> None:
        """Subscribe."""
        wants = [Want(kind="video", codecs=RECEIVER_CODECS, ssrc=self.ssrc)]
        self.router.add_subscriber(self.peer, FEED, wants, active=True, now=now)

    def elapse(self, step_s: float, now: float) -> None:
        """Let the line carry what it can, and ask for what is missing."""
        self._credit = min(self._credit + self.rate_bps * step_s / 8, max(3_000.0, self.rate_bps * step_s / 8))
        while self._queue and len(self._queue[0]) <= self._credit:
            packet = self._queue.popleft()
            self._queued -= len(packet)
            self._credit -= len(packet)
            self._octets += len(packet)
            self._received += 1
            self.receiver.handle(packet, now)
            self._first = min(self.receiver.packets) if self._first < 0 else self._first
            self._note_layer(packet, now)
        requests = self.receiver.poll(now)
        if requests:
            self.router.handle_rtcp(self.peer, requests, now)

    def report(self, now: float) -> None:
        """Send what a receiver sends once a second."""
        highest = max(self.receiver.packets, default=0)
        lost = highest + 1 - self._first - self._received if self._received else 0
        packets: list[RtcpPacket] = [ReceiverReport(9, (ReportBlock(self.ssrc, 0, lost, highest, 0, 0, 0),))]
        if self.estimates:
            packets.append(Remb(9, int(self._octets * 8 * (0.85 if self._queued else 1.1)), (self.ssrc,)))
        self._octets = 0
        self.router.handle_rtcp(self.peer, packets, now)

    def _enqueue(self, packet: bytes) -> None:
        if self._queued + len(packet) <= QUEUE_OCTETS:
            self._queue.append(packet)
            self._queued += len(packet)

    def _note_layer(self, packet: bytes, now: float) -> None:
        layer = layer_of(packet)
        if not self.shown or self.shown[-1][1] != layer:
            self.shown.append((now, layer))

    def check_stream(self, *, longest_silence_s: float = 0.2) -> None:
        """What was sent is one stream: no number left out, times that go forward, a keyframe where the layer changes.

        Args:
            longest_silence_s: while nothing was sent.

        Raises:
            AssertionError: it is not.
        """
        sent = dict(self._fan_out.sent[self.peer])
        numbers = sorted(sent)
        assert numbers == list(range(numbers[0], numbers[-1] + 1)), "sequence numbers go on without a gap"
        layer, timestamp = -1, None
        for number in numbers:
            packet = sent[number]
            header = parse_rtp_header(packet)
            if timestamp is not None:
                step = (header.timestamp - timestamp + (1 << 31)) % (1 << 32) - (1 << 31)
                assert 0 <= step <= longest_silence_s * 90_000, (
                    f"the time goes by {step} from layer {layer} to {layer_of(packet)}"
                )
                assert step > 0 or layer == layer_of(packet), "two layers share a timestamp"
            if layer_of(packet) != layer:
                assert packet[12] == 0x10, "it begins with a frame"
                assert packet[13] == 0x00, "which is a keyframe"
            layer, timestamp = layer_of(packet), header.timestamp


def layer_of(packet: bytes) -> int:
    """Of which layer a packet is."""
    return packet[14]


def play(encoders: Sequence[Encoder], halls: Sequence[Hall], router: Router, begin: float, end: float) -> None:
    """Let time pass in steps of 5 ms, a frame every 30th of a second, reports once a second."""
    for step in range(round(begin * 200), round(end * 200)):
        now = step / 200
        for encoder in encoders:
            if int(now / FRAME_S + 1e-9) != int((now - 0.005) / FRAME_S + 1e-9) or step == 0:
                encoder.frame(now)
            if step % 200 == 100:
                encoder.report(now)
        for hall in halls if step % 200 == 50 else []:
            hall.report(now)
        router.handle_timer(now)
        for peer, packets in router.rtcp_to_send():
            for encoder in encoders:
                if encoder.peer == peer:
                    encoder.handle(packets, now)
        for hall in halls:
            hall.elapse(0.005, now)
