"""A program: a socket whose send buffer is full, in a network of its own; prints the counters of both fan-outs.

Run by `unshare --net`. Packets to a neighbour that never answers ARP wait in the kernel, charged to the socket.
"""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import time

import msgspec

from relay.core.packet_cache import PacketCache
from relay.core.srtp import SrtpKeys, SrtpProfile
from relay.fanout.interface import FanOut, PeerSlot, TrackSlot
from relay.fanout.reference import ReferenceFanOut
from relay.fanout.shards import KernelFanOut


def counters(fan_out: FanOut, address: str) -> dict[str, object]:
    """Four frames to a neighbour that is not there."""
    keys = SrtpKeys(SrtpProfile.AEAD_AES_128_GCM, bytes(16), bytes(12))
    fan_out.add_peer(PeerSlot(1), (address, 9), keys)
    fan_out.add_output(TrackSlot(1), PeerSlot(1), ssrc=1, payload_type=96, index_offset=-1)
    cache = PacketCache(64)
    begun = time.monotonic()
    for frame in range(4):
        indexes = list(range(8 * frame, 8 * frame + 8))
        for index in indexes:
            cache.put(index, struct.pack("!BBHII", 0x80, 96, index, 0, 7) + bytes(1000 + index % 2))
        fan_out.send_burst(TrackSlot(1), cache, indexes)
    if isinstance(fan_out, KernelFanOut):
        assert fan_out.wait_idle()
    took_s = time.monotonic() - begun
    totals: dict[str, object] = msgspec.to_builtins(fan_out.totals())
    fan_out.close()
    return totals | {"prompt": took_s < 1.0}


def main() -> None:
    """Set up a link whose other end is silent, and send into it."""
    for command in (
        "link set lo up",
        "link add near type veth peer name far",
        "addr add 10.9.0.1/24 dev near",
        "link set near up",
        "link set far up",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    found = []
    for host, make in (("10.9.0.2", ReferenceFanOut), ("10.9.0.3", KernelFanOut)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
            sock.bind(("10.9.0.1", 0))
            found.append(counters(make(sock), host))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
