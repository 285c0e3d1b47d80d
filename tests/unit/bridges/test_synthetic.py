from statistics import mean

import pytest

from bridges.importing import HallUnits, parse_halls, serialize_halls_csv
from bridges.synthetic import synthetic_halls
from bridges.units import Unit, UnitTree
from bridges.vietnam import load_vietnam_units

UNITS = load_vietnam_units()


@pytest.mark.parametrize("count", [0, 1, 34, 200, 4_000, 40_000])
def test_a_country_of_any_size(count: int) -> None:
    """As many halls as asked for, ids unique, seats plausible on average, every province with its hall."""
    tree = UnitTree(UNITS)
    halls = synthetic_halls(UNITS, count, seed=7)
    assert len(halls) == count
    assert len({hall.hall_id for hall in halls}) == count
    assert all(hall.virtual for hall in halls)
    assert all(hall.contact_phone.startswith("0900 000 ") for hall in halls)
    if count >= 34:
        assert 60 <= mean(hall.seats for hall in halls) <= 100
        provincial = [hall for hall in halls if hall.level == "province"]
        assert {hall.unit for hall in provincial} == {root.code for root in tree.roots}
    if count >= 200:
        assert 60 <= mean(hall.seats for hall in halls) <= 95
    if count >= 4_000:
        assert {hall.unit for hall in halls} == {unit.code for unit in UNITS}


def test_the_same_seed_makes_the_same_country() -> None:
    """Deterministic in the seed, different for another."""
    assert synthetic_halls(UNITS, 500, seed=1) == synthetic_halls(UNITS, 500, seed=1)
    assert synthetic_halls(UNITS, 500, seed=1) != synthetic_halls(UNITS, 500, seed=2)


def test_names_and_ids_speak_of_the_unit() -> None:
    """The hall of Ba Đình is called after it."""
    found = {hall.hall_id: hall for hall in synthetic_halls(UNITS, 3_355, seed=1, virtual=False)}
    assert found["VN-00004-01"].name == "Điểm cầu Phường Ba Đình"
    assert not found["VN-00004-01"].virtual


def test_made_up_halls_pass_the_import() -> None:
    """A synthetic country can be exported and registered like any other."""
    halls = synthetic_halls(UNITS, 2_000, seed=3)
    assert parse_halls(serialize_halls_csv(halls), HallUnits({unit.code: unit for unit in UNITS})) == halls


def test_a_country_of_one_unit() -> None:
    """Where nothing stands below the root, all halls stand at the root."""
    halls = synthetic_halls([Unit(code="X", name="Xã X", kind="xã")], 3, seed=1)
    assert [hall.hall_id for hall in halls] == ["VN-X-01", "VN-X-02", "VN-X-03"]
