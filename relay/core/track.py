"""A track: one audio or video stream of a feed, from whichever source feeds it to all its outputs.

Hot path: one call per arriving packet; bursts leave through the fan-out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from relay.core.burst import BurstAssembler
from relay.core.keyframe_requests import KeyframeRequests
from relay.core.nack_register import NackRegister
from relay.core.packet_cache import PacketCache
from relay.core.reception import Reception
from relay.core.timeline import SEQUENCE_MODULUS, SourceClock, Timeline, nearest
from relay.fanout.interface import FanOut, OutputTotals, PeerSlot, TrackSlot
from relay.wire.codecs import is_keyframe_start
from relay.wire.rtp import RtpHeader, strip_header
from relay.wire.sdp import Codec, match_codec

Kind = Literal["audio", "video"]

# An output must not begin so near the wrap of its sequence numbers that a lost packet hides the wrap from the receiver,
# whose roll-over counter starts at 0 (RFC 3711 section 3.3.1). A hall's numbers begin in the lower half; a link keeps
# those of the source and waits for the wrap to pass.
WRAP_GUARD = 64
FIRST_NUMBERS = 0x7FFF

# A link that is sent nothing for longer begins behind its last number: its receiver could not tell the round any more.
MAX_LINK_GAP = 1 << 14

# What one subscriber may ask to be sent again: a NACK can name thousands of packets in one datagram.
RESENDS_PER_S = 400

# What a NACK can still find: video for about four seconds at 2 Mbit/s, audio for ten.
CACHE_PACKETS: dict[Kind, int] = {"audio": 512, "video": 1024}


class Output:
    """One track to one peer: what it can decode, how it is numbered, and where it began.

    Attributes:
        peer: slot of the receiving peer.
        ssrc: SSRC at the receiver, chosen by us.
        codecs: what the receiver offered, with its payload types.
        wanted: false for a standby, which is sent nothing.
        keeps_numbers: true for a relay-to-relay link, which carries the track's own sequence numbers, so that a child
            can merge two parents; it begins with any packet, and may ask for those before it.
        attached: true while packets flow.
        first_index: the least index that may be sent in the present run of packets.
        index_offset: added to the track's index, gives the SRTP index at this receiver.
    """

    __slots__ = (
        "attached",
        "codecs",
        "first_index",
        "index_offset",
        "keeps_numbers",
        "next_wire_index",
        "octets_before",
        "packets_before",
        "payload_type",
        "peer",
        "resends_at_s",
        "resends_left",
        "ssrc",
        "wanted",
    )

    def __init__(
        self, peer: PeerSlot, ssrc: int, codecs: Sequence[Codec], *, wanted: bool, keeps_numbers: bool = False
    ) -> None:
        self.peer = peer
        self.ssrc = ssrc
        self.codecs = list(codecs)
        self.wanted = wanted
        self.keeps_numbers = keeps_numbers
        self.attached = False
        self.payload_type = -1
        self.first_index = 0
        self.index_offset = 0
        self.next_wire_index = -1
        self.packets_before = 0
        self.octets_before = 0
        self.resends_left = float(RESENDS_PER_S)
        self.resends_at_s = 0.0

    def allow_resends(self, wanted: int, now: float) -> int:
        """How many of `wanted` packets this receiver may be sent again now (a token bucket of one second)."""
        elapsed = max(0.0, now - self.resends_at_s)
        self.resends_left = min(float(RESENDS_PER_S), self.resends_left + elapsed * RESENDS_PER_S)
        self.resends_at_s = now
        allowed = min(wanted, int(self.resends_left))
        self.resends_left -= allowed
        return allowed


class Inbound:
    """One stream of a source, as it arrives: its SSRC, its clock, what is missing and how well it is received."""

    __slots__ = ("clock", "codec", "codecs", "nacks", "reception", "ssrc", "track")

    def __init__(self, track: Track, ssrc: int, codecs: Mapping[int, Codec]) -> None:
        self.track = track
        self.ssrc = ssrc
        self.codecs = codecs  # by payload type
        self.codec: Codec | None = None
        self.clock: SourceClock | None = None
        self.nacks = NackRegister()
        self.reception = Reception()


class Track:
    """Takes packets of one kind and gives bursts to a fan-out.

    Attributes:
        kind: `audio` or `video`.
        slot: the track's number at the fan-out.
        codec: what the present source sends, or None before the first.
        outputs: by peer.
    """

    def __init__(
        self, kind: Kind, slot: TrackSlot, fanout: FanOut, *, clock_rate: int, keyframe_interval_s: float
    ) -> None:
        self.kind: Kind = kind
        self.slot = slot
        self.codec: Codec | None = None
        self.outputs: dict[PeerSlot, Output] = {}
        self.keyframes = KeyframeRequests(keyframe_interval_s)
        self.clock_rate = clock_rate
        self.cache = PacketCache(CACHE_PACKETS[kind])
        self.packets_received = 0
        self.packets_duplicate = 0
        self.last_packet_s = float("-inf")
        self.last_sender_report: tuple[int, int] | None = None
        self._fanout = fanout
        self._timeline = Timeline(clock_rate)
        self._bursts = BurstAssembler(is_video=kind == "video")
        self._waiting: set[PeerSlot] = set()  # for any packet
        self._waiting_for_keyframe: set[PeerSlot] = set()
        self._attached_since = -1  # greatest index at which an output began

    @property
    def highest_index(self) -> int:
        """Greatest packet index so far, -1 before the first."""
        return self._timeline.highest_index

    # --- inputs from the source ---------------------------------------------------------------------------------

    def handle_packet(self, inbound: Inbound, header: RtpHeader, packet: bytes, now: float) -> None:
        """Take one decrypted packet of a source.

        Args:
            inbound: the stream that it belongs to; knows its payload type.
            header: the parsed header of `packet`.
            packet: the whole RTP packet.
            now: seconds.
        """
        codec = inbound.codecs[header.payload_type]
        if inbound.clock is None:
            inbound.clock = self._timeline.join(header.sequence_number, header.timestamp, now)
            if inbound.clock.continues:
                # What was lost between the two sources is asked of the new one.
                inbound.nacks.handle_packet(self._timeline.highest_index, now)
        if inbound.codec is not codec:
            inbound.codec = codec
            self._use_codec(codec)
        highest_before = self._timeline.highest_index
        index, timestamp = inbound.clock.map_packet(header.sequence_number, header.timestamp, now)
        if index < 0:
            return
        inbound.nacks.handle_packet(index, now)
        inbound.reception.handle_packet(index, header.timestamp, self.clock_rate, now)
        plain = strip_header(packet, header, sequence_number=index & 0xFFFF, timestamp=timestamp)
        self.last_packet_s = now
        if not self.cache.put(index, plain):
            self.packets_duplicate += 1
            return
        self.packets_received += 1
        if index < highest_before:
            self._send_late(index)
            return
        starts = self.kind == "video" and is_keyframe_start(codec.name, memoryview(plain)[12:])
        if self._waiting or (starts and self._waiting_for_keyframe):
            self._flush()
            self._attach_waiting(index, starts=starts)
        if starts:
            self.keyframes.handle_keyframe(now)
        for burst in self._bursts.handle_packet(index, timestamp, marker=header.marker, now=now):
            self._fanout.send_burst(self.slot, self.cache, burst)

    def handle_sender_report(self, inbound: Inbound, ntp_timestamp: int, rtp_timestamp: int) -> bool:
        """Take the source's clock pair; returns true when it can be passed on."""
        if inbound.clock is None:
            return False
        self.last_sender_report = (ntp_timestamp, inbound.clock.map_timestamp(rtp_timestamp))
        return True

    def poll(self, now: float) -> None:
        """Send what has waited long enough for the rest of its frame."""
        burst = self._bursts.poll_flush(now)
        if burst:
            self._fanout.send_burst(self.slot, self.cache, burst)

    def next_deadline(self) -> float | None:
        """When `poll` is due, or None."""
        return self._bursts.next_deadline()

    # --- outputs -------------------------------------------------------------------------------------------------

    def add_output(self, output: Output) -> None:
        """Know a receiver; packets begin at the next keyframe (video) or packet (audio) if it is wanted."""
        self.outputs[output.peer] = output
        self._choose_payload_type(output)
        self.set_wanted(output.peer, wanted=output.wanted)

    def remove_output(self, peer: PeerSlot) -> None:
        """Forget a receiver."""
        output = self.outputs.pop(peer, None)
        self._waiting.discard(peer)
        self._waiting_for_keyframe.discard(peer)
        if output is not None and output.attached:
            self._fanout.remove_output(self.slot, peer)

    def set_wanted(self, peer: PeerSlot, *, wanted: bool) -> None:
        """Begin or cease to send to a known receiver."""
        output = self.outputs[peer]
        output.wanted = wanted
        if not wanted:
            self._detach(output)
        elif not output.attached and output.payload_type >= 0:
            waits_for_keyframe = self.kind == "video" and not output.keeps_numbers
            (self._waiting_for_keyframe if waits_for_keyframe else self._waiting).add(peer)

    @property
    def wants_keyframe(self) -> bool:
        """True while a receiver of video waits for one to begin with."""
        return bool(self._waiting_for_keyframe)

    def totals(self, output: Output) -> OutputTotals:
        """What was sent to a receiver since it was added, over all its runs."""
        present = self._fanout.output_totals(self.slot, output.peer) if output.attached else OutputTotals()
        return OutputTotals(
            packets=output.packets_before + present.packets, octets=output.octets_before + present.octets
        )

    def resend(self, output: Output, sequence_numbers: Sequence[int], now: float) -> int:
        """Answer a NACK: send packets again, byte for byte. Returns how many went out."""
        if not output.attached:
            return 0
        allowed = output.allow_resends(len(sequence_numbers), now)
        reference = self.highest_index + output.index_offset
        indexes = []
        for number in sequence_numbers[:allowed]:
            index = nearest(number, reference, SEQUENCE_MODULUS) - output.index_offset
            # Before `first_index` the same number stood for other bytes: never encrypt both (RFC 3711 section 9.1).
            if output.first_index <= index <= self.highest_index:
                indexes.append(index)
        return self._fanout.resend(self.slot, output.peer, self.cache, indexes) if indexes else 0

    def _use_codec(self, codec: Codec) -> None:
        if self.codec == codec:
            return
        self._flush()  # the end of the old stream is still of the old codec
        self.codec = codec
        for output in self.outputs.values():
            self._detach(output)
            self._choose_payload_type(output)
            self.set_wanted(output.peer, wanted=output.wanted)

    def _choose_payload_type(self, output: Output) -> None:
        matched = match_codec(self.codec, output.codecs) if self.codec is not None else None
        output.payload_type = matched.payload_type if matched is not None else -1

    def _attach_waiting(self, index: int, *, starts: bool) -> None:
        near_wrap = index & 0xFFFF > 0xFFFF - WRAP_GUARD
        still_waiting: set[PeerSlot] = set()
        for peer in self._waiting:
            output = self.outputs[peer]
            if output.keeps_numbers and output.next_wire_index < 0 and near_wrap:
                still_waiting.add(peer)
            else:
                self._attach(output, index)
        self._waiting = still_waiting
        if starts:
            for peer in self._waiting_for_keyframe:
                self._attach(self.outputs[peer], index)
            self._waiting_for_keyframe.clear()

    def _attach(self, output: Output, index: int) -> None:
        wire_index, output.first_index = _first_numbers(output, index)
        output.index_offset = wire_index - index
        output.attached = True
        self._attached_since = index
        self._fanout.add_output(
            self.slot,
            output.peer,
            ssrc=output.ssrc,
            payload_type=output.payload_type,
            index_offset=output.index_offset,
        )

    def _detach(self, output: Output) -> None:
        self._waiting.discard(output.peer)
        self._waiting_for_keyframe.discard(output.peer)
        if output.attached:
            sent = self.totals(output)
            output.packets_before, output.octets_before = sent.packets, sent.octets
            output.attached = False
            output.next_wire_index = self.highest_index + output.index_offset + 1
            self._fanout.remove_output(self.slot, output.peer)

    def _flush(self) -> None:
        burst = self._bursts.flush()
        if burst:
            self._fanout.send_burst(self.slot, self.cache, burst)

    def _send_late(self, index: int) -> None:
        """A packet that was missing goes out by itself, and only to receivers that began before it."""
        if index >= self._attached_since:
            self._fanout.send_burst(self.slot, self.cache, [index])
            return
        for output in self.outputs.values():
            if output.attached and output.first_index <= index:
                self._fanout.resend(self.slot, output.peer, self.cache, [index])


def _first_numbers(output: Output, index: int) -> tuple[int, int]:
    """Where a run of packets that begins at `index` begins on the wire, and the least index that may be sent in it."""
    if output.next_wire_index < 0:
        if not output.keeps_numbers:
            return index & FIRST_NUMBERS, index
        # Nothing was ever sent on this output, so that a child may ask for what came before, down to number 0.
        return index & 0xFFFF, index & ~0xFFFF
    kept = index + output.index_offset
    if output.keeps_numbers and kept - output.next_wire_index < MAX_LINK_GAP:
        return kept, index
    return output.next_wire_index, index
