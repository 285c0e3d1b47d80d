"""The coordinator: decides commands in order, makes their events durable, and only then answers.

It owns the one `State` and the journal's writer. A command is decided against the state in memory and applied to it at
once, so that the next command sees it; its events then wait in the open batch. One task writes batch after batch:
while one is synced to disk the next fills up, so that the cost of a sync is shared by all who wait (group commit) and
the order in the journal is the order of the decisions.

When a batch fails nothing that was decided on top of it may stay: everybody who waits gets the `JournalError`, the
state is thrown away and folded again from the journal, and until that has worked nothing is accepted or read.

No HTTP here, and no relay: those are `conference.api` and `conference.relay_desk`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence

from conference.admission import Admission
from conference.batch import Batch
from conference.commands import Command, JoinHall
from conference.decide import decide
from conference.errors import ConferenceError, CorruptJournalError, JournalError, RejectedError, StaleEpochError
from conference.events import Event, stream_of
from conference.journal.contract import Entry, Journal, Record
from conference.journal_fold import JournalFold, fold_journal
from conference.leadership import SIGNS_PER_LEASE, LifeSigns, stand_by
from conference.policy import Policy
from conference.snapshotting import Snapshots
from conference.state import State, apply
from monitoring.log_config import get_logger

Clock = Callable[[], int]
Subscriber = Callable[[Sequence[Entry]], None]

# A pause before the state is folded again after a failed append: with a full disk each attempt costs a whole fold, and
# this bounds those to two a second however many halls knock.
RECOVERY_PAUSE_S = 0.5
# Entries that may wait for the disk before new commands are refused; about ten seconds of the worst join storm.
MAX_WAITING_ENTRIES = 100_000


def wall_clock_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Coordinator:
    """The single writer of a journal and the state folded from it.

    Args:
        journal: where events go.
        policy: cost of halls and limits of relays, for decisions.
        clock: milliseconds since the epoch.
        snapshot_every: events between two snapshots.
        admission: how fast halls without a seat are let in; by default as fast as they come.
        lease_s: a coordinator that gave no sign of life for so long is succeeded by one that stands by.
        monotonic_s: the clock of that silence.
        observe_append: called with the seconds that each append took and the entries that it wrote.
        observe_failure: called with the code of the error when an append was not acknowledged.
        observe_command: called with the kind of each command and its result, `ok` or the code of the error.

    Attributes:
        deposed: set once another coordinator took over; this one is of no more use.
    """

    def __init__(
        self,
        journal: Journal,
        policy: Policy,
        clock: Clock = wall_clock_ms,
        *,
        snapshot_every: int = 20_000,
        admission: Admission | None = None,
        lease_s: float = 3.0,
        monotonic_s: Callable[[], float] = time.monotonic,
        observe_append: Callable[[float, Sequence[Entry]], None] | None = None,
        observe_failure: Callable[[str], None] = lambda _code: None,
        observe_command: Callable[[str, str], None] = lambda _command, _result: None,
    ) -> None:
        self._journal = journal
        self._policy = policy
        self._clock = clock
        self._snapshots = Snapshots(journal, snapshot_every)
        self._admission = admission or Admission(per_s=0, burst=1)
        self._lease_s = lease_s
        self._observe_append = observe_append
        self._observe_failure = observe_failure
        self._observe_command = observe_command
        self._log = get_logger("conference.coordinator")
        self.deposed = asyncio.Event()
        self._state: State | None = None
        self._unavailable: JournalError = JournalError("the journal has not been read yet")
        self._stopping = False
        self._epoch = 0
        self._positions: dict[str, int] = {}
        self._subscribers: list[Subscriber] = []
        self._recovered: list[Callable[[], None]] = []
        self._wake = asyncio.Event()
        self._open: Batch | None = None
        self._inflight: Batch | None = None
        self._writer: asyncio.Task[None] | None = None
        self._signs: asyncio.Task[None] | None = None
        self._life = LifeSigns(journal, lease_s, monotonic_s)

    @property
    def state(self) -> State:
        """The state; only to be read, and not kept across an await.

        Raises:
            JournalError: there is none at the moment, because the journal failed and was not yet read again.
        """
        if self._state is None:
            raise JournalError(str(self._unavailable))
        return self._state

    @property
    def is_ready(self) -> bool:
        """True while commands are taken, and nobody else can have begun to take them."""
        return self._has_state and self._life.is_heard

    @property
    def _has_state(self) -> bool:
        return self._state is not None

    @property
    def epoch(self) -> int:
        """Fencing epoch of this writer."""
        return self._epoch

    def now_ms(self) -> int:
        """The coordinator's clock."""
        return self._clock()

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have `subscriber` called with entries once they are durable, in order, on the event loop."""
        self._subscribers.append(subscriber)

    def subscribe_recovery(self, callback: Callable[[], None]) -> None:
        """Have `callback` called after the state was thrown away and folded again."""
        self._recovered.append(callback)

    async def start(self) -> None:
        """Stand by while another coordinator leads; then take over the journal, folded to its end.

        Raises:
            JournalError: the journal cannot be opened or read.
        """
        self._unavailable = JournalError("another coordinator leads, or the journal is being read")
        self._epoch, fold = await stand_by(self._journal, self._policy, self._lease_s)
        await self._life.give_sign(self._epoch)
        self._adopt(fold)
        self._open = Batch()
        self._writer = asyncio.create_task(self._write_forever(), name="coordinator-writer")
        self._signs = asyncio.create_task(self._show_life(), name="coordinator-signs")

    async def stop(self) -> None:
        """Refuse new commands, make what waits durable, save a snapshot and close the journal."""
        self._stopping = True
        state, self._state = self._state, None
        self._unavailable = JournalError("the coordinator is stopping")
        if state is not None:
            with contextlib.suppress(JournalError):
                await self.settled()
                await self._snapshots.take_last(self._epoch, state, self._positions)
        await self._snapshots.finished()
        tasks = [task for task in (self._writer, self._signs) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._open is not None:
            self._open.fail(self._unavailable)
        if self._epoch:
            with contextlib.suppress(JournalError):
                await self._journal.release(self._epoch)
        await self._journal.close()

    async def execute(self, command: Command, actor: str) -> list[Event]:
        """Decide a command and return its events once they are durable.

        Commands are decided in the order in which this is called. When a command has no effect the answer still waits
        until what it was decided upon is durable. A caller that is cancelled takes nothing back.

        Args:
            command: what somebody wants.
            actor: who, for the audit: `user:…`, `hall:…`, `relay:…` or `coordinator`.

        Raises:
            RejectedError: a rule refuses it; nothing was written. `admission` (503): a hall without a seat comes too
                early, and is let in after `retry_after_s`.
            JournalError: it could not be made durable; nothing of it remains.
        """
        try:
            events = await self._execute(command, actor)
        except ConferenceError as error:
            self._observe_command(type(command).__name__, error.code)
            raise
        self._observe_command(type(command).__name__, "ok")
        return events

    async def _execute(self, command: Command, actor: str) -> list[Event]:
        try:
            events, batch = self._submit(command, actor)
        except RejectedError:
            await self.settled()  # the refusal may rest on something that the disk has not accepted yet
            raise
        if batch is not None:
            await asyncio.shield(batch.done)
        else:
            await self.settled()
        return events

    def submit(self, command: Command, actor: str) -> list[Event]:
        """Decide a command and have its events written, for a caller who brings several.

        Nobody may be told of them, or of a refusal, before `settled` has returned.

        Raises:
            RejectedError: a rule refuses it, as in `execute`.
            JournalError: there is no state at the moment, or too much waits for the disk.
        """
        return self._submit(command, actor)[0]

    def _submit(self, command: Command, actor: str) -> tuple[list[Event], Batch | None]:
        """The events of a command, and the batch that they are in."""
        now_ms = self._record_ms()
        events = decide(self.state, command, now_ms)
        if not events:
            return events, None
        if isinstance(command, JoinHall):
            self._admit(command)
        return events, self._take(events, now_ms, actor)

    def _admit(self, command: JoinHall) -> None:
        """Hold a hall that would be given a seat to the pace of newcomers; one that has a seat is never held."""
        seat = self.state.seat(command.conference_id, command.hall_id)
        if seat is not None and not seat.left:
            return
        # The loop's clock: unlike that of the records it never stands still, and a simulation has its own.
        wait_s = self._admission.take((command.conference_id, command.hall_id), asyncio.get_running_loop().time())
        if wait_s > 0:
            detail = "many halls are joining; this one is let in when it comes back after Retry-After"
            raise RejectedError("admission", detail, status=503, retry_after_s=wait_s)

    @property
    def positions(self) -> dict[str, int]:
        """Of the last record of each stream that the state contains."""
        return dict(self._positions)

    def fold(self, records: Sequence[Record]) -> None:
        """Take in what gateways made durable in their partitions; what the state contains already is passed over.

        Raises:
            JournalError: there is no state at the moment.
        """
        state, fresh = self.state, list[Entry]()
        for record in records:
            if record.position == self._positions.get(record.stream, 0) + 1:
                apply(state, record.event, record.at_ms, record.actor)
                self._positions[record.stream] = record.position
                fresh.append(Entry(at_ms=record.at_ms, actor=record.actor, event=record.event))
        if fresh:
            self._snapshots.since += len(fresh)
            self._tell(self._subscribers, fresh)
            self._snapshots.take_if_due(self._epoch, state, self._positions, self._open)

    def distrust(self, error: JournalError) -> None:
        """Throw the state away, because of what the journal said, and fold it again."""
        if self._state is not None:
            self._log.error("the state is read again", error=str(error), code=error.code)
            self._invalidate(error)
            self._wake.set()

    def preview(self, command: Command) -> list[Event]:
        """Decide a command and forget it: what `execute` would do now.

        Raises:
            RejectedError: a rule refuses it.
            JournalError: there is no state at the moment.
        """
        return decide(self.state, command, self._record_ms())

    async def carry_out(self, decisions: Callable[[State, int], Iterable[Event]]) -> int:
        """Count the coordinator's own events once they are durable; each is applied before the next is asked for.

        Raises:
            JournalError: they could not be made durable.
        """
        now_ms = self._record_ms()
        taken = [self._take([event], now_ms, "coordinator") for event in decisions(self.state, now_ms)]
        if taken:
            await asyncio.shield(taken[-1].done)
        return len(taken)

    def _record_ms(self) -> int:
        """The time of the next record: now, but never before an earlier record's.

        A clock that is set back must not date a correction before what it corrects, or the older one would count.
        """
        return max(self._clock(), self.state.newest_ms)

    def _take(self, events: Sequence[Event], now_ms: int, actor: str) -> Batch:
        """Apply events and put them into the open batch."""
        state, batch = self.state, self._open
        if batch is None:
            raise JournalError("the coordinator was not started")
        if len(batch.entries) >= MAX_WAITING_ENTRIES:
            raise JournalError(f"{MAX_WAITING_ENTRIES} events wait for the disk already")
        try:
            for event in events:
                apply(state, event, now_ms, actor)
        except Exception as error:
            # apply() is total for events of decide(); if that is ever wrong the state is half changed and must go.
            self._log.exception("an event did not apply")
            failure = JournalError(f"the state is being read again: {error}")
            self._open = Batch()
            self._invalidate(failure)
            batch.fail(failure)
            self._wake.set()
            raise
        batch.entries.extend(Entry(at_ms=now_ms, actor=actor, event=event) for event in events)
        for event in events:
            stream = stream_of(event)
            self._positions[stream] = self._positions.get(stream, 0) + 1
        self._snapshots.since += len(events)
        self._wake.set()
        return batch

    async def settled(self) -> None:
        """Return once everything decided so far is durable, and nobody else can have decided since.

        An answer without an event passes no fence in the journal: what a successor has decided meanwhile would make a
        lie of it.

        Raises:
            JournalError: it will never be, or the journal has not heard of this coordinator for a lease.
        """
        waiting = self._open if self._open is not None and self._open.entries else self._inflight
        if waiting is not None:
            await asyncio.shield(waiting.done)
        if not self._life.is_heard:
            raise JournalError("the journal has not heard of this coordinator for a lease; another one may lead")

    async def _write_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._open is not None and self._open.entries:
                await self._write_batch()
            elif self._state is None and not self._stopping:
                await self._recover()

    async def _write_batch(self) -> None:
        batch = self._open
        if batch is None:
            return
        self._open, self._inflight = Batch(), batch
        started, sent_s = time.perf_counter(), self._life.monotonic_s()
        try:
            await self._append(batch.entries)
        except JournalError as error:
            self._observe_failure(error.code)
            self._log.error("append failed", error=str(error), code=error.code, events=len(batch.entries))
            overtaken, self._open, self._inflight = self._open, Batch(), None
            self._invalidate(error)
            batch.fail(error)
            overtaken.fail(error)
            self._wake.set()
            return
        if self._observe_append is not None:
            self._observe_append(time.perf_counter() - started, batch.entries)
        self._life.handle_append(sent_s)
        self._inflight = None
        self._tell(self._subscribers, batch.entries)
        batch.done.set_result(None)
        if self._state is not None:
            self._snapshots.take_if_due(self._epoch, self._state, self._positions, self._open)
        if self._open.entries or self._state is None:
            self._wake.set()

    async def _append(self, entries: Sequence[Entry]) -> None:
        try:
            await self._journal.append(self._epoch, entries)
        except ConferenceError:
            raise
        except Exception as error:
            # A bug in a journal must not leave all who wait without an answer: what it wrote, the fold will tell.
            self._log.exception("the journal failed in a way that it does not promise")
            raise JournalError(f"the journal failed: {error}") from error

    def _tell(self, callbacks: Iterable[Callable[..., None]], *words: object) -> None:
        for callback in callbacks:
            try:
                callback(*words)
            except Exception:  # noqa: BLE001 - whatever it is, it is logged and stays the listener's own
                # A listener's bug must not keep a durable command from its answer.
                self._log.exception("a listener failed")

    def _invalidate(self, error: JournalError) -> None:
        self._state = None
        self._unavailable = error

    async def _recover(self) -> None:
        """Fold the state from the journal again, however long that takes; another coordinator's takeover ends it."""
        while self._state is None:
            if isinstance(self._unavailable, StaleEpochError):
                self._log.critical("another coordinator took over; this one takes no more commands")
                self.deposed.set()
                return
            await asyncio.sleep(RECOVERY_PAUSE_S)
            try:
                # What failed may still be under way; with another epoch it can no longer arrive behind this fold.
                self._epoch = await self._journal.open_writer(after=self._epoch)
                fold = await fold_journal(self._journal, self._policy)
                await self._life.give_sign(self._epoch)
                self._adopt(fold)
            except CorruptJournalError as error:
                self._unavailable = error
                self._log.critical("the journal is corrupt", error=str(error))
                return
            except JournalError as error:
                self._unavailable = error
                self._log.error("the journal cannot be read yet", error=str(error))
        self._log.info("state folded again from the journal")
        self._tell(self._recovered)

    def _adopt(self, fold: JournalFold) -> None:
        self._positions, self._snapshots.since = fold.positions, fold.since_snapshot
        self._state = fold.state

    async def _show_life(self) -> None:
        """Give signs of life while this coordinator leads, and learn of a successor although nothing is written."""
        while True:
            await asyncio.sleep(self._lease_s / SIGNS_PER_LEASE)
            if self._state is None:
                continue  # it is being read again, and takes another epoch for that
            epoch = self._epoch
            try:
                await self._life.give_sign(epoch)
            except StaleEpochError as error:
                if self._has_state and epoch == self._epoch:
                    self._log.critical("another coordinator took over", error=str(error))
                    self._invalidate(error)
                    self.deposed.set()
                    return
            except JournalError as error:
                self._log.warning("no sign of life could be given", error=str(error))
