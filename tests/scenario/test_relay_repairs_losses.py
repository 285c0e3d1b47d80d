"""Losses on the way to a relay and on the way from it are repaired hop by hop, from the caches."""

from __future__ import annotations

import random

import pytest
from support.pure_relay import (
    VP8,
    Receiver,
    RtpSource,
    add_publisher,
    add_receiver,
    new_router,
    payload_of,
    payloads_of,
    rtcp_for,
    send,
    survive,
)

from relay.fanout.interface import PeerSlot
from relay.wire.rtcp import GenericNack
from relay.wire.rtp import parse_rtp_header

PUBLISHER, HALL = 0, 1
STEP_S = 0.005


@pytest.mark.parametrize("rtx_ssrc", [-1, 0xCCCC], ids=["plain", "rtx"])
@pytest.mark.parametrize("seed", range(4))
def test_every_packet_arrives_in_spite_of_loss_on_both_hops(seed: int, rtx_ssrc: int) -> None:
    """A tenth is lost on each hop, resends too; in the end the hall has the source's payloads, each once, in order."""
    rng = random.Random(seed)
    router, fan_out = new_router()
    source = RtpSource(0xAAAA, sequence_number=65_400)
    add_publisher(router, PUBLISHER, source)
    receiver = Receiver(0xBBBB, rtx_ssrc=rtx_ssrc)
    add_receiver(router, HALL, receiver.ssrc, 0.0, rtx_ssrc=rtx_ssrc)
    now = 0.0
    published: list[bytes] = []

    loss = 0.0  # the first and the last frame arrive whole: nobody can miss what he never heard of

    def carry(packet: bytes) -> None:
        if rng.random() >= loss:
            receiver.handle(packet, now)

    fan_out.on_sent[PeerSlot(HALL)] = carry
    for step in range(800):
        now = step * STEP_S
        if step % 6 == 0 and step <= 600:
            loss = 0.0 if step in {0, 600} else 0.1
            frame = source.frame(keyframe=step % 120 == 0)
            published += frame
            send(router, PUBLISHER, survive(frame, rng, loss), now)
        loss = 0.1
        router.handle_timer(now)
        send(router, PUBLISHER, survive(source.answer(rtcp_for(router, PUBLISHER)), rng, loss), now)
        router.handle_rtcp(PeerSlot(HALL), receiver.poll(now), now)
    assert receiver.payloads() == payloads_of(published)
    assert router.totals.nacks_sent > 0
    assert router.totals.packets_resent > 0
    assert receiver.nacks.lost == 0
    assert bool(receiver.retransmitted) == (rtx_ssrc >= 0)


def test_a_resend_equals_the_first_send() -> None:
    """A NACK brings the same bytes, padding and all; what the cache lost or never had brings nothing."""
    router, fan_out = new_router()
    source = RtpSource(0xAAAA)
    add_publisher(router, PUBLISHER, source)
    receiver = Receiver(0xBBBB)
    add_receiver(router, HALL, receiver.ssrc, 0.0)
    send(router, PUBLISHER, source.frame(keyframe=True), 0.0)
    sent = list(fan_out.sent[PeerSlot(HALL)])
    receiver.handle(sent[0][1], 0.0)
    receiver.handle(sent[3][1], 0.0)
    router.handle_rtcp(PeerSlot(HALL), receiver.poll(0.02), 0.02)
    assert fan_out.sent[PeerSlot(HALL)][4:] == sent[1:3]
    assert router.totals.packets_resent == 2


def test_rtx_has_numbers_of_its_own() -> None:
    """Asked twice, a packet comes twice, under numbers that grow; a standby in between begins none of them anew."""
    router, fan_out = new_router()
    source = RtpSource(0xAAAA, sequence_number=65_530)
    add_publisher(router, PUBLISHER, source)
    add_receiver(router, HALL, 0xBBBB, 0.0, rtx_ssrc=0xCCCC)
    hall = PeerSlot(HALL)
    for _ in range(4):
        send(router, PUBLISHER, source.frame(keyframe=True), 0.0)
    sent = list(fan_out.sent[hall])
    numbers = [index & 0xFFFF for index, _ in sent[2:5]]
    for attempt in range(3):
        router.handle_rtcp(hall, [GenericNack(1, 0xBBBB, tuple(numbers))], 1.0)
        if attempt == 1:
            router.set_active(hall, active=False, now=1.0)
            router.set_active(hall, active=True, now=1.0)
            send(router, PUBLISHER, source.frame(keyframe=True), 1.0)
            live = [index & 0xFFFF for index, data in fan_out.sent[hall] if parse_rtp_header(data).ssrc == 0xBBBB]
            numbers = live[-3:]
    repaired = [(index, data) for index, data in fan_out.sent[hall] if parse_rtp_header(data).ssrc == 0xCCCC]
    assert [index for index, _ in repaired] == list(range(9))
    assert {parse_rtp_header(data).payload_type for _, data in repaired} == {VP8.payload_type + 1}
    for (_, data), (_, original) in zip(repaired[:3], sent[2:5], strict=True):
        assert payload_of(data) == original[2:4] + payload_of(original)
        assert data[4:8] == original[4:8], "the timestamp of the original"
        assert data[1] & 0x80 == original[1] & 0x80, "and its marker"
    assert router.totals.packets_resent == 9


def test_what_the_cache_lost_is_not_repaired() -> None:
    """Nor what was never sent, nor what another codec than the negotiated ones carries."""
    router, fan_out = new_router()
    source = RtpSource(0xAAAA)
    add_publisher(router, PUBLISHER, source)
    add_receiver(router, HALL, 0xBBBB, 0.0, rtx_ssrc=0xCCCC)
    send(router, PUBLISHER, source.frame(keyframe=True), 0.0)
    before = len(fan_out.sent[PeerSlot(HALL)])
    router.handle_rtcp(PeerSlot(HALL), [GenericNack(1, 0xBBBB, (4, 5, 30_000, 65_535))], 1.0)
    assert len(fan_out.sent[PeerSlot(HALL)]) == before
    assert router.totals.packets_resent == 0


def test_nacks_keep_the_round_trip_to_a_parent_apart() -> None:
    """A source 300 ms away is asked again after 300 ms, not after 40."""
    router, _ = new_router()
    source = RtpSource(0xAAAA)
    add_publisher(router, PUBLISHER, source)
    router.set_rtt(PeerSlot(PUBLISHER), 0.3)
    packets = source.frame(keyframe=True)
    send(router, PUBLISHER, [packets[0], packets[2]], 0.0)
    asked = []
    for step in range(100):
        now = step * 0.01
        router.handle_timer(now)
        if source.answer(rtcp_for(router, PUBLISHER)):
            asked.append(round(now, 2))
    assert asked == [0.01, 0.31, 0.61, 0.91]
