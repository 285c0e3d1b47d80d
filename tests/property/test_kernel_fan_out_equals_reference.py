"""Whatever is asked of it, the compiled fan-out puts on the wire what the reference does."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fan_outs import Side, bound_socket, made_up_keys

from relay.core.srtp import SrtpProfile
from relay.fanout.interface import FanOut, PeerSlot, Tail, TrackSlot
from relay.fanout.reference import ReferenceFanOut
from relay.fanout.shards import KernelFanOut
from relay.wire.extended_report import DelaySinceLastReport
from relay.wire.rtcp import serialize_compound

PROFILES = list(SrtpProfile)
TRACKS, PEERS, RECEIVERS, CAPACITY = 2, 4, 3, 64
FIRST_INDEXES = (0, 65_530, 5 * 65_536 - 4)
TIMESTAMP_OFFSETS = (0, 1, -1, 90_000, (1 << 32) - 1, -(1 << 31))
OFFSETS = (0, -3, 7, 65_530, -65_536, (1 << 48) - 65_540)

sizes = st.lists(
    st.one_of(st.sampled_from([1040, 1041, 1039]), st.integers(0, 60), st.integers(800, 1440)), min_size=1, max_size=8
)
peers, tracks, seeds = st.integers(0, PEERS - 1), st.integers(0, TRACKS - 1), st.integers(0, 250)
operations = st.one_of(
    st.tuples(st.just("burst"), tracks, sizes, seeds),
    st.tuples(st.just("burst"), tracks, sizes, seeds),
    st.tuples(st.just("burst_with_tail"), tracks, sizes, st.integers(0, 1200), seeds),
    st.tuples(st.just("resend"), tracks, peers, st.lists(st.integers(-3, 20), max_size=6)),
    st.tuples(st.just("late"), tracks, st.lists(st.integers(0, 20), min_size=1, max_size=3)),
    st.tuples(st.just("add_peer"), peers, st.integers(0, RECEIVERS - 1), st.sampled_from(PROFILES), seeds),
    st.tuples(st.just("set_address"), peers, st.integers(0, RECEIVERS - 1)),
    st.tuples(st.just("remove_peer"), peers),
    st.tuples(st.just("add_output"), tracks, peers, st.sampled_from(OFFSETS), seeds),
    st.tuples(st.just("remove_output"), tracks, peers),
    st.tuples(st.just("report"), tracks, st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 32) - 1)),
)


def rtp_packet(index: int, size: int, random_: random.Random) -> bytes:
    """A packet that may have CSRCs, an extension and padding."""
    sources = random_.choice([0, 0, 2])
    extension = random_.choice([b"", b"", b"\xbe\xde\x00\x01\x10\xaa\x00\x00"])
    padding = random_.choice([0, 0, 0, 1, 17, 255]) if size > 255 else 0
    first = 0x80 | sources | (0x20 if padding else 0) | (0x10 if extension else 0)
    body = random_.randbytes(size)
    if padding:
        body = body[:-padding] + bytes(padding - 1) + bytes([padding])
    second = random_.choice([33, 0x80 | 33])
    return struct.pack("!BBHII", first, second, index & 0xFFFF, index * 3000 & 0xFFFF_FFFF, 7) + (
        random_.randbytes(4 * sources) + extension + body
    )


class Script:
    """Runs the same operations on one side; the caller compares what came of it."""

    def __init__(self, side: Side, first_index: int) -> None:
        self.side = side
        self.next_index = dict.fromkeys(side.caches, first_index)
        self.generations: dict[int, int] = {}  # of the peers that are known
        self.generation = 0
        self.answers: list[object] = []

    def run(self, program: list[tuple[object, ...]]) -> None:
        """Each operation is named after the method that it tests."""
        for name, *arguments in program:
            do: Callable[..., object] = getattr(self, f"_{name}")
            self.answers.append(do(*arguments))

    def _burst(self, track: int, sizes: list[int], seed: int) -> None:
        slot, random_ = TrackSlot(track), random.Random(seed)
        begin = self.next_index[slot]
        self.next_index[slot] += len(sizes)
        packets = [(begin + n, rtp_packet(begin + n, size, random_)) for n, size in enumerate(sizes)]
        self.side.fan_out.send_burst(slot, self.side.caches[slot], self.side.put(slot, packets))

    def _burst_with_tail(self, track: int, sizes: list[int], tail_size: int, seed: int) -> None:
        slots, random_ = (TrackSlot(track), TrackSlot((track + 1) % TRACKS)), random.Random(seed)
        begins = [self.next_index[slot] for slot in slots]
        self.next_index[slots[0]] += len(sizes)
        self.next_index[slots[1]] += 1
        packets = [(begins[0] + n, rtp_packet(begins[0] + n, size, random_)) for n, size in enumerate(sizes)]
        self.side.put(slots[1], [(begins[1], rtp_packet(begins[1], tail_size, random_))])
        tail = Tail(slots[1], self.side.caches[slots[1]], begins[1] + (seed == 7))  # one in many is not there
        self.side.fan_out.send_burst(slots[0], self.side.caches[slots[0]], self.side.put(slots[0], packets), tail)

    def _resend(self, track: int, peer: int, back: list[int]) -> int:
        slot = TrackSlot(track)
        indexes = [self.next_index[slot] - 1 - n for n in back]
        return self.side.fan_out.resend(slot, PeerSlot(peer), self.side.caches[slot], indexes)

    def _late(self, track: int, back: list[int]) -> None:
        slot = TrackSlot(track)
        self.side.fan_out.send_burst(slot, self.side.caches[slot], [self.next_index[slot] - 1 - n for n in back])

    def _add_peer(self, peer: int, receiver: int, profile: SrtpProfile, seed: int) -> None:
        if peer not in self.generations:
            self.generation += 1
            self.generations[peer] = self.generation
        self.side.fan_out.add_peer(PeerSlot(peer), self.side.address(receiver), made_up_keys(profile, seed))

    def _set_address(self, peer: int, receiver: int) -> None:
        self.side.fan_out.set_address(PeerSlot(peer), self.side.address(receiver))

    def _remove_peer(self, peer: int) -> None:
        self.generations.pop(peer, None)
        self.side.fan_out.remove_peer(PeerSlot(peer))

    def _add_output(self, track: int, peer: int, offset: int, seed: int) -> None:
        generation = self.generations.get(peer)
        if generation is None:
            return
        # A peer that was removed and comes again may be in another shard: its stream is another one.
        ssrc = 0x8000_0000 | generation << 16 | track << 8 | seed
        self.side.fan_out.add_output(
            TrackSlot(track),
            PeerSlot(peer),
            ssrc=ssrc,
            payload_type=seed % 128,
            index_offset=offset,
            timestamp_offset=TIMESTAMP_OFFSETS[seed % len(TIMESTAMP_OFFSETS)],
        )

    def _report(self, track: int, ntp_timestamp: int, rtp_timestamp: int) -> None:
        to_one = ntp_timestamp % 2 == 1
        self.side.fan_out.send_report(
            TrackSlot(track),
            ntp_timestamp=ntp_timestamp,
            rtp_timestamp=rtp_timestamp,
            cname="kênh",
            peer=PeerSlot(rtp_timestamp % 4) if to_one else None,
            appended=MORE_RTCP if to_one else b"",
        )

    def _remove_output(self, track: int, peer: int) -> None:
        self.side.fan_out.remove_output(TrackSlot(track), PeerSlot(peer))


MORE_RTCP = serialize_compound([DelaySinceLastReport(1, 2, 3, 4)])


def outcome(
    make: Callable[[socket.socket], FanOut],
    program: list[tuple[object, ...]],
    first_index: int,
    family: socket.AddressFamily,
) -> tuple[object, ...]:
    """All that can be seen from outside: datagrams, answers and counters."""
    sender = bound_socket(family)
    side = Side(make(sender), sender, tracks=TRACKS, receivers=RECEIVERS, capacity=CAPACITY)
    try:
        script = Script(side, first_index)
        script.run(program)
        # Peers share receivers and shards run side by side: what is fixed is each stream's order.
        arrived = [sorted(datagrams, key=lambda datagram: datagram[8:12]) for datagrams in side.arrived()]
        totals = [
            side.fan_out.output_totals(TrackSlot(track), PeerSlot(peer))
            for track in range(TRACKS)
            for peer in range(PEERS)
        ]
        return arrived, script.answers, side.fan_out.totals(), totals
    finally:
        side.close()


START: list[tuple[object, ...]] = [
    ("add_peer", 0, 0, PROFILES[0], 1),
    ("add_peer", 1, 1, PROFILES[1], 2),
    ("add_peer", 2, 2, PROFILES[2], 3),
    ("add_output", 0, 0, 0, 10),
    ("add_output", 0, 1, 7, 11),
    ("add_output", 0, 2, -3, 12),
    ("add_output", 1, 2, 0, 13),
]


@pytest.mark.parametrize("threads", [0, 1, 2])
@settings(max_examples=60)
@given(program=st.lists(operations, max_size=14), first_index=st.sampled_from(FIRST_INDEXES))
def test_the_kernel_sends_what_the_reference_sends(
    threads: int, program: list[tuple[object, ...]], first_index: int
) -> None:
    """Bursts, late packets, resends, changes in between: the same datagrams, answers and counters."""
    whole = START + program
    expected = outcome(ReferenceFanOut, whole, first_index, socket.AF_INET)
    seen = outcome(lambda sock: KernelFanOut(sock, threads=threads), whole, first_index, socket.AF_INET)
    assert seen == expected


@settings(max_examples=20)
@given(program=st.lists(operations, max_size=8), first_index=st.sampled_from(FIRST_INDEXES))
def test_they_are_equal_over_ipv6(program: list[tuple[object, ...]], first_index: int) -> None:
    """The same over an IPv6 socket."""
    whole = START + program
    expected = outcome(ReferenceFanOut, whole, first_index, socket.AF_INET6)
    seen = outcome(lambda sock: KernelFanOut(sock, threads=1), whole, first_index, socket.AF_INET6)
    assert seen == expected
