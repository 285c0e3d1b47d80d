"""A pure relay below two parents which number one programme each in its own way."""

from __future__ import annotations

import itertools

from support.pure_relay import Receiver, RtpSource, add_publisher, add_receiver, new_router, send

from relay.fanout.interface import PeerSlot
from relay.wire.rtp import parse_rtp_header

A, B, HALL = 20, 21, PeerSlot(1)


class Child:
    """A child below two origins which number one programme each in its own way."""

    def __init__(self) -> None:
        self.router, self.fan_out = new_router()
        self.source = RtpSource(0xA, sequence_number=65_000)
        for peer, ssrc in ((A, 0xA), (B, 0xB)):
            add_publisher(self.router, peer, RtpSource(ssrc), is_publisher=False)
        self.shift = {A: (0, 0), B: (0, 0)}
        self.receiver = Receiver(0xBBBB)
        add_receiver(self.router, HALL, self.receiver.ssrc, 0.0)
        self.published: list[bytes] = []
        self.now = 0.0

    def frame(self, *, keyframe: bool = False) -> list[bytes]:
        """The next frame of the source, a thirtieth of a second later."""
        self.now += 1 / 30
        made = self.source.frame(keyframe=keyframe)
        self.published += made
        return made

    def arrive(self, peer: int, packets: list[bytes]) -> None:
        """Packets come from a parent, as it numbers them."""
        number, timestamp = self.shift[peer]
        for packet in packets:
            header = parse_rtp_header(packet)
            mapped = (
                packet[:2]
                + ((header.sequence_number + number) % 65_536).to_bytes(2, "big")
                + ((header.timestamp + timestamp) % (1 << 32)).to_bytes(4, "big")
                + (0xA if peer == A else 0xB).to_bytes(4, "big")
                + packet[12:]
            )
            send(self.router, peer, [mapped], self.now)
        self.router.handle_timer(self.now + 0.006)

    def play(self, frames: int, *order: int) -> None:
        """So many frames come from these parents in this order."""
        for _ in range(frames):
            made = self.frame()
            for peer in order:
                self.arrive(peer, made)

    def shown(self) -> list[bytes]:
        """What the hall got."""
        for _, packet in self.fan_out.sent[HALL]:
            self.receiver.handle(packet, 0.0)
        return self.receiver.payloads()

    def steps(self) -> set[int]:
        """Distances between the times of pictures at the hall."""
        self.shown()
        stamps = [self.receiver.headers[index].timestamp for index in sorted(self.receiver.headers)]
        return {(later - earlier) % (1 << 32) for earlier, later in itertools.pairwise(stamps)} - {0}
