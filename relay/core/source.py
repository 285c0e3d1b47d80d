"""A source of a feed, a publisher or a parent relay: its streams, and what it is told about how they arrive."""

from __future__ import annotations

from collections.abc import Sequence

from relay.core.feed import Feed, Stream
from relay.core.inbound import Inbound
from relay.fanout.interface import PeerSlot
from relay.wire import rtcp
from relay.wire.rtp import RtpHeader, extension_value

OUR_SSRC = 1  # RTCP sender SSRC of a party that sends no media itself
MAX_REPORT_BLOCKS = 31  # RFC 3550 section 6.4.1: the count has five bits
MAX_UNKNOWN_SSRCS = 16  # per source; a source that invents more is ignored
# Layers of half the side length each take a quarter of the bitrate of the one above; encoders give them more.
SIMULCAST_SHARE = 1.5


class Source:
    """One source.

    Attributes:
        feed: what it feeds.
        report_bitrate_bps: what it is told that it may send (REMB); 0 for a parent, which adapts to nobody.
        rtt_s: round trip to it, 0 while unknown.
        by_ssrc: its streams that are known by SSRC.
    """

    __slots__ = ("_by_payload_type", "_peer", "by_ssrc", "feed", "report_bitrate_bps", "rtt_s")

    def __init__(self, peer: PeerSlot, feed: Feed, streams: Sequence[Stream], *, bitrate_bps: int) -> None:
        """Know a source, and those of its streams whose SSRC it named.

        Args:
            peer: the source.
            feed: what it feeds.
            streams: what it may send.
            bitrate_bps: what it may send as its highest layer; 0 to say nothing.
        """
        self._peer = peer
        self.feed = feed
        is_simulcast = any(stream.layer for stream in streams)
        self.report_bitrate_bps = int(bitrate_bps * (SIMULCAST_SHARE if is_simulcast else 1))
        self.rtt_s = 0.0
        self.by_ssrc: dict[int, Inbound] = {}
        self._by_payload_type: dict[int, dict[str, Stream]] = {}
        for stream in streams:
            for codec in stream.codecs:
                self._by_payload_type.setdefault(codec.payload_type, {}).setdefault(stream.rid, stream)
            for ssrc in stream.ssrcs:
                self._bind(ssrc, stream)

    def recognise(self, header: RtpHeader, packet: bytes) -> Inbound | None:
        """The stream of a packet with an SSRC that is not known: by its rid (RFC 8852), else by its payload type.

        Returns:
            The stream, known by this SSRC from now on; None for one that was not negotiated or does not say its rid.

        Raises:
            WireError: a header extension is malformed.
        """
        streams = self._by_payload_type.get(header.payload_type)
        if streams is None or len(self.by_ssrc) >= MAX_UNKNOWN_SSRCS:
            return None
        stream = streams.get("")
        if stream is None:
            extension = next(iter(streams.values())).rid_extension
            rid = extension_value(packet, header, extension) or b""
            stream = streams.get(rid.decode("ascii", errors="replace"))
        return self._bind(header.ssrc, stream) if stream is not None else None

    def _bind(self, ssrc: int, stream: Stream) -> Inbound:
        codecs = {codec.payload_type: codec for codec in stream.codecs}
        inbound = self.by_ssrc[ssrc] = Inbound(stream.kind, stream.layer, self._peer, ssrc, codecs)
        inbound.is_one_of_many = stream.rid != ""
        self.feed.layers[stream.kind][stream.layer].inbounds.add(inbound)
        return inbound

    def report(self, now: float) -> list[rtcp.RtcpPacket]:
        """The compound packet that is due; empty before the first packet of the source."""
        reports = tuple(
            inbound.reception.report_block(inbound.ssrc, now)
            for inbound in self.by_ssrc.values()
            if inbound.clock is not None
        )
        if not reports:
            return []
        packets: list[rtcp.RtcpPacket] = [rtcp.ReceiverReport(ssrc=OUR_SSRC, reports=reports[:MAX_REPORT_BLOCKS])]
        if self.report_bitrate_bps:
            # A browser without feedback stays at a few hundred kbit/s; an estimate opens it up.
            video = tuple(ssrc for ssrc, inbound in self.by_ssrc.items() if inbound.kind == "video")
            packets.append(rtcp.Remb(sender_ssrc=OUR_SSRC, bitrate_bps=self.report_bitrate_bps, ssrcs=video))
        return packets
