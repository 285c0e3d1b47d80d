"""However many halls ask, a source hears of at most one keyframe request a second."""

from __future__ import annotations

import itertools
import random

from support.pure_relay import RtpSource, add_publisher, add_receiver, new_router, plis_in, rtcp_for, send

from relay.fanout.interface import PeerSlot
from relay.wire.rtcp import FullIntraRequest, PictureLossIndication

PUBLISHER = 0
JOINERS = 500


def test_a_join_storm_costs_one_keyframe_a_second() -> None:
    """500 halls join within five seconds, and each asks three times besides; a slow encoder hears six requests."""
    rng = random.Random(1)
    router, fan_out = new_router()
    source = RtpSource(0xAAAA)
    add_publisher(router, PUBLISHER, source)
    send(router, PUBLISHER, source.frame(keyframe=True), 0.0)
    router.rtcp_to_send()
    joins = sorted((rng.uniform(0, 5), peer) for peer in range(1, JOINERS + 1))
    asks = sorted((at + rng.uniform(0, 1), peer) for at, peer in joins for _ in range(3))
    heard: list[float] = []
    joined: set[int] = set()
    keyframe_at = float("inf")
    for step in range(700):
        now = step / 100
        while joins and joins[0][0] <= now:
            _, peer = joins.pop(0)
            add_receiver(router, peer, 10_000 + peer, now)
            joined.add(peer)
        while asks and asks[0][0] <= now:
            _, peer = asks.pop(0)
            ssrc = 10_000 + peer
            ask = PictureLossIndication(1, ssrc) if rng.random() < 0.5 else FullIntraRequest(1, ((ssrc, 0),))
            router.handle_rtcp(PeerSlot(peer), [ask], now)
        if step % 3 == 0:
            send(router, PUBLISHER, source.frame(keyframe=now >= keyframe_at), now)
            if now >= keyframe_at:
                keyframe_at = float("inf")
        router.handle_timer(now)
        for _ in range(plis_in(rtcp_for(router, PUBLISHER))):
            heard.append(now)
            keyframe_at = min(keyframe_at, now + 0.2)
    gaps = [later - earlier for earlier, later in itertools.pairwise(heard)]
    assert all(gap > 0.999 for gap in gaps), gaps
    assert 5 <= len(heard) <= 8
    assert router.totals.plis_received == 3 * JOINERS
    assert all(PeerSlot(peer) in fan_out.sent for peer in joined), "and every joiner got its picture"


def test_a_hall_that_waits_is_asked_for_again() -> None:
    """A request that was lost is repeated every second for as long as somebody waits, and not after that."""
    router, _ = new_router()
    source = RtpSource(0xAAAA)
    add_publisher(router, PUBLISHER, source)
    send(router, PUBLISHER, source.frame(keyframe=True)[1:], 0.0)
    add_receiver(router, 1, 0xBBBB, 0.0)
    heard = 0
    for step in range(1, 101):
        now = step / 30
        send(router, PUBLISHER, source.frame(), now)
        router.handle_timer(now)
        heard += plis_in(rtcp_for(router, PUBLISHER))
    assert heard == 4
    send(router, PUBLISHER, source.frame(keyframe=True), 3.4)
    for step in range(103, 200):
        send(router, PUBLISHER, source.frame(), step / 30)
        router.handle_timer(step / 30)
    assert plis_in(rtcp_for(router, PUBLISHER)) == 0
