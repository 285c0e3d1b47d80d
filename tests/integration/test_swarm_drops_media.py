"""The filter of the system that keeps media away from a swarm's socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import cast

import pytest

from relay.swarm.receiver import Receiver
from relay.swarm.sockets import SwarmSocket

pytestmark = pytest.mark.integration


@pytest.fixture
def member() -> Iterator[SwarmSocket]:
    """A bound socket without a receiver, which hears no media."""
    made = SwarmSocket(cast("Receiver", None), socket.AF_INET, 0)
    made.sock.bind(("127.0.0.1", 0))
    made.drop_media()
    yield made
    made.sock.close()


def test_media_is_dropped_and_the_rest_passes(member: SwarmSocket) -> None:
    """STUN, DTLS and RTCP arrive in their order; RTP of every payload type does not."""
    passing = [bytes([0, 1]), bytes([22, 254]), bytes([0x80, 192]), bytes([0x81, 201]), bytes([0x80, 223])]
    media = [bytes([0x80, 96]), bytes([0x90, 0x80 | 111]), bytes([0x80, 191]), bytes([0xB0, 224]), bytes([0x80, 0])]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for dropped, heard in zip(media, passing, strict=True):
            sender.sendto(dropped.ljust(60, b"\0"), member.sock.getsockname())
            sender.sendto(heard.ljust(60, b"\0"), member.sock.getsockname())
    assert [member.sock.recv(100)[:2] for _ in passing] == passing
    with pytest.raises(BlockingIOError):
        member.sock.recv(100)
