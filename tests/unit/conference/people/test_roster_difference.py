"""What a roster changes."""

from __future__ import annotations

import msgspec

from bridges.person import Person
from conference.checkin.events import DelegateBlock
from conference.people.difference import Known, RosterDifference, compare

LAN = Person(hall_id="H1", name="Lan", external_id="1")
HUNG = Person(hall_id="H2", name="Hùng", external_id="2")
MAI = Person(hall_id="H1", name="Mai")


def known(person: Person, number: int, hall_id: str | None = None, *, withdrawn: bool = False) -> dict[bytes, Known]:
    """Somebody who is known, on the roster of `hall_id`."""
    stored = msgspec.structs.replace(person, number=number)
    place = person.hall_id if hall_id is None else hall_id
    return {person.identity: Known(person=stored, hall_id=place, withdrawn=withdrawn)}


def nothing(difference: RosterDifference) -> bool:
    """Whether there is nothing to be done."""
    return not (difference.writes or difference.blocks or difference.moved)


def test_new_people_of_a_hall_get_numbers_in_a_run() -> None:
    """Whatever the order in the file, one block a hall, behind the last number that was given out."""
    difference = compare([LAN, HUNG, MAI], {}, 10)
    assert [(person.number, person.hall_id) for person in difference.added] == [(11, "H1"), (12, "H1"), (13, "H2")]
    assert difference.blocks == [DelegateBlock("H1", 11, 2), DelegateBlock("H2", 13, 1)]
    assert difference.writes == difference.added


def test_the_same_roster_again_changes_nothing() -> None:
    """Idempotent: nothing is written to either."""
    difference = compare([LAN, HUNG], known(LAN, 1) | known(HUNG, 2), 2)
    assert nothing(difference)
    assert difference.unchanged == 2


def test_a_corrected_field_keeps_the_number() -> None:
    """The person is written anew and stays where they are."""
    corrected = msgspec.structs.replace(LAN, name="Lan Anh", phone="0900")
    difference = compare([corrected], known(LAN, 1), 1)
    assert [(person.number, person.name) for person in difference.changed] == [(1, "Lan Anh")]
    assert not difference.blocks
    assert not difference.moved


def test_another_hall_is_a_move() -> None:
    """The journal says where somebody is; the file wants them elsewhere."""
    moved = msgspec.structs.replace(LAN, hall_id="H2")
    difference = compare([moved], known(LAN, 1), 1)
    assert difference.moved == {"H2": [1]}
    assert difference.writes == difference.changed


def test_the_withdrawn_come_back_when_they_are_named_again() -> None:
    """They are enrolled under their old number."""
    difference = compare([LAN], known(LAN, 1, withdrawn=True), 1)
    assert difference.returned == [1]
    assert difference.blocks == [DelegateBlock("H1", 1, 1)]


def test_who_was_written_but_not_enrolled_is_enrolled() -> None:
    """An import that broke off between people and journal is healed by the next."""
    difference = compare([LAN, HUNG], known(LAN, 1, "") | known(HUNG, 2), 2)
    assert difference.returned == [1]
    assert difference.blocks == [DelegateBlock("H1", 1, 1)]
    assert not difference.writes
