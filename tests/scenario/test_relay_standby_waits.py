"""A standby is sent nothing; once it is active it begins at a keyframe, the last one or the next."""

from __future__ import annotations

from support.pure_relay import (
    Receiver,
    RtpSource,
    add_publisher,
    add_receiver,
    new_router,
    payloads_of,
    plis_in,
    rtcp_for,
    send,
)

from relay.fanout.interface import PeerSlot
from relay.wire.rtcp import GenericNack, PictureLossIndication, SenderReport

PUBLISHER, HALL = 0, PeerSlot(1)


def test_a_standby_is_sent_nothing_and_begins_at_a_keyframe() -> None:
    """No media, no resend and no report before it is active; then the next keyframe and all that follows."""
    router, fan_out = new_router()
    source = RtpSource(0xAAAA)
    add_publisher(router, PUBLISHER, source)
    add_receiver(router, HALL, 0xBBBB, 0.0, active=False)
    send(router, PUBLISHER, source.frame(keyframe=True)[1:], 0.0)
    send(router, PUBLISHER, source.frame(), 0.03)
    router.handle_rtcp(HALL, [GenericNack(1, 0xBBBB, (0, 1, 2, 3))], 0.05)
    router.handle_rtcp(PeerSlot(PUBLISHER), [SenderReport(0xAAAA, 1 << 32, 0, 8, 800)], 0.05)
    assert rtcp_for(router, HALL) == []
    assert HALL not in fan_out.reports
    assert HALL not in fan_out.sent
    assert not router.is_receiving(HALL)

    router.set_active(HALL, active=True, now=0.1)
    assert plis_in(rtcp_for(router, PUBLISHER)) == 1
    send(router, PUBLISHER, source.frame(), 0.1)
    assert HALL not in fan_out.sent, "a decoder cannot begin here"
    begin = source.frame(keyframe=True) + source.frame()
    send(router, PUBLISHER, begin, 0.13)
    receiver = Receiver(0xBBBB)
    for _, packet in fan_out.sent[HALL]:
        receiver.handle(packet, 0.2)
    assert receiver.payloads() == payloads_of(begin)
    assert router.is_receiving(HALL)


def test_an_active_hall_that_stands_by_is_sent_nothing_more() -> None:
    """The last packet goes out before; its counter of packets stays."""
    router, fan_out = new_router()
    source = RtpSource(0xAAAA)
    add_publisher(router, PUBLISHER, source)
    add_receiver(router, HALL, 0xBBBB, 0.0)
    send(router, PUBLISHER, source.frame(keyframe=True), 0.0)
    router.set_active(HALL, active=False, now=0.1)
    send(router, PUBLISHER, source.frame(keyframe=True), 0.1)
    router.handle_rtcp(HALL, [GenericNack(1, 0xBBBB, (0,))], 0.1)
    assert len(fan_out.sent[HALL]) == router.packets_sent(HALL) == 4
    router.set_active(HALL, active=True, now=0.2)
    send(router, PUBLISHER, source.frame(keyframe=True), 0.2)
    assert router.packets_sent(HALL) == 12, "the keyframe of the pause, which it has not been shown, and the new one"


def test_a_keyframe_request_of_a_standby_reaches_the_source_once() -> None:
    """A standby may ask (a child's own halls wait, say); it is one request among others."""
    router, _ = new_router()
    source = RtpSource(0xAAAA)
    add_publisher(router, PUBLISHER, source)
    add_receiver(router, HALL, 0xBBBB, 0.0, active=False)
    send(router, PUBLISHER, source.frame(keyframe=True), 0.0)
    for _ in range(5):
        router.handle_rtcp(HALL, [PictureLossIndication(1, 0xBBBB)], 0.1)
    assert plis_in(rtcp_for(router, PUBLISHER)) == 1
