"""Copying another journal into an SQLite file: records as they are, in the tables of `conference.journal.sqlite_file`.

While a copy is under way the writer's epoch is negative. No writer has such an epoch, so that a copy that was cut short
is never taken for a journal.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from conference.errors import JournalError, NotEmptyJournalError
from conference.journal.contract import Record, Snapshot
from conference.journal.sqlite_file import transaction

_FILLING = -1


def check_whole(epoch: int) -> int:
    """The epoch of a journal that is whole.

    Raises:
        JournalError: it is a copy that was not finished.
    """
    if epoch < 0:
        raise JournalError("a copy into this journal was not finished; remove the file and copy again")
    return epoch


def begin_fill(connection: sqlite3.Connection) -> None:
    """See `Journal.begin_fill`; where the first records stand the records themselves tell."""
    with transaction(connection):
        held = connection.execute("SELECT EXISTS (SELECT 1 FROM records) OR EXISTS (SELECT 1 FROM snapshots)")
        epoch = int(connection.execute("SELECT epoch FROM writer").fetchone()[0])
        if held.fetchone()[0] or epoch < 0:
            raise NotEmptyJournalError("the target holds a journal already; nothing was changed")
        connection.execute("UPDATE writer SET epoch = ?", (_FILLING - epoch,))


def fill(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    """See `Journal.fill`."""
    encoder = msgspec.json.Encoder()
    rows = [
        (each.stream, each.position, each.epoch, each.at_ms, each.actor, encoder.encode(each.event).decode())
        for each in records
    ]
    with transaction(connection):
        _filling_epoch(connection)
        connection.executemany(
            "INSERT INTO records (stream, position, epoch, at_ms, actor, event) VALUES (?, ?, ?, ?, ?, ?)", rows
        )


def finish_fill(connection: sqlite3.Connection, epoch: int, snapshot: Snapshot | None) -> None:
    """See `Journal.finish_fill`."""
    with transaction(connection):
        own = _filling_epoch(connection)
        if snapshot is not None:
            positions = msgspec.json.encode(snapshot.positions, order="sorted").decode()
            connection.execute("INSERT INTO snapshots (positions, state) VALUES (?, ?)", (positions, snapshot.state))
        connection.execute("UPDATE writer SET epoch = ?", (max(own, epoch),))


def kept_after(connection: sqlite3.Connection) -> dict[str, int]:
    """See `Journal.kept_after`: a copy of a journal that was cut off begins where that did."""
    found = connection.execute("SELECT stream, min(position) - 1 FROM records GROUP BY stream").fetchall()
    first = {stream: position for stream, position in found if position}
    whole = {stream for stream, _ in found}
    return {**{stream: at for stream, at in _snapshot_positions(connection).items() if stream not in whole}, **first}


def last_position(connection: sqlite3.Connection, stream: str) -> int:
    """Position of a stream's last record, also where only a snapshot contains it still."""
    found = connection.execute("SELECT max(position) FROM records WHERE stream = ?", (stream,)).fetchone()[0]
    return int(found or _snapshot_positions(connection).get(stream, 0))


def _snapshot_positions(connection: sqlite3.Connection) -> dict[str, int]:
    row = connection.execute("SELECT positions FROM snapshots ORDER BY id DESC LIMIT 1").fetchone()
    return {} if row is None else msgspec.json.decode(row[0], type=dict[str, int])


def _filling_epoch(connection: sqlite3.Connection) -> int:
    """The epoch that the journal had before the copy began."""
    epoch = int(connection.execute("SELECT epoch FROM writer").fetchone()[0])
    if epoch >= 0:
        raise JournalError("no copy into this journal was begun")
    return _FILLING - epoch
