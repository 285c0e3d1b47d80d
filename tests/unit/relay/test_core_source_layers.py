"""Packets of a simulcast publisher find their layer, and a publisher hears how much it may send."""

from __future__ import annotations

import pytest
from support.pure_relay import FEED, OPUS, VP8, RtpSource, new_router, rtcp_for, send
from support.simulcast import RID_ID, RIDS, with_rid

from relay.core.feed import Feed, Stream
from relay.core.source import MAX_UNKNOWN_SSRCS, SIMULCAST_SHARE
from relay.errors import WireError
from relay.fanout.interface import PeerSlot
from relay.wire.rtcp import PictureLossIndication, Remb

PUBLISHER = PeerSlot(0)
STREAMS = [
    Stream(kind="audio", codecs=(OPUS,)),
    *(
        Stream(kind="video", codecs=(VP8,), layer=layer, rid=rid, rid_extension=RID_ID)
        for layer, rid in enumerate(RIDS)
    ),
]


def received(feed: Feed) -> list[int]:
    """Packets by layer of video."""
    return [track.packets_received for track in feed.layers["video"]]


def test_the_first_packets_say_the_layer_and_the_ssrc_afterwards() -> None:
    """A sender leaves the extension out once it has been heard; before, a packet without it belongs nowhere."""
    router, _ = new_router()
    router.add_source(PUBLISHER, FEED, STREAMS, is_publisher=True)
    feed = router.feed(FEED)
    top, low = RtpSource(30), RtpSource(10)
    send(router, PUBLISHER, top.frame(), 0.0)
    assert (received(feed), router.totals.packets_unrouted) == ([0, 0, 0, 0], 4)
    send(router, PUBLISHER, [with_rid(packet, "f") for packet in top.frame()], 0.0)
    send(router, PUBLISHER, [with_rid(low.frame()[0], "q")], 0.0)
    send(router, PUBLISHER, top.frame() + low.frame(), 0.0)
    send(router, PUBLISHER, [RtpSource(2, OPUS).audio()], 0.0)
    assert received(feed) == [5, 0, 8, 0]
    assert feed.layers["audio"][0].packets_received == 1


def test_a_rid_that_was_not_negotiated_belongs_nowhere() -> None:
    """Nor one that is no text; a malformed extension is malformed."""
    router, _ = new_router()
    router.add_source(PUBLISHER, FEED, STREAMS, is_publisher=True)
    packet = RtpSource(5).frame()[0]
    send(router, PUBLISHER, [with_rid(packet, "x"), with_rid(packet, "qq")], 0.0)
    torn = bytearray(with_rid(packet, "q"))
    torn[16], torn[17] = RID_ID << 4, 0xFF
    send(router, PUBLISHER, [bytes(torn)], 0.0)
    assert received(router.feed(FEED)) == [0, 0, 0, 0]
    torn[16] = RID_ID << 4 | 15
    with pytest.raises(WireError):
        router.handle_rtp(PUBLISHER, bytes(torn), 0.0)


def test_a_layer_may_come_under_another_ssrc() -> None:
    """An encoder that begins anew takes a new one; one that invents many is ignored beyond a few."""
    router, _ = new_router()
    router.add_source(PUBLISHER, FEED, STREAMS, is_publisher=True)
    for ssrc in range(100, 100 + 3 * MAX_UNKNOWN_SSRCS):
        send(router, PUBLISHER, [with_rid(RtpSource(ssrc).frame()[0], "h")], 0.0)
    assert router.totals.packets_received == MAX_UNKNOWN_SSRCS


def test_a_publisher_of_layers_may_send_more() -> None:
    """The lower layers come on top of what the best one may take; the estimate names them all."""
    router, _ = new_router()
    router.add_source(PUBLISHER, FEED, STREAMS, is_publisher=True)
    for ssrc, rid in ((10, "q"), (20, "h"), (30, "f")):
        send(router, PUBLISHER, [with_rid(packet, rid) for packet in RtpSource(ssrc).frame(keyframe=True)], 0.0)
    router.handle_timer(1.0)
    remb = next(packet for packet in rtcp_for(router, PUBLISHER) if isinstance(packet, Remb))
    assert (remb.bitrate_bps, remb.ssrcs) == (int(2_500_000 * SIMULCAST_SHARE), (10, 20, 30))


def test_a_keyframe_is_asked_of_the_layer_that_needs_it() -> None:
    """The others go on without one."""
    router, _ = new_router()
    router.add_source(PUBLISHER, FEED, STREAMS, is_publisher=True)
    sources = {"q": RtpSource(10), "h": RtpSource(20), "f": RtpSource(30)}
    for rid, source in sources.items():
        send(router, PUBLISHER, [with_rid(packet, rid) for packet in source.frame(keyframe=True)], 0.0)
    sources["h"].sequence_number += 2_000  # a gap too wide to repair
    send(router, PUBLISHER, sources["h"].frame(), 1.0)
    asked = [packet for packet in rtcp_for(router, PUBLISHER) if isinstance(packet, PictureLossIndication)]
    assert [packet.media_ssrc for packet in asked] == [20]
