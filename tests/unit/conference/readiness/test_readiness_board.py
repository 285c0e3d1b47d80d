"""Readiness of many halls: sums over both trees, the call list's order, comparisons, and tables for people."""

from __future__ import annotations

import pytest

from bridges.halls import Hall
from bridges.prechecks import Devices, Precheck, RelayReach, SignOff
from bridges.readiness import Thresholds
from bridges.units import Unit
from conference.attendance.places import HallPlaces
from conference.readiness.board import HallChecks, HallReadiness, call_list, compare, count, count_children, judge_all
from conference.readiness.rehearsals import rehearsal_name
from conference.readiness.tables import CALL_HEADINGS, CHANGE_HEADINGS, call_rows, change_rows

UNITS = {
    unit.code: unit
    for unit in (
        Unit(code="01", name="Thành phố Hà Nội", kind="thành phố", parent=""),
        Unit(code="001", name="Phường Ba Đình", kind="phường", parent="01"),
        Unit(code="89", name="Tỉnh An Giang", kind="tỉnh", parent=""),
        Unit(code="DU", name="Đảng ủy", kind="đảng ủy", parent="", tree="organisation"),
    )
}
HALLS = {
    hall.hall_id: hall
    for hall in (
        Hall(hall_id="h1", name="Điểm cầu 10", unit="001", level="base", seats=60, organisation="DU"),
        Hall(hall_id="h2", name="Điểm cầu 2", unit="001", level="base", seats=60, contact_phone="0912 345 678"),
        Hall(hall_id="h3", name="Ấp Đông", unit="89", level="base", seats=60),
        Hall(hall_id="h4", name="Ấp An", unit="89", level="base", seats=60),
    )
}
GOOD = RelayReach(relay_id="e1", place="primary", transport="udp", connect_ms=1, rtt_ms=1.0, loss=0.0, jitter_ms=1.0)
READY = Precheck(
    at_ms=1_000,
    source="page",
    devices=Devices(speaker="ok"),
    relays=(GOOD, RelayReach(relay_id="e2", place="backup", transport="udp", rtt_ms=1.0, loss=0.0, jitter_ms=1.0)),
    layer_bps=2_000_000,
    media_bps=2e6,
)
MUTE = Precheck(at_ms=1_000, source="page", devices=Devices(speaker="failed"), relays=READY.relays, layer_bps=1)


def judged(known: dict[str, Precheck | SignOff]) -> list[HallReadiness]:
    """All four halls with what is known of them."""
    checks = []
    for hall in HALLS.values():
        found = known.get(hall.hall_id)
        checks.append(
            HallChecks(
                hall=hall,
                province=UNITS["01" if hall.unit == "001" else "89"].name,
                unit_name=UNITS[hall.unit].name,
                newest=found if isinstance(found, Precheck) else None,
                sign_off=found if isinstance(found, SignOff) else None,
            )
        )
    return judge_all(checks, Thresholds(), now_ms=2_000)


SOME = judged({"h1": READY, "h2": MUTE, "h3": SignOff(at_ms=1, by="user:an")})


def test_counts_of_a_unit_and_of_those_below() -> None:
    """Every hall in one state and in one child; children as Vietnamese sorts them, units without halls left out."""
    total = count(SOME, "", "")
    assert (total.halls, total.ready, total.failed, total.signed_off, total.not_checked) == (4, 1, 1, 1, 1)
    names = {code: unit.name for code, unit in UNITS.items()}
    places = HallPlaces(UNITS, HALLS)
    children = count_children(SOME, places.order("territory"), "territory", "", names)
    assert [(each.unit, each.halls) for each in children] == [("01", 2), ("89", 2)]
    below = count_children(SOME[:2], places.order("territory"), "territory", "01", names)
    assert [(each.unit, each.halls, each.ready, each.failed) for each in below] == [("001", 2, 1, 1)]
    sector = count_children(SOME, places.order("organisation"), "organisation", "", names)
    assert sorted((each.unit, each.halls) for each in sector) == [("", 3), ("DU", 1)]


def test_the_call_list_is_in_the_order_in_which_people_phone() -> None:
    """By province, then by name as Vietnamese sorts; ready and signed off halls need no call."""
    assert [hall.hall_id for hall in call_list(SOME)] == ["h2", "h4"]
    nobody = call_list(judged({}))
    assert [hall.hall_id for hall in nobody] == ["h2", "h1", "h4", "h3"]


def test_the_call_list_as_a_table() -> None:
    """Who, what is missing, whose it is, and a number; also where there is none."""
    rows = call_rows(call_list(SOME), "vi")
    assert len(rows[0]) == len(CALL_HEADINGS["vi"]) == len(CALL_HEADINGS["en"])
    assert rows[0][3:5] == ("Điểm cầu 2", "không đạt")
    assert rows[0][8] == "0912 345 678"
    assert "Loa" in rows[0][5]
    assert rows[0][6].startswith("cán bộ kỹ thuật điểm cầu")
    assert rows[0][9] == "07:00 01/01/1970"
    assert rows[1][8] == "chưa có số"
    assert call_rows(call_list(SOME), "en")[1][8] == "no number"


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        ({"h1": MUTE}, {"h1": READY}, "better"),
        ({"h1": READY}, {"h1": MUTE}, "worse"),
        ({"h1": READY}, {"h1": READY}, "same"),
        ({}, {"h1": MUTE}, "new"),
        ({"h1": READY}, {}, "missing"),
    ],
)
def test_what_changed(before: dict[str, Precheck | SignOff], now: dict[str, Precheck | SignOff], change: str) -> None:
    """Better, worse, the same, new, or not there any more; whoever was never there is not listed."""
    (found,) = compare(judged(before), judged(now))
    assert (found.hall_id, found.change) == ("h1", change)
    for language in ("vi", "en"):
        (row,) = change_rows([found], "vi" if language == "vi" else "en")
        assert len(row) == len(CHANGE_HEADINGS["vi"])


def test_the_worst_news_come_first() -> None:
    """Whoever reads ten lines reads those that matter."""
    found = compare(judged({"h1": READY, "h2": READY, "h3": MUTE}), judged({"h1": READY, "h3": READY, "h4": READY}))
    assert [each.change for each in found] == ["missing", "new", "better", "same"]


def test_names_of_rehearsals() -> None:
    """The next number that is free."""
    assert rehearsal_name(set(), "hn1") == "hn1-td1"
    assert rehearsal_name({"hn1-td1", "hn1-td3"}, "hn1") == "hn1-td2"
