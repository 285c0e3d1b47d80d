"""Persons on their way out: whoever is given names is noted in the journal first, durably; then the names are read.

A hall's page asks for its list again and again. What a hall reads of its own list within ten minutes is one reading:
40,000 halls would otherwise write two thousand records a second that all say the same. Staff are noted each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

import msgspec

from bridges.collation import person_key
from bridges.person import Person
from conference.checkin.checkins import Checkins
from conference.checkin.delegates import Delegate
from conference.commands import NoteReading
from conference.decider import Decider
from conference.people.contract import PeopleStore
from conference.people.privacy_events import ReadPurpose

# A hall's readings of its own list within so long are one.
ONE_READING_MS = 10 * 60_000
# Halls whose last reading is remembered; beyond it all are forgotten, and some are noted once more.
MAX_REMEMBERED = 100_000

# Sorting so many takes some 10 ms.
_MANY = 1_000

Standing = Literal["present", "excused", "unexcused", "exempt", "none"]
_STANDINGS: dict[str, Standing] = {"excused": "excused", "unexcused": "unexcused", "exempt": "exempt"}


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A delegate and who that is.

    Attributes:
        number: of the delegate.
        delegate: what the journal knows.
        person: who it is; None for somebody who was erased.
    """

    number: int
    delegate: Delegate
    person: Person | None

    @property
    def name(self) -> str:
        """The name, or "" for somebody who was erased."""
        return self.person.name if self.person else ""

    @property
    def standing(self) -> Standing:
        """How the delegate stands by individual check-in."""
        if self.delegate.by:
            return "present"
        return _STANDINGS.get(self.delegate.mark, "none")


class Reading:
    """Reads people from a store for those who may.

    Args:
        store: where people are.
        decider: makes the note durable, and has the state.
    """

    def __init__(self, store: PeopleStore, decider: Decider) -> None:
        self._store = store
        self._decider = decider
        self._halls: dict[tuple[str, str], int] = {}

    async def hall(self, conference_id: str, hall_id: str, actor: str) -> list[Listed]:
        """A hall's own list, for the hall itself, in the order of names.

        Raises:
            JournalError: the reading cannot be noted.
            PeopleError: the store cannot be read.
        """
        await self._decider.settled()  # a gateway may not have read yet what the leader has answered
        numbers = self._checkins(conference_id).numbers(hall_id)
        key, now_ms = (conference_id, hall_id), self._decider.now_ms()
        if now_ms - self._halls.get(key, 0) >= ONE_READING_MS:
            await self.note(conference_id, f"hall:{hall_id}", len(numbers), "roster", actor)
            if len(self._halls) >= MAX_REMEMBERED:
                self._halls.clear()
            self._halls[key] = now_ms
        return await self._listed(conference_id, numbers)

    async def note(self, conference_id: str, scope: str, count: int, purpose: ReadPurpose, actor: str) -> None:
        """Make durable that somebody is about to be given persons.

        Raises:
            RejectedError: there is no such conference.
            JournalError: it cannot be made durable; nobody is to be given anything.
        """
        await self._decider.execute(
            NoteReading(conference_id=conference_id, scope=scope, count=count, purpose=purpose), actor
        )

    async def halls(
        self, conference_id: str, hall_ids: Sequence[str], limit: int, begin: tuple[str, int] = ("", 0)
    ) -> tuple[list[Listed], tuple[str, int] | None]:
        """Delegates hall by hall, those of a hall in the order of names; who reads them is to be noted by the caller.

        Args:
            conference_id: whose.
            hall_ids: ascending.
            limit: at most so many delegates.
            begin: hall and place in its list to begin at.

        Returns:
            The delegates, and where the next page begins; None where there is no more.
        """
        found: list[Listed] = []
        for hall_id in hall_ids:
            if hall_id < begin[0]:
                continue
            first = begin[1] if hall_id == begin[0] else 0
            numbers = self._checkins(conference_id).numbers(hall_id)
            if len(numbers) <= first:
                continue
            if len(found) == limit:
                return found, (hall_id, first)
            listed = (await self._listed(conference_id, numbers))[first:]
            room = limit - len(found)
            found += listed[:room]
            if len(listed) > room:
                return found, (hall_id, first + room)
        return found, None

    async def one(self, conference_id: str, number: int) -> Listed | None:
        """One delegate, also a withdrawn one; None where the number was never given out."""
        delegate = self._checkins(conference_id).delegate(number)
        if delegate is None:
            return None
        people = await self._store.read(conference_id, [number])
        return Listed(number=number, delegate=delegate, person=people.get(number))

    def _checkins(self, conference_id: str) -> Checkins:
        return self._decider.state.checkins.get(conference_id) or Checkins()

    async def _listed(self, conference_id: str, numbers: Sequence[int]) -> list[Listed]:
        people = await self._store.read(conference_id, numbers)
        checkins = self._checkins(conference_id)
        listed = [
            Listed(number=number, delegate=delegate, person=people.get(number))
            for number in numbers
            if (delegate := checkins.delegate(number)) is not None
        ]
        if len(listed) < _MANY:
            return sorted(listed, key=_order)
        return await asyncio.to_thread(lambda: sorted(listed, key=_order))


def _order(listed: Listed) -> tuple[object, ...]:
    return (*person_key(listed.name), listed.number)
