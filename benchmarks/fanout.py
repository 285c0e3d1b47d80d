"""What a packet to a subscriber costs in the fan-out alone: the compiled kernel against its floor and its alternatives.

    python -m benchmarks.fanout --json

One track of 8-packet frames, packets of 1,040 octets, AEAD_AES_128_GCM, a key per subscriber. The packets lie in the
cache before the clock starts; what is measured is `send_burst` until everything is with the kernel of the system, user
and system time of this process (getrusage). Alternatives run in turn, round by round; a figure is the median of the
rounds, and so is a ratio.

Subscribers' addresses are those of 16 real sockets with the smallest buffers, which nobody reads: loopback delivers,
and discards when a buffer is full. So each figure contains loopback's receiving half up to the socket, which a network
card would do elsewhere; it is the same in the floor and in every alternative.

How far a second thread helps is a matter of wall time: the best round of one thread over the best round of two, since
other work on the machine only ever adds. Beside it stands what it would be on a machine with nothing else to do: the
processor time of the one thread over that of the busier of the two.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import socket
import statistics
import struct
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from benchmarks.support.fanout_floor import FloorFanOut, LibsrtpFanOut
from benchmarks.support.processes import machine
from relay.core.packet_cache import PacketCache
from relay.core.srtp import SrtpKeys, SrtpProfile
from relay.fanout.interface import PeerSlot, TrackSlot
from relay.fanout.reference import ReferenceFanOut
from relay.fanout.shards import KernelFanOut

FRAME_PACKETS = 8
PACKET_BYTES = 1040
RECEIVERS = 16
WARM_FRAMES = 2
SETTLE_FRAMES = 16  # well within what a shard lets wait
PACKETS_PER_CELL = 60_000
TARGET_SUBSCRIBERS = 400
TRACK = TrackSlot(1)

Made = KernelFanOut | ReferenceFanOut | LibsrtpFanOut


class Cell(msgspec.Struct, kw_only=True):
    """One measurement.

    Attributes:
        alternative: what sent.
        threads: threads that it sent with; 0 is the caller's own.
        subscribers: to how many.
        packets: packets times subscribers.
        round: in which round.
        cpu_us_per_packet: processor time.
        wall_us_per_packet: elapsed time.
        busiest_thread_us_per_packet: processor time of the fan-out's busiest thread; 0 without threads.
        packets_lost: what the fan-out did not send.
    """

    alternative: str
    threads: int
    subscribers: int
    packets: int
    round: int
    cpu_us_per_packet: float
    wall_us_per_packet: float
    busiest_thread_us_per_packet: float
    packets_lost: int


class Alternative(msgspec.Struct, frozen=True):
    """A fan-out to measure; `slow` ones get a quarter of the frames."""

    name: str
    threads: int
    make: Callable[[socket.socket], Made]
    slow: bool = False


ALTERNATIVES = (
    Alternative("kernel", 1, lambda sock: KernelFanOut(sock, threads=1)),
    Alternative("floor", 1, lambda sock: FloorFanOut(sock, threads=1)),
    Alternative("reference", 0, ReferenceFanOut),
    Alternative("kernel", 2, lambda sock: KernelFanOut(sock, threads=2)),
    Alternative("pylibsrtp", 0, LibsrtpFanOut, slow=True),
)


def measure(alternative: Alternative, subscribers: int, round_: int, rng: random.Random) -> Cell:
    """Send frames to so many subscribers."""
    frames = max(2, PACKETS_PER_CELL // (FRAME_PACKETS * subscribers) // (4 if alternative.slow else 1))
    cache = PacketCache((frames + WARM_FRAMES) * FRAME_PACKETS)
    bursts = [_put_frame(cache, number, rng) for number in range(frames + WARM_FRAMES)]
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receivers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(RECEIVERS)]
    try:
        sender.setblocking(False)  # noqa: FBT003 (the standard library takes it so)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 1024 * 1024)
        sender.bind(("127.0.0.1", 0))
        for receiver in receivers:
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            receiver.bind(("127.0.0.1", 0))
        fan_out = alternative.make(sender)
        profile = SrtpProfile.AEAD_AES_128_GCM
        for peer in range(subscribers):
            keys = SrtpKeys(profile, rng.randbytes(profile.key_length), rng.randbytes(profile.salt_length))
            fan_out.add_peer(PeerSlot(peer), receivers[peer % RECEIVERS].getsockname(), keys)
            fan_out.add_output(TRACK, PeerSlot(peer), ssrc=peer + 1, payload_type=96, index_offset=0)
        _send(fan_out, cache, bursts[:WARM_FRAMES])
        sent_before, threads_before = _packets_sent(fan_out), _thread_cpu_s()
        cpu_before, wall_before = _cpu_s(), time.perf_counter()
        _send(fan_out, cache, bursts[WARM_FRAMES:])
        cpu_s, wall_s = _cpu_s() - cpu_before, time.perf_counter() - wall_before
        threads_after = _thread_cpu_s()
        busiest_s = max((threads_after[name] - before for name, before in threads_before.items()), default=0.0)
        packets = frames * FRAME_PACKETS * subscribers
        lost = packets - (_packets_sent(fan_out) - sent_before)
        fan_out.close()
    finally:
        for sock in (sender, *receivers):
            sock.close()
    return Cell(
        alternative=alternative.name,
        threads=alternative.threads,
        subscribers=subscribers,
        packets=packets,
        round=round_,
        cpu_us_per_packet=round(cpu_s / packets * 1e6, 3),
        wall_us_per_packet=round(wall_s / packets * 1e6, 3),
        busiest_thread_us_per_packet=round(busiest_s / packets * 1e6, 3),
        packets_lost=lost,
    )


def _put_frame(cache: PacketCache, number: int, rng: random.Random) -> list[int]:
    indexes = list(range(number * FRAME_PACKETS, (number + 1) * FRAME_PACKETS))
    for index in indexes:
        second = 0x80 | 96 if index == indexes[-1] else 96
        header = struct.pack("!BBHII", 0x80, second, index & 0xFFFF, number * 3000 & 0xFFFF_FFFF, 7)
        cache.put(index, header + rng.randbytes(PACKET_BYTES - len(header)))
    return indexes


def _send(fan_out: Made, cache: PacketCache, bursts: Sequence[list[int]]) -> None:
    for number, burst in enumerate(bursts, 1):
        fan_out.send_burst(TRACK, cache, burst)
        if isinstance(fan_out, KernelFanOut) and (number % SETTLE_FRAMES == 0 or number == len(bursts)):
            fan_out.wait_idle(60.0)


def _packets_sent(fan_out: Made) -> int:
    return fan_out.packets_sent if isinstance(fan_out, LibsrtpFanOut) else fan_out.totals().packets_sent


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _thread_cpu_s() -> dict[str, float]:
    """Processor time of each thread of a fan-out, by name."""
    return {
        thread.name: time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
        for thread in threading.enumerate()
        if thread.name.startswith("fan-out-") and thread.ident is not None
    }


def summary(cells: Sequence[Cell], subscribers: int) -> dict[str, float]:
    """The figures for one number of subscribers."""
    rounds = sorted({cell.round for cell in cells})
    by_round = {(cell.alternative, cell.threads, cell.round): cell for cell in cells if cell.subscribers == subscribers}

    def cpu(name: str, threads: int) -> float:
        return statistics.median(by_round[name, threads, number].cpu_us_per_packet for number in rounds)

    def ratio(upper: tuple[str, int], lower: tuple[str, int]) -> float:
        return statistics.median(
            by_round[(*upper, number)].cpu_us_per_packet / by_round[(*lower, number)].cpu_us_per_packet
            for number in rounds
        )

    def best_wall(threads: int) -> float:
        return min(by_round["kernel", threads, number].wall_us_per_packet for number in rounds)

    figures = {
        "kernel_us_per_packet": cpu("kernel", 1),
        "kernel_two_threads_us_per_packet": cpu("kernel", 2),
        "floor_us_per_packet": cpu("floor", 1),
        "reference_us_per_packet": cpu("reference", 0),
        "pylibsrtp_us_per_packet": cpu("pylibsrtp", 0),
        "kernel_over_floor": ratio(("kernel", 1), ("floor", 1)),
        "reference_over_kernel": ratio(("reference", 0), ("kernel", 1)),
        "pylibsrtp_over_kernel": ratio(("pylibsrtp", 0), ("kernel", 1)),
        "two_threads_over_one": best_wall(1) / best_wall(2),
        "two_threads_over_one_by_cpu": statistics.median(
            by_round["kernel", 1, number].busiest_thread_us_per_packet
            / by_round["kernel", 2, number].busiest_thread_us_per_packet
            for number in rounds
        ),
    }
    return {name: round(value, 3) for name, value in figures.items()}


def main() -> None:
    """Measure, and print one JSON object last."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fanout", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="nothing but the JSON object")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--subscribers", type=int, nargs="+", default=[100, 400, 1000, 11_661])
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    cells: list[Cell] = []
    for round_ in range(asked.rounds):
        for subscribers in asked.subscribers:
            for alternative in ALTERNATIVES:
                cell = measure(alternative, subscribers, round_, rng)
                cells.append(cell)
                if not asked.json:
                    print(
                        f"{round_}: {cell.alternative} x{cell.threads} to {subscribers}: {cell.cpu_us_per_packet} µs",
                        flush=True,
                    )
    by_subscribers = {str(subscribers): summary(cells, subscribers) for subscribers in asked.subscribers}
    main_size = str(TARGET_SUBSCRIBERS if TARGET_SUBSCRIBERS in asked.subscribers else asked.subscribers[0])
    result = {
        "benchmark": "fanout",
        **by_subscribers[main_size],
        "subscribers": int(main_size),
        "packet_bytes": PACKET_BYTES,
        "frame_packets": FRAME_PACKETS,
        "profile": SrtpProfile.AEAD_AES_128_GCM.name,
        "receivers": f"{RECEIVERS} sockets of the smallest buffer on loopback, not read: packets are discarded there",
        "by_subscribers": by_subscribers,
        "runs": [msgspec.to_builtins(cell) for cell in cells],
        "machine": machine(),
        "seed": asked.seed,
    }
    print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    main()
