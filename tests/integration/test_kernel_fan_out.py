"""The compiled fan-out over real loopback sockets, with libsrtp as the receiver."""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from support.fan_outs import Side, bound_socket, made_up_keys, opener, take_all
from support.namespaces import needs_namespaces

from relay.core.srtp import SrtpProfile
from relay.fanout import libcrypto
from relay.fanout.choose import choose_fan_out
from relay.fanout.compiling import compiled
from relay.fanout.interface import FanOutTotals, OutputTotals, PeerSlot, TrackSlot
from relay.fanout.kernel import fan_out
from relay.fanout.libcrypto import KernelUnavailableError
from relay.fanout.reference import ReferenceFanOut
from relay.fanout.shards import KernelFanOut
from relay.wire.rtp import parse_rtp_header

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
TRACK = TrackSlot(0)
PROFILES = list(SrtpProfile)


def frame(begin: int, sizes: list[int]) -> list[tuple[int, bytes]]:
    """Packets of a frame: (index, packet)."""
    return [
        (index, struct.pack("!BBHII", 0x80, 33, index & 0xFFFF, 3000, 7) + bytes([index % 256]) * (size - 12))
        for index, size in enumerate(sizes, begin)
    ]


def kernel_side(*, threads: int, receivers: int) -> Side:
    """A compiled fan-out with receivers."""
    sender = bound_socket()
    return Side(KernelFanOut(sender, threads=threads), sender, tracks=1, receivers=receivers, capacity=256)


def subscribe(side: Side, receiver: int, profile: SrtpProfile = PROFILES[0], *, index_offset: int = 0) -> None:
    """A peer for a receiver, with an output of the track."""
    peer = PeerSlot(receiver)
    side.fan_out.add_peer(peer, side.address(receiver), made_up_keys(profile, receiver))
    side.fan_out.add_output(TRACK, peer, ssrc=100 + receiver, payload_type=96, index_offset=index_offset)


def fan_out_threads() -> list[str]:
    """Names of the fan-outs' threads that run."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("fan-out-")]


@pytest.fixture
def side() -> Iterator[Side]:
    """Two shards, four receivers."""
    made = kernel_side(threads=2, receivers=4)
    yield made
    made.close()


def test_libsrtp_opens_all_three_profiles_across_the_roll_over(side: Side) -> None:
    """Sequence numbers wrap, padding evens out lengths, and each receiver goes on decrypting."""
    for receiver, profile in enumerate(PROFILES):
        subscribe(side, receiver, profile, index_offset=30_000)
    sessions = [opener(made_up_keys(profile, receiver)) for receiver, profile in enumerate(PROFILES)]
    for begin in range(0, 70_000, 500):
        side.fan_out.send_burst(TRACK, side.caches[TRACK], side.put(TRACK, frame(begin, [1100, 1101, 400])))
        for receiver, datagrams in enumerate(side.arrived()[: len(PROFILES)]):
            packets = [bytes(sessions[receiver].unprotect(datagram)) for datagram in datagrams]
            headers = [parse_rtp_header(packet) for packet in packets]
            assert [header.sequence_number for header in headers] == [(begin + 30_000 + n) & 0xFFFF for n in range(3)]
            assert {(header.ssrc, header.payload_type) for header in headers} == {(100 + receiver, 96)}
            assert packets[0][12 : len(packets[0]) - headers[0].padding_length] == bytes([begin % 256]) * 1088
    totals = side.fan_out.totals()
    assert totals.packets_sent == 140 * 3 * len(PROFILES)
    assert totals.sends == 140 * len(PROFILES)


def test_two_threads_lose_nothing_and_keep_the_order() -> None:
    """Forty receivers over two shards, bursts without a pause: each gets every packet, in order."""
    side = kernel_side(threads=2, receivers=40)
    try:
        for receiver in range(40):
            subscribe(side, receiver)
        begin = 0
        for _ in range(5):
            for _ in range(20):
                side.fan_out.send_burst(TRACK, side.caches[TRACK], side.put(TRACK, frame(begin, [200, 200, 200])))
                begin += 3
            for datagrams in side.arrived():
                numbers = [parse_rtp_header(datagram).sequence_number for datagram in datagrams]
                assert numbers == list(range(begin - 60, begin))
        assert side.fan_out.totals().packets_dropped == 0
        assert side.fan_out.output_totals(TRACK, PeerSlot(39)) == OutputTotals(packets=300, octets=300 * 188)
    finally:
        side.close()


def test_a_slow_subscriber_loses_only_its_own_packets(side: Side) -> None:
    """One receiver's buffer is full; the others get every packet."""
    side.receivers[1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for receiver in range(4):
        subscribe(side, receiver)
    for begin in range(0, 80, 8):
        side.fan_out.send_burst(TRACK, side.caches[TRACK], side.put(TRACK, frame(begin, [1000] * 8)))
    arrived = side.arrived()
    assert [len(datagrams) for datagrams in arrived if datagrams is not arrived[1]] == [80] * 3
    assert len(arrived[1]) < 80


@needs_namespaces
def test_a_full_send_buffer_drops_and_counts_as_in_the_reference() -> None:
    """Packets wait for a neighbour that never answers: what would block is dropped at once, and counted the same."""
    done = subprocess.run(
        ["unshare", "--net", sys.executable, str(ROOT / "tests/support/full_socket.py")],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    reference, kernel = json.loads(done.stdout)
    assert kernel == reference
    assert kernel["prompt"] is True
    assert kernel["bursts_dropped"] > 0
    # The very first packet has no index at this output; it counts again when its burst would block.
    assert kernel["packets_sent"] + kernel["packets_dropped"] >= 32


def test_an_unreachable_peer_disturbs_nobody(side: Side) -> None:
    """An IPv6 address on an IPv4 socket counts as an error at each run, and the next one gets its packets."""
    subscribe(side, 0)
    subscribe(side, 2)
    side.fan_out.set_address(PeerSlot(0), ("::1", 9))
    side.fan_out.send_burst(TRACK, side.caches[TRACK], side.put(TRACK, frame(0, [100, 100])))
    assert [len(datagrams) for datagrams in side.arrived()] == [0, 0, 2, 0]
    totals = side.fan_out.totals()
    assert (totals.send_errors, totals.packets_sent) == (1, 2)


def test_no_thread_is_left_after_the_end(side: Side) -> None:
    """Two threads while it serves, none after; keys are wiped, counters stay, later calls send nothing."""
    assert sorted(fan_out_threads()) == ["fan-out-0", "fan-out-1"]
    subscribe(side, 0)
    side.fan_out.send_burst(TRACK, side.caches[TRACK], side.put(TRACK, frame(0, [100, 100])))
    side.settle()
    side.fan_out.close()
    assert fan_out_threads() == []
    side.fan_out.send_burst(TRACK, side.caches[TRACK], [0])
    side.fan_out.remove_peer(PeerSlot(0))
    assert side.fan_out.totals().packets_sent == 2
    assert side.fan_out.output_totals(TRACK, PeerSlot(0)) == OutputTotals()
    assert len(take_all(side.receivers[0])) == 2
    subscribe(side, 0)
    side.fan_out.send_burst(TRACK, side.caches[TRACK], [0])
    assert side.fan_out.totals().send_errors == 1
    assert take_all(side.receivers[0]) == []


def test_the_kernel_is_compiled_once_for_all_it_meets(side: Side) -> None:
    """What is warmed at the start are the very types of the calls that follow: nothing compiles while media flows."""
    subscribe(side, 0)
    side.fan_out.send_burst(TRACK, side.caches[TRACK], side.put(TRACK, frame(0, [100, 300, 100])))
    side.fan_out.send_burst(TRACK, side.caches[TRACK], [])
    side.fan_out.resend(TRACK, PeerSlot(0), side.caches[TRACK], [1])
    side.settle()
    assert len(cast("Any", fan_out).signatures) == 1


def test_a_removed_peers_key_is_wiped(side: Side) -> None:
    """Its row holds neither key nor salt nor address; the next peer may take it."""
    assert isinstance(side.fan_out, KernelFanOut)
    subscribe(side, 0, PROFILES[2])
    side.settle()
    shards = side.fan_out._shards
    assert any(shard._peers.salts.any() and shard._peers.hmac_states.any() for shard in shards)
    side.fan_out.remove_peer(PeerSlot(0))
    side.settle()
    assert not any(array.any() for shard in shards for array in shard._peers)
    assert side.fan_out.resend(TRACK, PeerSlot(0), side.caches[TRACK], [0]) == 0


def test_many_peers_come_and_go(side: Side) -> None:
    """More than a table's first rows; rows are used again, and shards stay even."""
    assert isinstance(side.fan_out, KernelFanOut)
    for turn in range(3):
        for peer in range(300):
            side.fan_out.add_peer(PeerSlot(peer), side.address(0), made_up_keys(PROFILES[peer % 3], peer))
            side.fan_out.add_output(TRACK, PeerSlot(peer), ssrc=peer, payload_type=96, index_offset=0)
        side.fan_out.send_burst(TRACK, side.caches[TRACK], side.put(TRACK, frame(turn, [40])))
        side.settle()
        assert side.fan_out.output_totals(TRACK, PeerSlot(299)) == OutputTotals(packets=1, octets=28)
        for peer in range(300):
            side.fan_out.remove_peer(PeerSlot(peer))
    side.settle()
    assert side.fan_out.totals().packets_sent == 900
    assert [shard._peers.ciphers.shape[0] for shard in side.fan_out._shards] == [256, 256]


def test_mistakes_of_ours_are_told(side: Side) -> None:
    """An output for nobody, or an address that is a name, is a bug and raises."""
    with pytest.raises(KeyError):
        side.fan_out.add_output(TRACK, PeerSlot(3), ssrc=1, payload_type=96, index_offset=0)
    with pytest.raises(ValueError, match="localhost"):
        side.fan_out.add_peer(PeerSlot(3), ("localhost", 1), made_up_keys(PROFILES[0], 1))
    side.fan_out.set_address(PeerSlot(3), ("127.0.0.1", 1))
    side.fan_out.remove_output(TRACK, PeerSlot(3))
    assert side.fan_out.totals() == FanOutTotals()


FALLBACK = """
import socket, sys
from relay.fanout.choose import choose_fan_out
from relay.fanout.libcrypto import KernelUnavailableError
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    print(type(choose_fan_out(sock, kind="auto", threads=1)).__name__)
    try:
        choose_fan_out(sock, kind="kernel", threads=1)
    except KernelUnavailableError as error:
        print(error.reason)
"""


@pytest.mark.parametrize("missing", ["numba", "llvmlite"])
def test_without_numba_the_reference_serves(tmp_path: Path, missing: str) -> None:
    """A relay whose numba cannot be imported takes the reference and logs one line; told to insist, it refuses."""
    (tmp_path / f"{missing}.py").write_text("raise ImportError('not on this machine')", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", FALLBACK],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"},
    )
    output = done.stdout.splitlines()
    assert "ReferenceFanOut" in output
    assert output[-1].endswith("not on this machine")
    assert len([line for line in output if "without its compiled kernel" in line]) == 1


def test_without_libcrypto_the_reference_serves(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No library of any name, and one of a wrong name: not an error unless the kernel is insisted on."""
    monkeypatch.setattr(libcrypto, "_NAMES", ())
    caplog.set_level(logging.WARNING)
    for found in (None, "libcrypto-that-is-not-there.so"):
        monkeypatch.setattr("ctypes.util.find_library", lambda _name, found=found: found)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            assert isinstance(choose_fan_out(sock, kind="auto", threads=1), ReferenceFanOut)
            with pytest.raises(KernelUnavailableError, match="libcrypto"):
                choose_fan_out(sock, kind="kernel", threads=1)


def test_a_configuration_may_insist() -> None:
    """`kernel` and `reference` are what they say."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert isinstance(choose_fan_out(sock, kind="reference", threads=1), ReferenceFanOut)
        kernel = choose_fan_out(sock, kind="kernel", threads=1)
        assert isinstance(kernel, KernelFanOut)
        kernel.close()


START = """
import socket
from relay.fanout.kernel import fan_out
from relay.fanout.shards import KernelFanOut
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    KernelFanOut(sock).close()
print(sum(fan_out.stats.cache_hits.values()), sum(fan_out.stats.cache_misses.values()))
"""


def test_compiled_code_is_kept_on_disk(tmp_path: Path) -> None:
    """The first start compiles, the second reads; the functions of C are found again by their names."""
    seen = [
        subprocess.run(
            [sys.executable, "-c", START],
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        ).stdout.split()
        for _ in range(2)
    ]
    assert seen == [["0", "1"], ["1", "0"]]


def test_without_a_folder_for_compiled_code_it_is_compiled_at_each_start() -> None:
    """A function that comes from no file stands for a file system that nothing can be written to."""
    made: dict[str, object] = {}
    exec("def twice(number):\n    return 2 * number", made)
    twice = made["twice"]
    assert callable(twice)
    assert compiled(twice)(21) == 42
