"""Units and their kinds as tables: days, mergers, ends that follow from others, both trees."""

from __future__ import annotations

import msgspec
import pytest

from bridges.errors import ImportFailedError
from bridges.unit_kinds import kinds_by_name, load_unit_kinds, parse_unit_kinds
from bridges.unit_tables import parse_units
from bridges.units import Unit
from bridges.vietnam import load_vietnam_units
from bridges.workbooks import Form, Language, serialize_kinds, serialize_units

KINDS = kinds_by_name(load_unit_kinds())
HEAD = "code,name,kind,parent,tree,valid_from,valid_to,merged_into\n"


def faults(text: str, known: dict[str, Unit] | None = None) -> list[tuple[int, str, str]]:
    """Row, column and value of each fault."""
    with pytest.raises(ImportFailedError) as caught:
        parse_units(HEAD + text, known or {}, KINDS)
    return [(error.row, error.column, error.value) for error in caught.value.errors]


def test_the_district_level_ends_with_its_kinds() -> None:
    """Older data of three levels names no days: its districts, and what stands under them, end on 30 June 2025."""
    units = parse_units(
        HEAD + "79,TP.HCM,thành phố,,,,,\n760,Quận 1,quận,79,,,,\n26740,Bến Nghé,phường,760,,,,\n", {}, KINDS
    )
    assert [(unit.code, unit.valid_to) for unit in units] == [
        ("79", ""),
        ("760", "2025-06-30"),
        ("26740", "2025-06-30"),
    ]


def test_older_data_loads_beside_what_is_in_force() -> None:
    """All units of 2025 are known; an older ward of a code that is used again becomes its past, in one file as well."""
    known = {unit.code: unit for unit in load_vietnam_units()}
    old = "001,Quận Ba Đình,quận,01,,,,\n00004,Phường Trúc Bạch,phường,001,,,,00004\n"
    assert faults(old, known) == [(3, "merged_into", "00004")]
    found = parse_units(HEAD + old.replace(",00004\n", ",\n"), known, KINDS)
    assert [(unit.code, unit.valid_to) for unit in found] == [("001", "2025-06-30"), ("00004", "2025-06-30")]
    both = parse_units(HEAD + "1,Cũ,xã,,,,30/06/2025,2\n1,Mới,xã,,,01/07/2025,,\n2,Khác,xã,,,2025-07-01,,\n", {}, KINDS)
    assert [[version.name for version in unit.versions] for unit in both] == [["Cũ", "Mới"], ["Khác"]]


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("language", ["vi", "en"])
def test_units_and_kinds_come_back_from_either_form(form: Form, language: Language) -> None:
    """All 3,355 units, one with a past, and all kinds are the same after an export and an import."""
    units = load_vietnam_units()
    past = Unit(code="01", name="Hà Đông", kind="tỉnh", valid_to="2008-07-31", merged_into="01x")
    units[0] = msgspec.structs.replace(units[0], former=(past,))
    units.append(Unit(code="01x", name="Đảng ủy A", kind="đảng ủy", tree="organisation"))
    assert parse_units(serialize_units(units, form, language), {}, KINDS) == units
    kinds = load_unit_kinds()
    assert parse_unit_kinds(serialize_kinds(kinds, form, language)) == kinds


def test_what_cannot_be_is_told_by_row_and_column() -> None:
    """Days that are none, ends before beginnings, mergers into nothing, other trees and levels upside down."""
    assert faults(
        "a,A,tỉnh,,,2025-13-01,,\n"
        "b,B,tỉnh,,,2025-07-01,2025-06-30,\n"
        "c,C,tỉnh,,,,2025-06-30,nowhere\n"
        "d,D,chi bộ,a,tổ chức,,,\n"
        "e,E,tỉnh,f,,,,\n"
        "f,F,xã,,,,,\n"
        "g,G,huyện,a,,,2030-01-01,\n"
        "h,H,xã,,cây gì,,,\n"
        "f,F,xã,,,,,\n"
    ) == [
        (2, "valid_from", "2025-13-01"),
        (3, "valid_to", "2025-06-30"),
        (4, "merged_into", "nowhere"),
        (5, "parent", "a"),
        (6, "parent", "f"),
        (8, "valid_to", "2030-01-01"),
        (9, "tree", "cây gì"),
        (10, "code", "f"),
    ]
