"""Rosters on their way in: from a file into the people store, and then, by number alone, into the journal.

People are durable before the journal speaks of their numbers. Where a process dies in between, the store has people
whom no roster counts, and the same file again puts that right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import msgspec

from bridges.errors import ImportFailedError, RowError
from bridges.person import Person
from conference.checkin.enrolling import MAX_BLOCKS, MAX_NUMBERS
from conference.commands import Command, EnrolDelegates, MoveDelegates, NoteReading
from conference.decider import Decider
from conference.errors import RejectedError
from conference.lookup import conference_of, hall_of
from conference.people.contract import PAGE, PeopleStore
from conference.people.difference import Known, RosterDifference, compare
from conference.reach import Reach


class Rostering:
    """Imports rosters, one after the other; and moves delegates, whose hall is part of who they are.

    Args:
        store: where people are.
        decider: makes durable what the journal is to know, and has the state.
    """

    def __init__(self, store: PeopleStore, decider: Decider) -> None:
        self._store = store
        self._decider = decider
        self._turn = asyncio.Lock()

    async def bring(
        self, conference_id: str, roster: Mapping[int, Person], reach: Reach, actor: str, *, dry_run: bool
    ) -> RosterDifference:
        """Import a roster, all of it or nothing; what it changes (or would change).

        Args:
            conference_id: whose delegates.
            roster: people by row of the file.
            reach: of whoever brings it.
            actor: who that is.
            dry_run: only compare.

        Raises:
            ImportFailedError: rows name people of halls out of reach; nothing was written.
            RejectedError: a rule refuses it; nothing was written.
            PeopleError: the store failed; nothing was written.
            JournalError: people are stored, but not all are enrolled; the same file again is right.
        """
        async with self._turn:
            conference_of(self._decider.state, conference_id)
            last = await self._store.last_number(conference_id)
            known = await self._known(conference_id, list(roster.values()))
            _require_reached(self._decider, roster, known, reach)
            if known:
                note = NoteReading(conference_id=conference_id, scope=_unit(reach), count=len(known), purpose="import")
                await self._decider.execute(note, actor)
            checkins = self._decider.state.checkins.get(conference_id)
            given = max(last, checkins.highest() if checkins else 0)
            difference = await asyncio.to_thread(compare, list(roster.values()), known, given)
            if not dry_run:
                await self._apply(conference_id, difference, actor, last)
            return difference

    async def _known(self, conference_id: str, roster: Sequence[Person]) -> dict[bytes, Known]:
        known: dict[bytes, Known] = {}
        for page in _pages(roster):
            numbers = await self._store.find(conference_id, [person.identity for person in page])
            people = await self._store.read(conference_id, list(numbers.values()))
            checkins = self._decider.state.checkins.get(conference_id)
            for identity, number in numbers.items():
                delegate = checkins.delegate(number) if checkins else None
                if number in people:
                    known[identity] = Known(
                        person=people[number],
                        hall_id=delegate.hall_id if delegate else "",
                        withdrawn=delegate is not None and delegate.withdrawn,
                    )
        return known

    async def _apply(self, conference_id: str, difference: RosterDifference, actor: str, last: int) -> None:
        if difference.writes:
            await self._store.save(conference_id, _pages(difference.writes), after=last)
        commands: list[Command] = [
            EnrolDelegates(conference_id=conference_id, blocks=difference.blocks[start : start + MAX_BLOCKS])
            for start in range(0, len(difference.blocks), MAX_BLOCKS)
        ]
        for hall_id, numbers in difference.moved.items():
            commands += [
                MoveDelegates(
                    conference_id=conference_id, hall_id=hall_id, numbers=numbers[start : start + MAX_NUMBERS]
                )
                for start in range(0, len(numbers), MAX_NUMBERS)
            ]
        for command in commands:
            await self._decider.execute(command, actor)

    async def move(self, conference_id: str, numbers: Sequence[int], hall_id: str, actor: str) -> None:
        """Put delegates on the roster of another hall.

        Raises:
            RejectedError: a rule refuses it, or `same_person`: the hall has somebody of that name and position.
            PeopleError: the store failed; nothing was written.
        """
        command = MoveDelegates(conference_id=conference_id, hall_id=hall_id, numbers=list(numbers))
        async with self._turn:
            hall_of(self._decider.state, hall_id)
            people = await self._store.read(conference_id, numbers)
            moved = [
                msgspec.structs.replace(person, hall_id=hall_id)
                for _, person in sorted(people.items())
                if person.hall_id != hall_id
            ]
            found = await self._store.find(conference_id, [person.identity for person in moved])
            taken = [person.number for person in moved if found.get(person.identity, person.number) != person.number]
            if taken or len({person.identity for person in moved}) < len(moved):
                detail = f"delegate {taken[0] if taken else moved[0].number} is like another of hall {hall_id}"
                raise RejectedError("same_person", f"{detail}: give each a card number")
            last = await self._store.last_number(conference_id)
            await self._store.save(conference_id, _pages(moved), after=last)
            await self._decider.execute(command, actor)


def _require_reached(
    decider: Decider, roster: Mapping[int, Person], known: Mapping[bytes, Known], reach: Reach
) -> None:
    """Nobody takes a delegate away from a hall that they do not reach."""
    if reach.is_whole:
        return
    halls = decider.state.halls
    errors: list[RowError] = []
    for row, person in roster.items():
        before = known.get(person.identity)
        hall = halls.get(before.hall_id or before.person.hall_id) if before else None
        if before is not None and (hall is None or not reach.has_hall(hall)):
            errors.append(
                RowError(
                    row=row,
                    column="external_id",
                    value=person.external_id,
                    reason_vi="số thẻ này thuộc điểm cầu ngoài phạm vi của người nhập",
                    reason_en="this card belongs to a hall outside the sender's units",
                )
            )
    if errors:
        raise ImportFailedError("rows", errors)


def _pages(people: Sequence[Person]) -> Iterator[Sequence[Person]]:
    found = iter(people)
    while page := list(islice(found, PAGE)):
        yield page


def _unit(reach: Reach) -> str:
    return f"unit:{reach.unit}" if reach.unit else ""
