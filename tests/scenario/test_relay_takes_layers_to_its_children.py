"""A child relay takes every layer of its parents, merges them layer by layer, and chooses for its own halls."""

from __future__ import annotations

from functools import partial

from support.pure_relay import FEED, RECEIVER_CODECS, RecordingFanOut, new_router, send
from support.simulcast import FRAME_S, Encoder, Hall, layer_of

from relay.core.feed import MAX_LAYERS, Stream, Want
from relay.core.router import Router
from relay.fanout.interface import PeerSlot

ENCODER, LINK, HALL = 0, 1, 5
TOP = 2


class Tree:
    """An encoder at one origin or two, a child below them, and a hall at the child.

    Attributes:
        cut: origins whose link brings nothing any more.
    """

    def __init__(self, origins: int) -> None:
        self.child, self.child_fan_out = new_router()
        self.origins: list[tuple[Router, RecordingFanOut, Encoder]] = []
        self.cut: set[int] = set()
        for number in range(origins):
            router, fan_out = new_router()
            self.origins.append((router, fan_out, Encoder(router, ENCODER)))
            ssrcs = [0x1000 * (number + 1) + layer for layer in range(MAX_LAYERS)]
            wants = [
                Want(kind="video", codecs=RECEIVER_CODECS, ssrc=ssrc, layer=layer) for layer, ssrc in enumerate(ssrcs)
            ]
            router.add_subscriber(PeerSlot(LINK), FEED, wants, active=True, now=0.0, keeps_numbers=True)
            streams = [
                Stream(kind="video", codecs=RECEIVER_CODECS, ssrcs=(ssrc,), layer=layer)
                for layer, ssrc in enumerate(ssrcs)
            ]
            self.child.add_source(PeerSlot(number), FEED, streams, is_publisher=False)
            fan_out.on_sent[PeerSlot(LINK)] = partial(self._arrive, number)
        self.hall = Hall(self.child, self.child_fan_out, HALL)
        self._now = 0.0

    def _arrive(self, number: int, packet: bytes) -> None:
        if number not in self.cut:
            send(self.child, number, [packet], self._now)

    def play(self, begin: float, end: float) -> None:
        """Let time pass in steps of 5 ms; feedback goes up the tree, sender reports down."""
        for step in range(round(begin * 200), round(end * 200)):
            now = self._now = step / 200
            for router, _, encoder in self.origins:
                if int(now / FRAME_S + 1e-9) != int((now - 0.005) / FRAME_S + 1e-9) or step == 0:
                    encoder.frame(now)
                if step % 200 == 100:
                    encoder.report(now)
                router.handle_timer(now)
            self.child.handle_timer(now)
            self._exchange_rtcp(now)
            if step % 200 == 50:
                self.hall.report(now)
            self.hall.elapse(0.005, now)

    def _exchange_rtcp(self, now: float) -> None:
        for peer, packets in self.child.rtcp_to_send():
            if peer < len(self.origins):
                self.origins[peer][0].handle_rtcp(PeerSlot(LINK), packets, now)
        for number, (router, _, encoder) in enumerate(self.origins):
            for peer, packets in router.rtcp_to_send():
                if peer == ENCODER:
                    for _, _, each in self.origins:  # one encoder feeds all origins
                        each.handle(packets, now)
                elif number not in self.cut:
                    self.child.handle_rtcp(PeerSlot(number), packets, now)
                assert encoder.peer == ENCODER


def test_the_edge_chooses() -> None:
    """Every layer crosses the link with its own numbers; the hall's line decides at the edge, and the link stays."""
    tree = Tree(1)
    tree.hall.join(0.0)
    tree.play(0.0, 5.0)
    origin_sent = tree.origins[0][1].sent[PeerSlot(LINK)]
    assert {layer_of(packet) for _, packet in origin_sent} == {0, 1, 2}
    assert tree.hall.shown[-1][1] == TOP
    tree.hall.rate_bps = 1_000_000
    tree.play(5.0, 11.0)
    assert tree.hall.shown[-1][1] == 1
    tree.hall.rate_bps = float("inf")
    tree.play(11.0, 35.0)
    assert tree.hall.shown[-1][1] == TOP
    tree.hall.check_stream()
    assert not tree.origins[0][0].totals.layer_switches
    assert tree.child.subscribers_by_layer()["0"] == 1
    assert tree.origins[0][0].subscribers_by_layer().total() == 0, "a link is no hall"


def test_two_parents_are_merged_layer_by_layer() -> None:
    """Both bring every layer; when one goes, the hall misses nothing and stays on its layer."""
    tree = Tree(2)
    tree.hall.join(0.0)
    tree.play(0.0, 5.0)
    assert tree.hall.shown[-1][1] == TOP
    changes = len(tree.hall.shown)
    tree.cut = {0}
    tree.play(5.0, 8.0)
    assert len(tree.hall.shown) == changes
    tree.hall.check_stream(longest_silence_s=0.05)
    for track in tree.child.feed(FEED).layers["video"][:3]:
        assert len(track.inbounds.all()) == 2
        assert track.packets_duplicate > 0


def test_a_layer_that_starts_late_crosses_the_link() -> None:
    """A browser's best layer comes seconds after the others: nothing is negotiated again."""
    tree = Tree(1)
    tree.origins[0][2].paused = {TOP}
    tree.hall.join(0.0)
    tree.play(0.0, 4.0)
    assert tree.hall.shown[-1][1] == 1
    tree.origins[0][2].paused = set()
    tree.play(4.0, 14.0)
    assert tree.hall.shown[-1][1] == TOP
    tree.hall.check_stream()
