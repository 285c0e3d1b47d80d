"""The state as a gateway has it: folded from the journal, record by record, as the leader and other gateways write.

Reads are never older than what anybody was told. `caught_up` reads the journal to its end in a round that began after
the call: what was acknowledged before is in it, whoever acknowledged it, because it was in the store by then. A round
is shared by all who wait, so that a thousand halls cost one. No leader is needed for that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from conference.ending import end
from conference.errors import CorruptJournalError, JournalError, RewoundJournalError
from conference.events import CONTROL
from conference.journal.contract import Journal, Writer
from conference.journal_fold import JournalFold, fold_journal
from conference.policy import Policy
from conference.state import State
from monitoring.log_config import get_logger

# Without anybody who waits: so late may a leader be noticed that took over, and so much is left to fold when one asks.
POLL_S = 0.25
# A store that refuses at once is not asked faster than this, however many halls wait.
RETRY_S = 0.2


class Following:
    """A hot fold of the journal.

    Args:
        journal: only read.
        handle_writer: told who writes the journal, some times a second.
        poll_s: a pause between two rounds that nobody waits for.
    """

    def __init__(self, journal: Journal, handle_writer: Callable[[Writer], None], *, poll_s: float = POLL_S) -> None:
        self._journal = journal
        self._handle_writer = handle_writer
        self._poll_s = poll_s
        self._log = get_logger("conference.front.following")
        self._fold: JournalFold | None = None
        self._failure = JournalError("the journal has not been read yet")
        self._wanted = asyncio.Event()
        self._next: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def state(self) -> State:
        """The state; only to be read, and not kept across an await.

        Raises:
            JournalError: there is none: it was not read yet, or is being read anew.
        """
        if self._fold is None:
            raise JournalError(str(self._failure))
        return self._fold.state

    @property
    def is_ready(self) -> bool:
        """True while there is a state."""
        return self._fold is not None

    @property
    def position(self) -> int:
        """Of the last record of `control` in the state."""
        return 0 if self._fold is None else self._fold.positions.get(CONTROL, 0)

    def start(self) -> None:
        """Begin to follow."""
        self._tasks = [
            asyncio.create_task(self._follow(), name="gateway-following"),
            asyncio.create_task(self._watch_writer(), name="gateway-writer-watch"),
        ]

    async def stop(self) -> None:
        """End; who waits is told."""
        await end(*self._tasks)
        self._answer(self._next, JournalError("the gateway is stopping"))

    async def caught_up(self) -> None:
        """Return once the state has everything that was acknowledged before this was called.

        Raises:
            JournalError: the store could not be read.
        """
        self._wanted.set()
        await asyncio.shield(self._next)

    async def reached(self, position: int) -> None:
        """Return once the state has the records of `control` up to this position, which are durable.

        Raises:
            JournalError: the store could not be read, or has not got them.
        """
        if self.position < position:
            await self.caught_up()
        if self.position < position:
            raise RewoundJournalError(f"the journal ends at {self.position}; the leader told of {position}")

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), self._poll_s)
            self._wanted.clear()
            current, self._next = self._next, loop.create_future()
            failure: JournalError | None = None
            try:
                await self._read()
            except JournalError as error:
                failure = error
            except Exception as error:  # noqa: BLE001 - whatever it is: logged, told to who waits, and followed on
                self._log.exception("a round failed")
                failure = JournalError(f"the journal failed: {error}")
            self._answer(current, failure)
            if failure is not None:
                await asyncio.sleep(RETRY_S)

    async def _read(self) -> None:
        try:
            if self._fold is None:
                self._fold = await fold_journal(self._journal, Policy())
            else:
                await self._fold.catch_up()
        except (RewoundJournalError, CorruptJournalError) as error:
            # The store lost what nobody had acknowledged, or was cut off before this one had read so far.
            self._log.warning("following the journal from its snapshot again", error=str(error))
            self._fold, self._failure = None, error
            self._fold = await fold_journal(self._journal, Policy())

    async def _watch_writer(self) -> None:
        while True:
            try:
                self._handle_writer(await self._journal.writer())
            except JournalError as error:
                self._log.warning("the journal does not answer", error=str(error))
            await asyncio.sleep(self._poll_s)

    @staticmethod
    def _answer(future: asyncio.Future[None], error: JournalError | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
            future.exception()  # nobody may be waiting, and asyncio would complain that nobody looked
