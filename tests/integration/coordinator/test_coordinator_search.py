"""Halls are listed by name and found by words without marks, over the API."""

from __future__ import annotations

from typing import Any

import pytest
from support.coordinator_harness import Api

from bridges.halls import Hall
from bridges.importing import HallUnits, parse_halls, serialize_halls_csv
from bridges.unit_tables import serialize_units_csv
from bridges.units import Unit

pytestmark = pytest.mark.integration

UNITS = [
    Unit(code="01", name="Hà Nội", kind="thành phố"),
    Unit(code="00004", name="Phường Ba Đình", kind="phường", parent="01"),
]
NAMES = {"H3": "Điểm cầu Ba Đình", "H2": "Điểm cầu Ăn Hòa", "H1": "Điểm cầu Bà Triệu", "H4": "Da Trạch"}
HALLS = [Hall(hall_id=hall_id, name=name, unit="01", level="base", seats=1) for hall_id, name in NAMES.items()]
BY_NAME = ["H4", "H2", "H3", "H1"]


async def listed(api: Api, **query: str) -> list[str]:
    """Ids of the halls in an answer."""
    found = await api.expect(200, "GET", "/api/v1/halls", params=query)
    return [hall["hall_id"] for hall in found["halls"]]


@pytest.fixture
async def registered(api: Api) -> Api:
    """Four halls."""
    await api.expect(200, "POST", "/api/v1/units/import", data=serialize_units_csv(UNITS))
    await api.expect(200, "POST", "/api/v1/halls/import", data=serialize_halls_csv(HALLS))
    return api


async def test_a_search_needs_no_marks_and_no_order(registered: Api) -> None:
    """Best first, then in Vietnamese order; a search without a word is refused."""
    assert await listed(registered, search="dinh ba diem") == ["H3"]
    assert await listed(registered, search="ba") == ["H3", "H1"]
    assert await listed(registered, search="h2") == ["H2"]
    assert await listed(registered, search="ha noi") == BY_NAME
    assert await listed(registered, search="  ") == sorted(NAMES)
    await registered.expect(422, "GET", "/api/v1/halls", params={"search": "…"})


async def test_lists_by_name_are_read_page_by_page(registered: Api) -> None:
    """Each hall once; what is withdrawn between two pages is no place to go on from."""

    async def page(after: str) -> Any:
        query = {"order": "name", "limit": "3", "after": after}
        return await registered.expect(200, "GET", "/api/v1/halls", params=query)

    first = await page("")
    second = await page(first["next"])
    assert [hall["hall_id"] for hall in [*first["halls"], *second["halls"]]] == BY_NAME
    assert second["next"] == ""
    await registered.expect(200, "DELETE", f"/api/v1/halls/{first['next']}")
    await registered.expect(422, "GET", "/api/v1/halls", params={"order": "name", "after": first["next"]})


async def test_what_changes_is_found_at_once(registered: Api) -> None:
    """By its new name and no longer by the old one."""
    assert await listed(registered, search="ba trieu") == ["H1"]
    body = {"name": "Cần Giờ", "unit": "01", "level": "base", "seats": 2}
    await registered.expect(200, "PUT", "/api/v1/halls/H1", json=body)
    assert await listed(registered, search="ba trieu") == []
    assert await listed(registered, search="gio can") == ["H1"]
    await registered.expect(200, "DELETE", "/api/v1/halls/H1")
    assert await listed(registered, search="gio can") == []


async def test_an_export_stands_by_name(registered: Api) -> None:
    """For people; it imports as the same."""
    exported = parse_halls(
        await registered.expect(200, "GET", "/api/v1/halls/export"), HallUnits({unit.code: unit for unit in UNITS})
    )
    assert [hall.hall_id for hall in exported] == BY_NAME
    assert {hall.hall_id: hall for hall in exported} == {hall.hall_id: hall for hall in HALLS}


async def test_units_are_found_by_name(registered: Api) -> None:
    """Without marks."""
    found = await registered.expect(200, "GET", "/api/v1/units", params={"search": "ba dinh"})
    assert [unit["code"] for unit in found["units"]] == ["00004"]
