"""The rules of noting who read persons and who erased them: the part of `conference.decide` about that. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conference.commands import NoteErasure, NoteReading
from conference.errors import RejectedError
from conference.lookup import conference_of
from conference.people.privacy_events import PersonsErased, PersonsRead, PrivacyEvent

if TYPE_CHECKING:
    from conference.state import State

MAX_REASON_CHARACTERS = 300
MAX_SCOPE_CHARACTERS = 100
MAX_NUMBERS = 100_000


def decide_privacy(state: State, command: NoteReading | NoteErasure) -> PrivacyEvent:
    """Note a reading or an erasure.

    Raises:
        RejectedError: `unknown_conference`, or the values are not what they must be.
    """
    conference_id = conference_of(state, command.conference_id).conference_id
    if isinstance(command, NoteReading):
        if len(command.scope) > MAX_SCOPE_CHARACTERS:
            raise RejectedError("bad_scope", "the scope is too long", status=422)
        return PersonsRead(
            conference_id=conference_id, scope=command.scope, count=command.count, purpose=command.purpose
        )
    if len(command.reason) > MAX_REASON_CHARACTERS:
        raise RejectedError("bad_reason", f"a reason has at most {MAX_REASON_CHARACTERS} characters", status=422)
    if len(command.numbers) > MAX_NUMBERS:
        raise RejectedError("too_many", f"at most {MAX_NUMBERS} persons at once", status=422)
    return PersonsErased(
        conference_id=conference_id, numbers=command.numbers, count=command.count, reason=command.reason
    )
