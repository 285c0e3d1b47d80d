"""How far is near: the own region, its chain, the centre, everybody else."""

from __future__ import annotations

import pytest

from conference.planner.loads import RelayLoad
from conference.planner.overflow import distances_from


def relays(*regions: str) -> list[RelayLoad]:
    """A relay in each region."""
    return [
        RelayLoad(relay_id=f"r{n}", region=region, role="edge", soft_seats=1, hard_seats=1)
        for n, region in enumerate(regions)
    ]


@pytest.mark.parametrize(
    ("chains", "expected"),
    [
        pytest.param({}, [0, 2, 1, 2], id="without a chain the centre comes first"),
        pytest.param({"01": ("04",)}, [0, 1, 2, 3], id="the chain, then the centre"),
        pytest.param({"01": ("79", "04")}, [0, 2, 3, 1], id="in its order"),
        pytest.param(
            {"01": ("01", "04", "", "04")}, [0, 1, 3, 4], id="itself, the centre and doubles count for nothing"
        ),
        pytest.param({"04": ("79",)}, [0, 2, 1, 2], id="another region's chain does not matter"),
    ],
)
def test_distances(chains: dict[str, tuple[str, ...]], expected: list[int]) -> None:
    """Steps from region 01 to 01, 04, the centre and 79."""
    assert distances_from("01", relays("01", "04", "", "79"), chains).tolist() == expected


def test_a_long_chain_stays_within_its_step_of_the_rank() -> None:
    """Distances stay below 64 however long a chain is."""
    chain = {"": tuple(f"x{n}" for n in range(200))}
    assert distances_from("", relays("y", "x199"), chain).max() < 64


def test_the_centre_is_a_region_of_its_own() -> None:
    """A hall without a province is near what stands at the centre."""
    assert distances_from("", relays("01", ""), {}).tolist() == [2, 0]
