"""When a burst is complete."""

from __future__ import annotations

from relay.core.burst import FLUSH_AFTER_S, MAX_BURST_PACKETS, BurstAssembler


def test_the_marker_ends_a_frame() -> None:
    """Packets of a frame leave together."""
    bursts = BurstAssembler(is_video=True)
    assert bursts.next_deadline() is None
    assert bursts.handle_packet(1, 3000, marker=False, now=0.0) == []
    assert bursts.handle_packet(2, 3000, marker=True, now=0.001) == [[1, 2]]
    assert bursts.next_deadline() is None
    assert bursts.poll_flush(9.0) == []


def test_another_timestamp_ends_a_frame() -> None:
    """The marker may be lost; two frames never share a burst."""
    bursts = BurstAssembler(is_video=True)
    bursts.handle_packet(1, 3000, marker=False, now=0.0)
    assert bursts.handle_packet(3, 6000, marker=True, now=0.001) == [[1], [3]]


def test_nothing_waits_longer_than_five_milliseconds() -> None:
    """The deadline counts from the first packet, by timer or by the next packet."""
    bursts = BurstAssembler(is_video=True)
    bursts.handle_packet(1, 3000, marker=False, now=1.0)
    bursts.handle_packet(2, 3000, marker=False, now=1.004)
    assert bursts.next_deadline() == 1.0 + FLUSH_AFTER_S
    assert bursts.poll_flush(1.0049) == []
    assert bursts.poll_flush(1.005) == [1, 2]
    bursts.handle_packet(3, 3000, marker=False, now=2.0)
    assert bursts.handle_packet(4, 3000, marker=False, now=2.1) == [[3, 4]]


def test_a_burst_is_bounded() -> None:
    """Sixty packets are enough for one."""
    bursts = BurstAssembler(is_video=True)
    complete = [burst for index in range(130) for burst in bursts.handle_packet(index, 3000, marker=False, now=0.0)]
    assert [len(burst) for burst in complete] == [MAX_BURST_PACKETS, MAX_BURST_PACKETS]
    assert bursts.flush() == list(range(120, 130))
    assert bursts.flush() == []


def test_audio_is_never_held() -> None:
    """Each packet leaves at once, whatever its marker."""
    bursts = BurstAssembler(is_video=False)
    assert bursts.handle_packet(1, 960, marker=False, now=0.0) == [[1]]
    assert bursts.next_deadline() is None


def test_a_complete_burst_may_be_told_to_wait() -> None:
    """It leaves when its time is over, or before whatever comes next; of audio it is one packet."""
    for is_video in (True, False):
        bursts = BurstAssembler(is_video=is_video)
        assert bursts.handle_packet(1, 3000, marker=True, now=0.0, wait_until=0.008) == []
        states = [bursts.is_complete]
        assert bursts.first_held() == 1
        assert bursts.next_deadline() == 0.008
        assert bursts.poll_flush(0.007) == []
        assert bursts.poll_flush(0.008) == [1]
        states.append(bursts.is_complete)
        assert bursts.handle_packet(2, 6000, marker=True, now=0.03, wait_until=0.038) == []
        assert bursts.handle_packet(3, 9000, marker=True, now=0.032) == [[2], [3]]
        states.append(bursts.is_complete)
        assert states == [True, False, False]
