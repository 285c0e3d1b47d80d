"""One receiver of the swarm, sans-IO: a `Peer` that connects, and the counts of what arrives.

Pure. Hot path: `handle_read` sees every packet. The first packets of a stream, all video until the first keyframe, and
then one packet in `sample_every` are opened, which proves keys and content; of the others the clear header is read
(RFC 3550, RFC 7983). A server that is a full ICE agent and not lite checks us as well: its checks are answered.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping

import msgspec

from relay.core.ice import Address, IceCredentials
from relay.core.peer import Closed, CloseReason, Connected, Peer
from relay.errors import WireError
from relay.swarm.stream_count import StreamCount
from relay.wire.codecs import is_keyframe_start
from relay.wire.demux import Kind, classify
from relay.wire.rtcp import (
    PictureLossIndication,
    ReceiverReport,
    Remb,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    parse_compound,
    serialize_compound,
)
from relay.wire.rtp import parse_rtp_header
from relay.wire.session_description import Codec
from relay.wire.stun import BindingRequest, parse_message, serialize_binding_success, verify_integrity

OPENED_FIRST = 3  # packets of each stream
MAX_STREAMS = 16  # SSRCs; a server sends two or three
REFUSED_S = 1.0  # silence after which "port unreachable" is believed; reports go out each second and ask again
SILENT_S = 2.0  # without media for so long, a receiver counts as silent; audio alone is 50 packets a second
CNAME = "swarm"

_RTP = struct.Struct("!xBHII")
_RTP_BYTES = 12


class Outcome(enum.Enum):
    """Where a receiver stands; the value is a word for reports."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    FAILED = "failed"  # ended before it was connected
    LOST = "lost"  # ended by the other side, or because that is gone
    LEFT = "left"  # ended by us


class Milestones(msgspec.Struct):
    """When a receiver got how far, in seconds on the swarm's clock; None for not yet.

    Attributes:
        asked_s: the request left.
        answered_s: the answer was there.
        path_s: ICE validated an address.
        connected_s: DTLS was through.
        first_packet_s: the first authentic media packet.
        first_keyframe_s: the first video packet that a decoder can begin with.
    """

    asked_s: float
    answered_s: float | None = None
    path_s: float | None = None
    connected_s: float | None = None
    first_packet_s: float | None = None
    first_keyframe_s: float | None = None


class Receiver:
    """Receives and counts. The shell feeds reads and time, and drains `datagrams_to_send` after every call.

    Attributes:
        outcome: see `Outcome`.
        reason: why it ended.
        at: see `Milestones`.
        srtp_profile: what DTLS negotiated, "" before.
        octets: of all datagrams, without IP and UDP headers.
        packets_opened: the sample.
        packets_unauthentic: of the sample, those that did not open; and first packets that did not.
        packets_unknown: media before the keys, of no negotiated payload type, or from elsewhere.
        last_media_s: when media arrived last.
        dropped_here: datagrams that our own socket had no room for.
    """

    def __init__(
        self,
        peer: Peer,
        *,
        local: IceCredentials,
        remote: IceCredentials,
        codecs: Mapping[int, tuple[str, Codec]],
        at: Milestones,
        ssrc: int,
        sample_every: int = 50,
        remb_bps: int = 0,
    ) -> None:
        """Make a receiver around a peer that has not sent anything yet.

        Args:
            peer: made by `Peer.connect`.
            local: our ICE credentials.
            remote: the server's.
            codecs: payload type to kind and codec, from the server's description.
            at: with what happened so far.
            ssrc: ours, for reports.
            sample_every: one packet of so many is opened.
            remb_bps: bitrate to report by REMB; 0 sends none.
        """
        self._peer = peer
        self._password = local.pwd
        self._username = f"{local.ufrag}:{remote.ufrag}"
        self._codecs = codecs
        self._ssrc = ssrc
        self._sample_every = sample_every
        self._remb_bps = remb_bps
        self._streams: dict[int, StreamCount] = {}
        self._outbox: list[tuple[bytes, Address]] = []
        self._keyframe_wanted = False
        self._refused_s: float | None = None
        self._heard_s = at.asked_s
        self.outcome = Outcome.CONNECTING
        self.reason = ""
        self.at = at
        self.srtp_profile = ""
        self.octets = 0
        self.packets_opened = 0
        self.packets_unauthentic = 0
        self.packets_unknown = 0
        self.last_media_s = float("-inf")
        self.dropped_here = 0

    @property
    def streams(self) -> list[StreamCount]:
        """All streams that were heard."""
        return list(self._streams.values())

    @property
    def address(self) -> Address | None:
        """The server's address once ICE validated it."""
        return self._peer.address

    @property
    def is_live(self) -> bool:
        """True until the end."""
        return self.outcome in (Outcome.CONNECTING, Outcome.CONNECTED)

    @property
    def has_output(self) -> bool:
        """True where something waits in `datagrams_to_send`."""
        return bool(self._outbox)

    @property
    def has_settled(self) -> bool:
        """True where nothing of the set-up is left to time: media flows, with a keyframe if there is video."""
        at = self.at
        expects_video = any(kind == "video" for kind, _ in self._codecs.values())
        return at.first_packet_s is not None and (at.first_keyframe_s is not None or not expects_video)

    def is_silent(self, now: float) -> bool:
        """True where media does not flow (any more); one that has just connected is given the time for it."""
        since_s = self.at.connected_s if self.at.connected_s is not None else self.at.asked_s
        return now - max(self.last_media_s, since_s) > SILENT_S

    def handle_read(
        self, view: memoryview, length: int, segment: int, address: Address, arrival_s: float, now: float
    ) -> None:
        """Take one read of the socket, which may hold several datagrams of one sender.

        Args:
            view: holds the read at its beginning.
            length: octets of the read.
            segment: octets of each datagram but the last, as UDP_GRO says; `length` where there is only one.
            address: the sender.
            arrival_s: on any steady clock, as exact as the system tells.
            now: on the swarm's clock.
        """
        if self._refused_s is not None:
            self._refused_s = None
        self._heard_s = now
        self.octets += length
        streams = self._streams if address == self._peer.address else {}
        has_media = False
        for offset in range(0, length, segment or 1):
            if view[offset] & 0xC0 == 0x80 and length - offset >= _RTP_BYTES:
                second, sequence_number, timestamp, ssrc = _RTP.unpack_from(view, offset)
                if not 192 <= second <= 223:  # RTCP, see relay.wire.demux
                    stream = streams.get(ssrc)
                    if stream is None:
                        stream = self._new_stream(view, offset, min(offset + segment, length), address, now)
                        if stream is None:
                            continue
                    has_media = True
                    if stream.handle_packet(sequence_number, timestamp, arrival_s):
                        stream.until_sample -= 1
                        if stream.until_sample <= 0:
                            self._open_sample(stream, view[offset : min(offset + segment, length)], now)
                    continue
            self._handle_other(bytes(view[offset : min(offset + segment, length)]), address, now)
        if has_media:
            self.last_media_s = now

    def handle_timer(self, now: float) -> None:
        """Do what the peer has to do by now."""
        if not self.is_live:
            return
        if self._refused_s is not None and now - self._heard_s > REFUSED_S:
            self._end("port_unreachable")
            return
        self._peer.handle_timer(now)
        self._follow_peer(now)

    def next_deadline(self, now: float) -> float | None:
        """When to call `handle_timer` at the latest; None at the end."""
        return self._peer.next_deadline(now) if self.is_live else None

    def handle_refused(self, now: float) -> None:
        """The system said that nobody listens at the server's port; it may be wrong or forged, so silence decides."""
        if self._refused_s is None:
            self._refused_s = now

    def begin_again(self) -> None:
        """The server is asked to send from now on: the next keyframe counts as the first one."""
        self.at.first_keyframe_s = None
        self._keyframe_wanted = False
        for stream in self._streams.values():
            if stream.kind == "video":
                stream.until_sample = 1

    def send_reports(self, now: float) -> None:
        """Report what was received, as a receiver does about once a second; ask for a keyframe while there is none."""
        address = self._peer.address
        if self.outcome is not Outcome.CONNECTED or address is None:
            return
        streams = self.streams
        blocks = tuple(stream.report_block(now) for stream in streams)
        packets: list[RtcpPacket] = [ReceiverReport(self._ssrc, blocks), SourceDescription(((self._ssrc, CNAME),))]
        if self._remb_bps and streams:
            packets.append(Remb(self._ssrc, self._remb_bps, tuple(stream.ssrc for stream in streams)))
        if self.at.first_keyframe_s is None:
            # The first report may come a moment after the first packet; a keyframe can still be under way then.
            if self._keyframe_wanted:
                packets += [PictureLossIndication(self._ssrc, s.ssrc) for s in streams if s.kind == "video"]
            self._keyframe_wanted = True
        self._outbox.append((self._peer.protect_rtcp(serialize_compound(packets)), address))

    def close(self, now: float) -> None:
        """Leave: the close_notify waits in `datagrams_to_send`."""
        if self.is_live:
            self._peer.close(now)
            self._outbox += self._peer.datagrams_to_send()
            self.outcome = Outcome.LEFT if self.outcome is Outcome.CONNECTED else Outcome.FAILED
            self.reason = CloseReason.LOCAL.value

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Take what waits to be sent, with where to."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def _new_stream(self, view: memoryview, offset: int, end: int, address: Address, now: float) -> StreamCount | None:
        """Begin to count an SSRC, if its first packet is authentic: a forged one must not make us remember it."""
        kind_and_codec = self._codecs.get(view[offset + 1] & 0x7F)
        connected = self.outcome is Outcome.CONNECTED and address == self._peer.address
        if kind_and_codec is None or not connected or len(self._streams) >= MAX_STREAMS:
            self.packets_unknown += 1
            return None
        kind, codec = kind_and_codec
        ssrc = int.from_bytes(view[offset + 8 : offset + 12])
        stream = StreamCount(ssrc, kind, codec.name.upper(), codec.clock_rate)
        if not self._open_sample(stream, view[offset:end], now):
            return None
        stream.until_sample += 1  # the packet that comes back to `handle_read` was opened just now
        self._streams[ssrc] = stream
        if self.at.first_packet_s is None:
            self.at.first_packet_s = now
        return stream

    def _open_sample(self, stream: StreamCount, packet: memoryview, now: float) -> bool:
        stream.until_sample = 1
        try:
            opened = self._peer.unprotect_rtp(packet)
            header = parse_rtp_header(opened)
        except WireError:
            self.packets_unauthentic += 1
            return False
        self.packets_opened += 1
        if stream.kind == "video" and self.at.first_keyframe_s is None:
            payload = opened[header.header_length : len(opened) - header.padding_length]
            if not is_keyframe_start(stream.codec, payload):
                return True
            self.at.first_keyframe_s = now
        if stream.delivered >= OPENED_FIRST:
            stream.until_sample = self._sample_every
        return True

    def _handle_other(self, datagram: bytes, address: Address, now: float) -> None:
        if not self.is_live:
            return
        kind = classify(datagram)
        try:
            if kind is Kind.STUN:
                self._handle_stun(datagram, address, now)
            elif kind is Kind.DTLS:
                self._peer.handle_dtls(datagram, address, now)
            elif kind is Kind.RTCP and self.outcome is Outcome.CONNECTED:
                self._handle_rtcp(datagram, now)
        except WireError:
            self.packets_unknown += 1
        self._follow_peer(now)

    def _handle_stun(self, datagram: bytes, address: Address, now: float) -> None:
        message = parse_message(datagram)
        if not isinstance(message, BindingRequest):
            self._peer.handle_stun(message, address, now)
        elif message.username == self._username and verify_integrity(message, self._password):
            answer = serialize_binding_success(message.transaction_id, address, self._password)
            self._outbox.append((answer, address))

    def _handle_rtcp(self, datagram: bytes, now: float) -> None:
        for packet in parse_compound(self._peer.unprotect_rtcp(datagram)):
            if isinstance(packet, SenderReport) and packet.ssrc in self._streams:
                self._streams[packet.ssrc].handle_sender_report(packet.ntp_timestamp, now)

    def _follow_peer(self, now: float) -> None:
        if self.at.path_s is None and self._peer.address is not None:
            self.at.path_s = now
        self._outbox += self._peer.datagrams_to_send()
        while (event := self._peer.next_event()) is not None:
            if isinstance(event, Connected):
                self.at.connected_s = now
                self.outcome = Outcome.CONNECTED
                self.srtp_profile = event.profile.value
            elif isinstance(event, Closed):
                self._end(event.reason.value)

    def _end(self, reason: str) -> None:
        if self.is_live:
            self.outcome = Outcome.LOST if self.outcome is Outcome.CONNECTED else Outcome.FAILED
            self.reason = reason
