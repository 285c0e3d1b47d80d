import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.importing import HallUnits, parse_halls, serialize_halls_csv
from bridges.vietnam import load_vietnam_units
from conference.demo.country import headcount_of, provinces_by_size, real_halls, real_relays, virtual_relays
from conference.demo.figures import DemoFigures, HallFigures, Move, add_hall_figures, choose_victim, depth_of, describe
from conference.demo.measuring import cpu_s, metric_total, peak_rss_mb, percentile


def relay(relay_id: str, *, parents: list[str] | None = None, **more: object) -> dict[str, object]:
    """A relay as the API lists it."""
    role = "origin" if relay_id == "goc" else "edge"
    return {"relay_id": relay_id, "role": role, "virtual": False, "status": "live", "parents": parents or [], **more}


def hall(hall_id: str, primary: str, backup: str, **more: object) -> dict[str, object]:
    """A hall as the API lists it."""
    return {"hall_id": hall_id, "status": "present", "virtual": False, "primary": primary, "backup": backup, **more}


def test_the_victim_serves_most_real_halls() -> None:
    """Virtual halls do not count, and the origin is never killed."""
    relays = [relay("goc"), relay("a", parents=["goc"]), relay("b", parents=["goc"])]
    halls = [
        hall("1", "a", "b"),
        hall("2", "b", "a"),
        hall("3", "b", "a"),
        hall("4", "goc", "a"),
        *(hall(f"v{n}", "a", "b", virtual=True) for n in range(9)),
    ]
    assert choose_victim(relays, halls) == "b"


def test_no_relay_is_killed_whose_hall_has_no_live_backup() -> None:
    """A hall without a live backup protects its relay."""
    relays = [relay("goc"), relay("a"), relay("b"), relay("c", status="lost")]
    assert choose_victim(relays, [hall("1", "a", ""), hall("2", "b", "c")]) == ""


def test_a_relay_that_serves_nobody_is_not_killed() -> None:
    """Killing an idle relay would prove nothing."""
    assert choose_victim([relay("goc"), relay("a")], [hall("1", "a", "goc", status="waiting")]) == ""


def test_depth_counts_real_live_relays_only() -> None:
    """A deep virtual tree does not make the real one deeper."""
    relays = [
        relay("goc"),
        relay("a", parents=["goc"]),
        relay("b", parents=["a", "goc"]),
        relay("x", parents=["b"], virtual=True),
        relay("y", parents=["b"], status="lost"),
    ]
    assert depth_of(relays) == 2


def test_media_figures_are_the_halls_own() -> None:
    """The least frames, the sum of losses, the worst delay, and only moves away from the killed relay."""
    figures = DemoFigures(killed_relay="a")
    moved = Move(from_relay="a", to_relay="b", interruption_ms=400.0)
    other = Move(from_relay="c", to_relay="b", interruption_ms=9000.0)
    halls = [
        HallFigures(hall_id="1", frames_decoded=100, packets_lost=1, glass_to_glass_ms_p95=80.0, moves=[moved]),
        HallFigures(hall_id="2", frames_decoded=90, packets_lost=2, glass_to_glass_ms_p95=120.04, moves=[other]),
        HallFigures(hall_id="3", frames_decoded=95, packets_lost=0),
    ]
    add_hall_figures(figures, halls, {"1", "2"})
    assert (figures.frames_decoded_min, figures.packets_lost, figures.glass_to_glass_ms_p95) == (90, 3, 120.0)
    assert (figures.rehomed, figures.rehome_ms_p99) == (1, 400.0)


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=300), st.floats(0.01, 1))
def test_a_percentile_is_one_of_the_values(values: list[float], share: float) -> None:
    """Nearest rank: at least that share of the values is not above it."""
    found = percentile(values, share)
    assert found in values
    assert sum(1 for value in values if value <= found) >= share * len(values) - 0.01


def test_percentiles_known_by_hand() -> None:
    """Of 1..100 the 99th is 99; of nothing there is none."""
    assert percentile(list(range(1, 101)), 0.99) == 99
    assert percentile([], 0.5) is None


def test_this_process_is_measured() -> None:
    """/proc tells of a running process, and 0 of one that is gone."""
    assert peak_rss_mb(os.getpid()) > 5
    assert cpu_s(os.getpid()) > 0
    assert (peak_rss_mb(2**22 + 1), cpu_s(2**22 + 1)) == (0.0, 0.0)


def test_metrics_are_summed_over_labels() -> None:
    """A counter with labels counts as one."""
    text = '# TYPE x counter\nx_total{stream="a"} 3\nx_total{stream="b"} 4\n# TYPE y gauge\ny 9\n'
    assert metric_total(text, "x_total") == 7


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
def test_the_demos_country_is_whole(count: int) -> None:
    """Every real hall sits in a province of an edge, imports as it is, and has figures that add up."""
    units = load_vietnam_units()
    spots = real_relays(units, count)
    assert len({spot.relay_id for spot in spots}) == count
    halls = real_halls(units, spots, 12)
    assert len({item.hall_id for item in halls}) == 12
    assert parse_halls(serialize_halls_csv(halls), HallUnits({unit.code: unit for unit in units})) == halls
    parents = {unit.code: unit.parent for unit in units}
    regions = {spot.region for spot in spots if spot.role == "edge"}
    if regions:
        assert {parents[item.unit] for item in halls} == regions
    for item in halls:
        figures = headcount_of(item, 1)
        assert figures.present + figures.excused + figures.unexcused + figures.exempt == figures.summoned


def test_there_is_a_virtual_relay_in_each_province() -> None:
    """One virtual origin and 34 virtual edges."""
    units = load_vietnam_units()
    spots = virtual_relays(units)
    assert [spot.role for spot in spots].count("origin") == 1
    assert {spot.region for spot in spots if spot.role == "edge"} == set(provinces_by_size(units))
    assert len(spots) == 35


def test_figures_are_told_in_vietnamese_first() -> None:
    """What was not measured is a dash, never a zero that looks like a result."""
    text = describe(DemoFigures(halls_registered=11661))
    assert "điểm cầu đăng ký (halls registered)" in text
    assert "11,661" in text
    assert text.count("–") == 4
