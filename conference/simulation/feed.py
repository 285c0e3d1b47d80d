"""Which modelled relays have the programme now: down the tree, with the time that a relay takes to change its parent.

A relay follows its parents as `relay.net.upstream` does: after 300 ms of silence it takes the other one, if that one
delivers. The way of a packet from hop to hop, some milliseconds, is taken as none.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from conference.simulation.lines import Lines
from relay.messages import RelayRole
from relay.net.upstream import SILENCE_S, TICK_S

_CENTRE = ""
_CONNECT_S = 0.5  # until a new link between relays delivers


@dataclass(slots=True, eq=False)
class _Node:
    relay_id: str
    region: str
    role: RelayRole
    runs: bool = False
    hangs: bool = False
    delivers: bool = False
    parents: tuple[str, ...] = ()
    playing_from: str = ""
    seeks: bool = False
    children: dict[str, None] = field(default_factory=dict)


class Feed:
    """The programme on its way down the tree.

    Args:
        lines: between the regions.
        rng: jitter.
        merge_parents: relays take the feed from both parents at once.
        on_change: called when a relay begins or ceases to deliver.
    """

    def __init__(
        self, lines: Lines, rng: random.Random, *, merge_parents: bool, on_change: Callable[[str], None]
    ) -> None:
        self._lines = lines
        self._rng = rng
        self._merge_parents = merge_parents
        self._on_change = on_change
        self._nodes: dict[str, _Node] = {}
        self._source_speaks = True
        lines.on_change.append(lambda _region: self._refresh_all())

    def add(self, relay_id: str, region: str, role: RelayRole) -> None:
        """There is such a relay; it does not run yet."""
        self._nodes[relay_id] = _Node(relay_id, region, role)

    def delivers(self, relay_id: str) -> bool:
        """Whether the relay sends the programme to whoever plays from it."""
        return self._nodes[relay_id].delivers

    def start(self, relay_id: str) -> None:
        """The relay runs; an edge waits for its parents."""
        node = self._nodes[relay_id]
        node.runs, node.hangs, node.playing_from = True, False, ""
        self._put_parents(node, ())
        self._refresh(node)

    def stop(self, relay_id: str) -> None:
        """The relay is gone."""
        node = self._nodes[relay_id]
        node.runs = False
        self._refresh(node)

    def hang(self, relay_id: str, *, hangs: bool) -> None:
        """The relay runs and delivers nothing."""
        node = self._nodes[relay_id]
        node.hangs = hangs
        self._refresh(node)

    def handle_source(self, *, speaks: bool) -> None:
        """The publisher sends, or does not."""
        self._source_speaks = speaks
        self._refresh_all()

    def handle_place(self, relay_id: str, parents: Sequence[str]) -> None:
        """The coordinator told the relay its parents: it goes to a new first one before it leaves the other."""
        node = self._nodes[relay_id]
        first_changed = node.parents[:1] != tuple(parents[:1])
        self._put_parents(node, tuple(parents))
        if node.playing_from not in parents:
            self._seek_later(node)
        if first_changed and node.playing_from and parents and node.playing_from != parents[0]:
            asyncio.get_running_loop().call_later(_CONNECT_S, self._move_to_first, node, parents[0])

    def _move_to_first(self, node: _Node, first: str) -> None:
        if node.runs and node.parents[:1] == (first,) and self._brings(node, first):
            node.playing_from = first
            self._refresh(node)

    def _put_parents(self, node: _Node, parents: tuple[str, ...]) -> None:
        for parent in node.parents:
            self._nodes[parent].children.pop(node.relay_id, None)
        node.parents = tuple(parent for parent in parents if parent in self._nodes)
        for parent in node.parents:
            self._nodes[parent].children[node.relay_id] = None

    def _refresh_all(self) -> None:
        for node in self._nodes.values():
            self._refresh(node)

    def _refresh(self, node: _Node) -> None:
        is_fed = self._is_fed(node)
        delivers = node.runs and not node.hangs and is_fed
        if not is_fed and node.runs and node.role == "edge":
            self._seek_later(node)
        if delivers != node.delivers:
            node.delivers = delivers
            self._on_change(node.relay_id)
            for child in list(node.children):
                self._refresh(self._nodes[child])

    def _is_fed(self, node: _Node) -> bool:
        if node.role == "origin":
            return self._source_speaks and self._lines.reaches(_CENTRE, node.region)
        if self._merge_parents:
            return any(self._brings(node, parent) for parent in node.parents)
        return self._brings(node, node.playing_from)

    def _brings(self, node: _Node, parent: str) -> bool:
        above = self._nodes.get(parent)
        return above is not None and above.delivers and self._lines.reaches(above.region, node.region)

    def _seek_later(self, node: _Node) -> None:
        """Look for another parent once the silence has lasted; where none delivers, their return will bring us here."""
        if not node.seeks and any(self._brings(node, parent) for parent in node.parents):
            node.seeks = True
            after_s = SILENCE_S + self._rng.uniform(0, TICK_S) + 2 * self._lines.delay_s()
            asyncio.get_running_loop().call_later(after_s, self._seek, node)

    def _seek(self, node: _Node) -> None:
        node.seeks = False
        stays = node.playing_from in node.parents and self._brings(node, node.playing_from)
        if node.runs and not stays:
            found = next((parent for parent in node.parents if self._brings(node, parent)), None)
            node.playing_from = node.playing_from if found is None else found
            self._refresh(node)
