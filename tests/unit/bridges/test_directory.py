"""Finding halls by words without marks, by code and by telephone number."""

from __future__ import annotations

import pytest

from bridges.directory import HallDirectory, Question, find_units
from bridges.halls import Hall
from bridges.synthetic import synthetic_halls
from bridges.tables import fold
from bridges.units import Unit
from bridges.vietnam import load_vietnam_units

UNITS = {
    unit.code: unit
    for unit in (
        Unit(code="01", name="Thành phố Hà Nội", kind="thành phố"),
        Unit(code="00004", name="Phường Ba Đình", kind="phường", parent="01"),
        Unit(code="DU-01", name="Đảng ủy Công an", kind="đảng ủy", tree="organisation"),
    )
}
HALLS = {
    hall.hall_id: hall
    for hall in (
        Hall(hall_id="HN-2", name="Điểm cầu Ba Đình", unit="00004", level="commune", seats=1, address="1 Trần Phú"),
        Hall(hall_id="HN-1", name="Điểm cầu Ăn Đình", unit="01", level="base", seats=1, contact_phone="+84 912 345678"),
        Hall(
            hall_id="VN-00070-19", name="Hội trường", unit="00004", level="base", seats=1, contact_name="Lê Thị Đào",
            contact_phone="0987.654.321", organisation="DU-01",
        ),
    )
}  # fmt: skip


def directory(halls: dict[str, Hall] | None = None, units: dict[str, Unit] | None = None) -> HallDirectory:
    """One that is made."""
    made = HallDirectory()
    for _ in made.renew(HALLS if halls is None else halls, UNITS if units is None else units):
        pass
    return made


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("diem cau ba dinh", ["HN-2"]),
        ("DINH ba", ["HN-2", "VN-00070-19"]),  # the hall of that name first, then one of that ward
        ("Đình", ["HN-1", "HN-2", "VN-00070-19"]),
        ("din ca", ["HN-1", "HN-2"]),
        ("inh", []),
        ("VN-00070-19", ["VN-00070-19"]),
        ("vn 70", []),
        ("cong an", ["VN-00070-19"]),
        ("dao le", ["VN-00070-19"]),
        ("tran phu 1", ["HN-2"]),
        ("0912345678", ["HN-1"]),
        ("0912 345 678", ["HN-1"]),
        ("+84 912 345 678", ["HN-1"]),
        ("(0987) 654-321", ["VN-00070-19"]),
        ("654321", ["VN-00070-19"]),
        ("54321", []),
        ("ha noi", ["HN-1", "HN-2", "VN-00070-19"]),
        ("ha noi 2 hn", ["HN-2"]),
    ],
)
def test_a_hall_is_found_by(text: str, found: list[str]) -> None:
    """Beginnings of words in any order, without marks; best first, then by name."""
    assert directory().find(Question(text)) == found


@pytest.mark.parametrize("text", ["", "  ", "!?", "…"])
def test_a_question_without_a_word_is_empty(text: str) -> None:
    """So that the caller can say so."""
    assert Question(text).is_empty


def test_halls_stand_by_name() -> None:
    """In the order of the Vietnamese alphabet, and by id where names are equal."""
    assert directory().ordered() == ["HN-1", "HN-2", "VN-00070-19"]
    twins = {each: Hall(hall_id=each, name="Ba", unit="01", level="base", seats=1) for each in ("b", "a")}
    assert directory(twins).ordered() == ["a", "b"]


def test_the_directory_follows_the_register() -> None:
    """A hall that is new, changed or gone; and a unit that has another name."""
    made = directory()
    renamed = Hall(hall_id="HN-2", name="Đống Đa", unit="00004", level="commune", seats=1)
    list(made.renew({"HN-2": renamed, "HN-1": HALLS["HN-1"]}, UNITS))
    assert made.ordered() == ["HN-1", "HN-2"]
    assert made.find(Question("dong da")) == ["HN-2"]
    assert made.find(Question("hoi truong")) == []
    units = UNITS | {"00004": Unit(code="00004", name="Phường Giảng Võ", kind="phường", parent="01")}
    list(made.renew({"HN-2": renamed}, units))
    assert made.find(Question("giang vo")) == ["HN-2"]
    assert made.find(Question("ba dinh")) == []


def test_units_are_found_by_name_and_code() -> None:
    """By name in alphabetical order."""
    assert [unit.code for unit in find_units(UNITS.values(), Question("ba dinh"))] == ["00004"]
    assert [unit.code for unit in find_units(UNITS.values(), Question("du-01"))] == ["DU-01"]
    assert [unit.code for unit in find_units(UNITS.values(), Question("d"))] == ["DU-01", "00004"]


def test_every_hall_of_a_country_is_found_by_its_own_name() -> None:
    """Of 3,355 halls each answers its own name without marks, and its code brings it first."""
    units = load_vietnam_units()
    halls = {hall.hall_id: hall for hall in synthetic_halls(units, len(units), seed=1)}
    made = directory(halls, {unit.code: unit for unit in units})
    for hall in list(halls.values())[::50]:
        assert hall.hall_id in made.find(Question(fold(hall.name)))
        assert made.find(Question(hall.hall_id))[0] == hall.hall_id
