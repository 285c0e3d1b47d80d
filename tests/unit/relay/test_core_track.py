"""A track: bursts, waiting outputs, late packets, resends, totals."""

from __future__ import annotations

import pytest
from support.pure_relay import H264, OPUS, VP8, RecordingFanOut, RtpSource

from relay.core.burst import FLUSH_AFTER_S
from relay.core.catch_up import MAX_GROUP_AGE_S
from relay.core.inbound import Inbound, Kind
from relay.core.output import RESEND_MIN_OCTETS_PER_S, RESEND_OCTETS, WRAP_GUARD, Output
from relay.core.track import Track
from relay.fanout.interface import PeerSlot, TrackSlot
from relay.wire.rtp import parse_rtp_header
from relay.wire.sdp import Codec

SLOT, CATCH_UP_SLOT, RTX_SLOT = TrackSlot(1), TrackSlot(2), TrackSlot(3)
SOURCE, HALL, OTHER = PeerSlot(0), PeerSlot(1), PeerSlot(2)
OLD_S = MAX_GROUP_AGE_S + 0.1  # a keyframe of time 0 is nothing to begin with by then


class Scene:
    """A track, its source and its outputs."""

    def __init__(self, kind: Kind = "video", codec: Codec = VP8, *, sequence_number: int = 0) -> None:
        self.fan_out = RecordingFanOut()
        rate = 90_000 if kind == "video" else 48_000
        self.track = Track(
            kind,
            SLOT,
            self.fan_out,
            catch_up_slot=CATCH_UP_SLOT,
            rtx_slot=RTX_SLOT,
            clock_rate=rate,
            keyframe_interval_s=1.0,
        )
        self.source = RtpSource(7, codec, sequence_number=sequence_number)
        self.inbound = Inbound(kind, 0, SOURCE, 7, {codec.payload_type: codec})

    def add(
        self, peer: PeerSlot, codecs: list[Codec], *, wanted: bool = True, link: bool = False, now: float = 0.0
    ) -> Output:
        """An output."""
        output = Output(peer, 100 + peer, codecs, wanted=wanted, keeps_numbers=link)
        self.track.add_output(output, now)
        return output

    def send(self, packets: list[bytes], now: float = 0.0) -> None:
        """Packets arrive."""
        for packet in packets:
            self.track.handle_packet(self.inbound, parse_rtp_header(packet), packet, now)

    def wants_keyframe(self) -> bool:
        """Whether somebody waits for one."""
        return self.track.wants_keyframe

    def sent(self, peer: PeerSlot = HALL) -> list[int]:
        """SRTP indexes that went out."""
        return [index for index, _ in self.fan_out.sent.get(peer, [])]


def test_a_frame_is_one_burst() -> None:
    """The marker completes it."""
    scene = Scene()
    scene.add(HALL, [VP8])
    scene.send(scene.source.frame(keyframe=True, packets=8))
    assert scene.fan_out.bursts[SLOT] == [8]
    assert scene.sent() == list(range(8))


def test_half_a_frame_waits_five_milliseconds() -> None:
    """Then it goes out by the timer, and the track says when."""
    scene = Scene()
    scene.add(HALL, [VP8])
    scene.send(scene.source.frame(keyframe=True)[:3], 1.0)
    assert scene.sent() == []
    assert scene.track.next_deadline() == 1.0 + FLUSH_AFTER_S
    scene.track.poll(1.0 + FLUSH_AFTER_S)
    assert scene.sent() == [0, 1, 2]
    assert scene.track.next_deadline() is None


def test_audio_is_not_held() -> None:
    """Each packet leaves at once; a receiver begins with any."""
    scene = Scene("audio", OPUS)
    scene.send([scene.source.audio()])
    scene.add(HALL, [OPUS])
    assert not scene.wants_keyframe()
    scene.send([scene.source.audio(), scene.source.audio()])
    assert scene.sent() == [1, 2]


def test_a_joiner_is_not_sent_the_frame_before_its_keyframe() -> None:
    """What waited for the rest of its frame goes out before the joiner is there."""
    scene = Scene()
    scene.add(HALL, [VP8])
    scene.send(scene.source.frame(keyframe=True))
    scene.send(scene.source.frame()[:2], OLD_S)
    scene.add(OTHER, [VP8], now=OLD_S)
    assert scene.wants_keyframe()
    scene.send(scene.source.frame(keyframe=True), OLD_S)
    assert not scene.wants_keyframe()
    assert len(scene.sent(HALL)) == 4 + 2 + 4
    assert len(scene.sent(OTHER)) == 4


def test_late_packets_reach_those_who_began_before() -> None:
    """By themselves, and not a receiver that began after them; doubles reach nobody."""
    scene = Scene()
    scene.add(HALL, [VP8])
    first = scene.source.frame(keyframe=True)
    scene.send([first[0], first[1], first[3]])
    scene.add(OTHER, [VP8])
    scene.send(scene.source.frame(keyframe=True))
    scene.send([first[2], first[2]])
    assert scene.sent(HALL) == [0, 1, 3, 4, 5, 6, 7, 2]
    assert scene.sent(OTHER) == [4, 5, 6, 7]
    assert scene.track.packets_duplicate == 1
    assert scene.track.packets_received == 8


def test_a_receiver_of_other_codecs_is_sent_nothing() -> None:
    """It does not even wait for a keyframe."""
    scene = Scene()
    scene.add(HALL, [H264])
    scene.send(scene.source.frame(keyframe=True))
    assert scene.sent() == []
    assert not scene.wants_keyframe()


def test_resends_are_bounded() -> None:
    """One receiver gets so many octets in a second; what it may not ask for costs nothing of the track."""
    scene = Scene()
    output = scene.add(HALL, [VP8])
    for _ in range(60):
        scene.send(scene.source.frame(keyframe=True, packets=10))
    octets = len(scene.fan_out.sent[HALL][0][1])
    numbers = list(range(500)) * 2
    allowed = min(RESEND_OCTETS // octets, 500)
    assert scene.track.resend(output, numbers, 1.0) == allowed
    assert scene.track.resend(output, numbers, 1.0) == 0
    again = scene.track.resend(output, numbers, 1.1) * octets
    assert abs(again - 0.1 * RESEND_MIN_OCTETS_PER_S) <= octets
    assert scene.track.resend(output, [40_000], 9.0) == 0


def test_nothing_is_resent_to_who_is_not_attached() -> None:
    """A standby, and a receiver before its first packet."""
    scene = Scene()
    scene.send(scene.source.frame(keyframe=True))
    waiting = scene.add(HALL, [VP8], now=OLD_S)
    standby = scene.add(OTHER, [VP8], wanted=False)
    assert scene.track.resend(waiting, [0, 1], 0.0) == 0
    assert scene.track.resend(standby, [0, 1], 0.0) == 0


def test_totals_outlive_a_standby() -> None:
    """Packets and octets of all runs; they go on after a pause, as sender reports must."""
    scene = Scene()
    output = scene.add(HALL, [VP8])
    scene.send(scene.source.frame(keyframe=True))
    one = scene.track.delivery.totals(output)
    scene.track.set_wanted(HALL, wanted=False, now=0.0)
    scene.send(scene.source.frame(keyframe=True))
    assert scene.track.delivery.totals(output) == one
    scene.track.set_wanted(HALL, wanted=True, now=0.0)
    two = scene.track.delivery.totals(output)
    assert (two.packets, two.octets) == (2 * one.packets, 2 * one.octets), "the cached group counts"
    scene.send(scene.source.frame(keyframe=True))
    assert scene.track.delivery.totals(output).packets == 3 * one.packets
    assert scene.track.delivery.totals(output).octets == 3 * one.octets


def test_a_removed_output_is_gone_whatever_it_was_doing() -> None:
    """Attached, waiting or standing by; the next keyframe attaches nobody."""
    scene = Scene()
    for peer, wanted in ((HALL, True), (OTHER, True), (PeerSlot(3), False)):
        scene.add(peer, [VP8], wanted=wanted)
    scene.track.remove_output(OTHER)
    scene.send(scene.source.frame(keyframe=True))
    scene.track.remove_output(HALL)
    scene.track.remove_output(PeerSlot(3))
    scene.track.remove_output(PeerSlot(3))
    scene.send(scene.source.frame(keyframe=True))
    assert scene.sent() == [0, 1, 2, 3]
    assert scene.sent(OTHER) == []
    assert scene.track.outputs == {}


def test_a_link_may_ask_for_what_came_before_it() -> None:
    """A child that exchanged its parent repairs the gap; before number 0 there is nothing."""
    scene = Scene(sequence_number=65_536 - WRAP_GUARD - 10)
    link = scene.add(HALL, [VP8], link=True)
    hall = scene.add(OTHER, [VP8])
    scene.track.set_wanted(HALL, wanted=False, now=0.0)
    for _ in range(30):
        scene.send(scene.source.frame(keyframe=True))
    scene.track.set_wanted(HALL, wanted=True, now=0.0)
    scene.send(scene.source.frame())
    first = scene.sent(HALL)[0]
    assert first == (65_536 - WRAP_GUARD - 10 + 120) % 65_536
    before = [(first - offset) & 0xFFFF for offset in range(1, first + 10)]
    assert scene.track.resend(link, before, 1.0) == first, "down to number 0, which was never used for anything else"
    assert scene.track.resend(hall, [scene.sent(OTHER)[0] - 1], 1.0) == 0


@pytest.mark.parametrize("reordered", [False, True])
def test_packets_from_before_the_first_are_ignored(*, reordered: bool) -> None:
    """The first packet of all has number 1; number 65,535 came before it and has no index."""
    scene = Scene("audio", OPUS, sequence_number=65_535)
    scene.add(HALL, [OPUS])
    early, zero, one = (scene.source.audio() for _ in range(3))
    scene.send([one, early, zero] if reordered else [zero, early, one])
    assert sorted(scene.sent()) == ([1] if reordered else [0, 1])
