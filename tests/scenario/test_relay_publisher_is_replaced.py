"""A publisher that comes back with other numbers continues the stream that receivers have."""

from __future__ import annotations

import itertools

import pytest
from support.pure_relay import (
    FEED,
    H264,
    Receiver,
    RtpSource,
    add_publisher,
    add_receiver,
    new_router,
    payloads_of,
    rtcp_for,
    send,
)

from relay.core.feed import Want
from relay.fanout.interface import PeerSlot
from relay.wire.rtcp import GenericNack, SenderReport
from relay.wire.rtp import parse_rtp_header

HALL = PeerSlot(1)


def test_receivers_see_one_stream() -> None:
    """One SSRC, no gap in the sequence numbers, and a timestamp that tells how long the publisher was away."""
    router, fan_out = new_router()
    first, second = (
        RtpSource(1_000, sequence_number=65_533),
        RtpSource(2_000, sequence_number=9, timestamp=4_000_000_000),
    )
    add_publisher(router, 10, first)
    receiver = Receiver(0xBBBB)
    add_receiver(router, HALL, receiver.ssrc, 0.0)
    before = first.frame(keyframe=True) + first.frame()
    send(router, 10, before, 0.0)
    router.remove_peer(PeerSlot(10))
    add_publisher(router, 11, second)
    after = second.frame(keyframe=True) + second.frame()
    send(router, 11, after, 2.0)
    for _, packet in fan_out.sent[HALL]:
        receiver.handle(packet, 2.0)
    assert receiver.payloads() == payloads_of(before + after)
    assert sorted(receiver.packets) == list(range(min(receiver.packets), min(receiver.packets) + 16))
    stamps = [parse_rtp_header(receiver.packets[index]).timestamp for index in sorted(receiver.packets)]
    assert stamps[8] - stamps[7] == 2 * 90_000
    assert stamps[12] - stamps[8] == 3_000

    router.rtcp_to_send()
    router.handle_rtcp(PeerSlot(11), [SenderReport(2_000, 5 << 32, 4_000_003_000, 8, 800)], 2.1)
    (report,) = fan_out.reports[HALL]
    assert (report.ssrc, report.ntp_timestamp) == (0xBBBB, 5 << 32)
    assert report.rtp_timestamp == stamps[12], "sender reports follow the shifted clock"
    assert report.packet_count == 16


def test_a_packet_from_before_the_new_beginning_is_refused() -> None:
    """Reordered at its start, a new source would otherwise fill gaps that the old one left."""
    router, fan_out = new_router()
    first, second = RtpSource(1_000), RtpSource(2_000, sequence_number=30_000, timestamp=4_000_000_000)
    add_publisher(router, 10, first)
    add_receiver(router, HALL, 0xBBBB, 0.0)
    frame = first.frame(keyframe=True)
    send(router, 10, [*frame[:2], frame[3]], 0.0)
    router.remove_peer(PeerSlot(10))
    add_publisher(router, 11, second)
    frame = second.frame(keyframe=True)
    send(router, 11, [frame[2], frame[1], frame[0], frame[3]], 1.0)
    router.handle_timer(1.1)
    assert [index for index, _ in fan_out.sent[HALL]] == [0, 1, 3, 4, 5]


def test_nacks_go_to_the_new_source_in_its_own_numbers() -> None:
    """The relay asks for what the source sent, not for what it became."""
    router, _ = new_router()
    first, second = RtpSource(1_000), RtpSource(2_000, sequence_number=65_535, timestamp=4_000_000_000)
    add_publisher(router, 10, first)
    send(router, 10, first.frame(keyframe=True), 0.0)
    router.remove_peer(PeerSlot(10))
    add_publisher(router, 11, second)
    frame = second.frame(keyframe=True)
    send(router, 11, [frame[0], frame[3]], 1.0)
    router.handle_timer(1.02)
    nacks = [packet for packet in rtcp_for(router, 11) if isinstance(packet, GenericNack)]
    assert [nack.lost for nack in nacks] == [(0, 1)]


def test_a_source_that_changes_codec_begins_anew_at_a_keyframe() -> None:
    """The end of the old frame still goes out; then nothing until a keyframe of the new codec, in its payload type."""
    router, fan_out = new_router()
    first, second = RtpSource(1_000), RtpSource(2_000, H264, sequence_number=500, timestamp=77)
    add_publisher(router, 10, first)
    receiver = Receiver(0xBBBB)
    add_receiver(router, HALL, receiver.ssrc, 0.0)
    old = first.frame(keyframe=True)
    send(router, 10, old[:3], 0.0)  # the last packet of the frame has not come
    router.remove_peer(PeerSlot(10))
    add_publisher(router, 11, second)
    send(router, 11, second.frame(), 0.5)
    assert not router.is_receiving(HALL)
    new = second.frame(keyframe=True)
    send(router, 11, new, 0.6)
    for _, packet in fan_out.sent[HALL]:
        receiver.handle(packet, 0.6)
    assert receiver.payloads() == payloads_of(old[:3] + new)
    assert [receiver.headers[index].payload_type for index in sorted(receiver.headers)] == [96] * 3 + [102] * 4
    assert sorted(receiver.packets) == list(range(7)), "without a gap"


def test_a_receiver_without_the_new_codec_is_sent_nothing_until_the_old_one_returns() -> None:
    """It is not lost from the track: back to its codec, it begins again at a keyframe."""
    router, fan_out = new_router()
    first, second = RtpSource(1_000, H264), RtpSource(2_000, sequence_number=500, timestamp=77)
    add_publisher(router, 10, first)
    want = Want(kind="video", codecs=(H264,), ssrc=0xBBBB)
    router.add_subscriber(HALL, FEED, [want], active=True, now=0.0)
    send(router, 10, first.frame(keyframe=True), 0.0)
    router.remove_peer(PeerSlot(10))
    add_publisher(router, 11, second)
    send(router, 11, second.frame(keyframe=True), 0.5)
    router.set_active(HALL, active=False, now=0.5)
    router.set_active(HALL, active=True, now=0.5)
    assert len(fan_out.sent[HALL]) == 4
    router.remove_peer(PeerSlot(11))
    third = RtpSource(3_000, H264, sequence_number=9_000, timestamp=1 << 31)
    add_publisher(router, 12, third)
    send(router, 12, third.frame() + third.frame(keyframe=True), 1.0)
    assert len(fan_out.sent[HALL]) == 8
    assert [index for index, _ in fan_out.sent[HALL]] == list(range(8))


@pytest.mark.parametrize("away_s", [2, 40, 100, 200])
def test_a_publisher_that_counted_on_meanwhile_keeps_its_numbers(away_s: int) -> None:
    """It fed another origin all the while. A new link carries its own numbers again; a hall sees no gap in its own."""
    router, fan_out = new_router()
    source = RtpSource(1_000, sequence_number=500)
    add_publisher(router, 10, source)
    receiver = Receiver(0xBBBB)
    add_receiver(router, HALL, receiver.ssrc, 0.0)
    before = source.frame(keyframe=True)
    send(router, 10, before, 0.0)
    router.remove_peer(PeerSlot(10))
    for _ in range(30 * away_s):
        source.frame(packets=8)
    add_publisher(router, 11, source)
    add_receiver(router, 2, 0xCCCC, float(away_s), keeps_numbers=True)
    after = source.frame(keyframe=True) + source.frame()
    send(router, 11, after, float(away_s))
    router.handle_timer(away_s + 0.01)
    link = [parse_rtp_header(packet) for _, packet in fan_out.sent[PeerSlot(2)]]
    own = [parse_rtp_header(packet) for packet in after]
    assert [(each.sequence_number, each.timestamp) for each in link] == [
        (each.sequence_number, each.timestamp) for each in own
    ]
    for _, packet in fan_out.sent[HALL]:
        receiver.handle(packet, float(away_s))
    assert receiver.payloads() == payloads_of(before + after)
    steps = {later - earlier for earlier, later in itertools.pairwise(sorted(receiver.packets))}
    assert max(steps) <= 4_096, "SRTP follows no jump of half a round"
