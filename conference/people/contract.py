"""The contract of the people store: who number N of a conference is. It can be erased, which a journal cannot.

The journal knows delegates by number alone: which hall has which numbers, who of them was there. The store knows who a
number is. Everything about a person is here, so that erasing it here erases it. Implementations:
`conference.people.sqlite` (one machine), `conference.people.redis` (many).

Numbers are given out here and never twice as long as the store knows of the conference; what a person was given before
is kept in the journal as well, so that the next number after an erasure is asked of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from bridges.person import Person
from conference.errors import ConferenceError

# People of one step: some 150 kB, a few milliseconds of any store.
PAGE = 1_000


class PeopleError(ConferenceError):
    """The store could not read, write or erase; what was to be written is not there, in whole or in part."""

    code = "people_unavailable"
    status = 503


class CorruptPeopleError(PeopleError):
    """What the store holds does not decode."""

    code = "people_corrupt"


class PeopleConflictError(PeopleError):
    """Somebody else wrote people of this conference meanwhile: read again, decide again."""

    code = "people_changed"
    status = 409


class ConferencePeople(msgspec.Struct, frozen=True, kw_only=True):
    """How many people of a conference are stored, and the greatest number that was given to one."""

    conference_id: str
    people: int
    last_number: int


class PeopleStore(Protocol):
    """One store. Every method may raise `PeopleError`; a failed call leaves the store usable."""

    async def conferences(self) -> list[ConferencePeople]:
        """The conferences of which anybody is or was stored and that are not erased, by id."""
        ...

    async def last_number(self, conference_id: str) -> int:
        """The greatest number that was given to a person of a conference; 0 where none was."""
        ...

    async def find(self, conference_id: str, identities: Sequence[bytes]) -> dict[bytes, int]:
        """Numbers of those who are known, by `Person.identity`."""
        ...

    async def read(self, conference_id: str, numbers: Sequence[int]) -> dict[int, Person]:
        """People by number; those who are not known (erased, or never given out) are left out."""
        ...

    async def read_after(self, conference_id: str, number: int, limit: int) -> list[Person]:
        """At most `limit` people with greater numbers, ascending."""
        ...

    async def save(self, conference_id: str, pages: Iterable[Sequence[Person]], *, after: int) -> None:
        """Write people durably, all or none; who has a number that is stored is replaced.

        Args:
            conference_id: whose they are.
            pages: people with numbers, some at a time; each is asked for once the page before was taken.
            after: `last_number` as the caller knows it. Numbers above it are new.

        Raises:
            PeopleConflictError: another has given out numbers since; nothing was written.
        """
        ...

    async def erase(self, conference_id: str, numbers: Sequence[int]) -> int:
        """Erase people for good, so that no byte of them stays in the store's files; how many there were."""
        ...

    async def erase_conference(self, conference_id: str) -> int:
        """Erase everybody of a conference, and that it had anybody; how many there were."""
        ...

    async def close(self) -> None:
        """Release the store; a second call does nothing."""
        ...
