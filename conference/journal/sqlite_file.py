"""The journal's SQLite file: its tables, opening it, and what its errors mean.

The file is in WAL mode with `synchronous=FULL`: what is committed survives the loss of power. A file that another
program made, or another schema, is refused.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from conference.errors import CorruptJournalError, JournalError

SCHEMA_VERSION = 1
APPLICATION_ID = 0x44434A4C  # "DCJL"; tells our file from any other SQLite database

# Another process holds the write lock for one transaction at most; longer means that something is wrong.
_BUSY_TIMEOUT_S = 5.0
_CORRUPT_CODES = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB"})

_TABLES = """
CREATE TABLE records (
  id INTEGER PRIMARY KEY,
  stream TEXT NOT NULL,
  position INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  actor TEXT NOT NULL,
  event TEXT NOT NULL
);
CREATE UNIQUE INDEX records_by_position ON records (stream, position);
CREATE TABLE writer (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL);
INSERT INTO writer VALUES (1, 0);
CREATE TABLE snapshots (id INTEGER PRIMARY KEY, positions TEXT NOT NULL, state BLOB NOT NULL);
"""


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A write transaction: the lock is taken at once, the end of it is durable, an error undoes it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back itself after some errors
            connection.execute("ROLLBACK")
        raise


def connect(path: Path) -> sqlite3.Connection:
    """Open the file as it is, for reading; what is ours about it nobody has checked yet."""
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open the file for writing, create it where it does not exist, and check that it is ours."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        _sync_folder(path.parent)
    connection = connect(path)
    try:
        _prepare(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(path: Path, connection: sqlite3.Connection) -> None:
    """Set the connection up for writing, make the tables of a new file, refuse a file that is not ours."""
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise JournalError(f"{path}: this file system has no write-ahead log (journal_mode is {mode})")
    connection.execute("PRAGMA journal_size_limit = 67108864")  # what a burst leaves of the log on disk, in bytes
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID:
        with transaction(connection):
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            if application == 0 and tables == 0:
                for statement in _TABLES.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif application != APPLICATION_ID:  # not made by another process meanwhile
                raise JournalError(f"{path}: this is an SQLite database, but not a journal")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        raise JournalError(f"{path}: the journal has schema {version}; this program reads {SCHEMA_VERSION}")


def _sync_folder(folder: Path) -> None:
    """Make the new file's name durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def close(connection: sqlite3.Connection) -> None:
    """Give a connection up, in whatever state it is."""
    with contextlib.suppress(sqlite3.Error):
        connection.close()


def journal_error(path: Path, error: Exception) -> JournalError:
    """Our error for one of SQLite or the system, with the file and the reason."""
    if isinstance(error, JournalError):
        return error
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    kind = CorruptJournalError if name in _CORRUPT_CODES else JournalError
    return kind(f"{path}: {error} ({name})")
