"""A source of a feed, a publisher or a parent relay: its streams, and what it is told about how they arrive."""

from __future__ import annotations

from collections.abc import Sequence

from relay.core.feed import Feed, Stream
from relay.core.inbound import Inbound
from relay.wire import rtcp

OUR_SSRC = 1  # RTCP sender SSRC of a party that sends no media itself
MAX_REPORT_BLOCKS = 31  # RFC 3550 section 6.4.1: the count has five bits


class Source:
    """One source.

    Attributes:
        feed: what it feeds.
        report_bitrate_bps: what it is told that it may send (REMB); 0 for a parent, which adapts to nobody.
        rtt_s: round trip to it, 0 while unknown.
        by_ssrc: its streams that are known by SSRC.
        by_payload_type: what an unknown SSRC is recognised by.
    """

    __slots__ = ("by_payload_type", "by_ssrc", "feed", "report_bitrate_bps", "rtt_s")

    def __init__(self, feed: Feed, streams: Sequence[Stream], *, report_bitrate_bps: int) -> None:
        self.feed = feed
        self.report_bitrate_bps = report_bitrate_bps
        self.rtt_s = 0.0
        self.by_ssrc: dict[int, Inbound] = {}
        self.by_payload_type = {codec.payload_type: stream for stream in streams for codec in stream.codecs}

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
