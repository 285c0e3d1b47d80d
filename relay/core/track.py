"""A track: one audio or video stream of a feed, from whichever source feeds it to all its outputs.

Hot path: one call per arriving packet; bursts leave through the fan-out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence

from relay.core.catch_up import MAX_OCTETS_PER_S, SLICE_INTERVAL_S, CachedGroup, CatchUp
from relay.core.company import Company
from relay.core.delivery import Delivery
from relay.core.departures import Departures
from relay.core.inbound import Inbound, Inbounds, Kind
from relay.core.keyframe_requests import KeyframeRequests
from relay.core.layer_clock import LayerTime
from relay.core.merge_proof import TRUST_S, is_copy
from relay.core.nack_register import NackRegister
from relay.core.output import MAX_NACKED, WRAP_GUARD, Output
from relay.core.packet_cache import PacketCache
from relay.core.timeline import SEQUENCE_MODULUS, SourceClock, Timeline, nearest
from relay.fanout.interface import FanOut, PeerSlot, Tail, TrackSlot
from relay.wire.codecs import is_keyframe_start
from relay.wire.rtp import HEADER_BYTES, RtpHeader, strip_header
from relay.wire.sdp import Codec, match_codec
from relay.wire.vp8_descriptor import plain_vp8

# What a NACK can still find: video for about four seconds at 2 Mbit/s, audio for ten.
CACHE_PACKETS: dict[Kind, int] = {"audio": 512, "video": 1024}


class Track:
    """Takes packets of one kind and gives bursts to a fan-out.

    Attributes:
        kind: `audio` or `video`.
        codec: what the present source sends, or None before the first.
        outputs: by peer.
        delivery: how its packets come to them.
        inbounds: the streams that feed it.
        nacks: what is missing of it, whichever source should have brought it.
    """

    def __init__(
        self,
        kind: Kind,
        slot: TrackSlot,
        fanout: FanOut,
        *,
        catch_up_slot: TrackSlot,
        rtx_slot: TrackSlot,
        clock_rate: int,
        keyframe_interval_s: float,
        company: Company | None = None,
    ) -> None:
        """Make a track without a source and without outputs.

        Args:
            kind: `audio` or `video`.
            slot: see `Delivery`, and so for the other two.
            fanout: sends its packets.
            catch_up_slot: see `Delivery`.
            rtx_slot: see `Delivery`.
            clock_rate: of its RTP timestamps, in Hz.
            keyframe_interval_s: between two requests for a keyframe.
            company: of its feed, where sound and picture wait for each other.
        """
        self.kind: Kind = kind
        self.codec: Codec | None = None
        self.outputs: dict[PeerSlot, Output] = {}
        self.inbounds = Inbounds()
        self.nacks = NackRegister()
        self.keyframes = KeyframeRequests(keyframe_interval_s)
        self.clock_rate = clock_rate
        self.cache = PacketCache(CACHE_PACKETS[kind])
        self.packets_received = 0
        self.octets_received = 0
        self.packets_duplicate = 0
        self.packets_unlike = 0
        self.last_packet_s = float("-inf")
        self.last_sender_report: tuple[int, int] | None = None
        self.delivery = Delivery(fanout, self.cache, slot=slot, catch_up_slot=catch_up_slot, rtx_slot=rtx_slot)
        self._timeline = Timeline(clock_rate)
        self._company = company if company is not None else Company()
        self._departures = Departures(kind, self.cache, self._company, send=self._send, as_tail=self._as_tail)
        self._starts: deque[int] = deque()  # of keyframes that have not left yet
        self._waiting: set[PeerSlot] = set()  # for any packet
        self._waiting_for_keyframe: set[PeerSlot] = set()
        self._attached_since = -1  # greatest index at which an output began
        self._group = CachedGroup()
        self._catching_up: dict[PeerSlot, Output] = {}
        self._slices_due_s = 0.0
        self._alone: Inbound | None = None  # the source that last joined while no other one flowed

    @property
    def highest_index(self) -> int:
        """Greatest packet index so far, -1 before the first."""
        return self._timeline.highest_index

    @property
    def time(self) -> LayerTime:
        """The time of the newest packet."""
        timestamp, at_s = self._timeline.newest
        return LayerTime(timestamp, at_s, self.last_sender_report)

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
        clock = self._clock_of(inbound, header, packet, now)
        if clock is None:
            return
        inbound.last_packet_s = now
        if inbound.codec is not codec:
            inbound.codec = codec
            self._use_codec(codec, now)
        highest_before = self._timeline.highest_index
        index, timestamp = clock.map_packet(header.sequence_number, header.timestamp, now)
        if index < 0:
            return
        self.nacks.handle_packet(index, now)
        inbound.reception.handle_packet(index, header.timestamp, self.clock_rate, now)
        plain = strip_header(packet, header, sequence_number=index & 0xFFFF, timestamp=timestamp)
        if inbound.is_one_of_many and codec.name == "VP8":
            plain = plain[:HEADER_BYTES] + plain_vp8(plain[HEADER_BYTES:])
        self.last_packet_s = now
        if not self.cache.put(index, plain):
            self.packets_duplicate += 1
            self._compare(inbound, index, plain, now)
            return
        self.packets_received += 1
        self.octets_received += len(plain)
        starts = self.kind == "video" and is_keyframe_start(codec.name, memoryview(plain)[12:])
        if starts:
            self._group.handle_keyframe_start(index, timestamp, now)
        if index < highest_before:
            self._send_late(index)
            return
        if starts:
            self.keyframes.handle_keyframe(now)
            self._starts.append(index)
        is_taken = bool(self.outputs)
        self._departures.handle_packet(index, timestamp, marker=header.marker, is_taken=is_taken, now=now)

    def _clock_of(self, inbound: Inbound, header: RtpHeader, packet: bytes, now: float) -> SourceClock | None:
        """The mapping of a source; None while it must not be merged with the one that flows."""
        if inbound.clock is not None and now - inbound.last_packet_s <= TRUST_S:
            return inbound.clock
        if not self.inbounds.is_alone(inbound, now):
            plain = strip_header(packet, header, sequence_number=header.sequence_number, timestamp=header.timestamp)
            found = inbound.proof.handle_packet(self.cache, plain, now)
            inbound.clock = None if found is None else self._timeline.align(found[0], *found[1])
            return inbound.clock
        if inbound.clock is not None:
            return inbound.clock
        before = self._alone.clock if self._alone is not None and self._alone.ssrc == inbound.ssrc else None
        clock = self._timeline.join(header.sequence_number, header.timestamp, now, before)
        if not clock.continues:
            self._group.forget()
            self.last_sender_report = None
            self.nacks.forget()  # the new source has not what the old one owed
        elif clock.skips:
            self._departures.flush()
            self._begin_outputs_anew(now)
        self._alone = inbound
        inbound.clock = clock
        return clock

    def _compare(self, inbound: Inbound, index: int, plain: bytes, now: float) -> None:
        """See whether what came twice is the same; two sources that differ are not merged any longer."""
        cached = self.cache.get(index)
        if cached is not None and not is_copy(cached, plain) and not self.inbounds.is_alone(inbound, now):
            self.packets_unlike += 1
            self.inbounds.part(inbound, now)

    def handle_sender_report(self, inbound: Inbound, ntp_timestamp: int, rtp_timestamp: int) -> bool:
        """Take the source's clock pair; returns true when it can be passed on."""
        if inbound.clock is None:
            return False
        self.last_sender_report = (ntp_timestamp, inbound.clock.map_timestamp(rtp_timestamp))
        return True

    def pass_sender_report_on(self, peer: PeerSlot | None = None, appended: bytes = b"") -> None:
        """Send the source's clock pair to all who receive, each with its own SSRC and counts; or to one, with more."""
        if self.last_sender_report is None:
            return
        ntp, rtp = self.last_sender_report
        self.delivery.send_report(ntp, rtp, peer, appended)

    def poll(self, now: float) -> None:
        """Send what has waited long enough for the rest of its frame, and the next slices of cached groups."""
        self._departures.poll(now)
        if self._catching_up and now >= self._slices_due_s:
            self._slices_due_s = now + SLICE_INTERVAL_S
            for output in list(self._catching_up.values()):
                self._send_slice(output, now)
        if self._waiting_for_keyframe and (first := self._cached_start(now)) is not None:
            for peer in list(self._waiting_for_keyframe):
                if self._has_place():
                    self._begin_from_cache(self.outputs[peer], first, now)

    def next_deadline(self) -> float | None:
        """When `poll` is due, or None."""
        deadline = self._departures.next_deadline()
        if self._catching_up and (deadline is None or self._slices_due_s < deadline):
            deadline = self._slices_due_s
        return deadline

    # --- outputs -------------------------------------------------------------------------------------------------

    def add_output(self, output: Output, now: float) -> None:
        """Know a receiver; if it is wanted, video begins at the last keyframe or the next, audio with any packet."""
        self.outputs[output.peer] = output
        self._company.links += output.keeps_numbers
        self._choose_payload_type(output)
        self.set_wanted(output.peer, wanted=output.wanted, now=now)

    def remove_output(self, peer: PeerSlot) -> None:
        """Forget a receiver."""
        output = self.outputs.get(peer)
        if output is not None:
            self._detach(output)
            del self.outputs[peer]
            self._company.links -= output.keeps_numbers

    def set_wanted(self, peer: PeerSlot, *, wanted: bool, now: float) -> None:
        """Begin or cease to send to a known receiver."""
        output = self.outputs[peer]
        output.wanted = wanted
        if not wanted:
            self._detach(output)
        elif not output.attached and output.payload_type >= 0:
            if self.kind == "audio" or output.keeps_numbers:
                self._waiting.add(peer)
            else:
                self._waiting_for_keyframe.add(peer)
                if self._has_place() and (first := self._cached_start(now)) is not None:
                    self._begin_from_cache(output, first, now)

    @property
    def wants_keyframe(self) -> bool:
        """True while a receiver of video waits for one to begin with, and none is on its way."""
        return bool(self._waiting_for_keyframe) and not self._starts

    def resend(self, output: Output, sequence_numbers: Sequence[int], now: float) -> int:
        """Answer a NACK: by RTX where that was negotiated, else byte for byte. Returns how many packets went out."""
        if not output.attached:
            return 0
        output.fill_resends(self._departures.pacer.mean.octets_per_s, now)
        end = self._first_unsent() if output.catch_up is None else output.catch_up.next_index
        reference = end - 1 + output.index_offset
        indexes = []
        for number in sequence_numbers[:MAX_NACKED]:
            index = nearest(number, reference, SEQUENCE_MODULUS) - output.index_offset
            # Before `first_index` the same number stood for other bytes: never encrypt both (RFC 3711 section 9.1).
            octets = self.cache.octets(index) if output.first_index <= index < end else 0
            if octets and output.resends.take(octets):
                indexes.append(index)
        return self.delivery.repair(output, indexes) if indexes else 0

    # --- starting from the cache ---------------------------------------------------------------------------------

    def _has_place(self) -> bool:
        """True while another receiver may catch up; one may always."""
        return not self._catching_up or len(self._catching_up) < MAX_OCTETS_PER_S / self._departures.pacer.octets_per_s

    def _cached_start(self, now: float) -> int | None:
        """Where the cached group of pictures begins, if it serves; while its keyframe waits, all begin with that."""
        first = self._group.first_index(self.cache, now)
        return first if first is not None and first < self._first_unsent() else None

    def _begin_from_cache(self, output: Output, first: int, now: float) -> None:
        """Start an output of video with the cached group of pictures, unless it was shown some of it before."""
        if first < output.resumes_at:  # no decoder takes that
            return
        if not self._catching_up:
            self._slices_due_s = now + SLICE_INTERVAL_S
        output.begin(first)
        output.catch_up = CatchUp(first, now)
        self._waiting_for_keyframe.discard(output.peer)
        self._catching_up[output.peer] = output
        self.delivery.add(output)
        self._send_slice(output, now)

    def _send_slice(self, output: Output, now: float) -> None:
        """Send the next slice; an output that has all joins those of the live packets."""
        if output.catch_up is None:
            return
        # What waits goes out when its time comes, to an output that is live by then.
        end = self._first_unsent()
        indexes = output.catch_up.next_slice(self.cache, end, now, self._departures.pacer.octets_per_s)
        if indexes:
            self.delivery.send_to(output, indexes)
        if output.catch_up.is_done(end):
            del self._catching_up[output.peer]
            self.delivery.make_live(output)
            self._attached_since = max(self._attached_since, output.first_index)
        elif output.catch_up.is_lost(end):
            self._detach(output)
            self._waiting_for_keyframe.add(output.peer)

    # --- inside --------------------------------------------------------------------------------------------------

    def _use_codec(self, codec: Codec, now: float) -> None:
        if self.codec == codec:
            return
        self._departures.flush()  # the end of the old stream is still of the old codec
        self._group.forget()
        self.codec = codec
        for output in self.outputs.values():
            self._choose_payload_type(output)
        self._begin_outputs_anew(now)

    def _begin_outputs_anew(self, now: float) -> None:
        """What comes does not follow what was sent: receivers begin at a keyframe, and are numbered without a gap."""
        for output in self.outputs.values():
            self._detach(output)
            self.set_wanted(output.peer, wanted=output.wanted, now=now)

    def _choose_payload_type(self, output: Output) -> None:
        matched = match_codec(self.codec, output.codecs) if self.codec is not None else None
        output.payload_type = matched.payload_type if matched is not None else -1

    def _attach_waiting(self, index: int) -> None:
        """Begin with those that wait for any packet."""
        near_wrap = index & 0xFFFF > 0xFFFF - WRAP_GUARD
        still_waiting: set[PeerSlot] = set()
        for peer in self._waiting:
            output = self.outputs[peer]
            if output.keeps_numbers and output.next_wire_index < 0 and near_wrap:
                still_waiting.add(peer)
            else:
                self._attach(output, index)
        self._waiting = still_waiting

    def _attach(self, output: Output, index: int) -> None:
        output.begin(index)
        self.delivery.add(output)
        self._attached_since = max(self._attached_since, output.first_index)

    def _detach(self, output: Output) -> None:
        self._waiting.discard(output.peer)
        self._waiting_for_keyframe.discard(output.peer)
        if output.attached:
            next_index = self._first_unsent() if output.catch_up is None else output.catch_up.next_index
            self._catching_up.pop(output.peer, None)
            sent = self.delivery.totals(output)
            self.delivery.remove(output)
            output.end(next_index, sent)

    def _first_unsent(self) -> int:
        """The first index that has not left yet: what waits for its time or for its frame, or what comes next."""
        held = self._departures.first_held()
        return self.highest_index + 1 if held is None else held

    def _as_tail(self, index: int) -> Tail:
        """A packet leaves behind another track's burst."""
        if self._waiting:
            self._attach_waiting(index)
        return Tail(self.delivery.slot, self.cache, index)

    def _send(self, pieces: Sequence[Sequence[int]], now: float | None) -> None:
        """Send pieces whose time has come; those who wait for a beginning begin where it leaves.

        With a time, sound that waits for the picture rides behind the last piece.
        """
        for position, piece in enumerate(pieces, 1):
            rest = piece
            if self._waiting:
                self._attach_waiting(piece[0])
            while self._starts and self._starts[0] <= piece[-1]:
                start = self._starts.popleft()
                if self._waiting_for_keyframe:
                    place = bisect_left(rest, start)
                    if place:
                        self.delivery.send(rest[:place])
                        rest = rest[place:]
                    for peer in self._waiting_for_keyframe:
                        self._attach(self.outputs[peer], start)
                    self._waiting_for_keyframe.clear()
            rides = now is not None and self.kind == "video" and position == len(pieces)
            tail = self._company.take_tail(now) if rides and now is not None else None
            self.delivery.send(rest, tail)

    def _send_late(self, index: int) -> None:
        """A packet that was missing takes its place among those that wait, or goes to those that began before it."""
        if self._departures.insert_late(index):
            return
        if index >= self._attached_since:
            self.delivery.send([index])
            others = self._catching_up
        else:
            others = self.outputs
        for output in list(others.values()):
            # A slice brings what a receiver has not come to yet.
            is_past = output.catch_up is None or index < output.catch_up.next_index
            if output.attached and output.first_index <= index and is_past:
                self.delivery.send_to(output, [index])
