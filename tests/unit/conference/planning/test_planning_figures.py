"""What a plan comes to: figures, sentences and a picture that say the same."""

from __future__ import annotations

import json
from itertools import count
from xml.etree import ElementTree as ET

import msgspec
import pytest

from bridges.units import Unit
from conference.planning.drawing import draw_tree
from conference.planning.figures import Planned, document_of, plan_country
from conference.planning.inputs import MadeUpRelays, PlanInput, Spot, halls_of_regions, make_input
from conference.planning.words import describe_loss, sentences
from conference.policy import MediaCost, Policy
from relay.messages import Capacity

POLICY = Policy(
    media=MediaCost(bits_per_s=2_000_000, packets_per_s=300),
    regions={"04": MediaCost(bits_per_s=1_000_000, packets_per_s=150)},
)
UNITS = [Unit(code="01", name='Hà Nội <&"', kind="thành phố"), Unit(code="04", name="Cao Bằng", kind="tỉnh")]


def country(relays: int = 12, origins: int = 3, *, seats: int = 20, merge_parents: bool = False) -> PlanInput:
    """Thirty halls of 2 Mbit/s and ten of 1 Mbit/s."""
    halls = halls_of_regions({"01": 30, "04": 10})
    capacity = Capacity(bits_per_s=seats * 2_000_000, packets_per_s=seats * 300)
    spots = MadeUpRelays(count=relays, origins=origins, capacity=capacity).spots(halls, POLICY)
    return make_input(halls, spots, POLICY, UNITS, merge_parents=merge_parents, is_synthetic=True)


def planned(plan_input: PlanInput, replans: int = 0) -> Planned:
    """With a clock that ticks once a call."""
    ticks = count()
    return plan_country(plan_input, lambda: float(next(ticks)), replans=replans)


def test_the_figures_of_a_plan_that_holds() -> None:
    """Counts, traffic and what was proved; the loss of each relay was tried."""
    figures = planned(country(), replans=100).figures
    assert (figures.halls, figures.relays, figures.origins, figures.tree_depth) == (40, 12, 3, 1)
    assert (figures.halls_without_primary, figures.halls_without_backup, figures.halls_broken_pins) == (0, 0, 0)
    assert (figures.survives_any_single_loss, figures.survives_any_two_origins) == (True, True)
    assert (figures.single_losses_walked, len(figures.worst), len(figures.origin_pairs)) == (12, 10, 3)
    assert (figures.hall_bits_per_s, figures.link_bits_per_s) == (70_000_000, 9 * 2_000_000)
    assert (figures.capacity_bits_per_s, figures.in_region_share) == (12 * 40_000_000, 1.0)
    assert (figures.plan_seconds, figures.replan_ms_p99, figures.replans) == (1.0, 1_000.0, 12)
    assert figures.halls_moved_beyond_lost == 0
    assert 0 < figures.max_utilisation_after_loss <= figures.max_utilisation <= 1


def test_merged_parents_double_the_links() -> None:
    """Both links of an edge carry the programme at once."""
    assert planned(country(merge_parents=True)).figures.link_bits_per_s == 18 * 2_000_000


def test_relays_needed_is_what_the_seats_fill() -> None:
    """70 seats for halls, primary and backup, and 18 links, on relays with 16 seats below the soft limit."""
    assert planned(country()).figures.relays_needed == 6


def test_equal_inputs_have_equal_hashes() -> None:
    """And the figures are one JSON document."""
    first, second = planned(country()).figures, planned(country()).figures
    assert first.plan_hash == second.plan_hash
    assert json.loads(msgspec.json.encode(first))["plan_hash"] == first.plan_hash


def test_regions_are_told_apart() -> None:
    """Halls, relays and media of each."""
    regions = {region.code: region for region in planned(country()).regions}
    assert (regions["01"].halls, regions["04"].halls, regions["04"].bits_per_s) == (30, 10, 10_000_000)
    assert (regions["04"].name, regions["04"].edges, regions["04"].away) == ("Cao Bằng", 2, 0)


def short() -> PlanInput:
    """One origin and two small edges for forty halls, some pinned to what does not exist."""
    twelve_seats = Capacity(bits_per_s=24_000_000, packets_per_s=6_000)
    spots = [
        Spot(relay_id="o<1>", role="origin", region="01", capacity=twelve_seats),
        Spot(relay_id="a", role="edge", region="01", capacity=twelve_seats),
        Spot(relay_id="b", role="edge", region="01", capacity=twelve_seats),
    ]
    policy = msgspec.structs.replace(POLICY, pins={"01-00000": ("nowhere",)})
    return make_input(halls_of_regions({"01": 30, "04": 10}), spots, policy, UNITS)


def test_a_plan_that_does_not_hold_says_so_in_words() -> None:
    """Who lacks what, which loss is fatal, and that one origin is not two."""
    told = planned(short())
    text = "\n".join(sentences(told))
    assert told.figures.halls_without_primary > 0
    assert told.figures.relays_needed == 9  # 70 seats, and three links, on relays with nine seats below the soft limit
    assert not told.figures.survives_any_single_loss
    for word in ("halls without any relay", "halls without a backup", "does NOT survive", "no two origins"):
        assert word in text
    assert "01-00000" in text
    assert any("halls go dark" in describe_loss(loss) for loss in told.figures.worst)


def test_a_plan_that_holds_says_so_in_words() -> None:
    """Vietnamese first, English beside it."""
    text = "\n".join(sentences(planned(country(), replans=3)))
    for word in ("every hall has a backup", "losses walked", "with any two origins", "other halls moved", "synthetic"):
        assert word in text


def test_two_origins_are_one_too_few() -> None:
    """For the loss of both."""
    assert "three are needed" in "\n".join(sentences(planned(country(12, 2))))


def test_two_origins_that_do_not_hold_are_named() -> None:
    """Three origins, but every hall's relays hang on the same two."""
    plan_input = country(4, 3)
    told = planned(plan_input)
    assert told.figures.survives_any_two_origins is False
    assert "goc-" in "\n".join(sentences(told))


@pytest.mark.parametrize("plan_input", [country(), country(40, 2), short(), country(0, 0)])
def test_the_picture_is_whole_and_safe(plan_input: PlanInput) -> None:
    """Well-formed SVG, a mark with a title for each relay, names escaped, nothing loaded from anywhere."""
    told = planned(plan_input)
    text = draw_tree(told)
    root = ET.fromstring(text)
    space = {"svg": root.tag[1:].split("}")[0]}
    marks = root.findall("svg:circle", space) + [mark for mark in root.findall("svg:rect", space) if len(mark)]
    assert len(marks) == told.figures.relays
    assert "href" not in text
    assert "<script" not in text


def test_fatal_relays_are_ringed() -> None:
    """The only origin of a country is its single point of failure."""
    assert 'class="risk"' in draw_tree(planned(short()))
    assert 'class="risk"' not in draw_tree(planned(country()))


def test_the_whole_plan_is_a_document() -> None:
    """Each hall with its two relays, each relay with its parents."""
    document = json.loads(document_of(planned(country())))
    assert len(document["halls"]) == 40
    assert all(len(set(pair)) == 2 for pair in document["halls"].values())
    assert all(relay["parents"] for relay in document["relays"].values() if relay["role"] == "edge")
