"""What a roster changes: compared with who is known and on which roster, before anything is written. Pure.

A person is recognised by `Person.identity`. A roster adds and changes; who is not in it stays as they are, because a
province sends its rosters hall by hall. Who was withdrawn and is named again comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from bridges.person import Person
from conference.checkin.events import DelegateBlock


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a person of a roster already.

    Attributes:
        person: as stored, with the number.
        hall_id: whose roster they are on by the journal; "" where it knows nothing of the number: an import broke off
            between the people and the journal.
        withdrawn: they were taken off it.
    """

    person: Person
    hall_id: str
    withdrawn: bool = False


class RosterDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done.

    Attributes:
        added: new people, with their numbers.
        changed: people whose fields differ.
        moved: people who are on another hall's roster so far, by the hall that they go to.
        returned: numbers of those who were withdrawn, or whom the journal does not know yet.
        unchanged: how many are as they were.
        blocks: who is to be enrolled, in runs of numbers.
        writes: people to be stored, ascending by number.
    """

    added: list[Person]
    changed: list[Person]
    moved: dict[str, list[int]]
    returned: list[int]
    unchanged: int
    blocks: list[DelegateBlock]
    writes: list[Person]


def compare(roster: Sequence[Person], known: Mapping[bytes, Known], after: int) -> RosterDifference:
    """Compare a roster with what is known, and give new people their numbers: those of a hall in a run.

    Args:
        roster: people without numbers, no two of one identity.
        known: by identity, those of them who have a number.
        after: the greatest number that was given out.
    """
    fresh = sorted((person for person in roster if person.identity not in known), key=lambda person: person.hall_id)
    added = [_numbered(person, number) for number, person in enumerate(fresh, after + 1)]
    changed: list[Person] = []
    moved: dict[str, list[int]] = {}
    returned: list[Person] = []
    unchanged = 0
    for person in roster:
        before = known.get(person.identity)
        if before is None:
            continue
        now = _numbered(person, before.person.number)
        is_back = before.withdrawn or not before.hall_id
        if is_back:
            returned.append(now)
        elif before.hall_id != now.hall_id:
            moved.setdefault(now.hall_id, []).append(now.number)
        if now != before.person:
            changed.append(now)
        elif not is_back and before.hall_id == now.hall_id:
            unchanged += 1
    return RosterDifference(
        added=added,
        changed=changed,
        moved=moved,
        returned=[person.number for person in returned],
        unchanged=unchanged,
        blocks=runs([*returned, *added]),
        writes=[*sorted(changed, key=lambda person: person.number), *added],
    )


def runs(people: Iterable[Person]) -> list[DelegateBlock]:
    """People as runs of consecutive numbers of one hall."""
    blocks: list[DelegateBlock] = []
    for person in sorted(people, key=lambda person: person.number):
        last = blocks[-1] if blocks else None
        if last is not None and last.hall_id == person.hall_id and last.first + last.count == person.number:
            blocks[-1] = DelegateBlock(last.hall_id, last.first, last.count + 1)
        else:
            blocks.append(DelegateBlock(person.hall_id, person.number, 1))
    return blocks


def _numbered(person: Person, number: int) -> Person:
    return msgspec.structs.replace(person, number=number)
