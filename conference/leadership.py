"""Which of several coordinators leads: whoever opened the journal's writer last, for as long as it gives signs of life.

A coordinator that stands by asks the journal who writes, follows its records, and takes over once the writer gave
itself back or was silent for a lease. Time is only ever measured here, between two answers of the store: clocks of
several machines are never compared. While the store is away nobody can be heard, and nobody's lease ends.

The lease makes a takeover rare; that two leaders never write is the epoch's part (`Journal.open_writer`).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from conference.errors import CorruptJournalError, JournalError, RewoundJournalError, StaleEpochError
from conference.journal.contract import Journal, Writer
from conference.journal_fold import JournalFold, fold_journal
from conference.policy import Policy
from monitoring.log_config import get_logger

# A leader gives three signs in a lease, so that two may be lost.
CHECKS_PER_LEASE = 8
SIGNS_PER_LEASE = 3
# Between two answers that are far apart the store may have been away, and nobody could be heard: they count for so much
# of a lease and no more. If they counted for nothing, a writer that died behind a slow line would have no successor.
LONGEST_SHARE = 0.25


class WriterWatch:
    """Whether the journal's writer is alive. Pure; `now_s` is a monotonic clock.

    Args:
        lease_s: a writer that was silent for so long may be succeeded.
    """

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._sign: tuple[int, int] | None = None
        self._silent_s = 0.0
        self._answered_s = 0.0

    def handle_writer(self, writer: Writer, now_s: float) -> bool:
        """Take what the journal says; True when somebody else may take over."""
        sign = (writer.epoch, writer.pulse)
        if sign == self._sign:
            self._silent_s += min(now_s - self._answered_s, self._lease_s * LONGEST_SHARE)
        else:
            self._sign, self._silent_s = sign, 0.0
        self._answered_s = now_s
        return not writer.holder or self._silent_s >= self._lease_s


class LifeSigns:
    """A leader's signs of life, and whether the journal confirmed one within the lease.

    Args:
        journal: where they are given.
        lease_s: as of those who stand by.
        monotonic_s: the clock; not the event loop's, which stands still within one turn.

    Attributes:
        monotonic_s: the same.
    """

    def __init__(self, journal: Journal, lease_s: float, monotonic_s: Callable[[], float]) -> None:
        self.monotonic_s = monotonic_s
        self._journal = journal
        self._lease_s = lease_s
        self._heard_s = -math.inf

    @property
    def is_heard(self) -> bool:
        """False where a coordinator that stands by may lead by now: it has waited for a sign of ours for a lease."""
        return self.monotonic_s() < self._heard_s + self._lease_s

    async def give_sign(self, epoch: int) -> None:
        """Give one, and remember when it was sent, once it is confirmed.

        Raises:
            StaleEpochError: a newer writer exists.
            JournalError: it was not confirmed.
        """
        sent_s = self.monotonic_s()
        await self._journal.renew(epoch)
        self.handle_append(sent_s)

    def handle_append(self, sent_s: float) -> None:
        """What was sent then is confirmed; an append is a sign like any other."""
        self._heard_s = max(self._heard_s, sent_s)


async def stand_by(journal: Journal, policy: Policy, lease_s: float) -> tuple[int, JournalFold]:
    """Follow the journal until its writer is silent or gone, and take over.

    Returns:
        The epoch, and the state folded to the end.

    Raises:
        JournalError: the journal does not answer at the beginning, or not after the takeover. In between it is asked
            until it does.
    """
    log = get_logger("conference.leadership")
    watch = WriterWatch(lease_s)
    fold: JournalFold | None = None
    writer = await journal.writer()
    while not watch.handle_writer(writer, time.monotonic()):
        if fold is None:
            log.info("another coordinator leads; this one stands by", leader=writer.holder, epoch=writer.epoch)
        fold = await _follow(journal, policy, fold)
        writer = await _ask_again(journal, writer, lease_s / CHECKS_PER_LEASE)
    try:
        epoch = await journal.open_writer(after=writer.epoch)
    except StaleEpochError:
        log.info("another coordinator was quicker")
        return await stand_by(journal, policy, lease_s)
    log.info("this coordinator leads", epoch=epoch, before=writer.holder)
    return epoch, await _fold_to_the_end(journal, policy, fold)


async def _ask_again(journal: Journal, writer: Writer, pause_s: float) -> Writer:
    """Who writes, after a pause; however long the journal takes to answer."""
    log = get_logger("conference.leadership")
    while True:
        await asyncio.sleep(pause_s)
        try:
            return await journal.writer()
        except JournalError as error:
            log.warning("the journal does not answer; standing by", error=str(error), epoch=writer.epoch)


async def _follow(journal: Journal, policy: Policy, fold: JournalFold | None) -> JournalFold | None:
    """Read on, or from the beginning where that is not possible; None where neither is now."""
    log = get_logger("conference.leadership")
    try:
        if fold is None:
            return await fold_journal(journal, policy)
        await fold.catch_up()
    except (RewoundJournalError, CorruptJournalError) as error:
        # The store lost what nobody had acknowledged, or was cut off before this one had read so far.
        log.warning("following the journal from its snapshot again", error=str(error))
        return None
    except JournalError as error:
        log.warning("the journal cannot be followed now", error=str(error))
    return fold


async def _fold_to_the_end(journal: Journal, policy: Policy, fold: JournalFold | None) -> JournalFold:
    if fold is not None:
        try:
            await fold.catch_up()
        except (RewoundJournalError, CorruptJournalError):
            return await fold_journal(journal, policy)
        return fold
    return await fold_journal(journal, policy)
