"""The events of the journal about persons as such: who read them, and who erased them. They name nobody who was read.

Readings commute and are on the attendance streams, because gateways answer halls too; erasures are on `control`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

ReadPurpose = Literal["roster", "list", "sheets", "import"]
"""What persons were read for: a hall's own roster, a list of staff, codes to print, or a comparison with a file."""


class PersonsRead(msgspec.Struct, frozen=True, kw_only=True, tag="persons_read"):
    """The record's actor was about to be given so many persons of a conference.

    Attributes:
        conference_id: whose delegates.
        scope: `hall:<id>`, `unit:<code>`, `number:<n>`, or "" for the whole conference.
        count: how many persons.
        purpose: what for.
    """

    conference_id: str
    scope: str
    count: int
    purpose: ReadPurpose


class PersonsErased(msgspec.Struct, frozen=True, kw_only=True, tag="persons_erased"):
    """Persons were erased from the people store.

    Attributes:
        conference_id: whose delegates.
        numbers: of the persons; none for everybody of the conference.
        count: how many were there.
        reason: in the words of whoever did it, or `retention`.
    """

    conference_id: str
    numbers: list[int] = []
    count: int
    reason: str


PrivacyEvent = PersonsRead | PersonsErased
