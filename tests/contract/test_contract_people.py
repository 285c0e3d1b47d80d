"""The contract of the people store, held against each of its implementations."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest
from support.redis_servers import RedisServer

from bridges.person import Person
from conference.config import JournalConfig
from conference.people.contract import ConferencePeople, PeopleConflictError, PeopleError, PeopleStore
from conference.people.opening import open_people

OpenPeople = Callable[[], PeopleStore]
LAN = Person(number=1, hall_id="H1", name="Nguyễn Thị Lan", external_id="CB-001", phone="0912345678")
HUNG = Person(number=2, hall_id="H1", name="Trần Văn Hùng", position="Bí thư", kind="guest")
MAI = Person(number=3, hall_id="H2", name="Lê Mai", organisation="Đảng ủy xã")


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.integration)])
async def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenPeople]:
    """A function that opens one more store on the same people, as another process would."""
    opened: list[PeopleStore] = []
    config = JournalConfig()
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        config = JournalConfig(url=server.url, name=uuid.uuid4().hex)

    def open_one() -> PeopleStore:
        opened.append(open_people(config, tmp_path))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
def store(open_store: OpenPeople) -> PeopleStore:
    """One store, empty."""
    return open_store()


async def everybody(store: PeopleStore, conference_id: str = "c") -> list[Person]:
    """All people of a conference."""
    return await store.read_after(conference_id, 0, 1_000_000)


async def test_an_empty_store_knows_nobody(store: PeopleStore) -> None:
    """Whatever is asked, there is nobody, and that is no error."""
    assert await store.conferences() == []
    assert await store.last_number("c") == 0
    assert await store.find("c", [LAN.identity]) == {}
    assert await store.read("c", [1, 2]) == {}
    assert await everybody(store) == []
    assert await store.erase("c", [1]) == 0
    assert await store.erase_conference("c") == 0


async def test_what_is_saved_another_process_reads(store: PeopleStore, open_store: OpenPeople) -> None:
    """People are read back as they were, by number, by identity and in order."""
    await store.save("c", [[LAN, HUNG], [MAI]], after=0)
    other = open_store()
    assert await other.read("c", [3, 1, 9]) == {3: MAI, 1: LAN}
    assert await other.find("c", [HUNG.identity, bytes(16)]) == {HUNG.identity: 2}
    assert await other.read_after("c", 1, 1) == [HUNG]
    assert await everybody(other) == [LAN, HUNG, MAI]
    assert await other.conferences() == [ConferencePeople(conference_id="c", people=3, last_number=3)]


async def test_conferences_are_apart(store: PeopleStore) -> None:
    """The same number and the same identity in two conferences are two people, each erased alone."""
    await store.save("c", [[LAN]], after=0)
    await store.save("d", [[LAN]], after=0)
    assert await store.erase_conference("c") == 1
    assert await everybody(store, "c") == []
    assert await everybody(store, "d") == [LAN]


async def test_a_person_is_replaced_with_the_identity(store: PeopleStore) -> None:
    """Who moves to another hall is found by the new identity, and by the old one no longer."""
    moved = Person(number=3, hall_id="H9", name=MAI.name)
    await store.save("c", [[LAN, HUNG, MAI]], after=0)
    await store.save("c", [[moved]], after=3)
    assert await store.find("c", [MAI.identity, moved.identity]) == {moved.identity: 3}
    assert await everybody(store) == [LAN, HUNG, moved]


async def test_two_who_give_out_numbers_at_once_do_not_give_them_twice(store: PeopleStore) -> None:
    """Who decided upon an older last number is refused, and nothing of it is written."""
    await store.save("c", [[LAN]], after=0)
    with pytest.raises(PeopleConflictError):
        await store.save("c", [[Person(number=1, hall_id="H2", name="Ai khác")]], after=0)
    assert await everybody(store) == [LAN]


async def test_a_source_that_fails_leaves_nothing(store: PeopleStore) -> None:
    """All or none: when the pages break off, none of them is there, and numbers are as before."""

    def pages() -> Iterator[Sequence[Person]]:
        yield [LAN]
        raise PeopleError("the rows broke off")

    with pytest.raises(PeopleError, match="broke off"):
        await store.save("c", pages(), after=0)
    assert await everybody(store) == []
    await store.save("c", [[HUNG]], after=0)
    assert await everybody(store) == [HUNG]


async def test_the_erased_are_gone_and_their_numbers_stay_used(store: PeopleStore) -> None:
    """An erased person is found by nothing; the next number is one that nobody had."""
    await store.save("c", [[LAN, HUNG, MAI]], after=0)
    assert await store.erase("c", [3, 7]) == 1
    assert await store.find("c", [MAI.identity]) == {}
    assert await everybody(store) == [LAN, HUNG]
    assert await store.last_number("c") == 3


async def test_many_are_read_and_saved_page_by_page(store: PeopleStore) -> None:
    """More than one page of everything: nobody is lost between two."""
    people = [Person(number=n, hall_id=f"H{n % 7}", name=f"Người {n}", external_id=f"{n:06}") for n in range(1, 2_501)]
    await store.save("c", [people[start : start + 700] for start in range(0, 2_500, 700)], after=0)
    assert await everybody(store) == people
    assert len(await store.read("c", range(1, 3_000))) == 2_500
    assert len(await store.find("c", [person.identity for person in people])) == 2_500
    assert await store.erase("c", range(1, 2_001)) == 2_000
    assert [person.number for person in await store.read_after("c", 0, 3)] == [2_001, 2_002, 2_003]


async def test_a_closed_store_says_so(store: PeopleStore) -> None:
    """After `close`, which may be called twice, every call is an error of the store."""
    await store.close()
    await store.close()
    with pytest.raises(PeopleError, match="closed"):
        await store.last_number("c")
