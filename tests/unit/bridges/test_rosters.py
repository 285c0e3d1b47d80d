"""Rosters as tables."""

from __future__ import annotations

import pytest

from bridges.errors import ImportFailedError, RowError
from bridges.person import Person
from bridges.rosters import Known, parse_roster, serialize_roster_template

HEADINGS = "Mã điểm cầu,Họ và tên,Số thẻ,Chức vụ,Đơn vị công tác,Thành phần,Điện thoại"


def reach(hall_id: str) -> Known:
    """Halls H1 and H2 exist and are reached, H9 exists."""
    if hall_id == "H9":
        return "out_of_reach"
    return "known" if hall_id in {"H1", "H2"} else "unknown"


def read(*rows: str, headings: str = HEADINGS) -> list[Person]:
    """Parse rows under headings."""
    return list(parse_roster("\n".join([headings, *rows]), reach).values())


def refused(*rows: str, headings: str = HEADINGS) -> list[RowError]:
    """What is wrong with rows."""
    with pytest.raises(ImportFailedError) as caught:
        read(*rows, headings=headings)
    return caught.value.errors


def test_a_roster_gives_people_without_numbers() -> None:
    """All fields, in order of the file; a kind that is not named is a delegate."""
    assert read("H1,Nguyễn Thị Lan,CB-1,Bí thư,Đảng ủy xã,khách mời,0912 345 678", "H2,Trần Văn Hùng,,,,,") == [
        Person(
            hall_id="H1",
            name="Nguyễn Thị Lan",
            external_id="CB-1",
            position="Bí thư",
            organisation="Đảng ủy xã",
            kind="guest",
            phone="0912 345 678",
        ),
        Person(hall_id="H2", name="Trần Văn Hùng"),
    ]


def test_english_headings_and_only_two_columns_will_do() -> None:
    """Hall and name are enough."""
    assert read("H1,Le Mai", headings="hall,name") == [Person(hall_id="H1", name="Le Mai")]


@pytest.mark.parametrize("language", ["vi", "en"])
def test_the_template_is_a_roster(language: str) -> None:
    """What we hand out to be filled in is read as it is."""
    template = serialize_roster_template(language="en" if language == "en" else "vi")
    people = parse_roster(template, lambda _: "known")
    assert [person.kind for person in people.values()] == ["delegate", "guest"]


def test_every_bad_row_is_told_with_its_column_in_both_languages() -> None:
    """Four mistakes in four rows: all are reported, and nobody is imported."""
    errors = refused(
        "H7,Ai đó,,,,,", ",Ai đó,,,,,", "H1,,,,,,", "H9,Ai đó,,,,,", f"H1,Ai đó,{'9' * 41},,,,", "H1,Ai đó,,,,vua,"
    )
    assert [(error.row, error.column) for error in errors] == [
        (2, "Mã điểm cầu"),
        (3, "Mã điểm cầu"),
        (4, "Họ và tên"),
        (5, "Mã điểm cầu"),
        (6, "Số thẻ"),
        (7, "Thành phần"),
    ]
    assert all(error.reason_vi and error.reason_en for error in errors)


def test_nobody_is_twice_in_a_file() -> None:
    """The same card, or the same name in the same hall and position without one; both rows are named."""
    errors = refused("H1,Lan,CB-1,,,,", "H2,Hùng,cb-1,,,,", "H1,Mai,,Ủy viên,,,", "H1,MAI,,ủy  viên,,,")
    assert [(error.row, error.column) for error in errors] == [(3, "Số thẻ"), (5, "Họ và tên")]
    assert "dòng 2" in errors[0].reason_vi
    assert "row 4" in errors[1].reason_en


def test_people_of_one_name_are_told_apart() -> None:
    """By hall, by position, by card, by a mark on a letter: these are five people."""
    people = read("H1,Lê Hà,,,,,", "H2,Lê Hà,,,,,", "H1,Lê Hà,,Y tá,,,", "H1,Lê Hà,7,,,,", "H1,Lê Hạ,,,,,")
    assert len({person.identity for person in people}) == 5


def test_a_card_is_the_same_person_whatever_else_changes() -> None:
    """Hall, name and position may all be corrected."""
    before, after = read("H1,Lan,CB-1,,,,"), read("H2,Lan Anh,cb-1,Bí thư,,,")
    assert before[0].identity == after[0].identity


def test_a_person_is_a_number_in_every_message() -> None:
    """The text form, which tracebacks and logs show, has no name."""
    person = Person(number=7, hall_id="H1", name="Nguyễn Thị Lan", phone="0912")
    assert f"{person} {person!r} {[person]}".count("Lan") == 0
    assert "7" in repr(person)
