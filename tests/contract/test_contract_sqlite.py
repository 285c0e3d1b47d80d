"""What the SQLite journal promises beyond the contract: its file, and what it does when process or disk fail."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from conference.errors import CorruptJournalError, JournalError
from conference.events import HallLeft
from conference.journal.contract import Entry, Snapshot
from conference.journal.sqlite import SqliteJournal

ROOT = Path(__file__).parents[2]


def entry(number: int) -> Entry:
    """Some event."""
    return Entry(at_ms=number, actor="test", event=HallLeft(conference_id="c", hall_id=f"h{number}"))


def modes(folder: Path) -> set[int]:
    """Access rights of the files in a folder."""
    return {path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def start(program: str, path: Path) -> asyncio.subprocess.Process:
    """Start a program of this folder on a journal."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name(program)),
        str(path),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.integration
async def test_every_acknowledged_event_survives_kill_9(tmp_path: Path) -> None:
    """A process is killed while it writes: all that it had acknowledged is there, whole, and the file goes on."""
    path = tmp_path / "journal.db"
    process = await start("journal_writer.py", path)
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(400)]
    process.send_signal(signal.SIGKILL)
    lines += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    acknowledged = {int(line) for line in lines if line.endswith(b"\n")}

    journal = SqliteJournal(path)
    records = [record async for record in journal.read({})]
    written = [record.at_ms for record in records]
    assert acknowledged <= set(written)
    assert all(written.count(number) == 2 for number in set(written)), "an append was written in half"
    await journal.append(await journal.open_writer(), [entry(1)])
    await journal.close()


@pytest.mark.integration
async def test_a_full_disk_is_an_error_and_not_the_end(tmp_path: Path) -> None:
    """With no room left an append fails and writes nothing; once there is room, the same journal goes on."""
    process = await start("full_disk_writer.py", tmp_path / "journal.db")
    output, _ = await process.communicate()
    assert process.returncode == 0
    result = json.loads(output)
    assert result["read"] == result["acknowledged"]
    assert result["records"] == 20 * (len(result["acknowledged"]) - 1) + 1
    assert "journal.db" in result["reason"]


async def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """The journal holds names and telephone numbers: mode 0600, its log files included."""
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.append(await journal.open_writer(), [entry(1)])
    assert modes(tmp_path) == {0o600}
    await journal.close()


async def test_the_audit_is_readable_without_this_program(tmp_path: Path) -> None:
    """Events are JSON text with their tag."""
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    await journal.append(await journal.open_writer(), [entry(7)])
    await journal.close()
    with sqlite3.connect(path) as connection:
        text = connection.execute("SELECT event FROM records").fetchone()[0]
    connection.close()
    assert json.loads(text) == {"type": "hall_left", "conference_id": "c", "hall_id": "h7"}


async def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    """A record that does not decode raises an error that names its stream and position."""
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    await journal.append(await journal.open_writer(), [entry(1), entry(2), entry(3)])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE records SET event = '{}' WHERE position = 2")
    connection.close()
    with pytest.raises(CorruptJournalError, match="control 2"):
        [record async for record in journal.read({})]
    await journal.close()


async def test_a_missing_record_is_named(tmp_path: Path) -> None:
    """A gap in a stream is damage, not the end."""
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    await journal.append(await journal.open_writer(), [entry(1), entry(2), entry(3)])
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM records WHERE position = 2")
    connection.close()
    with pytest.raises(CorruptJournalError, match="position 2 is missing"):
        [record async for record in journal.read({})]
    await journal.close()


async def test_a_damaged_snapshot_is_refused(tmp_path: Path) -> None:
    """Positions that do not decode raise, instead of a silent start from nothing."""
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    await journal.save_snapshot(await journal.open_writer(), Snapshot(positions={"control": 1}, state=b"x"))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE snapshots SET positions = '[]'")
    connection.close()
    with pytest.raises(CorruptJournalError, match="snapshot"):
        await journal.latest_snapshot()
    await journal.close()


@pytest.mark.parametrize("content", [b"this is no database, " * 100, b"\x00" * 5000])
async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    """Something else of that name is never overwritten."""
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    journal = SqliteJournal(path)
    with pytest.raises(CorruptJournalError, match=r"journal\.db"):
        await journal.open_writer()
    await journal.close()
    assert path.read_bytes() == content


async def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    """An SQLite file that is no journal keeps its tables and gets none of ours."""
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    journal = SqliteJournal(path)
    with pytest.raises(JournalError, match="not a journal"):
        await journal.open_writer()
    await journal.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
    connection.close()


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """A journal of a later version is not read as if it were ours."""
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    await journal.open_writer()
    await journal.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    journal = SqliteJournal(path)
    with pytest.raises(JournalError, match="schema 99"):
        await journal.open_writer()
    await journal.close()


async def test_a_folder_that_comes_later_is_enough(tmp_path: Path) -> None:
    """The first call fails while the folder is missing; the next succeeds once it is there."""
    journal = SqliteJournal(tmp_path / "data" / "journal.db")
    with pytest.raises(JournalError):
        await journal.open_writer()
    (tmp_path / "data").mkdir()
    assert await journal.open_writer() == 1
    await journal.close()
