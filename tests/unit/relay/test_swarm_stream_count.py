import pytest

from relay.swarm.stream_count import MAX_DROPOUT_PACKETS, MAX_MISSING_REMEMBERED, StreamCount

RATE = 48_000
STEP = 960


def feed(stream: StreamCount, *numbers: int) -> None:
    """Packets of 20 ms each, numbered as given, that arrive exactly when their timestamps say."""
    for number in numbers:
        stream.handle_packet(number & 0xFFFF, number * STEP & 0xFFFFFFFF, number * 0.02)


def audio() -> StreamCount:
    """A stream without packets."""
    return StreamCount(7, "audio", "OPUS", RATE)


def test_packets_in_order_are_delivered() -> None:
    """Nothing is lost, late or double, and the newest packets may be opened."""
    stream = audio()
    assert all(stream.handle_packet(number, number * STEP, number * 0.02) for number in range(10, 60))
    assert (stream.delivered, stream.lost, stream.duplicates, stream.reordered) == (50, 0, 0, 0)


def test_a_gap_is_lost() -> None:
    """Three numbers that never come are three lost packets."""
    stream = audio()
    feed(stream, 1, 2, 6, 7)
    assert (stream.delivered, stream.lost) == (4, 3)


def test_a_late_packet_is_not_lost() -> None:
    """It fills its gap, is counted as reordered, and is not offered as a sample."""
    stream = audio()
    feed(stream, 1, 2, 4)
    assert stream.lost == 1
    assert not stream.handle_packet(3, 3 * STEP, 0.09)
    assert (stream.delivered, stream.lost, stream.reordered, stream.duplicates) == (4, 0, 1, 0)


def test_a_duplicate_hides_no_loss() -> None:
    """Five arrived of five expected, and yet one is lost: RFC 3550's difference would say 0."""
    stream = audio()
    feed(stream, 1, 2, 2, 4, 5)
    assert (stream.delivered, stream.lost, stream.duplicates) == (4, 1, 1)


def test_a_late_packet_counts_once() -> None:
    """The second copy of a late packet is a duplicate."""
    stream = audio()
    feed(stream, 1, 3, 2, 2)
    assert (stream.delivered, stream.lost, stream.reordered, stream.duplicates) == (3, 0, 1, 1)


def test_numbers_wrap() -> None:
    """65535 is followed by 0, also with a gap and a late packet across the wrap."""
    stream = audio()
    feed(stream, 65_533, 65_534, 65_536, 65_535, 65_539)
    assert (stream.delivered, stream.lost, stream.reordered) == (5, 2, 1)
    assert stream.report_block(0.0).highest_sequence == 65_539


def test_the_first_packet_may_be_a_late_one() -> None:
    """What comes before the first number belongs to the stream, and so does the gap between."""
    stream = audio()
    feed(stream, 10, 7, 11)
    assert (stream.delivered, stream.lost, stream.reordered) == (3, 2, 1)


def test_a_stray_packet_is_no_restart() -> None:
    """One number from far away changes nothing; two in sequence are a sender that started again."""
    stream = audio()
    feed(stream, 1, 2, 40_000, 3, 4)
    assert (stream.delivered, stream.lost, stream.restarts) == (4, 0, 0)
    feed(stream, 50_000, 50_001, 50_003)
    assert (stream.delivered, stream.lost, stream.restarts) == (7, 1, 1)


def test_losses_before_a_restart_stay_lost() -> None:
    """A new start forgives nothing."""
    stream = audio()
    feed(stream, 1, 4, 30_000, 30_001)
    assert (stream.delivered, stream.lost, stream.restarts) == (4, 2, 1)


def test_what_is_remembered_is_bounded() -> None:
    """After many gaps the oldest are lost for good, and still counted."""
    stream = audio()
    number = 0
    for _ in range(5):
        feed(stream, number, number + 1)
        number += MAX_DROPOUT_PACKETS + 1
    feed(stream, number, number + 1)
    assert stream.lost == 5 * (MAX_DROPOUT_PACKETS - 1)
    assert len(stream._missing) == MAX_MISSING_REMEMBERED


def test_an_even_stream_has_no_jitter() -> None:
    """Arrivals as far apart as the timestamps."""
    stream = audio()
    feed(stream, *range(100))
    assert stream.jitter_ms == pytest.approx(0, abs=1e-6)


def test_jitter_is_that_of_rfc_3550() -> None:
    """Packets alternately 4 ms early and late: each difference is 8 ms, and the estimate tends to it."""
    stream = audio()
    for number in range(200):
        stream.handle_packet(number, number * STEP, number * 0.02 + (0.004 if number % 2 else -0.004))
    assert stream.jitter_ms == pytest.approx(8, rel=0.01)


def test_a_frame_that_is_spread_over_packets_is_no_jitter() -> None:
    """Packets of one timestamp count once, by the first of them, also across the wrap of the timestamp."""
    stream = StreamCount(7, "video", "VP8", 90_000)
    for frame in range(50):
        for part in range(8):
            timestamp = (0xFFFF_0000 + frame * 3000) & 0xFFFF_FFFF
            stream.handle_packet(frame * 8 + part, timestamp, frame / 30 + part * 0.001)
    assert stream.jitter_ms == pytest.approx(0, abs=1e-6)


def test_a_report_says_what_was_lost_since_the_last_one() -> None:
    """`fraction_lost` is of the interval, `packets_lost` of the whole time; the sender report is echoed."""
    stream = audio()
    feed(stream, 0, 1, 3)
    stream.handle_sender_report(0x1234_5678_9ABC_DEF0, 10.0)
    block = stream.report_block(10.5)
    assert (block.ssrc, block.fraction_lost, block.packets_lost) == (7, 64, 1)
    assert (block.last_sr, block.delay_since_last_sr) == (0x5678_9ABC, 32_768)
    feed(stream, 4, 5)
    block = stream.report_block(11.5)
    assert (block.fraction_lost, block.packets_lost, block.highest_sequence) == (0, 1, 5)
    feed(stream, 2)  # late: there are fewer losses than there were
    assert (stream.report_block(12.5).fraction_lost, stream.report_block(12.5).packets_lost) == (0, 0)
