"""The country of a demo: which relays stand where, which halls are real, which virtual. Pure.

Real edges stand in the largest provinces; real halls sit in the provinces of the edges, so that each edge truly serves
some. Virtual relays are one origin and one edge in each province.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bridges.halls import Hall
from bridges.messages import HeadcountReport
from bridges.synthetic import synthetic_halls
from bridges.units import Unit
from conference.policy import Policy
from relay.messages import Capacity, RelayRole

# From here on the origin's line feeds half of the edges only, and the tree must grow a second level.
DEEP_TREE_RELAYS = 4
# Room at an edge for all real halls, their backups and child relays, also after the loss of another edge.
EDGE_SEATS = 200


@dataclass(frozen=True, slots=True)
class RelaySpot:
    """One relay to start: its name, role, province (unit code, "" for the centre) and seats."""

    relay_id: str
    role: RelayRole
    region: str
    seats: int = EDGE_SEATS


def capacity(seats: int, policy: Policy | None = None) -> Capacity:
    """A line and a processor that carry so many seats and no more."""
    media = (policy or Policy()).media
    return Capacity(bits_per_s=media.bits_per_s * seats, packets_per_s=media.packets_per_s * seats)


def provinces_by_size(units: Sequence[Unit]) -> list[str]:
    """Codes of the provincial units, the one with most communes first."""
    communes = {unit.code: 0 for unit in units if not unit.parent}
    for unit in units:
        if unit.parent in communes:
            communes[unit.parent] += 1
    return sorted(communes, key=lambda code: (-communes[code], code))


def real_relays(units: Sequence[Unit], count: int) -> list[RelaySpot]:
    """`count` real relays: an origin at the centre, edges in the largest provinces."""
    edges = count - 1
    # An edge takes one seat as a child, and one more as a backup path; 2 per edge below a wide origin.
    seats = -(-edges // 2) if count >= DEEP_TREE_RELAYS else EDGE_SEATS
    provinces = provinces_by_size(units)
    return [
        RelaySpot("tram-goc", "origin", "", seats),
        *(
            RelaySpot(f"tram-{number}", "edge", provinces[(number - 1) % len(provinces)])
            for number in range(1, edges + 1)
        ),
    ]


def virtual_relays(units: Sequence[Unit]) -> list[RelaySpot]:
    """One virtual origin, and one virtual edge in each province."""
    edges = [RelaySpot(f"ao-{code}", "edge", code) for code in sorted(provinces_by_size(units))]
    return [RelaySpot("ao-goc", "origin", ""), *edges]


def real_halls(units: Sequence[Unit], relays: Sequence[RelaySpot], count: int) -> list[Hall]:
    """`count` real halls, spread evenly over the provinces of the edges (of all provinces when there is no edge)."""
    regions = [spot.region for spot in relays if spot.role == "edge"] or provinces_by_size(units)
    communes: dict[str, list[Unit]] = {region: [] for region in regions}
    for unit in units:
        if unit.parent in communes:
            communes[unit.parent].append(unit)
    halls: list[Hall] = []
    for number in range(count):
        unit = communes[regions[number % len(regions)]][number // len(regions)]
        halls.append(
            Hall(
                hall_id=f"THAT-{unit.code}",
                name=f"Điểm cầu {unit.name}",
                unit=unit.code,
                level="commune",
                seats=60 + (number * 7) % 36,
                contact_name="Cán bộ kỹ thuật trực",
                contact_phone=f"0900 000 {number:03}",
            )
        )
    return halls


def virtual_halls(units: Sequence[Unit], count: int, seed: int) -> list[Hall]:
    """`count` virtual halls over all provinces and communes."""
    return list(synthetic_halls(units, count, seed, virtual=True))


def headcount_of(hall: Hall, seed: int) -> HeadcountReport:
    """Plausible figures of a technician for one hall; the same for the same hall and seed."""
    rng = random.Random(f"{seed}:{hall.hall_id}")  # noqa: S311 - made-up figures, nothing secret
    absent = min(hall.seats, rng.choice((0, 1, 2, 2, 3, 4)))
    unexcused = rng.randint(0, absent) // 3
    return HeadcountReport(
        summoned=hall.seats, present=hall.seats - absent, excused=absent - unexcused, unexcused=unexcused
    )
