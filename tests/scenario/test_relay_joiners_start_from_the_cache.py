"""A joiner is sent the cached group of pictures in slices, then what is live: nothing twice, nothing left out."""

from __future__ import annotations

import random

import pytest
from support.pure_relay import (
    AV1,
    FEED,
    H264,
    OPUS,
    VP8,
    VP9,
    Receiver,
    RecordingFanOut,
    RtpSource,
    add_publisher,
    add_receiver,
    new_router,
    payloads_of,
    plis_in,
    rtcp_for,
    send,
)

from relay.core.catch_up import FIRST_OCTETS, MAX_GROUP_AGE_S, MAX_OCTETS_PER_S
from relay.core.feed import Stream, Want
from relay.core.pacer import MIN_OCTETS_PER_S
from relay.fanout.interface import PeerSlot
from relay.wire.rtcp import GenericNack, SenderReport
from relay.wire.sdp import Codec

PUBLISHER, HALL, EARLY = 0, PeerSlot(1), PeerSlot(2)
FRAMES_BEFORE = 40
FRAME_S = 1 / 30
PLACES = MAX_OCTETS_PER_S // MIN_OCTETS_PER_S


class Scene:
    """A publisher whose only keyframe is its first, and a hall that saw it; other halls come later."""

    def __init__(self, codec: Codec = VP8, *, first_number: int = 0) -> None:
        self.router, self.fan_out = new_router()
        self.source = RtpSource(0xAAAA, codec, sequence_number=first_number, payload_words=250)
        self.published: list[bytes] = []
        self.now = 0.0
        add_publisher(self.router, PUBLISHER, self.source)
        add_receiver(self.router, EARLY, 0xEEEE, 0.0)
        rtcp_for(self.router, PUBLISHER)

    def publish(self, frames: int, *, keyframe: bool = False) -> None:
        """Frames arrive, and the relay's timer runs every millisecond."""
        for number in range(frames):
            frame = self.source.frame(keyframe=keyframe and number == 0, packets=8)
            self.published += frame
            send(self.router, PUBLISHER, frame, self.now)
            self.pass_time(FRAME_S)

    def pass_time(self, seconds: float) -> None:
        """The timer runs; no hall is sent more than a slice and a frame in one go."""
        until = self.now + seconds
        while self.now < until:
            self.now += 0.001
            before = self.octets(HALL)
            self.router.handle_timer(self.now)
            assert self.octets(HALL) - before <= FIRST_OCTETS

    def octets(self, peer: PeerSlot) -> int:
        """What a peer was sent."""
        return sum(len(packet) for _, packet in self.fan_out.sent.get(peer, []))

    def shown(self, peer: PeerSlot, ssrc: int) -> list[bytes]:
        """Payloads that a peer got; numbers go up by one, and none comes twice."""
        indexes = [index for index, _ in self.fan_out.sent[peer]]
        assert indexes == list(range(indexes[0], indexes[0] + len(indexes)))
        receiver = Receiver(ssrc)
        for _, packet in self.fan_out.sent[peer]:
            receiver.handle(packet, self.now)
        return receiver.payloads()


def packets_sent_as(fan_out: RecordingFanOut, peer: PeerSlot) -> int:
    """How many packets went out to a peer."""
    return len(fan_out.sent.get(peer, []))


@pytest.mark.parametrize("codec", [VP8, H264, VP9, AV1])
@pytest.mark.parametrize("first_number", [0, 65_400])
def test_a_joiner_is_shown_all_since_the_keyframe(codec: Codec, first_number: int) -> None:
    """The whole group, then every live packet, in order, without a request to the source."""
    scene = Scene(codec, first_number=first_number)
    scene.publish(FRAMES_BEFORE, keyframe=True)
    add_receiver(scene.router, HALL, 0xBBBB, scene.now)
    assert 0 < scene.octets(HALL) <= FIRST_OCTETS, "the first slice goes at once"
    scene.publish(30)
    assert scene.shown(HALL, 0xBBBB) == payloads_of(scene.published)
    assert scene.shown(EARLY, 0xEEEE) == payloads_of(scene.published), "nobody else is sent anything for it"
    assert plis_in(rtcp_for(scene.router, PUBLISHER)) == 0


def test_a_standby_made_active_starts_from_the_cache_too() -> None:
    """Its parent's loss is covered by what the backup has."""
    scene = Scene()
    add_receiver(scene.router, HALL, 0xBBBB, 0.0, active=False)
    scene.publish(FRAMES_BEFORE, keyframe=True)
    assert scene.octets(HALL) == 0
    scene.router.set_active(HALL, active=True, now=scene.now)
    scene.publish(30)
    assert scene.shown(HALL, 0xBBBB) == payloads_of(scene.published)


def test_a_joiner_may_leave_and_come_back_in_the_middle() -> None:
    """What it was shown is not shown again: it waits for a keyframe, and its numbers go on without a gap."""
    scene = Scene()
    scene.publish(FRAMES_BEFORE, keyframe=True)
    add_receiver(scene.router, HALL, 0xBBBB, scene.now)
    scene.pass_time(0.011)
    sent = packets_sent_as(scene.fan_out, HALL)
    assert 0 < sent < len(scene.published), "it is on its way"
    scene.router.set_active(HALL, active=False, now=scene.now)
    scene.publish(2)
    assert packets_sent_as(scene.fan_out, HALL) == sent
    scene.router.set_active(HALL, active=True, now=scene.now)
    assert plis_in(rtcp_for(scene.router, PUBLISHER)) == 1
    start = len(scene.published)
    scene.publish(3, keyframe=True)
    assert scene.shown(HALL, 0xBBBB) == payloads_of(scene.published[:sent] + scene.published[start:])
    assert scene.router.packets_sent(HALL) == sent + 24


def test_losses_on_the_way_are_repaired_and_counted() -> None:
    """A NACK during the catching up is answered with what was sent so far, and with nothing that was not."""
    scene = Scene()
    scene.publish(FRAMES_BEFORE, keyframe=True)
    add_receiver(scene.router, HALL, 0xBBBB, scene.now)
    sent = [index for index, _ in scene.fan_out.sent[HALL]]
    ask = GenericNack(1, 0xBBBB, (sent[0] & 0xFFFF, (sent[-1] + 1) & 0xFFFF))
    scene.router.handle_rtcp(HALL, [ask], scene.now)
    again = [index for index, _ in scene.fan_out.sent[HALL]][len(sent) :]
    assert again == [sent[0]]
    assert scene.router.packets_sent(HALL) == len(sent) + 1
    scene.router.handle_rtcp(PeerSlot(PUBLISHER), [SenderReport(0xAAAA, 1 << 32, 0, 8, 800)], scene.now)
    (report,) = scene.fan_out.reports[HALL]
    payload_octets = sum(len(packet) - 12 for _, packet in scene.fan_out.sent[HALL])
    assert (report.packet_count, report.octet_count) == (len(sent) + 1, payload_octets)


@pytest.mark.parametrize("seed", range(20))
def test_disorder_and_losses_meanwhile_hide_nothing(seed: int) -> None:
    """Packets that come late while joiners catch up reach each of them once."""
    rng = random.Random(seed)
    scene = Scene(first_number=rng.randrange(65_536))
    scene.publish(30, keyframe=True)
    late: list[tuple[float, bytes]] = []
    peers = [PeerSlot(10 + number) for number in range(8)]
    joins = {scene.now + rng.uniform(0, 0.3): peer for peer in peers}
    for _ in range(24):
        frame = scene.source.frame(packets=8)
        scene.published += frame
        at = scene.now
        arrivals = sorted(
            [
                (at + rng.choice((0.0, 0.0, 0.0, rng.uniform(0, 0.08))) + place * 0.001, packet)
                for place, packet in enumerate(frame)
            ]
        )
        late += arrivals
        while scene.now < at + FRAME_S:
            scene.now += 0.001
            for due in [due for due in joins if due <= scene.now]:
                peer = joins.pop(due)
                add_receiver(scene.router, peer, 0x1000 + peer, scene.now)
            arrived = sorted(each for each in late if each[0] <= scene.now)
            late = [each for each in late if each[0] > scene.now]
            send(scene.router, PUBLISHER, [packet for _, packet in arrived], scene.now)
            scene.router.handle_timer(scene.now)
    send(scene.router, PUBLISHER, [packet for _, packet in sorted(late)], scene.now)
    scene.pass_time(1.5)
    served = 0
    for peer in peers:
        sent = scene.fan_out.sent.get(peer, [])
        indexes = sorted(index for index, _ in sent)
        assert len(set(indexes)) == len(indexes), "nothing twice"
        if len(indexes) == len(scene.published):
            served += 1
            assert indexes == list(range(indexes[0], indexes[0] + len(indexes)))
    assert served, "those that found no hole were served from the cache"
    assert all(len(scene.fan_out.sent.get(peer, [])) in {0, len(scene.published)} for peer in peers)


def test_another_source_ends_the_group() -> None:
    """A publisher that continues nothing: its pictures do not go with those of the one before."""
    scene = Scene()
    scene.publish(10, keyframe=True)
    scene.router.remove_peer(PeerSlot(PUBLISHER))
    other = RtpSource(0xCCCC, sequence_number=30_000, timestamp=1 << 30)
    add_publisher(scene.router, 5, other)
    send(scene.router, 5, other.frame(), scene.now)
    add_receiver(scene.router, HALL, 0xBBBB, scene.now)
    assert scene.octets(HALL) == 0
    assert plis_in(rtcp_for(scene.router, 5)) == 1


def test_an_old_group_is_asked_anew() -> None:
    """Beyond some seconds a keyframe is nearer than the end of what is cached."""
    scene = Scene()
    scene.publish(int((MAX_GROUP_AGE_S + 0.2) / FRAME_S), keyframe=True)
    add_receiver(scene.router, HALL, 0xBBBB, scene.now)
    assert scene.octets(HALL) == 0
    assert plis_in(rtcp_for(scene.router, PUBLISHER)) == 1


def test_audio_starts_live_at_once() -> None:
    """The sound of the past is of no use to anybody."""
    router, fan_out = new_router()
    source = RtpSource(0xAAAA, OPUS)
    streams = [Stream(kind="audio", codecs=(OPUS,), ssrcs=(0xAAAA,))]
    router.add_source(PeerSlot(PUBLISHER), FEED, streams, is_publisher=True)
    send(router, PUBLISHER, [source.audio() for _ in range(10)], 0.0)
    want = Want(kind="audio", codecs=(OPUS,), ssrc=0xBBBB)
    router.add_subscriber(HALL, FEED, [want], active=True, now=0.0)
    live = source.audio()
    send(router, PUBLISHER, [live], 0.02)
    assert [packet[12:] for _, packet in fan_out.sent[HALL]] == payloads_of([live])


def test_of_many_joiners_some_wait_for_a_place() -> None:
    """No more catch up at a time than the line bears; the others begin at the next keyframe, or follow."""
    scene = Scene()
    scene.publish(FRAMES_BEFORE, keyframe=True)
    peers = [PeerSlot(10 + number) for number in range(2 * PLACES)]
    for peer in peers:
        add_receiver(scene.router, peer, 0x1000 + peer, scene.now)
    served = [peer for peer in peers if peer in scene.fan_out.sent]
    assert served == peers[:PLACES]
    assert plis_in(rtcp_for(scene.router, PUBLISHER)) == 1
    scene.publish(3)
    start = len(scene.published)
    scene.publish(60, keyframe=True)
    for peer in peers:
        begin = 0 if peer in served else start
        assert scene.shown(peer, 0x1000 + peer) == payloads_of(scene.published[begin:])
    assert all(scene.router.is_receiving(peer) for peer in peers)


def test_a_storm_of_joins_asks_for_no_keyframe_while_the_cache_serves() -> None:
    """500 halls within five seconds at a source with a keyframe every two: each is served, few requests go up."""
    rng = random.Random(7)
    router, fan_out = new_router()
    source = RtpSource(0xAAAA)
    add_publisher(router, PUBLISHER, source)
    send(router, PUBLISHER, source.frame(keyframe=True), 0.0)
    joins = sorted((rng.uniform(0.1, 5), peer) for peer in range(1, 501))
    joined_at: dict[int, float] = {}
    first_at: dict[int, float] = {}
    heard = 0
    for step in range(1, 6_000):
        now = step / 1_000
        while joins and joins[0][0] <= now:
            _, peer = joins.pop(0)
            add_receiver(router, peer, 10_000 + peer, now)
            joined_at[peer] = now
        if step % 33 == 0:
            send(router, PUBLISHER, source.frame(keyframe=step % 1_980 == 0), now)
        router.handle_timer(now)
        heard += plis_in(rtcp_for(router, PUBLISHER))
        for peer in joined_at.keys() - first_at.keys():
            if PeerSlot(peer) in fan_out.sent:
                first_at[peer] = now
    assert len(first_at) == 500
    assert max(first_at[peer] - joined_at[peer] for peer in first_at) < 0.05
    assert heard == 0
