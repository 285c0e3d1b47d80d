"""The people store on one machine: an SQLite file of its own beside the journal.

The file can forget, which a journal cannot. An erasure ends by writing the file anew (`VACUUM`) and emptying its
write-ahead log, so that no byte of an erased person stays in either: `secure_delete` alone leaves copies of rows that
SQLite once moved from page to page. Where a reader keeps the X

One thread writes, another reads, each with a connection of its own: whoever reads a roster does not wait for an import.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bridges.person import Person
from conference.journal.sqlite_file import FileKind, close, error_of, open_for_writing, transaction
from conference.people.contract import ConferencePeople, CorruptPeopleError, PeopleConflictError, PeopleError

ResultT = TypeVar("ResultT")

# A person's id is the conference's number times 2^32 plus the person's: people stand in order, and small.
_TABLES = """
CREATE TABLE conferences (key INTEGER PRIMARY KEY, conference_id TEXT NOT NULL UNIQUE, last_number INTEGER NOT NULL);
CREATE TABLE people (id INTEGER PRIMARY KEY, identity BLOB NOT NULL, person TEXT NOT NULL);
CREATE UNIQUE INDEX people_by_identity ON people (identity, id >> 32)
"""
_NUMBERS = 1 << 32
PEOPLE = FileKind(
    name="people store",
    application_id=0x44435050,  # "DCPP"
    version=1,
    tables=_TABLES,
    error=PeopleError,
    corrupt=CorruptPeopleError,
)
# SQLite binds at most 32,766 values to one statement.
_AT_ONCE = 10_000


class _Lane:
    """One thread with one connection; a connection that failed is given up and opened anew by the next call."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._connection: sqlite3.Connection | None = None

    async def run(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Do `work` in the thread.

        Raises:
            PeopleError: the file cannot be read or written.
        """
        try:
            future = asyncio.get_running_loop().run_in_executor(self._threads, self._perform, work)
        except RuntimeError as error:
            raise PeopleError(f"{self._path}: the people store is closed") from error
        return await asyncio.shield(future)

    def _perform(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        try:
            if self._connection is None:
                self._connection = open_for_writing(self._path, PEOPLE)
                self._connection.execute("PRAGMA secure_delete = ON")
                # `VACUUM` needs a copy of the file for a while: beside it, and not where anything else may be.
                folder = str(self._path.parent.absolute()).replace("'", "''")
                self._connection.execute(f"PRAGMA temp_store_directory = '{folder}'")
            return work(self._connection)
        except (msgspec.MsgspecError, UnicodeError):
            # Without the cause, which quotes what it is about: a person must not get into a traceback.
            raise CorruptPeopleError(f"{self._path}: a person does not encode or decode") from None
        except (sqlite3.Error, OSError) as error:
            if self._connection is not None:
                close(self._connection)
                self._connection = None
            raise error_of(self._path, error, PEOPLE) from error

    async def close(self) -> None:
        """End the thread."""

        def release() -> None:
            if self._connection is not None:
                close(self._connection)
                self._connection = None

        if not self._threads._shutdown:  # noqa: SLF001 - the executor does not tell otherwise
            await asyncio.get_running_loop().run_in_executor(self._threads, release)
            self._threads.shutdown(wait=False)


class SqlitePeople:
    """`conference.people.contract.PeopleStore` on a file.

    Nothing is opened before the first call.

    Args:
        path: the file; created with mode 0600 where it does not exist. Its folder must exist.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._writing = _Lane(self._path, "people-writer")
        self._reading = _Lane(self._path, "people-reader")
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(Person)

    async def conferences(self) -> list[ConferencePeople]:
        """See `PeopleStore.conferences`."""
        found = await self._reading.run(
            lambda connection: connection.execute(
                "SELECT conference_id, (SELECT count(*) FROM people WHERE id > key << 32 AND id < (key + 1) << 32),"
                " last_number FROM conferences ORDER BY conference_id"
            ).fetchall()
        )
        return [ConferencePeople(conference_id=name, people=count, last_number=last) for name, count, last in found]

    async def last_number(self, conference_id: str) -> int:
        """See `PeopleStore.last_number`."""
        return await self._reading.run(lambda connection: _last_number(connection, conference_id))

    async def find(self, conference_id: str, identities: Sequence[bytes]) -> dict[bytes, int]:
        """See `PeopleStore.find`."""

        def find(connection: sqlite3.Connection) -> dict[bytes, int]:
            key = _key(connection, conference_id)
            wanted = "SELECT identity, id FROM people WHERE id >> 32 = ? AND identity IN "
            return {identity: id_ % _NUMBERS for identity, id_ in _select(connection, wanted, (key,), identities)}

        return await self._reading.run(find)

    async def read(self, conference_id: str, numbers: Sequence[int]) -> dict[int, Person]:
        """See `PeopleStore.read`."""

        def read(connection: sqlite3.Connection) -> dict[int, Person]:
            ids = _ids(connection, conference_id, numbers)
            rows = _select(connection, "SELECT id, person FROM people WHERE id IN ", (), ids)
            return {id_ % _NUMBERS: self._decoder.decode(person) for id_, person in rows}

        return await self._reading.run(read)

    async def read_after(self, conference_id: str, number: int, limit: int) -> list[Person]:
        """See `PeopleStore.read_after`."""

        def read(connection: sqlite3.Connection) -> list[Person]:
            key = _key(connection, conference_id)
            rows = connection.execute(
                "SELECT person FROM people WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
                (key * _NUMBERS + number, (key + 1) * _NUMBERS, limit),
            ).fetchall()
            return [self._decoder.decode(person) for (person,) in rows]

        return await self._reading.run(read)

    async def save(self, conference_id: str, pages: Iterable[Sequence[Person]], *, after: int) -> None:
        """See `PeopleStore.save`: one transaction."""

        def save(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                last = _last_number(connection, conference_id)
                if last != after:
                    raise PeopleConflictError(f"number {last} was given out already, after {after}")
                connection.execute(
                    "INSERT INTO conferences (conference_id, last_number) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    (conference_id, last),
                )
                key = _key(connection, conference_id)
                for page in pages:
                    last = max(last, *(person.number for person in page)) if page else last
                    rows = [(key * _NUMBERS + person.number, person.identity, self._encode(person)) for person in page]
                    connection.executemany(
                        "INSERT INTO people VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE"
                        " SET identity = excluded.identity, person = excluded.person",
                        rows,
                    )
                connection.execute("UPDATE conferences SET last_number = ? WHERE key = ?", (last, key))

        await self._writing.run(save)

    def _encode(self, person: Person) -> str:
        return self._encoder.encode(person).decode()

    async def erase(self, conference_id: str, numbers: Sequence[int]) -> int:
        """See `PeopleStore.erase`."""

        def erase(connection: sqlite3.Connection) -> int:
            with transaction(connection):
                before = connection.total_changes
                ids = _ids(connection, conference_id, numbers)
                connection.executemany("DELETE FROM people WHERE id = ?", ((id_,) for id_ in ids))
                erased = connection.total_changes - before
            self._forget(connection)
            return erased

        return await self._writing.run(erase)

    async def erase_conference(self, conference_id: str) -> int:
        """See `PeopleStore.erase_conference`."""

        def erase(connection: sqlite3.Connection) -> int:
            with transaction(connection):
                key = _key(connection, conference_id)
                before = connection.total_changes
                bounds = (key * _NUMBERS, (key + 1) * _NUMBERS)
                connection.execute("DELETE FROM people WHERE id > ? AND id < ?", bounds)
                erased = connection.total_changes - before
                connection.execute("DELETE FROM conferences WHERE key = ?", (key,))
            self._forget(connection)
            return erased

        return await self._writing.run(erase)

    def _forget(self, connection: sqlite3.Connection) -> None:
        """Write the file anew from what is in it, and cut its log off.

        Raises:
            PeopleError: somebody reads from it still; it holds what was erased.
        """
        connection.execute("VACUUM")
        is_busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            raise PeopleError(f"{self._path}: erased, but the write-ahead log is in use and still holds it; ask again")

    async def close(self) -> None:
        """See `PeopleStore.close`."""
        await self._reading.close()
        await self._writing.close()


def _last_number(connection: sqlite3.Connection, conference_id: str) -> int:
    row = connection.execute("SELECT last_number FROM conferences WHERE conference_id = ?", (conference_id,)).fetchone()
    return 0 if row is None else int(row[0])


def _key(connection: sqlite3.Connection, conference_id: str) -> int:
    """A conference's number; -1, which none has, where nothing of it is stored."""
    row = connection.execute("SELECT key FROM conferences WHERE conference_id = ?", (conference_id,)).fetchone()
    return -1 if row is None else int(row[0])


def _ids(connection: sqlite3.Connection, conference_id: str, numbers: Sequence[int]) -> list[int]:
    base = _key(connection, conference_id) * _NUMBERS
    return [base + number for number in numbers if 0 < number < _NUMBERS] if base > 0 else []


def _select(
    connection: sqlite3.Connection, query: str, bound: tuple[int, ...], values: Sequence[int] | Sequence[bytes]
) -> list[Any]:
    """All rows of a query that ends in `IN`, whatever the number of values."""
    found: list[Any] = []
    for start in range(0, len(values), _AT_ONCE):
        page = values[start : start + _AT_ONCE]
        found += connection.execute(f"{query} ({','.join('?' * len(page))})", (*bound, *page)).fetchall()
    return found
