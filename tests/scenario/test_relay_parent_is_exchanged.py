"""A child relay loses its parent and goes on from the other: nothing is lost, no number is used twice."""

from __future__ import annotations

import random

import pytest
from support.pure_relay import (
    VP8,
    Receiver,
    RecordingFanOut,
    RtpSource,
    add_publisher,
    add_receiver,
    new_router,
    payloads_of,
    send,
)

from relay.core.router import Router
from relay.fanout.interface import PeerSlot
from relay.wire.rtcp import GenericNack

PUBLISHER, CHILD = 0, PeerSlot(1)
LINK_SSRC = {"a": 0xA, "b": 0xB}
LINK_PEER = {"a": 20, "b": 21}
HALL = PeerSlot(1)


class Tree:
    """An encoder into two parents, a child below both, a hall below the child."""

    def __init__(self, *, first_number: int, loss: float, seed: int) -> None:
        self.rng = random.Random(seed)
        self.loss = loss
        self.now = 0.0
        self.source = RtpSource(1_000, sequence_number=first_number, timestamp=123)
        self.parents: dict[str, Router] = {}
        self.fan_outs: dict[str, RecordingFanOut] = {}
        self.alive = {"a": True, "b": True}
        self.child, self.child_fan_out = new_router()
        for name in ("a", "b"):
            self.parents[name], self.fan_outs[name] = new_router()
            add_publisher(self.parents[name], PUBLISHER, self.source, is_publisher=False)
            add_receiver(self.parents[name], CHILD, LINK_SSRC[name], 0.0, active=name == "a", keeps_numbers=True)
            self.open_link(name)
        self.receiver = Receiver(0xBBBB)
        add_receiver(self.child, HALL, self.receiver.ssrc, 0.0)
        self.child_fan_out.on_sent[HALL] = lambda packet: self.receiver.handle(packet, self.now)

    def open_link(self, name: str) -> None:
        """The child's side of a link."""
        as_parent = RtpSource(LINK_SSRC[name], VP8)
        add_publisher(self.child, LINK_PEER[name], as_parent, is_publisher=False)
        self.fan_outs[name].on_sent[CHILD] = lambda packet: self._carry(name, packet)

    def _carry(self, name: str, packet: bytes) -> None:
        if self.alive[name] and self.rng.random() >= self.loss:
            send(self.child, LINK_PEER[name], [packet], self.now)

    def step(self, frame: list[bytes]) -> None:
        """A frame reaches both parents; timers run; NACKs of the child reach its parents, the hall's the child."""
        for name, parent in self.parents.items():
            if self.alive[name]:
                send(parent, PUBLISHER, frame, self.now)
                parent.handle_timer(self.now + 0.006)
        for tick in range(3):
            now = self.now + 0.010 * (tick + 1)
            self.child.handle_timer(now)
            for slot, packets in self.child.rtcp_to_send():
                for name, peer in LINK_PEER.items():
                    if slot == peer and self.alive[name]:
                        nacks = [packet for packet in packets if isinstance(packet, GenericNack)]
                        self.parents[name].handle_rtcp(CHILD, nacks, now)
            self.child.handle_rtcp(HALL, self.receiver.poll(now), now)
        self.now += 1 / 30


@pytest.mark.parametrize("first_number", [100, 65_300])
@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_the_gap_of_a_failover_is_repaired(first_number: int, loss: float) -> None:
    """Parent a dies, 350 ms later the child activates b: the hall misses no packet of the whole run."""
    tree = Tree(first_number=first_number, loss=loss, seed=first_number)
    published: list[bytes] = []
    for number in range(90):
        frame = tree.source.frame(keyframe=number % 60 == 0, packets=6)
        published += frame
        if number == 40:
            tree.alive["a"] = False
        if number == 51:
            tree.parents["b"].set_active(CHILD, active=True, now=tree.now)
        if number == 53:
            tree.child.remove_peer(PeerSlot(LINK_PEER["a"]))
        if number in {0, 89}:
            tree.loss, kept = 0.0, loss
            tree.step(frame)
            tree.loss = kept
        else:
            tree.step(frame)
    for _ in range(30):
        tree.step([])
    assert tree.receiver.payloads() == payloads_of(published)
    assert sorted(tree.receiver.packets) == list(
        range(min(tree.receiver.packets), min(tree.receiver.packets) + len(published))
    )


def test_a_standby_link_is_sent_nothing() -> None:
    """Until it is activated parent b sends the child no packet, not even when asked."""
    tree = Tree(first_number=5, loss=0.0, seed=1)
    for number in range(10):
        tree.step(tree.source.frame(keyframe=number == 0))
    tree.parents["b"].handle_rtcp(CHILD, [GenericNack(1, LINK_SSRC["b"], (5, 6, 7))], tree.now)
    assert CHILD not in tree.fan_outs["b"].sent


def test_both_parents_at_once_are_merged() -> None:
    """While both deliver, each packet goes to the hall once."""
    tree = Tree(first_number=65_000, loss=0.1, seed=3)
    tree.parents["b"].set_active(CHILD, active=True, now=0.0)
    published: list[bytes] = []
    for number in range(60):
        frame = tree.source.frame(keyframe=number == 0)
        published += frame
        tree.loss = 0.0 if number in {0, 59} else 0.1
        tree.step(frame)
    assert tree.receiver.payloads() == payloads_of(published)
    sent = [index for index, _ in tree.child_fan_out.sent[HALL]]
    assert len(sent) == len(set(sent)) == len(published)


def test_a_parent_that_is_behind_adds_nothing_twice() -> None:
    """The new parent is some packets late: what is known already is dropped, then the stream goes on."""
    tree = Tree(first_number=5, loss=0.0, seed=1)
    frames = [tree.source.frame(keyframe=number == 0) for number in range(40)]
    for frame in frames[:20]:
        send(tree.parents["a"], PUBLISHER, frame, tree.now)
        tree.now += 1 / 30
    tree.alive["a"] = False
    tree.parents["b"].set_active(CHILD, active=True, now=tree.now)
    for frame in frames[10:]:
        send(tree.parents["b"], PUBLISHER, frame, tree.now)
        tree.now += 1 / 30
    assert tree.receiver.payloads() == payloads_of([packet for frame in frames for packet in frame])
    sent = [index for index, _ in tree.child_fan_out.sent[HALL]]
    assert sent == sorted(set(sent))
