"""The modelled feed goes down the tree, and round what fails."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

from conference.simulation.feed import Feed
from conference.simulation.lines import Lines
from conference.simulation.virtual_time import run_virtually


class Tree:
    """Two origins, an edge in the middle of the country, and one in a province behind it."""

    def __init__(self, *, merge_parents: bool = False) -> None:
        rng = random.Random(1)
        self.lines = Lines(0.01, rng)
        self.changes: list[tuple[float, str, bool]] = []
        self.feed = Feed(self.lines, rng, merge_parents=merge_parents, on_change=self._note)
        for relay_id, region in (("o1", ""), ("o2", ""), ("e1", "01"), ("e2", "02")):
            self.feed.add(relay_id, region, "origin" if relay_id.startswith("o") else "edge")
            self.feed.start(relay_id)
        self.feed.handle_place("e1", ["o1", "o2"])
        self.feed.handle_place("e2", ["e1", "o2"])

    def _note(self, relay_id: str) -> None:
        self.changes.append((asyncio.get_running_loop().time(), relay_id, self.feed.delivers(relay_id)))

    def dark_s(self, relay_id: str) -> float:
        """How long a relay last delivered nothing."""
        began_s, ended_s = (at_s for at_s, name, _ in self.changes[-6:] if name == relay_id)
        return ended_s - began_s


def fed(work: Coroutine[Any, Any, None]) -> None:
    """Run a trial."""
    run_virtually(work)


def test_a_lost_parent_costs_a_relay_and_those_below_it_a_third_of_a_second() -> None:
    """After 300 ms of silence the other parent is taken, if it delivers."""

    async def trial() -> None:
        tree = Tree()
        await asyncio.sleep(5)
        assert all(tree.feed.delivers(relay_id) for relay_id in ("o1", "o2", "e1", "e2"))
        tree.changes.clear()
        tree.feed.stop("o1")
        await asyncio.sleep(5)
        assert 0.3 < tree.dark_s("e1") < 0.45
        assert tree.feed.delivers("e2")

    fed(trial())


def test_relays_that_merge_lose_nothing_with_one_parent() -> None:
    """Both parents deliver all the time."""

    async def trial() -> None:
        tree = Tree(merge_parents=True)
        await asyncio.sleep(5)
        tree.changes.clear()
        tree.feed.stop("o1")
        await asyncio.sleep(5)
        assert [name for _, name, _ in tree.changes] == ["o1"]

    fed(trial())


def test_a_province_that_is_cut_off_is_dark_until_its_line_is_back() -> None:
    """Its relay runs and has nothing to send."""

    async def trial() -> None:
        tree = Tree()
        await asyncio.sleep(5)
        tree.lines.cut("02")
        assert not tree.feed.delivers("e2")
        await asyncio.sleep(60)
        assert not tree.feed.delivers("e2")
        tree.lines.mend("02")
        assert tree.feed.delivers("e2")

    fed(trial())


def test_a_relay_that_hangs_and_a_silent_source_are_dark_to_the_bottom() -> None:
    """What hangs delivers nothing although it runs; a silent source is silent everywhere."""

    async def trial() -> None:
        tree = Tree()
        await asyncio.sleep(5)
        tree.feed.hang("e1", hangs=True)
        assert not tree.feed.delivers("e1")
        await asyncio.sleep(1)
        assert tree.feed.delivers("e2")
        tree.feed.hang("e1", hangs=False)
        tree.feed.handle_source(speaks=False)
        assert not any(tree.feed.delivers(relay_id) for relay_id in ("o1", "o2", "e1", "e2"))
        tree.feed.handle_source(speaks=True)
        await asyncio.sleep(1)
        assert all(tree.feed.delivers(relay_id) for relay_id in ("o1", "o2", "e1", "e2"))

    fed(trial())


def test_a_relay_goes_to_a_new_first_parent_without_a_gap() -> None:
    """It leaves the other one when the new one delivers; the old one may then be lost without anybody noticing."""

    async def trial() -> None:
        tree = Tree()
        await asyncio.sleep(5)
        tree.feed.handle_place("e1", ["o2", "o1"])
        await asyncio.sleep(5)
        tree.changes.clear()
        tree.feed.stop("o1")
        await asyncio.sleep(5)
        assert [name for _, name, _ in tree.changes] == ["o1"]

    fed(trial())
