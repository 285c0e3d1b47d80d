"""What a plan is made of: made-up relays where the halls are, registered ones as the coordinator lists them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from bridges.halls import Hall
from bridges.units import Unit
from conference.orders import Limits, Orders, RelayOrder
from conference.planner.plan import make_plan
from conference.planning.inputs import (
    MadeUpRelays,
    PlanInputError,
    halls_of_regions,
    make_input,
    regions_of,
    registered_spots,
)
from conference.policy import MediaCost, Policy
from relay.messages import Capacity

POLICY = Policy(media=MediaCost(bits_per_s=1, packets_per_s=1))
TEN_SEATS = Capacity(bits_per_s=10, packets_per_s=10)
HALLS = halls_of_regions({"01": 30, "04": 10, "": 2})


def edges_of(made_up: MadeUpRelays, halls: list[tuple[str, str]] = HALLS, policy: Policy = POLICY) -> dict[str, int]:
    """How many edges each region gets."""
    return dict(Counter(spot.region for spot in made_up.spots(halls, policy) if spot.role == "edge"))


def test_as_many_relays_as_are_needed() -> None:
    """Two seats a hall, seven of ten seats for halls at each edge, and never fewer than two in a region."""
    assert edges_of(MadeUpRelays(capacity=TEN_SEATS)) == {"01": 9, "04": 3, "": 2}


def test_a_given_number_is_shared_out_by_size() -> None:
    """Two in every region first, the largest region first, the rest in proportion."""
    assert edges_of(MadeUpRelays(count=12, origins=2, capacity=TEN_SEATS)) == {"01": 6, "04": 2, "": 2}
    assert edges_of(MadeUpRelays(count=5, origins=2, capacity=TEN_SEATS)) == {"01": 2, "04": 1}


def test_origins_are_three_where_there_are_enough() -> None:
    """So that the loss of any two leaves one."""
    for count, expected in ((0, 3), (100, 3), (6, 2), (1, 1)):
        spots = MadeUpRelays(count=count, capacity=TEN_SEATS).spots(HALLS, POLICY)
        assert sum(spot.role == "origin" for spot in spots) == expected
        assert count in (0, len(spots))


def test_relays_that_carry_nobody_are_refused() -> None:
    """One sentence, for a capacity below one hall and for origins alone."""
    with pytest.raises(PlanInputError, match="carries no hall"):
        MadeUpRelays(capacity=Capacity(bits_per_s=1, packets_per_s=1)).spots(HALLS, POLICY)
    with pytest.raises(PlanInputError, match="no edge"):
        MadeUpRelays(count=2, origins=2, capacity=TEN_SEATS).spots(HALLS, POLICY)


def test_a_halls_region_is_the_root_of_its_unit() -> None:
    """However deep; a unit that nobody knows stands for itself."""
    units = [
        Unit(code="01", name="Hà Nội", kind="thành phố"),
        Unit(code="c", name="Ba Đình", kind="phường", parent="01"),
        Unit(code="v", name="Tổ 1", kind="tổ", parent="c"),
    ]
    halls = [Hall(hall_id=unit, name=unit, unit=unit, level="base", seats=1) for unit in ("01", "v", "strange")]
    assert regions_of(halls, units) == [("01", "01"), ("v", "01"), ("strange", "strange")]


def registered(**fields: Any) -> dict[str, Any]:
    """One relay as the API lists it."""
    return {
        "relay_id": "r", "region": "01", "role": "edge", "virtual": False, "status": "live", "parents": ["o"],
        "bits_per_s": 5, "packets_per_s": 7, **fields,
    }  # fmt: skip


def test_registered_relays_are_the_live_ones_that_carry_media() -> None:
    """With their present parents, so that a plan moves as few as possible."""
    (spot,) = registered_spots([registered(), registered(virtual=True), registered(status="lost")])
    assert (spot.relay_id, spot.role, spot.parents) == ("r", "edge", ("o",))
    assert spot.capacity == Capacity(bits_per_s=5, packets_per_s=7)


@pytest.mark.parametrize("relays", [[], [registered(virtual=True)], [{**registered(), "bits_per_s": None}]])
def test_a_coordinator_that_tells_too_little_is_refused(relays: list[dict[str, Any]]) -> None:
    """No live relay, or no capacity."""
    with pytest.raises(PlanInputError):
        registered_spots(relays)


def test_an_input_has_limits_costs_and_names() -> None:
    """Limits by the policy, costs by region, names of the root units."""
    policy = Policy(
        media=MediaCost(bits_per_s=2, packets_per_s=2),
        regions={"04": MediaCost(bits_per_s=1, packets_per_s=1)},
        soft_limit=0.5,
    )
    units = [Unit(code="04", name="Cao Bằng", kind="tỉnh"), Unit(code="x", name="X", kind="xã", parent="04")]
    made = make_input([("h", "04")], registered_spots([registered(bits_per_s=20, packets_per_s=40)]), policy, units)
    assert [(load.soft_seats, load.hard_seats) for load in made.relays] == [(5, 10)]
    assert [wish.milliseats for wish in made.wishes] == [500]
    assert made.names == {"04": "Cao Bằng"}
    assert made.capacities == {"r": 20}


def test_a_plan_keeps_to_what_operators_ordered() -> None:
    """Pins, exclusions and limits hold; a cordoned relay gets nobody; one that is to be emptied is not there."""
    reason = "bảo trì"
    orders = Orders(
        relays={
            "e1": RelayOrder(mode="cordoned", at_ms=1, reason=reason),
            "e2": RelayOrder(mode="draining", at_ms=1, reason=reason),
        },
        pins={"h1": ("e4",)},
        exclusions={"04": ["e3"]},
        limits={"e4": Limits(soft=0.25, hard=0.5)},
    )
    spots = registered_spots(
        registered(relay_id=f"e{number}", bits_per_s=8, packets_per_s=8, region="04") for number in range(1, 6)
    )
    made = make_input([("h1", "04"), ("h2", "04")], spots, POLICY, [], orders=orders)
    assert [load.relay_id for load in made.relays] == ["e1", "e3", "e4", "e5"]
    assert [(load.soft_seats, load.hard_seats) for load in made.relays if load.relay_id == "e4"] == [(2, 4)]
    plan = make_plan(made.relays, made.wishes)
    assert plan.pairs() == {"h1": ("e4", "e5"), "h2": ("e5", "e4")}
    everything = Orders(relays={spot.relay_id: orders.relays["e2"] for spot in spots})
    with pytest.raises(PlanInputError, match="emptied"):
        make_input([], spots, POLICY, [], orders=everything)
