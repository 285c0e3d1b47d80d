"""Has what halls report of their relays weighed some times a second. Shell over `conference.suspicion`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from conference.coordinator import Coordinator
from conference.errors import JournalError
from conference.journal.contract import Entry
from conference.suspicion import Suspicions
from monitoring.log_config import get_logger

EVERY_S = 0.2


class Suspecting:
    """The watch over mute relays.

    Args:
        coordinator: whose halls report, and where verdicts go; started.
        avoid: relays without a control connection, which are not judged.
    """

    def __init__(self, coordinator: Coordinator, avoid: Callable[[], frozenset[str]]) -> None:
        self._coordinator = coordinator
        self._avoid = avoid
        self._suspicions = Suspicions()
        self._log = get_logger("conference.suspecting")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._coordinator.subscribe(self._handle_entries)
        self._task = asyncio.create_task(self._watch(), name="suspecting")

    async def stop(self) -> None:
        """Watch no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _handle_entries(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._suspicions.handle_event(entry.event, entry.at_ms)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self._judge()
            except JournalError as error:
                self._log.warning("waiting for the journal", error=str(error))
            except Exception:  # noqa: BLE001 - whatever it is: logged, and relays are still watched
                self._log.exception("a step of the watch failed")

    async def _judge(self) -> None:
        state, now_ms = self._coordinator.state, self._coordinator.now_ms()
        for command in self._suspicions.next_commands(state, now_ms, self._avoid()):
            for event in await self._coordinator.execute(command, "coordinator"):
                self._log.warning("a verdict about a relay", verdict=repr(event))
