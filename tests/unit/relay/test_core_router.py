"""Who sends what to whom: sources, subscribers, reports, deadlines."""

from __future__ import annotations

import pytest
from support.pure_relay import (
    FEED,
    H264,
    OPUS,
    VP8,
    RtpSource,
    add_publisher,
    add_receiver,
    new_router,
    plis_in,
    rtcp_for,
    send,
)

from relay.core.feed import Stream, Want
from relay.core.nack_register import REORDER_TOLERANCE_S
from relay.core.router import REPORT_INTERVAL_S
from relay.core.source import MAX_UNKNOWN_SSRCS
from relay.core.subscriber import ROUND_TRIP_INTERVAL_S
from relay.errors import WireError
from relay.fanout.interface import PeerSlot
from relay.wire.extended_report import DelaySinceLastReport, ReceiverReferenceTime
from relay.wire.rtcp import (
    GenericNack,
    PictureLossIndication,
    ReceiverReport,
    Remb,
    SenderReport,
    serialize_compound,
)

PUBLISHER, HALL = PeerSlot(0), PeerSlot(1)


def test_feeds_do_not_meet() -> None:
    """A subscriber gets its own feed, of its own conference, and no other."""
    router, fan_out = new_router()
    sources = {}
    for peer, key in ((10, FEED), (11, ("hn2026", "slides")), (12, ("other", "program"))):
        source = sources[peer] = RtpSource(peer)
        router.add_source(PeerSlot(peer), key, [Stream(kind="video", codecs=(VP8,), ssrcs=(peer,))], is_publisher=True)
        router.add_subscriber(
            PeerSlot(peer + 10), key, [Want(kind="video", codecs=(VP8,), ssrc=peer)], active=True, now=0.0
        )
        send(router, peer, source.frame(keyframe=True, packets=peer - 9), 0.0)
    assert {peer: len(sent) for peer, sent in fan_out.sent.items()} == {20: 1, 21: 2, 22: 3}
    assert [feed.key for feed in router.feeds()] == [FEED, ("hn2026", "slides"), ("other", "program")]


def test_a_source_without_ssrcs_is_known_by_its_payload_types() -> None:
    """Firefox names no SSRC with some offers; a source that invents many is ignored beyond a few."""
    router, fan_out = new_router()
    streams = [Stream(kind="video", codecs=(VP8,)), Stream(kind="audio", codecs=(OPUS,))]
    router.add_source(PUBLISHER, FEED, streams, is_publisher=True)
    add_receiver(router, HALL, 0xBBBB, 0.0)
    send(router, PUBLISHER, RtpSource(1).frame(keyframe=True), 0.0)
    send(router, PUBLISHER, [RtpSource(2, OPUS).audio()], 0.0)
    assert len(fan_out.sent[HALL]) == 4
    assert router.totals.packets_received == 5
    for ssrc in range(3, 100):
        send(router, PUBLISHER, [RtpSource(ssrc, OPUS).audio()], 0.0)
    assert router.totals.packets_received == 5 + MAX_UNKNOWN_SSRCS - 2
    assert router.totals.packets_unrouted == 97 - (MAX_UNKNOWN_SSRCS - 2)


def test_what_was_not_negotiated_is_not_routed() -> None:
    """Another payload type (RTX, say), a peer that is no source, a peer that is gone."""
    router, fan_out = new_router()
    source = RtpSource(1)
    add_publisher(router, PUBLISHER, source)
    add_receiver(router, HALL, 0xBBBB, 0.0)
    send(router, PUBLISHER, RtpSource(1, H264).frame(keyframe=True), 0.0)
    send(router, HALL, source.frame(keyframe=True), 0.0)
    router.remove_peer(PUBLISHER)
    send(router, PUBLISHER, source.frame(keyframe=True), 0.0)
    assert HALL not in fan_out.sent
    assert router.totals.packets_unrouted == 12


def test_malformed_rtp_raises_and_changes_nothing() -> None:
    """The track's numbering stays where it was."""
    router, fan_out = new_router()
    source = RtpSource(1)
    add_publisher(router, PUBLISHER, source)
    add_receiver(router, HALL, 0xBBBB, 0.0)
    send(router, PUBLISHER, source.frame(keyframe=True), 0.0)
    frame = source.frame()
    for broken in (b"", frame[0][:11], b"\x40" + frame[0][1:], bytes([0xA0]) + frame[0][1:-1] + b"\xff"):
        with pytest.raises(WireError):
            router.handle_rtp(PUBLISHER, broken, 0.0)
    send(router, PUBLISHER, frame, 0.0)
    assert [index for index, _ in fan_out.sent[HALL]] == list(range(8))


def test_a_publisher_hears_reports_and_an_estimate() -> None:
    """Once a second, after its first packet: a browser without an estimate stays at a few hundred kbit/s."""
    router, _ = new_router()
    source = RtpSource(0xAAAA)
    add_publisher(router, PUBLISHER, source)
    router.handle_timer(0.0)
    assert rtcp_for(router, PUBLISHER) == []
    frame = source.frame(keyframe=True)
    send(router, PUBLISHER, [frame[0], frame[1], frame[3]], 0.0)
    router.handle_rtcp(PUBLISHER, [SenderReport(0xAAAA, 0x1_2345_6789, 0, 4, 400)], 0.5)
    router.handle_timer(1.0)
    packets = rtcp_for(router, PUBLISHER)
    report = next(packet for packet in packets if isinstance(packet, ReceiverReport))
    assert (report.reports[0].ssrc, report.reports[0].packets_lost) == (0xAAAA, 1)
    assert report.reports[0].last_sr == 0x12345
    remb = next(packet for packet in packets if isinstance(packet, Remb))
    assert (remb.bitrate_bps, remb.ssrcs) == (2_500_000, (0xAAAA,))
    router.handle_timer(1.5)
    assert rtcp_for(router, PUBLISHER) == []


def test_a_parent_hears_reports_without_an_estimate() -> None:
    """A relay does not slow down for one child."""
    router, _ = new_router()
    source = RtpSource(0xAAAA)
    add_publisher(router, PUBLISHER, source, is_publisher=False)
    send(router, PUBLISHER, source.frame(keyframe=True), 0.0)
    router.handle_timer(1.0)
    assert [type(packet) for packet in rtcp_for(router, PUBLISHER)] == [ReceiverReport]


def test_sender_reports_reach_those_who_receive() -> None:
    """With the receiver's SSRC and its own counters; none before the first packet."""
    router, fan_out = new_router()
    source = RtpSource(0xAAAA, timestamp=500)
    add_publisher(router, PUBLISHER, source)
    add_receiver(router, HALL, 0xBBBB, 0.0)
    report = SenderReport(0xAAAA, 9 << 32, 500, 4, 400)
    router.handle_rtcp(PUBLISHER, [report], 0.0)
    assert fan_out.reports == {}
    send(router, PUBLISHER, source.frame(keyframe=True), 0.0)
    router.handle_rtcp(PUBLISHER, [report, SenderReport(0x9999, 1, 1, 1, 1)], 0.1)
    (passed,) = fan_out.reports[HALL]
    assert (passed.ssrc, passed.ntp_timestamp, passed.rtp_timestamp, passed.packet_count) == (0xBBBB, 9 << 32, 500, 4)


def test_a_receiver_learns_its_round_trip() -> None:
    """Its reference time comes back behind a report, to it alone, and not more often than some times a second."""
    router, fan_out = new_router()
    source = RtpSource(0xAAAA)
    add_publisher(router, PUBLISHER, source)
    add_receiver(router, HALL, 0xBBBB, 0.0)
    time = ReceiverReferenceTime(7, 0x1111_2222_3333_4444)
    router.handle_rtcp(HALL, [time], 0.0)
    assert fan_out.appended == {}, "nothing flows to it"
    send(router, PUBLISHER, source.frame(keyframe=True), 0.5)
    router.handle_rtcp(HALL, [time], 0.5)
    assert fan_out.appended == {}, "there is no report to send"
    router.handle_rtcp(PUBLISHER, [SenderReport(0xAAAA, 9 << 32, 0, 4, 400)], 0.5)
    before = len(fan_out.reports[HALL])
    for _ in range(3):
        router.handle_rtcp(HALL, [time], 1.0)
    answer = serialize_compound([DelaySinceLastReport(0xBBBB, 7, 0x2222_3333, 0)])
    assert fan_out.appended == {HALL: [answer]}
    assert len(fan_out.reports[HALL]) == before + 1
    router.handle_rtcp(HALL, [time], 1.0 + ROUND_TRIP_INTERVAL_S)
    assert fan_out.appended == {HALL: [answer, answer]}


def test_feedback_on_another_ssrc_changes_nothing() -> None:
    """NACK and PLI for what the receiver was not given are counted and that is all."""
    router, fan_out = new_router()
    source = RtpSource(0xAAAA)
    add_publisher(router, PUBLISHER, source)
    add_receiver(router, HALL, 0xBBBB, 0.0)
    send(router, PUBLISHER, source.frame(keyframe=True), 0.0)
    router.rtcp_to_send()
    router.handle_rtcp(HALL, [GenericNack(1, 0xAAAA, (0,)), PictureLossIndication(1, 0xAAAA)], 5.0)
    router.handle_rtcp(PeerSlot(99), [PictureLossIndication(1, 0xBBBB)], 5.0)
    assert plis_in(rtcp_for(router, PUBLISHER)) == 0
    assert len(fan_out.sent[HALL]) == 4
    assert (router.totals.nacks_received, router.totals.plis_received) == (1, 1)


def test_a_gap_too_wide_asks_for_a_keyframe() -> None:
    """More than a repair is worth."""
    router, _ = new_router()
    source = RtpSource(0xAAAA)
    add_publisher(router, PUBLISHER, source)
    send(router, PUBLISHER, source.frame(keyframe=True), 0.0)
    source.sequence_number += 2_000
    send(router, PUBLISHER, source.frame(), 0.1)
    assert plis_in(rtcp_for(router, PUBLISHER)) == 1


def test_deadlines_come_from_what_waits_and_only_from_that() -> None:
    """Idle: the next report. A half frame, a gap, a keyframe request that must wait: sooner, and never in the past."""
    router, _ = new_router()
    source = RtpSource(0xAAAA)
    add_publisher(router, PUBLISHER, source)
    router.handle_timer(10.0)
    assert router.next_deadline() == 10.0 + REPORT_INTERVAL_S
    frame = source.frame(keyframe=True)
    send(router, PUBLISHER, frame[:2], 10.0)
    assert router.next_deadline() == 10.005
    send(router, PUBLISHER, frame[2:], 10.001)
    router.handle_timer(10.005)
    assert router.next_deadline() == 11.0
    frame = source.frame()
    send(router, PUBLISHER, [frame[0], *frame[2:]], 10.1)
    router.handle_timer(10.105)
    assert 10.105 < router.next_deadline() <= 10.105 + REORDER_TOLERANCE_S
    send(router, PUBLISHER, [frame[1]], 10.106)
    router.handle_timer(10.2)
    assert router.next_deadline() == 11.0
    add_receiver(router, HALL, 0xBBBB, 10.2)
    assert router.next_deadline() == 11.0, "the cached group fits one slice"
    router.handle_rtcp(HALL, [PictureLossIndication(1, 0xBBBB)], 10.2)
    router.handle_rtcp(HALL, [PictureLossIndication(1, 0xBBBB)], 10.3)
    router.handle_timer(11.0)
    assert router.next_deadline() == 11.2
    router.handle_timer(11.2)
    assert router.next_deadline() == 12.0


def test_peers_go_without_a_trace() -> None:
    """A conference that is dropped names its peers; afterwards neither feed nor peer is known."""
    router, _ = new_router()
    source = RtpSource(0xAAAA)
    add_publisher(router, PUBLISHER, source)
    add_receiver(router, HALL, 0xBBBB, 0.0)
    send(router, PUBLISHER, source.frame(keyframe=True), 0.0)
    assert router.is_receiving(HALL)
    assert router.packets_sent(HALL) == 4
    assert sorted(router.drop_conference("hn2026")) == [PUBLISHER, HALL]
    assert router.feeds() == []
    assert not router.is_receiving(HALL)
    assert router.packets_sent(HALL) == 0
    router.remove_peer(HALL)
    router.set_rtt(PUBLISHER, 0.1)
    assert router.drop_conference("hn2026") == []
