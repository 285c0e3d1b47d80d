"""The lines of the modelled country: who reaches whom now, and after how long.

Everybody stands in a region; "" is the centre, where the coordinator is. A region that is cut off reaches itself and
nobody else. What was on its way waits for the line to come back, as TCP's repeats do.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

# A lost SYN is sent again after 1, 3, 7 s; when the line is back the next one comes within about so long.
_REPEAT_WITHIN_S = 1.0


class UnreachableError(ConnectionError):
    """There is no way to the other end, or nobody answers there."""


class Lines:
    """All lines.

    Args:
        one_way_s: median time of a message from one end to the other.
        rng: jitter.

    Attributes:
        on_change: called after a region was cut off or came back.
    """

    def __init__(self, one_way_s: float, rng: random.Random) -> None:
        self._one_way_s = one_way_s
        self._rng = rng
        self._cut: dict[str, asyncio.Event] = {}
        self.on_change: list[Callable[[str], None]] = []

    def reaches(self, one: str, other: str) -> bool:
        """Whether two regions reach each other."""
        return one == other or (one not in self._cut and other not in self._cut)

    def delay_s(self) -> float:
        """How long the next message takes: half to double the median."""
        return self._one_way_s * 2 ** self._rng.uniform(-1, 1)

    def cut(self, region: str) -> None:
        """The region's line to everybody else is gone."""
        if region not in self._cut:
            self._cut[region] = asyncio.Event()
            self._changed(region)

    def mend(self, region: str) -> None:
        """The region's line is back."""
        back = self._cut.pop(region, None)
        if back is not None:
            back.set()
            self._changed(region)

    async def cross(self, one: str, other: str, patience_s: float) -> None:
        """Take a message across, however long the line is away.

        Raises:
            UnreachableError: it was away for longer than `patience_s`.
        """
        deadline = asyncio.get_running_loop().time() + patience_s
        while not self.reaches(one, other):
            back = self._cut.get(one) or self._cut[other]
            try:
                async with asyncio.timeout_at(deadline):
                    await back.wait()
                    await asyncio.sleep(self._rng.uniform(0, _REPEAT_WITHIN_S))
            except TimeoutError as error:
                raise UnreachableError("no answer") from error
        await asyncio.sleep(self.delay_s())

    def _changed(self, region: str) -> None:
        for listener in self.on_change:
            listener(region)
