"""No SRTP index is ever used for two contents, whatever the sources, the subscribers and the network do.

The recording fan-out holds each packet against all that it sent before to the same peer and SSRC (RFC 3711 section
9.1); these runs are what it is fed with.
"""

from __future__ import annotations

import random

import pytest
from support.pure_relay import H264, VP8, RtpSource, add_publisher, add_receiver, new_router, rtcp_for, send

from relay.fanout.interface import PeerSlot
from relay.wire.rtcp import GenericNack

HALLS = (1, 2, 3, 4)
LINK = 4  # the last is a child relay
SECONDS = 30


@pytest.mark.parametrize("seed", range(6))
def test_random_lives(seed: int) -> None:
    """Halls and a link stand by and come back, packets are late, lost or doubled, numbers wrap, sources change."""
    rng = random.Random(seed)
    router, fan_out = new_router()
    publisher = 10
    source = RtpSource(1_000, sequence_number=rng.choice((0, 30_000, 64_000)), timestamp=rng.randrange(1 << 32))
    add_publisher(router, publisher, source)
    for hall in HALLS:
        add_receiver(router, hall, 2_000 + hall, 0.0, active=rng.random() < 0.5, keeps_numbers=hall == LINK)
    delayed: list[tuple[float, bytes]] = []
    now = 0.0
    for step in range(SECONDS * 30):
        now = step / 30
        keyframe = rng.random() < 0.1
        for packet in source.frame(keyframe=keyframe, packets=rng.randrange(1, 30)):
            chance = rng.random()
            if chance < 0.05:
                delayed.append((now + rng.uniform(0, 0.3), packet))
            elif chance < 0.95:
                send(router, publisher, [packet], now)
            if chance > 0.90:
                send(router, publisher, [packet], now)
        due = [packet for at, packet in delayed if at <= now]
        delayed = [(at, packet) for at, packet in delayed if at > now]
        rng.shuffle(due)
        send(router, publisher, [packet for packet in due if packet[8:12] == source.ssrc.to_bytes(4, "big")], now)
        router.handle_timer(now)
        send(router, publisher, source.answer(rtcp_for(router, publisher)), now)
        hall = rng.choice(HALLS)
        router.set_active(PeerSlot(hall), active=rng.random() < 0.5, now=now)
        hall = rng.choice(HALLS)
        lost = tuple(rng.randrange(65_536) for _ in range(5))
        recent = fan_out.sent.get(PeerSlot(hall), [])[-200:]
        lost += tuple(index & 0xFFFF for index, _ in rng.sample(recent, min(10, len(recent))))
        lost += tuple((index - 400) & 0xFFFF for index, _ in recent[:3])
        router.handle_rtcp(PeerSlot(hall), [GenericNack(1, 2_000 + hall, lost)], now)
        if rng.random() < 0.01:
            router.remove_peer(PeerSlot(publisher))
            publisher += 1
            source = RtpSource(
                1_000 + publisher,
                rng.choice((VP8, H264)),
                sequence_number=rng.randrange(65_536),
                timestamp=rng.randrange(1 << 32),
            )
            add_publisher(router, publisher, source)
    for hall in HALLS:
        indexes = [index for index, _ in fan_out.sent[PeerSlot(hall)]]
        assert max(indexes) > 1_000
        assert min(indexes) < 65_536, "the roll-over counter begins at 0"


@pytest.mark.parametrize("first_number", [0, 40_000, 65_530, 65_480])
def test_a_hall_begins_far_from_the_wrap(first_number: int) -> None:
    """Its first number is in the lower half, so that losses at the beginning never hide a wrap from it."""
    router, fan_out = new_router()
    source = RtpSource(1_000, sequence_number=first_number)
    add_publisher(router, 10, source)
    add_receiver(router, 1, 2_001, 0.0)
    send(router, 10, source.frame(keyframe=True), 0.0)
    first, _ = fan_out.sent[PeerSlot(1)][0]
    assert first < 1 << 15


def test_a_link_keeps_the_numbers_and_waits_for_the_wrap() -> None:
    """A child's sequence numbers are those of the track; near the wrap it begins behind it, with counter 0."""
    router, fan_out = new_router()
    source = RtpSource(1_000, sequence_number=65_500)
    add_publisher(router, 10, source)
    add_receiver(router, 1, 2_001, 0.0, keeps_numbers=True)
    for step in range(20):
        send(router, 10, source.frame(), step / 30)
    indexes = [index for index, _ in fan_out.sent[PeerSlot(1)]]
    assert indexes == list(range(80 - 36))


def test_a_link_that_stood_by_for_long_begins_behind_its_last_number() -> None:
    """After more packets than a receiver can tell rounds by, the link is numbered on without a gap."""
    router, fan_out = new_router()
    source = RtpSource(1_000)
    add_publisher(router, 10, source)
    add_receiver(router, 1, 2_001, 0.0, keeps_numbers=True)
    send(router, 10, source.frame(), 0.0)
    router.set_active(PeerSlot(1), active=False, now=0.0)
    send(router, 10, source.frame(packets=10), 0.0)
    router.set_active(PeerSlot(1), active=True, now=0.0)
    send(router, 10, source.frame(), 0.0)
    router.set_active(PeerSlot(1), active=False, now=0.0)
    for step in range(1_000):
        send(router, 10, source.frame(packets=20), step / 30)
    router.set_active(PeerSlot(1), active=True, now=40.0)
    send(router, 10, source.frame(), 40.0)
    indexes = [index for index, _ in fan_out.sent[PeerSlot(1)]]
    assert indexes == [0, 1, 2, 3, 14, 15, 16, 17, 18, 19, 20, 21]
