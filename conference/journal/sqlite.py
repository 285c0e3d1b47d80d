"""The journal on one machine: an SQLite file in WAL mode with `synchronous=FULL`.

One thread owns writing. It takes every append that waits, writes them in one transaction and answers all of them after
one `fsync` (group commit): the cost of durability is shared by those who ask at the same moment. The fencing epoch is
checked inside the same transaction, so that two processes on one file cannot both believe that they write.

Events are stored as JSON text, so that the file can be audited with the `sqlite3` shell alone. Readers have their own
connection and see only what is committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from conference.errors import CorruptJournalError, JournalError, StaleEpochError
from conference.events import Event, stream_of
from conference.journal import sqlite_fill
from conference.journal.contract import Entry, Record, Snapshot, Writer
from conference.journal.sqlite_file import close, connect, journal_error, open_for_writing, transaction

# One transaction holds at most so many rows, so that the first who waits is not delayed by all the others.
_GROUP_ROWS = 10_000
_PAGE_ROWS = 2_000
_KEPT_SNAPSHOTS = 2
ResultT = TypeVar("ResultT")

_Row = tuple[str, int, str, str]
"""Stream, at_ms, actor and event (JSON)."""


class _Append:
    """An append that waits for the writer thread."""

    __slots__ = ("_future", "_loop", "epoch", "rows")

    def __init__(self, epoch: int, rows: list[_Row]) -> None:
        self.epoch = epoch
        self.rows = rows
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    def resolve(self, error: JournalError | None) -> None:
        """Answer, from the writer thread."""
        with contextlib.suppress(RuntimeError):  # the loop has closed; nobody waits any more
            self._loop.call_soon_threadsafe(self._set, error)

    def _set(self, error: JournalError | None) -> None:
        if self._future.done():
            return
        if error is None:
            self._future.set_result(None)
        else:
            self._future.set_exception(error)

    async def wait(self) -> None:
        """Return once durable."""
        await self._future


class _Call:
    """Anything else that the writer thread does: a function of its connection."""

    __slots__ = ("_answer", "_work")

    def __init__(
        self, work: Callable[[sqlite3.Connection], None], answer: Callable[[JournalError | None], None]
    ) -> None:
        self._work = work
        self._answer = answer

    def run(self, connection: sqlite3.Connection) -> None:
        """Do the work; the caller answers."""
        self._work(connection)

    def resolve(self, error: JournalError | None) -> None:
        """Answer, from the writer thread."""
        self._answer(error)


_Job = _Append | _Call


class SqliteJournal:
    """`conference.journal.contract.Journal` on a file.

    Nothing is opened before the first call. A failed call leaves the journal usable: the connection is opened anew,
    and the next call succeeds as soon as the disk does.

    Args:
        path: the file; created with mode 0600 where it does not exist. Its folder must exist.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
        self._encoder = msgspec.json.Encoder()
        self._thread: threading.Thread | None = None
        self._closed = False

    async def writer(self) -> Writer:
        """The newest epoch, held by nobody as far as the file knows: see `Journal.writer`.

        The file is for one machine, where `conference.state_lock` keeps a second coordinator away.
        """
        return Writer(epoch=sqlite_fill.check_whole(await self._call(_newest_epoch)), holder="", pulse=0)

    async def open_writer(self, *, after: int | None = None) -> int:
        """Take over writing: see `Journal.open_writer`."""

        def take_over(connection: sqlite3.Connection) -> int:
            with transaction(connection):
                newest = sqlite_fill.check_whole(_newest_epoch(connection))
                if after not in {None, newest}:
                    raise _stale(after, newest)
                connection.execute("UPDATE writer SET epoch = ?", (newest + 1,))
                return newest + 1

        return await self._call(take_over)

    async def renew(self, epoch: int) -> None:
        """Learn whether this is the newest epoch still: see `Journal.renew`."""

        def check(connection: sqlite3.Connection) -> None:
            if (newest := _newest_epoch(connection)) != epoch:
                raise _stale(epoch, newest)

        await self._call(check)

    async def release(self, epoch: int) -> None:
        """Do nothing: nobody holds the file, see `writer`."""

    async def announce(self, epoch: int, address: str) -> None:
        """Nobody else opens this file: see `Journal.announce`."""

    async def append(self, epoch: int, entries: Sequence[Entry]) -> None:
        """Append entries durably, all or none: see `Journal.append`."""
        if not entries:
            return
        try:
            rows = [
                (stream_of(entry.event), entry.at_ms, entry.actor, self._encoder.encode(entry.event).decode())
                for entry in entries
            ]
        except (ValueError, TypeError) as error:  # a lone surrogate, an integer beyond 64 bits
            raise JournalError(f"{self._path}: an event does not encode: {error}") from error
        job = _Append(epoch, rows)
        self._put(job)
        await job.wait()

    async def read(self, after: dict[str, int]) -> AsyncIterator[Record]:
        """Records past the positions given, in order of append: see `Journal.read`."""
        await self._call(lambda _: None)  # the file exists and is ours, or this raises
        positions = dict(after)
        last_id = await asyncio.to_thread(self._start, after)
        while True:
            page = await asyncio.to_thread(self._read_page, last_id)
            if not page:
                return
            last_id = page[-1][0]
            for _, stream, position, epoch, at_ms, actor, event in page:
                if position <= after.get(stream, 0):
                    continue
                if position != positions.get(stream, 0) + 1:
                    expected = positions.get(stream, 0) + 1
                    raise CorruptJournalError(f"{self._path}: {stream}: position {expected} is missing")
                positions[stream] = position
                yield Record(
                    stream=stream,
                    position=position,
                    epoch=epoch,
                    at_ms=at_ms,
                    actor=actor,
                    event=self._decode(stream, position, event),
                )

    async def read_partitions(self, after: dict[str, int]) -> AsyncIterator[Record]:  # noqa: ARG002 - there are none
        """No other process writes: see `Journal.read_partitions`."""
        nothing: tuple[Record, ...] = ()
        for record in nothing:
            yield record

    async def kept_after(self) -> dict[str, int]:
        """Nothing is ever removed, but a copy may lack what its source lacked: see `Journal.kept_after`."""
        return await self._call(sqlite_fill.kept_after)

    async def begin_fill(self, after: dict[str, int]) -> None:  # noqa: ARG002 - the records tell where they begin
        """Begin a copy: see `Journal.begin_fill`."""
        await self._call(sqlite_fill.begin_fill)

    async def fill(self, records: Sequence[Record]) -> None:
        """Write records as they are: see `Journal.fill`."""
        await self._call(lambda connection: sqlite_fill.fill(connection, records))

    async def finish_fill(self, epoch: int, snapshot: Snapshot | None) -> None:
        """End a copy: see `Journal.finish_fill`."""
        await self._call(lambda connection: sqlite_fill.finish_fill(connection, epoch, snapshot))

    async def save_snapshot(self, epoch: int, snapshot: Snapshot) -> None:
        """Keep a snapshot: see `Journal.save_snapshot`. The one before is kept as well, for the audit."""
        positions = self._encoder.encode(snapshot.positions).decode()

        def save(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                if (newest := _newest_epoch(connection)) != epoch:
                    raise _stale(epoch, newest)
                connection.execute(
                    "INSERT INTO snapshots (positions, state) VALUES (?, ?)", (positions, snapshot.state)
                )
                connection.execute(
                    "DELETE FROM snapshots WHERE id <= (SELECT max(id) FROM snapshots) - ?", (_KEPT_SNAPSHOTS,)
                )

        await self._call(save)

    async def latest_snapshot(self) -> Snapshot | None:
        """The newest snapshot, or None: see `Journal.latest_snapshot`."""

        def load(connection: sqlite3.Connection) -> tuple[object, object] | None:
            row = connection.execute("SELECT positions, state FROM snapshots ORDER BY id DESC LIMIT 1").fetchone()
            return None if row is None else (row[0], row[1])

        row = await self._call(load)
        if row is None:
            return None
        positions, state = row
        try:
            if not isinstance(positions, str) or not isinstance(state, bytes):
                raise CorruptJournalError(f"{self._path}: the newest snapshot has columns of other types")
            return Snapshot(positions=msgspec.json.decode(positions, type=dict[str, int]), state=state)
        except msgspec.MsgspecError as error:
            raise CorruptJournalError(f"{self._path}: the newest snapshot does not decode: {error}") from error

    async def close(self) -> None:
        """Write what waits, release the file and end the thread; a second call does nothing."""
        self._closed = True
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(thread.join)

    # -- callers' side ------------------------------------------------------------------------------------------------

    def _put(self, job: _Job) -> None:
        if self._closed:
            raise JournalError(f"{self._path}: the journal is closed")
        if self._thread is None:
            # A daemon, so that a program which fails before `close` can end; what was acknowledged is on disk already.
            self._thread = threading.Thread(target=self._write, name="journal-writer", daemon=True)
            self._thread.start()
        self._jobs.put(job)

    async def _call(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Run `work` in the writer thread and return what it returns."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[ResultT] = loop.create_future()
        results: list[ResultT] = []

        def finish(error: JournalError | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(results[0])
            else:
                future.set_exception(error)

        def answer(error: JournalError | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed; nobody waits any more
                loop.call_soon_threadsafe(finish, error)

        self._put(_Call(lambda connection: results.append(work(connection)), answer))
        return await future

    def _start(self, after: dict[str, int]) -> int:
        """The row id before the first record past `after`."""
        with self._reading() as connection:
            last_id = int(connection.execute("SELECT coalesce(max(id), 0) FROM records").fetchone()[0])
            for (stream,) in connection.execute("SELECT DISTINCT stream FROM records").fetchall():
                first = connection.execute(
                    "SELECT min(id) FROM records WHERE stream = ? AND position > ?", (stream, after.get(stream, 0))
                ).fetchone()[0]
                if first is not None:
                    last_id = min(last_id, first - 1)
            return last_id

    def _read_page(self, after_id: int) -> list[tuple[int, str, int, int, int, str, str]]:
        with self._reading() as connection:
            return connection.execute(
                "SELECT id, stream, position, epoch, at_ms, actor, event FROM records WHERE id > ? ORDER BY id LIMIT ?",
                (after_id, _PAGE_ROWS),
            ).fetchall()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with contextlib.closing(connect(self._path)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise journal_error(self._path, error) from error

    def _decode(self, stream: str, position: int, event: object) -> Event:
        try:
            if isinstance(event, str):
                return self._decoder.decode(event)
        except msgspec.MsgspecError as error:
            raise CorruptJournalError(f"{self._path}: {stream} {position} does not decode: {error}") from error
        raise CorruptJournalError(f"{self._path}: {stream} {position} is not text")

    # -- writer thread ------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        connection: sqlite3.Connection | None = None
        for group in _groups(self._jobs):
            connection, error = self._attempt(connection, group)
            if error is not None and len(group) > 1:
                # One of them may be what failed (too large, for example): the others are not to suffer for it.
                for job in group:
                    connection, error = self._attempt(connection, [job])
                    if error is not None:
                        job.resolve(error)
            elif error is not None:
                group[0].resolve(error)
        if connection is not None:
            close(connection)

    def _attempt(
        self, connection: sqlite3.Connection | None, group: Sequence[_Job]
    ) -> tuple[sqlite3.Connection | None, JournalError | None]:
        """Do a group's work and answer it; on failure nobody is answered, and the connection is given up."""
        try:
            connection = connection or open_for_writing(self._path)
            _perform(connection, group)
        except Exception as error:  # noqa: BLE001 whatever it is, those who wait must get an answer and the thread live on
            if connection is not None:
                close(connection)
            return None, journal_error(self._path, error)
        return connection, None


def _groups(jobs: queue.SimpleQueue[_Job | None]) -> Iterator[Sequence[_Job]]:
    """What waits, in order: runs of appends together, everything else alone; ends at None."""
    while True:
        job = jobs.get()
        group: list[_Append] = []
        rows = 0
        while isinstance(job, _Append):
            group.append(job)
            rows += len(job.rows)
            if rows >= _GROUP_ROWS:
                break
            try:
                job = jobs.get_nowait()
            except queue.Empty:
                break
        if group:
            yield group
        if job is None:
            return
        if isinstance(job, _Call):
            yield [job]


def _perform(connection: sqlite3.Connection, group: Sequence[_Job]) -> None:
    """Do the work of a group and answer it; raises before anybody was answered."""
    appends = [job for job in group if isinstance(job, _Append)]
    if appends:
        newest = _append(connection, appends)
        for job in appends:
            job.resolve(None if job.epoch == newest else _stale(job.epoch, newest))
    for call in group:
        if isinstance(call, _Call):
            call.run(connection)
            call.resolve(None)


def _append(connection: sqlite3.Connection, jobs: Sequence[_Append]) -> int:
    """Write the appends of the newest epoch in one transaction; returns that epoch."""
    with transaction(connection):
        newest = _newest_epoch(connection)
        waiting = [(job.epoch, row) for job in jobs if job.epoch == newest for row in job.rows]
        last: dict[str, int] = {}
        for stream in {row[0] for _, row in waiting}:
            last[stream] = sqlite_fill.last_position(connection, stream)
        rows = []
        for epoch, (stream, at_ms, actor, event) in waiting:
            last[stream] += 1
            rows.append((stream, last[stream], epoch, at_ms, actor, event))
        connection.executemany(
            "INSERT INTO records (stream, position, epoch, at_ms, actor, event) VALUES (?, ?, ?, ?, ?, ?)", rows
        )
    return newest


def _newest_epoch(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT epoch FROM writer").fetchone()[0])


def _stale(epoch: int | None, newest: int) -> StaleEpochError:
    return StaleEpochError(f"epoch {epoch} was replaced by {newest}: another writer took over")
