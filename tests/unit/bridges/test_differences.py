"""What an import would change."""

from bridges.differences import FieldChange, difference
from bridges.halls import Hall


def hall(hall_id: str, seats: int = 5, *, virtual: bool = False) -> Hall:
    """A base hall."""
    return Hall(hall_id=hall_id, name="x", unit="01", level="base", seats=seats, virtual=virtual)


def test_new_changed_unchanged_and_absent_are_told_apart() -> None:
    """Each record of the file and of the register is in one of the four, with what changes field by field."""
    known = {each.hall_id: each for each in (hall("a"), hall("b"), hall("d"), hall("c"))}
    found = difference(known, [hall("b"), hall("e"), hall("a", 6, virtual=True)], lambda each: each.hall_id)
    assert (found.new, found.unchanged, found.absent) == (["e"], 1, ["c", "d"])
    assert [change.code for change in found.changed] == ["a"]
    assert found.changed[0].changes == [
        FieldChange(field="seats", before="5", after="6"),
        FieldChange(field="virtual", before="no", after="yes"),
    ]
