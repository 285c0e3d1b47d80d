"""What a leader does for gateways beside answering them: it says where it is, and folds what they write.

Partitions are read again and again and folded into the state.

A gateway's headcount is acknowledged before the leader knows of it. That is why nothing here is on the way of an
answer, and why what a partition lost, or what does not decode, throws the leader's state away and nobody else's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from conference.coordinator import Coordinator
from conference.ending import end
from conference.errors import CorruptJournalError, JournalError, RewoundJournalError
from conference.journal.contract import Journal, Record
from monitoring.log_config import get_logger

# A technician's figures are on the operators' page within a second; more often would cost reads for nothing.
EVERY_S = 0.25
# Folded in one go, some 10 ms.
_SLICE = 500


class PartitionFollower:
    """Brings a coordinator what gateways wrote, and tells them where it is.

    Args:
        coordinator: leads.
        journal: its own.
        address: where gateways reach it; "" where they cannot.
        every_s: a pause between two looks.
    """

    def __init__(
        self, coordinator: Coordinator, journal: Journal, address: Callable[[], str], *, every_s: float = EVERY_S
    ) -> None:
        self._coordinator = coordinator
        self._journal = journal
        self._address = address
        self._announced = 0
        self._every_s = every_s
        self._log = get_logger("conference.partitions")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the coordinator has started."""
        self._task = asyncio.create_task(self._follow(), name="coordinator-partitions")

    async def stop(self) -> None:
        """End."""
        await end(self._task)

    async def _follow(self) -> None:
        while True:
            try:
                if self._coordinator.is_ready:
                    await self._announce()
                    await self._look()
            except (RewoundJournalError, CorruptJournalError) as error:
                self._coordinator.distrust(error)
            except JournalError as error:
                self._log.warning("partitions cannot be read now", error=str(error))
            await asyncio.sleep(self._every_s)

    async def _announce(self) -> None:
        """Once for each epoch: whoever took over in between has taken the address away."""
        epoch = self._coordinator.epoch
        if epoch != self._announced:
            await self._journal.announce(epoch, self._address())
            self._announced = epoch

    async def _look(self) -> None:
        page: list[Record] = []
        async for record in self._journal.read_partitions(self._coordinator.positions):
            page.append(record)
            if len(page) == _SLICE:
                self._coordinator.fold(page)
                page = []
        if page:
            self._coordinator.fold(page)
