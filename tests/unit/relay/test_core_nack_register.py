"""What is asked for, when, and for how long."""

from __future__ import annotations

import random

from relay.core.nack_register import (
    MAX_GAP_PACKETS,
    MAX_NACKS_PER_POLL,
    MAX_TRIES,
    MIN_RETRY_S,
    REORDER_TOLERANCE_S,
    WINDOW_PACKETS,
    NackRegister,
)


def test_a_gap_is_asked_for_after_the_reorder_tolerance() -> None:
    """Ten milliseconds after the gap showed, in 16-bit sequence numbers."""
    register = NackRegister()
    register.handle_packet(65_534, 0.0)
    register.handle_packet(65_538, 1.0)
    assert register.next_deadline() == 1.0 + REORDER_TOLERANCE_S
    assert register.poll(1.009) == []
    assert register.poll(1.010) == [65_535, 0, 1]
    assert register.poll(1.011) == []


def test_reordering_costs_no_nack() -> None:
    """What comes within the tolerance is not asked for."""
    register = NackRegister()
    for index in (1, 3, 2):
        register.handle_packet(index, 0.0)
    assert register.next_deadline() is None
    assert register.poll(1.0) == []
    assert (register.reordered, register.recovered, register.lost) == (1, 0, 0)


def test_retries_keep_a_round_trip_apart_and_end() -> None:
    """Ten tries, then the packet is lost."""
    register = NackRegister(rtt_s=0.06)
    register.handle_packet(1, 0.0)
    register.handle_packet(3, 0.0)
    times = []
    while (deadline := register.next_deadline()) is not None:
        if register.poll(deadline):
            times.append(round(deadline, 6))
    assert times == [round(0.010 + 0.06 * n, 6) for n in range(MAX_TRIES)]
    assert register.lost == 1
    assert MIN_RETRY_S == 0.040


def test_what_is_older_than_a_second_is_given_up() -> None:
    """A long round trip leaves fewer tries."""
    register = NackRegister(rtt_s=0.4)
    register.handle_packet(1, 0.0)
    register.handle_packet(3, 0.0)
    asked = 0
    while (deadline := register.next_deadline()) is not None:
        asked += len(register.poll(deadline))
        assert deadline <= 1.0
    assert asked == 3
    assert register.lost == 1


def test_a_recovered_packet_is_forgotten() -> None:
    """It came after a NACK: counted, and not asked for again; its double changes nothing."""
    register = NackRegister()
    register.handle_packet(1, 0.0)
    register.handle_packet(3, 0.0)
    assert register.poll(0.02) == [2]
    register.handle_packet(2, 0.03)
    register.handle_packet(2, 0.03)
    register.handle_packet(0, 0.03)
    assert register.poll(0.5) == []
    assert (register.recovered, register.reordered, register.lost) == (1, 0, 0)


def test_a_wide_gap_asks_for_a_keyframe_instead() -> None:
    """More than 512 packets are not repaired; the wish is told once."""
    register = NackRegister()
    register.handle_packet(0, 0.0)
    register.handle_packet(2, 0.0)
    register.handle_packet(2 + MAX_GAP_PACKETS + 2, 0.0)
    assert register.take_keyframe_wanted()
    assert not register.take_keyframe_wanted()
    assert register.next_deadline() is None
    assert register.lost == MAX_GAP_PACKETS + 2
    register.handle_packet(10 + MAX_GAP_PACKETS, 0.0)
    assert register.poll(0.02) != []


def test_memory_and_output_are_bounded() -> None:
    """Nine of ten packets missing for ever: at most a window is remembered, and little is asked at a time."""
    register = NackRegister()
    rng = random.Random(1)
    index = 0
    missing = 0
    for _ in range(2000):
        step = rng.randint(1, 20)
        missing += step - 1 if index else 0
        index += step
        register.handle_packet(index, 0.0)
        assert len(register._missing) <= WINDOW_PACKETS
    first = register.poll(0.02)
    assert len(first) == MAX_NACKS_PER_POLL
    deadline = register.next_deadline()
    assert deadline is not None
    assert deadline <= 0.02
    assert not set(first) & set(register.poll(0.02))
    assert register.lost + len(register._missing) == missing
