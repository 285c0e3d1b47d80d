"""Who waits for whom, and how long."""

from __future__ import annotations

from relay.core.company import LATE_S, MAX_GAP_S, Company, Rhythm
from relay.core.inbound import Kind
from relay.core.packet_cache import PacketCache
from relay.fanout.interface import Tail, TrackSlot

HOLD_S = 0.008


class Waiting:
    """A track that waits until it leaves or gives its packet away."""

    def __init__(self) -> None:
        self.waits = False
        self.left_at: list[float] = []

    def waits_for_company(self) -> bool:
        """As it was told."""
        return self.waits

    def leave(self, now: float) -> None:
        """It is gone."""
        self.waits = False
        self.left_at.append(now)

    def give_tail(self, now: float) -> Tail | None:
        """It is gone, too."""
        self.leave(now)
        return Tail(TrackSlot(1), PacketCache(1), 0)


class Scene:
    """Sound each 20 ms and pictures each 40 ms, until 0.4 s."""

    def __init__(self, hold_s: float = HOLD_S) -> None:
        self.company, self.audio, self.video = Company(hold_s), Waiting(), Waiting()
        self.rhythms: dict[Kind, Rhythm] = {
            "audio": self.company.join("audio", self.audio),
            "video": self.company.join("video", self.video),
        }
        self.waits = [self.ready("audio", number * 0.02) for number in range(21)]
        self.waits += [self.ready("video", number * 0.04) for number in range(11)]

    def ready(self, kind: Kind, now: float) -> float:
        """A track is ready; until when it is to wait."""
        return self.company.wait_until(kind, self.rhythms[kind], now)


def test_a_rhythm_tells_when_it_is_worth_waiting() -> None:
    """Within the hold before the next beat, and a little behind it; not at the beginning and not after a pause."""
    rhythm = Rhythm()
    assert rhythm.wait_until(0.0, HOLD_S) == 0.0
    rhythm.beat(0.0)
    assert rhythm.wait_until(0.01, HOLD_S) == 0.0
    rhythm.beat(0.02)
    rhythm.beat(0.021)  # belongs to the one before
    assert rhythm.wait_until(0.031, HOLD_S) == 0.0
    assert round(rhythm.wait_until(0.037, HOLD_S), 6) == 0.04 + LATE_S
    assert round(rhythm.wait_until(0.0325, HOLD_S), 6) == 0.0325 + HOLD_S
    assert round(rhythm.wait_until(0.0415, HOLD_S), 6) == 0.04 + LATE_S
    assert rhythm.wait_until(0.0445, HOLD_S) == 0.0
    rhythm.beat(0.03 + MAX_GAP_S)
    assert rhythm.wait_until(0.05 + MAX_GAP_S, HOLD_S) == 0.0


def test_whoever_is_first_waits_for_the_other() -> None:
    """The picture for the sound that is due, and the sound for the picture; neither for what is far."""
    scene = Scene()
    assert scene.ready("video", 0.414) > 0.414
    assert scene.ready("audio", 0.42) == 0.0


def test_sound_that_finds_a_picture_waiting_leaves_with_it() -> None:
    """It is kept for a moment, lets the picture go, and rides behind it."""
    scene = Scene()
    company, audio, video = scene.company, scene.audio, scene.video
    video.waits = True
    assert scene.ready("audio", 0.42) == 0.42 + HOLD_S
    audio.waits = True
    company.handle_audio(0.42)
    assert video.left_at == [0.42]
    assert company.take_tail(0.42) is not None
    assert audio.left_at == [0.42]
    assert company.take_tail(0.42) is None
    company.handle_audio(0.43)
    assert video.left_at == [0.42]


def test_a_picture_that_finds_sound_waiting_leaves_at_once() -> None:
    """The sound has waited for it."""
    scene = Scene()
    scene.audio.waits = True
    assert scene.ready("video", 0.417) == 0.0


def test_nobody_waits_where_relays_take_the_feed_or_where_it_is_switched_off() -> None:
    """What each hop adds would add up."""
    scene = Scene()
    scene.company.links = 1
    assert scene.ready("video", 0.414) == 0.0
    assert not any(Scene(0.0).waits)
