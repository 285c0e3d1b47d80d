"""Erasing people: some of a conference, all of one, or all whose time is over; what was done is noted in the journal.

First the store forgets, then the journal learns that it did: a note without the deed would be the worse mistake. What
the journal knows of a delegate (a number, a hall, when they were there) stays, and names nobody any more.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from conference.commands import NoteErasure
from conference.decider import Decider
from conference.lookup import conference_of
from conference.people.contract import PeopleStore
from conference.state import State

DAY_MS = 86_400_000


class Expired(msgspec.Struct, frozen=True, kw_only=True):
    """A conference whose people are kept no longer.

    Attributes:
        conference_id: of the conference.
        ended_at_ms: when it ended.
        people: how many of its people are stored.
    """

    conference_id: str
    ended_at_ms: int
    people: int


class Erasing:
    """Erases people.

    Args:
        store: where people are.
        decider: makes the note durable, and has the state.
    """

    def __init__(self, store: PeopleStore, decider: Decider) -> None:
        self._store = store
        self._decider = decider

    async def persons(self, conference_id: str, numbers: Sequence[int], reason: str, actor: str) -> int:
        """Erase some people of a conference; how many there were.

        Raises:
            RejectedError: there is no such conference.
            PeopleError: they are not erased for good; to be asked again.
            JournalError: they are erased, and that could not be noted; to be asked again.
        """
        conference_of(self._decider.state, conference_id)
        count = await self._store.erase(conference_id, numbers)
        await self._note(conference_id, list(numbers), count, reason, actor)
        return count

    async def conference(self, conference_id: str, reason: str, actor: str) -> int:
        """Erase everybody of a conference; how many there were. Raises as `persons` does."""
        conference_of(self._decider.state, conference_id)
        count = await self._store.erase_conference(conference_id)
        await self._note(conference_id, [], count, reason, actor)
        return count

    async def expired(self, days: float) -> list[Expired]:
        """Conferences with people that ended more than so many days ago, by id.

        Raises:
            PeopleError: the store cannot be read.
        """
        stored = await self._store.conferences()
        state, before_ms = self._decider.state, self._decider.now_ms() - int(days * DAY_MS)
        found = [
            Expired(
                conference_id=each.conference_id,
                ended_at_ms=ended_at_ms(state, each.conference_id),
                people=each.people,
            )
            for each in stored
        ]
        return [each for each in found if 0 < each.ended_at_ms < before_ms]

    async def _note(self, conference_id: str, numbers: list[int], count: int, reason: str, actor: str) -> None:
        note = NoteErasure(conference_id=conference_id, numbers=numbers, count=count, reason=reason)
        await self._decider.execute(note, actor)


def ended_at_ms(state: State, conference_id: str) -> int:
    """When a conference ended; 0 where it has not, or is not known."""
    conference = state.conferences.get(conference_id)
    phases = conference.phases if conference else []
    return next((at_ms for phase, at_ms in phases if phase == "ended"), 0)
