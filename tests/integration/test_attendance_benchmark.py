"""A small country checks in, its coordinator is killed, and what was acknowledged is there once."""

from __future__ import annotations

import pytest

from benchmarks.attendance import Options, measure

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


async def test_a_small_day_loses_nothing_and_counts_nobody_twice() -> None:
    """Real processes, HTTP, disk and signatures; killed with batches under way; folded without and with a snapshot."""
    figures = await measure(Options(halls=40, delegates=2_000, singles=150, width=4, again=0.2, seed=1))
    assert figures["lost_acknowledged"] == figures["double_counted"] == 0
    assert figures["counts_equal_a_recount"]
    assert figures["root_equals_leaves"]
    assert figures["other_results"] == {}
