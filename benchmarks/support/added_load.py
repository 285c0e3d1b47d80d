"""Subscribers added to a relay until its process takes a given share of a core.

The receivers are real sessions; their media is dropped by the system behind the relay's sends, so that on a small
machine they do not take the processor from the relay that they load.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import msgspec

from benchmarks.support.processes import RelayUnderTest, usage
from relay.swarm.signalling import Signalling
from relay.swarm.swarm import Swarm, SwarmOptions

RAMP_PER_S = 50.0
SETTLE_S = 1.0
CALIBRATION_S = 2.0
FIRST = 50  # receivers by which the cost of one is found out
MAX_RECEIVERS = 1500
CLOSE_ENOUGH = 0.1  # of the share asked for
MAX_STEPS = 4


class Busy(msgspec.Struct, frozen=True):
    """What a window cost.

    Attributes:
        relay_percent: of one core, user and system time of the relay's process.
        machine_idle_percent: of all cores.
    """

    relay_percent: float
    machine_idle_percent: float


class Watch:
    """Measures a window from its making to `read`."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._begin = (time.monotonic(), usage(pid).cpu_s, _machine_ticks())

    def read(self) -> Busy:
        """What the window cost up to now."""
        begin_s, cpu_s, (idle, total) = self._begin
        idle_now, total_now = _machine_ticks()
        return Busy(
            relay_percent=round(100 * (usage(self._pid).cpu_s - cpu_s) / (time.monotonic() - begin_s), 1),
            machine_idle_percent=round(100 * (idle_now - idle) / max(total_now - total, 1), 1),
        )


class AddedLoad:
    """The subscribers of one relay; they leave when the stack that they were entered into is closed.

    Attributes:
        receivers: how many there are.
    """

    def __init__(self, relay: RelayUnderTest, signalling: Signalling, stack: contextlib.AsyncExitStack) -> None:
        self._relay = relay
        self._signalling = signalling
        self._stack = stack
        self._swarms: list[Swarm] = []
        self._percent_each = 0.0
        self.receivers = 0

    @property
    def connected(self) -> int:
        """How many of them are."""
        return sum(swarm.connected for swarm in self._swarms)

    async def raise_to(self, percent: float) -> None:
        """Add receivers until the relay takes about so much of a core, or until there are too many."""
        for _ in range(MAX_STEPS):
            seen = await self._measure()
            if seen >= percent * (1 - CLOSE_ENOUGH):
                return
            if not self.receivers:
                await self._add(FIRST)
                unloaded, seen = seen, await self._measure()
                self._percent_each = max((seen - unloaded) / FIRST, 0.01)
            wanted = round((percent - seen) / self._percent_each)
            if wanted < 1 or self.receivers >= MAX_RECEIVERS:
                return
            await self._add(min(wanted, MAX_RECEIVERS - self.receivers))

    async def _measure(self) -> float:
        watch = Watch(self._relay.pid)
        await asyncio.sleep(CALIBRATION_S)
        return watch.read().relay_percent

    async def _add(self, receivers: int) -> None:
        options = SwarmOptions(receivers=receivers, ramp_per_s=RAMP_PER_S, drops_media=True)
        swarm = await self._stack.enter_async_context(Swarm(self._signalling, options))
        self._stack.push_async_callback(swarm.leave)
        self._swarms.append(swarm)
        self.receivers += receivers
        await swarm.join()
        await asyncio.sleep(SETTLE_S)


def _machine_ticks() -> tuple[int, int]:
    """Idle and all ticks of all processors (`/proc/stat`)."""
    line = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    # user, nice, system, idle, waiting for input and output, and three more (proc(5))
    ticks = [int(field) for field in line.split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)
