"""SQLite files that lose nothing: opening one, its tables, and what its errors mean. The journal's is one of them.

A file is in WAL mode with `synchronous=FULL`: what is committed survives the loss of power. A file that another
program made, or another schema, is refused.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from conference.errors import ConferenceError, CorruptJournalError, JournalError

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


class FileKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of file.

    Attributes:
        name: what it is, for messages.
        application_id: tells it from any other SQLite database.
        version: of its tables.
        tables: statements that make them, parted by `;`.
        error: raised for what is wrong with it.
        corrupt: raised where it is damaged.
    """

    name: str
    application_id: int
    version: int
    tables: str
    error: type[ConferenceError]
    corrupt: type[ConferenceError]


JOURNAL = FileKind(
    name="journal",
    application_id=0x44434A4C,  # "DCJL"
    version=1,
    tables=_TABLES,
    error=JournalError,
    corrupt=CorruptJournalError,
)


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


def open_for_writing(path: Path, kind: FileKind = JOURNAL) -> sqlite3.Connection:
    """Open the file for writing, create it where it does not exist, and check that it is ours."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        _sync_folder(path.parent)
    connection = connect(path)
    try:
        _prepare(path, connection, kind)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(path: Path, connection: sqlite3.Connection, kind: FileKind) -> None:
    """Set the connection up for writing, make the tables of a new file, refuse a file that is not ours."""
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise kind.error(f"{path}: this file system has no write-ahead log (journal_mode is {mode})")
    connection.execute("PRAGMA journal_size_limit = 67108864")  # what a burst leaves of the log on disk, in bytes
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != kind.application_id:
        with transaction(connection):
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            if application == 0 and tables == 0:
                for statement in kind.tables.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {kind.application_id}")
                connection.execute(f"PRAGMA user_version = {kind.version}")
            elif application != kind.application_id:  # not made by another process meanwhile
                raise kind.error(f"{path}: this is an SQLite database, but not a {kind.name}")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != kind.version:
        raise kind.error(f"{path}: the {kind.name} has schema {version}; this program reads {kind.version}")


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


def error_of(path: Path, error: Exception, kind: FileKind) -> ConferenceError:
    """Our error for one of SQLite or the system, with the file and the reason."""
    if isinstance(error, kind.error):
        return error
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    found = kind.corrupt if name in _CORRUPT_CODES else kind.error
    return found(f"{path}: {error} ({name})")


def journal_error(path: Path, error: Exception) -> JournalError:
    """`error_of` for the journal."""
    found = error_of(path, error, JOURNAL)
    return found if isinstance(found, JournalError) else JournalError(str(found))
