"""The state as far as a journal was read: from its newest snapshot, then record by record.

A coordinator folds once at its start; one that stands by goes on reading, and has the state ready when it takes over.
"""

from __future__ import annotations

import asyncio
import time

from conference.errors import ConferenceError
from conference.journal.contract import Journal
from conference.policy import Policy
from conference.snapshot import decode_state
from conference.state import State, apply
from monitoring.log_config import get_logger

# While the tail is folded the loop gets a turn after so many records, so that health checks are answered meanwhile.
FOLD_SLICE = 2_000


class JournalFold:
    """A state and the positions up to which it was folded; made by `fold_journal`.

    Attributes:
        state: the fold.
        positions: of the last record of each stream that it contains.
        since_snapshot: records folded since the snapshot.
    """

    def __init__(self, journal: Journal, state: State, positions: dict[str, int]) -> None:
        self._journal = journal
        self.state = state
        self.positions = positions
        self.since_snapshot = 0

    async def catch_up(self) -> None:
        """Fold what was appended since.

        Raises:
            RewoundJournalError: what was folded is not in the journal any more; this fold is of no use.
            CorruptJournalError: a record is missing or does not decode.
            JournalError: the journal cannot be read; this may be called again.
        """
        async for record in self._journal.read(dict(self.positions)):
            apply(self.state, record.event, record.at_ms, record.actor)
            self.positions[record.stream] = record.position
            self.since_snapshot += 1
            if self.since_snapshot % FOLD_SLICE == 0:
                await asyncio.sleep(0)


async def fold_journal(journal: Journal, policy: Policy) -> JournalFold:
    """Fold a journal to its end.

    Raises:
        CorruptJournalError: a record is missing or does not decode.
        JournalError: it cannot be read.
    """
    log = get_logger("conference.journal_fold")
    started = time.perf_counter()
    snapshot = await journal.latest_snapshot()
    fold = JournalFold(journal, State(policy), {})
    if snapshot is not None:
        try:
            state = decode_state(snapshot.state, policy)
        except (ConferenceError, ValueError) as error:
            # A journal that keeps everything is whole without its snapshots; one that does not says what is missing.
            log.warning("snapshot does not decode; folding from the beginning", error=str(error))
        else:
            fold = JournalFold(journal, state, dict(snapshot.positions))
    await fold.catch_up()
    log.info("state folded", events=fold.since_snapshot, seconds=round(time.perf_counter() - started, 3))
    return fold
