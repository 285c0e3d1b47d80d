"""Receiver statistics as RFC 3550 computes them."""

from __future__ import annotations

from relay.core.reception import Reception
from relay.wire.rtcp import ReceiverReport, ReportBlock, parse_compound, serialize_compound

RATE = 90_000


def test_losses_are_counted_since_the_last_report_and_since_the_beginning() -> None:
    """A quarter lost first, nothing lost then."""
    reception = Reception()
    for index in range(65_500, 65_600):
        if index % 4:
            reception.handle_packet(index, 0, RATE, 0.0)
    first = reception.report_block(7, 1.0)
    assert first.ssrc == 7
    assert first.highest_sequence == 65_599
    assert first.packets_lost == 24
    assert first.fraction_lost == (24 << 8) // 99
    for index in range(65_600, 65_700):
        reception.handle_packet(index, 0, RATE, 0.0)
    second = reception.report_block(7, 2.0)
    assert (second.fraction_lost, second.packets_lost) == (0, 24)


def test_duplicates_make_the_loss_negative() -> None:
    """RFC 3550 counts them as received; the fraction is 0 then."""
    reception = Reception()
    for index in (1, 1, 2, 2):
        reception.handle_packet(index, 0, RATE, 0.0)
    block = reception.report_block(7, 0.0)
    assert (block.packets_lost, block.fraction_lost) == (-2, 0)
    assert parse_compound(serialize_compound([ReceiverReport(1, (block,))])) == [ReceiverReport(1, (block,))]


def test_steady_arrival_has_no_jitter_and_uneven_arrival_has() -> None:
    """A difference of 900 ticks, 16 times damped, across the wrap of the timestamp."""
    reception = Reception()
    start = (1 << 32) - 3000
    for n in range(10):
        reception.handle_packet(n, (start + 3000 * n) % (1 << 32), RATE, n / 30)
    assert reception.jitter <= 1
    reception.handle_packet(10, (start + 30_000) % (1 << 32), RATE, 10 / 30 + 0.01)
    assert 55 <= reception.jitter <= 57


def test_the_sender_report_is_echoed() -> None:
    """Middle 32 bits of its time, and the delay since in 1/65536 s."""
    reception = Reception()
    reception.handle_packet(1, 0, RATE, 0.0)
    assert reception.report_block(7, 1.0).last_sr == 0
    assert reception.report_block(7, 1.0).delay_since_last_sr == 0
    reception.handle_sender_report(0x0123_4567_89AB_CDEF, 10.0)
    block = reception.report_block(7, 10.5)
    assert block.last_sr == 0x4567_89AB
    assert block.delay_since_last_sr == 32_768
    assert reception.report_block(7, 1e9).delay_since_last_sr == 0xFFFF_FFFF


def test_a_sender_that_starts_again_is_no_loss() -> None:
    """A jump of more than 3,000 packets begins the count anew, forward and backward."""
    reception = Reception()
    reception.handle_packet(100, 0, RATE, 0.0)
    reception.handle_packet(30_000, 0, RATE, 0.1)
    assert reception.packets_lost == 0
    reception.handle_packet(50, 0, RATE, 0.2)
    assert reception.packets_lost == 0
    assert reception.report_block(7, 1.0).highest_sequence == 50


def test_an_early_packet_that_comes_late_is_counted() -> None:
    """Reordering at the very beginning moves the base."""
    reception = Reception()
    for index in (5, 4, 7):
        reception.handle_packet(index, 0, RATE, 0.0)
    assert reception.packets_lost == 1


def test_before_the_first_packet_all_is_zero() -> None:
    """An empty report is a valid one."""
    assert Reception().report_block(7, 1.0) == ReportBlock(7, 0, 0, 0, 0, 0, 0)
