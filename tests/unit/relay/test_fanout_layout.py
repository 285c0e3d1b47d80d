from __future__ import annotations

import socket
import struct

import numpy as np
import pytest

from relay.core.packet_cache import PacketCache
from relay.fanout.layout import (
    BURST_WORDS,
    FIRST_WORD,
    HEADER_LENGTH,
    INDEX,
    LENGTH,
    PAYLOAD_OCTETS,
    RUN_END,
    copy_burst,
    new_outputs,
    new_peers,
    outputs_with,
    peers_with,
    socket_address,
)


def filled_cache(sizes: list[int]) -> PacketCache:
    """Packets from index 0 on."""
    cache = PacketCache(16)
    for index, size in enumerate(sizes):
        cache.put(index, struct.pack("!BBHII", 0x80, 96, index, 0, 7) + bytes([index + 1]) * (size - 12))
    return cache


def test_a_copied_burst_outlives_its_rows_in_the_ring() -> None:
    """The ring may come round while a shard still reads the copy."""
    cache = filled_cache([100, 101, 50])
    burst = copy_burst(cache, [0, 1, 2])
    for index in range(16, 19):
        cache.put(index, struct.pack("!BBHII", 0x80, 96, index, 0, 7) + bytes(300))
    assert burst[:, INDEX].tolist() == [0, 1, 2]
    assert burst[:, RUN_END].tolist() == [3, 3, 3]
    assert burst[:, LENGTH].tolist() == [101, 101, 50]
    assert burst[:, HEADER_LENGTH].tolist() == [12, 12, 12]
    assert burst[:, PAYLOAD_OCTETS].tolist() == [88, 89, 38]
    assert bytes(burst[0, FIRST_WORD:])[12:100] == bytes([1]) * 88
    assert bytes(burst[2, FIRST_WORD:])[12:50] == bytes([3]) * 38


def test_what_the_cache_has_lost_is_in_no_run() -> None:
    """Runs count the packets that were copied."""
    burst = copy_burst(filled_cache([100, 100, 100]), [-1, 0, 7, 1, 9, 2])
    assert burst[:, INDEX].tolist() == [0, 1, 2]
    assert burst[:, RUN_END].tolist() == [1, 2, 3]
    assert copy_burst(filled_cache([]), [3]).shape == (0, BURST_WORDS)


def test_a_table_of_peers_leaves_no_keys_behind_when_it_grows() -> None:
    """The larger one has them, the old one is zero; a table that reaches the row stays as it is."""
    peers = new_peers(4)
    assert peers_with(peers, 3) is peers
    peers.salts[2, 1] = (1, 2)
    peers.ciphers[2] = (77, 78)
    larger = peers_with(peers, 4)
    assert larger.ciphers.shape[0] > 4
    assert (larger.ciphers[2].tolist(), larger.salts[2].tolist()) == ([77, 78], [[0, 0], [1, 2]])
    assert not any(np.any(array) for array in peers)


def test_counters_can_be_read_while_a_table_grows() -> None:
    """Whoever holds the old table of outputs does not see them fall back to zero."""
    outputs = new_outputs(2)
    outputs.packets[1] = 5
    larger = outputs_with(outputs, 2)
    assert (int(outputs.packets[1]), int(larger.packets[1])) == (5, 5)
    assert outputs_with(larger, 2) is larger


def test_socket_addresses_are_laid_out_as_the_kernel_takes_them() -> None:
    """IPv4, IPv6, IPv4 mapped into IPv6, and a link-local address with its interface."""
    assert socket_address(("192.0.2.1", 5004), socket.AF_INET) == struct.pack(
        "=H", socket.AF_INET
    ) + b"\x13\x8c\xc0\x00\x02\x01" + bytes(20)
    six = struct.pack("=H", socket.AF_INET6) + b"\x13\x8c" + bytes(4)
    assert socket_address(("2001:db8::1", 5004), socket.AF_INET6) == six + socket.inet_pton(
        socket.AF_INET6, "2001:db8::1"
    ) + bytes(4)
    assert socket_address(("192.0.2.1", 5004), socket.AF_INET6) == six + bytes(
        10
    ) + b"\xff\xff\xc0\x00\x02\x01" + bytes(4)
    loopback = socket.if_nametoindex("lo")
    for scope in ("lo", str(loopback)):
        assert socket_address((f"fe80::1%{scope}", 1), socket.AF_INET6)[24:] == struct.pack("=I", loopback)
    assert socket_address(("fe80::1%gone", 1), socket.AF_INET6)[24:] == bytes(4)
    assert socket_address(("::1", 1), socket.AF_INET)[:2] == struct.pack("=H", socket.AF_INET6)


def test_an_address_is_numeric() -> None:
    """A name would have to be looked up."""
    with pytest.raises(ValueError, match="localhost"):
        socket_address(("localhost", 1), socket.AF_INET)
