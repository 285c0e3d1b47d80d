"""What each people store promises beyond the contract: rights, failing disks, and that the erased are nowhere."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import uuid
from pathlib import Path

import pytest
from support.aiortc_relay import until
from support.redis_servers import RedisServer

from bridges.person import Person
from conference.config import JournalConfig
from conference.people.contract import CorruptPeopleError, PeopleError
from conference.people.opening import PEOPLE_FILE, open_people
from conference.people.sqlite import SqlitePeople

ROOT = Path(__file__).parents[2]
COUNT = 6_000


def marked(mark: str, count: int, first: int = 1) -> list[Person]:
    """People whose every field carries a mark, long enough that pages of the file split and merge."""
    return [
        Person(
            number=number,
            hall_id=f"H{number % 40}",
            name=f"{mark}-ten-{number:07}",
            external_id=f"{mark}-the-{number * 7_919 % 1_000_003:07}",
            position=f"{mark}-chuc-{number}" * (number % 5),
            phone=f"{mark}-sdt-{number}",
        )
        for number in range(first, first + count)
    ]


def files(folder: Path) -> list[Path]:
    """The files in a folder."""
    return list(folder.iterdir())


def found(folder: Path, mark: str) -> dict[str, int]:
    """How often a mark stands in the bytes of the files of a folder."""
    counts = {path.name: path.read_bytes().count(mark.encode()) for path in folder.iterdir()}
    return {name: count for name, count in counts.items() if count}


async def test_the_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Mode 0600, the log and the index of it included."""
    store = SqlitePeople(tmp_path / PEOPLE_FILE)
    await store.save("c", [marked("x", 10)], after=0)
    assert [path.stat().st_mode & 0o777 for path in files(tmp_path)] == [0o600] * 3
    await store.close()


async def test_the_bytes_of_an_erased_conference_are_gone(tmp_path: Path) -> None:
    """After the erasure no byte of a name, card or telephone is in the file, its free pages or its log.

    Before it people were written, rewritten and erased one by one, while others stood between them.
    """
    store = SqlitePeople(tmp_path / PEOPLE_FILE)
    await store.save("kept", [marked("ODAY", 500)], after=0)
    await store.save("gone", [marked("XOADI", COUNT)], after=0)
    await store.save("kept", [marked("ODAY", 500, 501)], after=500)
    await store.save("gone", [marked("XOADI-lan-hai", COUNT // 2)], after=COUNT)
    await store.erase("gone", range(1, COUNT, 3))
    assert found(tmp_path, "XOADI")
    assert await store.erase_conference("gone") == COUNT - len(range(1, COUNT, 3))
    assert found(tmp_path, "XOADI") == {}
    assert len(await store.read_after("kept", 0, 2_000)) == 1_000
    await store.close()
    assert found(tmp_path, "XOADI") == {}


async def test_the_bytes_of_erased_persons_are_gone(tmp_path: Path) -> None:
    """One person or many of a conference that goes on: not a byte of them, and everybody else is whole."""
    store = SqlitePeople(tmp_path / PEOPLE_FILE)
    people = marked("ODAY", COUNT)
    odd = [number for number in range(1, COUNT + 1) if number % 5 in {0, 3} or 1_000 < number < 1_900]
    for number in odd:
        people[number - 1] = marked("XOADI", 1, number)[0]
    await store.save("c", [people[start : start + 999] for start in range(0, COUNT, 999)], after=0)
    assert await store.erase("c", odd[:1]) == 1
    assert await store.erase("c", odd) == len(odd) - 1
    assert found(tmp_path, "XOADI") == {}
    assert [p for p in people if p.number not in set(odd)] == await store.read_after("c", 0, COUNT)
    await store.close()


async def test_an_import_that_failed_leaves_no_bytes_after_an_erasure(tmp_path: Path) -> None:
    """What a transaction that was undone had written to the log is gone as well."""
    store = SqlitePeople(tmp_path / PEOPLE_FILE)

    def pages() -> list[list[Person]]:
        broken = Person(number=COUNT * 3 + 1, hall_id="H", name="\ud800")
        return [marked("XOADI", COUNT * 3), [broken]]

    with pytest.raises(PeopleError):
        await store.save("c", pages(), after=0)
    await store.erase_conference("c")
    assert found(tmp_path, "XOADI") == {}
    await store.close()


async def test_an_erasure_that_a_reader_holds_up_says_so(tmp_path: Path) -> None:
    """While somebody reads an old state of the file its log cannot be emptied: an error, and asked again it is done."""
    store = SqlitePeople(tmp_path / PEOPLE_FILE)
    await store.save("c", [marked("XOADI", 10)], after=0)
    reader = sqlite3.connect(tmp_path / PEOPLE_FILE, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM people").fetchone()
    with pytest.raises(PeopleError, match="ask again"):
        await store.erase_conference("c")
    reader.close()
    await store.erase_conference("c")
    assert found(tmp_path, "XOADI") == {}
    await store.close()


async def test_a_read_only_folder_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    """Where the file cannot be made the error says which, and once it can the same store goes on."""
    folder = tmp_path / "state"
    store = SqlitePeople(folder / PEOPLE_FILE)
    with pytest.raises(PeopleError, match=PEOPLE_FILE):
        await store.save("c", [marked("x", 1)], after=0)
    folder.mkdir()
    await store.save("c", [marked("x", 1)], after=0)
    await store.close()


async def test_a_damaged_person_is_an_error_without_the_person(tmp_path: Path) -> None:
    """What does not decode is not quoted: an error may be logged."""
    store = SqlitePeople(tmp_path / PEOPLE_FILE)
    await store.save("c", [marked("BIMAT", 1)], after=0)
    with sqlite3.connect(tmp_path / PEOPLE_FILE) as connection:
        connection.execute("UPDATE people SET person = replace(person, 'hall_id', 'BIMAT')")
    connection.close()
    with pytest.raises(CorruptPeopleError) as caught:
        await store.read("c", [1])
    assert "BIMAT" not in str(caught.value)
    assert caught.value.__cause__ is None
    await store.close()


@pytest.mark.integration
async def test_a_full_disk_is_an_error_and_loses_nobody(tmp_path: Path) -> None:
    """With no room left nothing of an import is there; all before it is; with room the same store goes on."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("full_disk_people.py")),
        str(tmp_path / PEOPLE_FILE),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    result = json.loads(output)
    assert result["whole"]
    assert result["went_on"]
    assert PEOPLE_FILE in result["reason"]


@pytest.mark.integration
async def test_redis_forgets(tmp_path: Path) -> None:
    """After the erasure no key of the conference is there, and the append-only file was written anew without it."""
    server = RedisServer(tmp_path / "redis")
    config = JournalConfig(url=server.url, name=uuid.uuid4().hex)
    store = open_people(config, tmp_path)
    try:
        await store.save("kept", [marked("ODAY", 20)], after=0)
        await store.save("gone", [marked("XOADI", 200)], after=0)
        await store.erase("gone", [1])
        assert await store.erase_conference("gone") == 199
        assert await store.conferences() == [c for c in await store.conferences() if c.conference_id == "kept"]
        folder = tmp_path / "redis" / "appendonlydir"
        await until(lambda: not found(folder, "XOADI"))
        assert found(folder, "ODAY")
        assert len(await store.read_after("kept", 0, 100)) == 20
    finally:
        await store.close()
        server.kill()


@pytest.mark.integration
async def test_what_redis_does_not_take_leaves_no_keys(redis_server: RedisServer, tmp_path: Path) -> None:
    """Pages that break off: what was staged before is removed."""
    config = JournalConfig(url=redis_server.url, name=uuid.uuid4().hex)
    store = open_people(config, tmp_path)

    def pages() -> list[list[Person]]:
        return [marked("x", 10), [Person(number=11, hall_id="H", name="\ud800")]]

    with pytest.raises(PeopleError):
        await store.save("c", pages(), after=0)
    assert await store._ask(("KEYS", f"*{config.name}*people*"), durable=False) == []  # type: ignore[attr-defined] # of Redis
    await store.close()
