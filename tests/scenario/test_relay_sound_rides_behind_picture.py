"""Sound and picture of a feed wait a little for each other on their way to halls, and leave in one send."""

from __future__ import annotations

import random

import pytest
from support.pure_relay import FEED, OPUS, VP8, RecordingFanOut, RtpSource

from relay.core.feed import Stream, Want
from relay.core.router import Router
from relay.fanout.interface import PeerSlot
from relay.wire.rtcp import GenericNack
from relay.wire.rtp import parse_rtp_header

PUBLISHER, HALL, CHILD = PeerSlot(1), PeerSlot(2), PeerSlot(3)
HOLD_S = 0.008
AUDIO_SSRC, VIDEO_SSRC = 0xA, 0xB


class Scene:
    """A publisher of sound and picture, and a hall that takes both, under virtual time.

    Attributes:
        left: per SSRC at the hall, when each packet left, in order: (SRTP index, time).
        came: per kind, when packets came.
    """

    def __init__(self, hold_s: float = HOLD_S) -> None:
        self.fan_out = RecordingFanOut()
        self.router = Router(self.fan_out, publisher_bitrate_bps=2_500_000, hold_s=hold_s)
        self.audio = RtpSource(1, OPUS)
        self.video = RtpSource(2)
        streams = [
            Stream(kind="audio", codecs=(OPUS,), ssrcs=(1,)),
            Stream(kind="video", codecs=(VP8,), ssrcs=(2,)),
        ]
        self.router.add_source(PUBLISHER, FEED, streams, is_publisher=True)
        self.now = 0.0
        self.came: dict[int, list[float]] = {AUDIO_SSRC: [], VIDEO_SSRC: []}
        self.left: dict[int, list[tuple[int, float]]] = {AUDIO_SSRC: [], VIDEO_SSRC: []}
        self.fan_out.on_sent[HALL] = self._note

    def _note(self, packet: bytes) -> None:
        header = parse_rtp_header(packet)
        if header.ssrc in self.left:
            self.left[header.ssrc].append((header.sequence_number, self.now))

    def subscribe(self, peer: PeerSlot, *, link: bool = False) -> None:
        """A hall or a child relay."""
        wants = [
            Want(kind="audio", codecs=(OPUS,), ssrc=AUDIO_SSRC + 16 * link),
            Want(kind="video", codecs=(VP8,), ssrc=VIDEO_SSRC + 16 * link),
        ]
        self.router.add_subscriber(peer, FEED, wants, active=True, now=self.now, keeps_numbers=link)

    def run(self, events: list[tuple[float, str]]) -> None:
        """Let packets come at their times, and timers at theirs."""
        for at, kind in sorted(events):
            self.arrive(at, kind)
        self.let_pass(self.now + 1.0)

    def arrive(self, at: float, kind: str) -> None:
        """A packet of sound or all of a picture comes."""
        self.let_pass(at)
        ssrc, is_first = (AUDIO_SSRC if kind == "audio" else VIDEO_SSRC), not self.came[VIDEO_SSRC]
        for packet in [self.audio.audio()] if kind == "audio" else self.video.frame(keyframe=is_first):
            self.came[ssrc].append(at)
            self.router.handle_rtp(PUBLISHER, packet, at)

    def let_pass(self, until: float) -> None:
        """Let timers do what is due."""
        while self.router.next_deadline() <= until:
            self.now = max(self.now, self.router.next_deadline())
            self.router.handle_timer(self.now)
        self.now = until

    def delays(self, ssrc: int) -> list[float]:
        """How long each packet waited; every one left, once and in order."""
        numbers = [number for number, _ in self.left[ssrc]]
        assert numbers == list(range(numbers[0], numbers[0] + len(self.came[ssrc])))
        return [left - came for (_, left), came in zip(self.left[ssrc], self.came[ssrc], strict=True)]


def programme(seconds: float, phase_s: float, rng: random.Random | None = None) -> list[tuple[float, str]]:
    """Sound each 20 ms and a picture each 33.3 ms, with jitter if there is a generator."""
    events = [(number * 0.02, "audio") for number in range(int(seconds * 50))]
    events += [(phase_s + number / 30, "video") for number in range(int(seconds * 30))]
    return [(at + (rng.uniform(0.0, 0.004) if rng else 0.0), kind) for at, kind in events]


@pytest.mark.parametrize("phase_s", [0.0, 0.001, 0.005, 0.013])
def test_much_of_the_sound_rides_and_nothing_waits_long(phase_s: float) -> None:
    """At least a third of it, in any phase; each packet leaves once, in order, within the longest wait."""
    scene = Scene()
    scene.subscribe(HALL)
    scene.run(programme(4.0, phase_s))
    assert scene.fan_out.tails >= 4 * 50 / 3
    for ssrc in (AUDIO_SSRC, VIDEO_SSRC):
        assert max(scene.delays(ssrc)) <= HOLD_S + 1e-9


@pytest.mark.parametrize("seed", range(8))
def test_jitter_loses_nothing(seed: int) -> None:
    """Who is late is not waited for longer; order and completeness stay."""
    rng = random.Random(seed)
    scene = Scene()
    scene.subscribe(HALL)
    scene.run(programme(3.0, rng.uniform(0.0, 0.03), rng))
    assert scene.fan_out.tails
    for ssrc in (AUDIO_SSRC, VIDEO_SSRC):
        assert max(scene.delays(ssrc)) <= HOLD_S + 1e-9


def test_sound_alone_and_picture_alone_never_wait() -> None:
    """There is no company to wait for."""
    for kind, ssrc in (("audio", AUDIO_SSRC), ("video", VIDEO_SSRC)):
        scene = Scene()
        scene.subscribe(HALL)
        scene.run([event for event in programme(1.0, 0.0) if event[1] == kind])
        assert max(scene.delays(ssrc)) == 0.0
        assert not scene.fan_out.tails


def test_nothing_waits_while_a_relay_takes_the_feed() -> None:
    """Delays of a tree would add up; when the link is gone, the hall's media ride again."""
    scene = Scene()
    scene.subscribe(HALL)
    scene.subscribe(CHILD, link=True)
    scene.run(programme(1.0, 0.001))
    assert not scene.fan_out.tails
    assert max(scene.delays(AUDIO_SSRC)) == max(scene.delays(VIDEO_SSRC)) == 0.0
    scene.router.remove_peer(CHILD)
    begin = scene.now
    scene.run([(begin + at, kind) for at, kind in programme(1.0, 0.001)])
    assert scene.fan_out.tails


def test_what_waits_was_not_sent_yet() -> None:
    """A NACK for it brings nothing; a hall that pauses meanwhile is not sent it, and no number is used twice."""
    scene = Scene()
    scene.subscribe(HALL)
    events = sorted(programme(2.0, 0.001))
    while len(scene.left[AUDIO_SSRC]) == len(scene.came[AUDIO_SSRC]):
        at, kind = events.pop(0)
        scene.arrive(at, kind)
    sent = list(scene.left[AUDIO_SSRC])
    waiting = sent[-1][0] + 1
    scene.router.handle_rtcp(HALL, [GenericNack(1, AUDIO_SSRC, (waiting,))], scene.now)
    assert scene.left[AUDIO_SSRC] == sent
    scene.router.set_active(HALL, active=False, now=scene.now)
    scene.let_pass(scene.now + HOLD_S)
    assert scene.left[AUDIO_SSRC] == sent
    scene.router.set_active(HALL, active=True, now=scene.now)
    scene.run(events)
    numbers = [number for number, _ in scene.left[AUDIO_SSRC]]
    assert len(numbers) == len(scene.came[AUDIO_SSRC]) - 1
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
