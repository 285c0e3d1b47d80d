"""A programme with great keyframes passes a thin line with a small buffer: without loss, live and at a join."""

from __future__ import annotations

import itertools
import random
from collections import deque

import pytest
from support.pure_relay import RtpSource, add_publisher, add_receiver, new_router, send

from relay.core.pacer import PIECE_PACKETS
from relay.fanout.interface import PeerSlot
from relay.wire.rtcp import GenericNack

PUBLISHER, EARLY = 0, PeerSlot(1)
FRAME_S = 1 / 30
KEYFRAME_FRAMES = 60
KEYFRAME_PACKETS, OTHER_PACKETS = 130, 5  # 150 kB and 5.8 kB: 2 Mbit/s
OVERHEAD_OCTETS = 16 + 8 + 20 + 14  # tag, UDP, IP, Ethernet
LINE_OCTETS_PER_S = 750_000  # 6 Mbit/s
LINE_BUFFER_OCTETS = 64_000


class Line:
    """A line of a hall: a queue that drops at its tail.

    Attributes:
        lost: packets dropped.
        fullest: octets that ever waited.
        arrivals: when each packet left the line.
    """

    def __init__(self) -> None:
        self.lost = 0
        self.fullest = 0.0
        self.arrivals: deque[float] = deque()
        self._waiting = 0.0
        self._at_s = 0.0

    def carry(self, octets: int, now: float) -> None:
        """A packet comes to the line."""
        self._waiting = max(0.0, self._waiting - (now - self._at_s) * LINE_OCTETS_PER_S)
        self._at_s = now
        if self._waiting + octets > LINE_BUFFER_OCTETS:
            self.lost += 1
            return
        self._waiting += octets
        self.fullest = max(self.fullest, self._waiting)
        self.arrivals.append(now + self._waiting / LINE_OCTETS_PER_S)


class Scene:
    """A programme that plays, a line for each hall, and sound of 64 kbit/s on each of them."""

    def __init__(self) -> None:
        self.router, self.fan_out = new_router()
        self.source = RtpSource(0xAAAA, payload_words=285)
        self.lines: dict[PeerSlot, Line] = {}
        self.now = 0.0
        self.frames = 0
        add_publisher(self.router, PUBLISHER, self.source)

    def join(self, peer: PeerSlot) -> Line:
        """A hall joins."""
        line = self.lines[peer] = Line()
        self.fan_out.on_sent[peer] = lambda packet: line.carry(len(packet) + OVERHEAD_OCTETS, self.now)
        add_receiver(self.router, peer, 0x1000 + peer, self.now)
        return line

    def play(self, seconds: float) -> None:
        """Time passes, a millisecond a step."""
        steps = round(seconds * 1_000)
        begin = self.now
        for step in range(steps):
            self.now = begin + step / 1_000
            if self.now >= self.frames * FRAME_S:
                keyframe = self.frames % KEYFRAME_FRAMES == 0
                packets = KEYFRAME_PACKETS if keyframe else OTHER_PACKETS
                send(self.router, PUBLISHER, self.source.frame(keyframe=keyframe, packets=packets), self.now)
                self.frames += 1
            if step % 20 == 0:
                for line in self.lines.values():
                    line.carry(160 + OVERHEAD_OCTETS, self.now)
            deadline = self.router.next_deadline()
            if self.now >= deadline:
                self.router.handle_timer(self.now)
        self.now = begin + seconds


def test_a_live_programme_loses_nothing() -> None:
    """Twenty seconds with ten keyframes of 150 kB over 6 Mbit/s; all that was sent arrives, in order."""
    scene = Scene()
    line = scene.join(EARLY)
    scene.play(20.0)
    scene.play(0.3)
    assert line.lost == 0
    assert line.fullest < LINE_BUFFER_OCTETS * 0.9, "a third flow on the line finds room"
    sent = [index for index, _ in scene.fan_out.sent[EARLY]]
    assert sent == list(range(sent[0], sent[0] + len(sent)))
    assert len(sent) == scene.source.counter


@pytest.mark.parametrize("seed", range(3))
def test_joins_lose_nothing(seed: int) -> None:
    """Wherever in the group a hall joins: neither what it is sent of the past nor the next keyframe is dropped."""
    rng = random.Random(seed)
    scene = Scene()
    scene.play(4.0 + rng.random())
    for number in range(25):
        scene.join(PeerSlot(10 + number))
        scene.play(rng.uniform(0.1, 0.4))
    scene.play(5.0)
    assert [line.lost for line in scene.lines.values()] == [0] * 25
    for peer in scene.lines:
        sent = [index for index, _ in scene.fan_out.sent[peer]]
        assert sent == list(range(sent[0], sent[0] + len(sent)))


def test_ordinary_frames_are_not_delayed() -> None:
    """A frame of the mean size leaves as one burst, at once, at 2 Mbit/s and, once it is measured, at 20."""
    for packets in (7, 72):
        scene = Scene()
        scene.join(EARLY)
        send(scene.router, PUBLISHER, scene.source.frame(keyframe=True, packets=packets), scene.now)
        for _ in range(150):
            scene.now += FRAME_S
            send(scene.router, PUBLISHER, scene.source.frame(packets=packets), scene.now)
            scene.router.handle_timer(scene.now)
        before = len(scene.fan_out.sent[EARLY])
        scene.now += FRAME_S
        send(scene.router, PUBLISHER, scene.source.frame(packets=packets), scene.now)
        assert len(scene.fan_out.sent[EARLY]) - before == packets


def test_what_exceeds_the_bucket_leaves_in_small_pieces() -> None:
    """In order, each piece no more than a GSO send of a few packets, some milliseconds apart."""
    scene = Scene()
    scene.join(EARLY)
    send(scene.router, PUBLISHER, scene.source.frame(keyframe=True, packets=120), 0.0)
    track = scene.router.feed(("hn2026", "program")).layers["video"][0]
    at_once = len(scene.fan_out.bursts[track.delivery.slot])
    times = []
    while (deadline := track.next_deadline()) is not None:
        track.poll(deadline)
        times.append(deadline)
    bursts = scene.fan_out.bursts[track.delivery.slot]
    assert sum(bursts) == 120
    assert max(bursts) <= PIECE_PACKETS
    assert sum(bursts[:at_once]) * 1_154 <= 32_000
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert min(gaps[:-1]) > 0.01


def test_repair_does_not_fill_the_line() -> None:
    """A receiver that asks for everything again, all the time, is sent a bounded share; what is live still arrives."""
    scene = Scene()
    line = scene.join(EARLY)
    for _ in range(200):
        scene.play(0.02)
        sent = [index & 0xFFFF for index, _ in scene.fan_out.sent[EARLY]][-200:]
        ask = GenericNack(1, 0x1000 + EARLY, tuple(sent))
        scene.router.handle_rtcp(EARLY, [ask], scene.now)
    assert scene.router.totals.packets_resent * 1_154 < 4.0 * 125_000 + 25_000
    assert line.lost == 0
