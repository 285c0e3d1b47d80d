"""Runs a scenario from its file to its report, and says what that cost this machine."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

from conference.simulation.report import Report
from conference.simulation.scenario import Scenario
from conference.simulation.virtual_time import run_virtually
from conference.simulation.world import make_world

T = TypeVar("T")


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a run took; no part of its report, which is the same each time.

    Attributes:
        wall_s: by the clock on the wall.
        cpu_s: of this process.
        rss_mb: most memory that this process ever had, in 10^6 bytes.
    """

    wall_s: float
    cpu_s: float
    rss_mb: int


def run_scenario(scenario: Scenario) -> tuple[Report, Cost]:
    """Go through a day.

    Raises:
        ConferenceError: the scenario names what is not there, or its relays could not carry the halls.
    """

    async def day() -> Report:
        world = make_world(scenario)
        gc.freeze()  # the country stays as it is: no collection need look through it again
        return await world.go_through()

    return measured(lambda: run_virtually(day()))


def measured(work: Callable[[], T]) -> tuple[T, Cost]:
    """Do something, and say what it cost."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    result = work()
    cost = Cost(
        wall_s=round(time.perf_counter() - wall_s, 2),
        cpu_s=round(time.process_time() - cpu_s, 2),
        rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024 // 1_000_000,
    )
    return result, cost
