"""Two parents deliver one feed to a child at once: one stream comes out, and each thing is asked or told once."""

from __future__ import annotations

import random

import pytest
from support.pure_relay import (
    Receiver,
    RtpSource,
    add_publisher,
    add_receiver,
    new_router,
    payloads_of,
    plis_in,
    send,
)

from relay.core.inbound import DELIVERS_S
from relay.fanout.interface import PeerSlot
from relay.wire.rtcp import GenericNack, PictureLossIndication, SenderReport

A, B, HALL = 20, 21, PeerSlot(1)


class Child:
    """A child below two parents that carry the same packets; parent b names another SSRC."""

    def __init__(self, *, first_number: int = 0) -> None:
        self.router, self.fan_out = new_router()
        self.source = RtpSource(0xA, sequence_number=first_number)
        for peer, ssrc in ((A, 0xA), (B, 0xB)):
            add_publisher(self.router, peer, RtpSource(ssrc), is_publisher=False)
        self.receiver = Receiver(0xBBBB)
        add_receiver(self.router, HALL, self.receiver.ssrc, 0.0)
        self.published: list[bytes] = []

    def frame(self, *, keyframe: bool = False) -> list[bytes]:
        """The next frame of the source."""
        made = self.source.frame(keyframe=keyframe)
        self.published += made
        return made

    def arrive(self, peer: int, packets: list[bytes], now: float) -> None:
        """Packets come from a parent."""
        ssrc = (0xA if peer == A else 0xB).to_bytes(4, "big")
        send(self.router, peer, [packet[:8] + ssrc + packet[12:] for packet in packets], now)

    def shown(self) -> list[bytes]:
        """What the hall got; nothing twice."""
        indexes = [index for index, _ in self.fan_out.sent[HALL]]
        assert len(indexes) == len(set(indexes))
        for _, packet in self.fan_out.sent[HALL]:
            self.receiver.handle(packet, 0.0)
        return self.receiver.payloads()

    def asked(self) -> dict[int, list[object]]:
        """RTCP that waits, by peer."""
        found: dict[int, list[object]] = {}
        for slot, packets in self.router.rtcp_to_send():
            found.setdefault(slot, []).extend(packets)
        return found


def nacked(asked: dict[int, list[object]]) -> dict[int, list[int]]:
    """Numbers asked for, by parent."""
    return {
        peer: [number for packet in packets if isinstance(packet, GenericNack) for number in packet.lost]
        for peer, packets in asked.items()
        if any(isinstance(packet, GenericNack) for packet in packets)
    }


@pytest.mark.parametrize("seed", range(6))
def test_what_one_loses_the_other_brings(seed: int) -> None:
    """A tenth is lost on each way, one is 30 ms behind, packets change places: the hall misses only what both lost."""
    rng = random.Random(seed)
    child = Child(first_number=rng.choice((0, 65_400)))
    on_way: list[tuple[float, int, bytes]] = []
    lost_by_both: list[bytes] = []
    for number in range(120):
        now = number / 30
        for packet in child.frame(keyframe=number == 0):
            kept = [peer for peer in (A, B) if number == 0 or rng.random() >= 0.1]
            lost_by_both += [] if kept else [packet]
            on_way += [(now + (0.03 if peer == B else 0.0) + rng.uniform(0, 0.008), peer, packet) for peer in kept]
        due = sorted(each for each in on_way if each[0] <= now + 0.02)
        on_way = [each for each in on_way if each[0] > now + 0.02]
        for at, peer, packet in due:
            child.arrive(peer, [packet], at)
        child.router.handle_timer(now + 0.02)
    for at, peer, packet in sorted(on_way):
        child.arrive(peer, [packet], at)
    child.router.handle_timer(5.0)
    assert child.shown() == payloads_of([packet for packet in child.published if packet not in lost_by_both])


def test_what_the_other_brought_is_not_asked_for() -> None:
    """A packet that a did not bring and b did is not missing; one that neither brought is asked of one of them."""
    child = Child()
    first = child.frame(keyframe=True)
    child.arrive(A, first, 0.0)
    child.arrive(B, first, 0.0)
    frame = child.frame()
    child.arrive(A, frame[2:], 0.033)
    child.arrive(B, [frame[1]], 0.034)
    child.router.handle_timer(0.050)
    requests = nacked(child.asked())
    assert list(requests.values()) == [[4]]
    child.router.handle_timer(0.100)
    again = nacked(child.asked())
    assert list(again.values()) == [[4]]
    assert again.keys() != requests.keys(), "the other parent may have what the first one lacks"


def test_a_parent_that_is_silent_is_not_asked() -> None:
    """NACKs and keyframe requests go to the one that delivers."""
    child = Child()
    frame = child.frame(keyframe=True)
    child.arrive(A, frame, 0.0)
    child.arrive(B, frame, 0.0)
    now = DELIVERS_S + 0.1
    child.arrive(B, child.frame()[1:], now)
    child.router.handle_timer(now + 0.02)
    child.router.handle_rtcp(HALL, [PictureLossIndication(1, 0xBBBB)], now + 0.02)
    asked = child.asked()
    assert nacked(asked) == {B: [4]}
    assert sum(isinstance(packet, PictureLossIndication) for packet in asked[B]) == 1
    assert not any(isinstance(packet, PictureLossIndication) for packet in asked.get(A, []))


def test_a_keyframe_is_asked_of_one_parent() -> None:
    """Both would ask the same origin; before the first packet nobody knows which delivers, and both are asked."""
    child = Child()
    child.router.handle_rtcp(HALL, [PictureLossIndication(1, 0xBBBB)], 0.0)
    assert child.router.totals.plis_sent == 2
    frame = child.frame(keyframe=True)
    child.arrive(A, frame, 0.0)
    child.arrive(B, frame, 0.0)
    child.router.rtcp_to_send()
    child.router.handle_rtcp(HALL, [PictureLossIndication(1, 0xBBBB)], 1.5)
    assert child.router.totals.plis_sent == 3
    assert sum(plis_in(packets) for _, packets in child.router.rtcp_to_send()) == 1


def test_sender_reports_are_passed_on_once() -> None:
    """Those of the first parent that delivers; the other's once it is alone."""
    child = Child()
    frame = child.frame(keyframe=True)
    for at in (0.0, 0.5):
        child.arrive(A, frame, at)
        child.arrive(B, frame, at)
    for peer, ssrc in ((A, 0xA), (B, 0xB)):
        child.router.handle_rtcp(PeerSlot(peer), [SenderReport(ssrc, 1 << 32, 0, 8, 800)], 0.5)
    assert len(child.fan_out.reports[HALL]) == 1
    child.router.remove_peer(PeerSlot(A))
    child.router.handle_rtcp(PeerSlot(B), [SenderReport(0xB, 2 << 32, 0, 8, 800)], 0.6)
    assert len(child.fan_out.reports[HALL]) == 2


def test_a_parent_that_numbers_otherwise_is_not_merged() -> None:
    """It waits until the first is silent; then its stream goes on where that one ended."""
    child = Child()
    stranger = RtpSource(0xB, sequence_number=30_000, timestamp=1 << 30)
    child.arrive(A, child.frame(keyframe=True), 0.0)
    send(child.router, B, stranger.frame(keyframe=True), 0.01)
    child.arrive(A, child.frame(), 0.033)
    assert child.shown() == payloads_of(child.published)
    after = stranger.frame(keyframe=True)
    send(child.router, B, after, 0.033 + DELIVERS_S + 0.1)
    assert child.shown() == payloads_of(child.published + after)
