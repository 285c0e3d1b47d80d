"""How long halls were without a new picture."""

from __future__ import annotations

import asyncio
import time

from support.whole_conference import WholeConference


class PictureGaps:
    """The longest time without a new picture at each hall, while it watches."""

    def __init__(self, whole: WholeConference) -> None:
        self._whole = whole
        self.longest_s = dict.fromkeys(whole.halls, 0.0)
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        start = time.monotonic()
        seen = {hall_id: (hall.summary.frames_decoded, start) for hall_id, hall in self._whole.halls.items()}
        while True:
            now = time.monotonic()
            for hall_id, hall in self._whole.halls.items():
                frames, since = seen[hall_id]
                self.longest_s[hall_id] = max(self.longest_s[hall_id], now - since)
                if hall.summary.frames_decoded > frames:
                    seen[hall_id] = (hall.summary.frames_decoded, now)
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Watch no longer."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
