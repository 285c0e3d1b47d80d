"""Tables over HTTP: workbooks, what an import would change, mergers, units as they were, templates."""

from __future__ import annotations

import pytest
from support.coordinator_harness import Api

from bridges.importing import HALL_COLUMNS
from bridges.tables import Faults, parse_table
from bridges.unit_tables import UNIT_COLUMNS
from bridges.xlsx_writing import Sheet, serialize_workbook

pytestmark = pytest.mark.integration

UNITS = """code,name,kind,parent,tree,valid_from,valid_to,merged_into
79,Thành phố Hồ Chí Minh,thành phố trực thuộc trung ương,,,,,
74,Bình Dương,tỉnh,,,,2025-06-30,79
760,Quận 1,quận,79,,,,
26740,Phường Bến Nghé,phường,760,,,2025-06-30,
26740,Phường Sài Gòn,phường,79,,2025-07-01,,
25741,Phường Phú Cường,phường,74,,,2025-06-30,25747
25747,Phường Thủ Dầu Một,phường,79,,2025-07-01,,
DU,Đảng ủy Khối,đảng ủy,,tổ chức,,,
"""
HALLS = "mã,tên,đơn vị,cấp,số đại biểu,tổ chức\nA-1,Điểm cầu A,26740,xã,80,DU\nA-2,Điểm cầu B,{unit},xã,60,\n"


async def test_a_hall_of_a_merged_unit_is_told_where_it_went(api: Api) -> None:
    """The row is refused with the unit's heir and since when; `follow_mergers` takes the heir instead."""
    await api.expect(200, "POST", "/api/v1/units/import", data=UNITS.encode())
    data = HALLS.format(unit="25741").encode()
    problem = await api.expect(422, "POST", "/api/v1/halls/import", data=data)
    (error,) = problem["errors"]
    assert (error["row"], error["column"], error["value"]) == (3, "đơn vị", "25741")
    assert "25747" in error["reason_vi"]
    assert "2025-06-30" in error["reason_en"]
    taken = await api.expect(200, "POST", "/api/v1/halls/import", data=data, params={"follow_mergers": "1"})
    assert (taken["changed"], taken["followed"]) == (2, 1)
    halls = await api.expect(200, "GET", "/api/v1/halls")
    assert [(hall["unit"], hall["organisation"]) for hall in halls["halls"]] == [("26740", "DU"), ("25747", "")]


async def test_what_an_import_changes_is_told_before(api: Api) -> None:
    """A dry run says what is new, what changes from what to what, what stays and what is not in the file."""
    await api.expect(200, "POST", "/api/v1/units/import", data=UNITS.encode())
    await api.expect(200, "POST", "/api/v1/halls/import", data=HALLS.format(unit="25747").encode())
    data = "mã,tên,đơn vị,cấp,số đại biểu\nA-1,Điểm cầu A,26740,xã,81\nA-3,Mới,26740,xã,5\n".encode()
    told = await api.expect(200, "POST", "/api/v1/halls/import", data=data, params={"dry_run": "1"})
    difference = told["difference"]
    assert (difference["new"], difference["absent"], difference["unchanged_count"]) == (["A-3"], ["A-2"], 0)
    # The column of organisations is not in this file, and so nothing of it changes.
    assert difference["changed"] == [
        {"code": "A-1", "changes": [{"field": "seats", "before": "80", "after": "81"}]},
    ]
    assert len((await api.expect(200, "GET", "/api/v1/halls"))["halls"]) == 2


async def test_units_as_they_were_and_as_they_are(api: Api) -> None:
    """The tree of a day has the units of that day; a code that is used again has a past; an export comes back."""
    told = await api.expect(200, "POST", "/api/v1/units/import", data=UNITS.encode(), params={"dry_run": "1"})
    assert (told["units"], told["changed"], told["difference"]["new_count"]) == (7, 7, 7)
    assert (await api.expect(200, "GET", "/api/v1/units"))["units"] == []
    await api.expect(200, "POST", "/api/v1/units/import", data=UNITS.encode())
    before, after = [
        {unit["code"]: unit for unit in (await api.expect(200, "GET", "/api/v1/units", params=query))["units"]}
        for query in ({"on": "2025-06-30", "tree": "territory"}, {"on": "2025-07-01", "tree": "territory"})
    ]
    assert (before["26740"]["name"], before["26740"]["parent"]) == ("Phường Bến Nghé", "760")
    assert sorted(before) == ["25741", "26740", "74", "760", "79"]
    assert (after["26740"]["name"], after["26740"]["parent"]) == ("Phường Sài Gòn", "79")
    assert sorted(after) == ["25747", "26740", "79"]
    shown = await api.expect(200, "GET", "/api/v1/units/25741")
    assert (shown["successor"]["code"], shown["merged_from"]) == ("25747", [])
    assert [unit["code"] for unit in (await api.expect(200, "GET", "/api/v1/units/79"))["merged_from"]] == ["74"]
    for form in ("csv", "xlsx"):
        exported = await api.expect(200, "GET", "/api/v1/units/export", params={"format": form})
        assert (await api.expect(200, "POST", "/api/v1/units/import", data=exported))["changed"] == 0
    await api.expect(422, "GET", "/api/v1/units", params={"on": "tomorrow"})
    kinds = await api.expect(200, "GET", "/api/v1/units/kinds")
    assert {"name": "quận", "tree": "territory", "level": 3, "valid_from": "", "valid_to": "2025-06-30"} in kinds[
        "kinds"
    ]


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("language", ["vi", "en"])
async def test_a_template_imports_as_nothing(api: Api, form: str, language: str) -> None:
    """Its headings are those of an import, and its explanations are no halls."""
    for subject, columns in (("halls", HALL_COLUMNS), ("units", UNIT_COLUMNS)):
        query = {"subject": subject, "format": form, "language": language}
        data = await api.expect(200, "GET", "/api/v1/templates", params=query)
        faults = Faults()
        assert list(parse_table(data, columns, faults)) == []
        assert not faults.errors
        answer = await api.expect(200, "POST", f"/api/v1/{subject}/import", data=data)
        assert answer[subject] == 0


async def test_every_bad_row_of_a_workbook_is_told(api: Api) -> None:
    """A workbook's rows are told as the spreadsheet counts them, and none of it is imported."""
    await api.expect(200, "POST", "/api/v1/units/import", data=UNITS.encode())
    rows = [(f"A-{number}", "Tên", "26740" if number % 3 else "999", "xã", 5) for number in range(9)]
    data = serialize_workbook([Sheet(name="a", headings=["mã", "tên", "đơn vị", "cấp", "số đại biểu"], rows=rows)])
    problem = await api.expect(422, "POST", "/api/v1/halls/import", data=data)
    assert [error["row"] for error in problem["errors"]] == [2, 5, 8]
    assert (await api.expect(200, "GET", "/api/v1/halls"))["halls"] == []
