"""A synthetic country: halls spread over real units, for the demo, the planner on paper and simulation.

Deterministic in (units, count, seed). Everything about a hall but its unit is made up, and looks it: contacts are
numbered samples and all phones begin with `0900 000`.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import accumulate

from bridges.halls import Hall, HallLevel
from bridges.units import Unit, UnitTree

# Towns hold more offices and firms with a hall of their own than villages do; reports speak of two to three times.
_WEIGHTS = {"phường": 3, "xã": 1}
_OTHER_WEIGHT = 1
# 60-95 delegates sit in an average hall (press reports, 2021-2026); a provincial hall is larger.
_SEATS: dict[HallLevel, tuple[int, int]] = {"province": (70, 120), "commune": (50, 105), "base": (40, 100)}


def synthetic_halls(units: Iterable[Unit], count: int, seed: int, *, virtual: bool = True) -> list[Hall]:
    """Make up halls: first one for each province, then one for each commune, then further ones; wards get more.

    Args:
        units: a tree of any depth; roots count as provinces, everything below as communes.
        count: how many; fewer than the units reach only some of them.
        seed: of all choices.
        virtual: what the halls say of themselves.

    Returns:
        `count` halls with ids such as `VN-00004-01`, ordered by id.

    Raises:
        UnitTreeError: the units do not make a tree.
    """
    tree = UnitTree(units)
    if count <= 0 or not tree.roots:
        return []
    chosen = random.Random(seed)  # noqa: S311 - a repeatable country, no secret
    halls_of: dict[str, int] = {root.code: 1 for root in tree.roots[:count]}
    communes = [unit for unit in tree.units if unit.parent]
    left = count - len(halls_of)
    if left < len(communes):
        weighted = sorted(communes, key=lambda unit: chosen.random() ** (1 / _weight(unit)), reverse=True)
        halls_of.update((unit.code, 1) for unit in weighted[:left])
    else:
        halls_of.update((unit.code, 1) for unit in communes)
        places = communes or list(tree.roots)
        weights = list(accumulate(_weight(unit) for unit in places))
        for unit in chosen.choices(places, cum_weights=weights, k=left - len(communes)):
            halls_of[unit.code] += 1
    halls: list[Hall] = []
    for unit in sorted((tree.unit(code) for code in halls_of), key=lambda unit: unit.code):
        for number in range(1, halls_of[unit.code] + 1):
            halls.append(_hall(tree, unit, number, len(halls), chosen, virtual=virtual))
    return sorted(halls, key=lambda hall: hall.hall_id)


def _weight(unit: Unit) -> int:
    return _WEIGHTS.get(unit.kind, _OTHER_WEIGHT)


def _hall(tree: UnitTree, unit: Unit, number: int, sample: int, chosen: random.Random, *, virtual: bool) -> Hall:
    level: HallLevel = "base" if number > 1 else "commune" if unit.parent else "province"
    name = f"Điểm cầu {unit.name}" if number == 1 else f"Điểm cầu cơ sở {number:02d} {unit.name}"
    province = tree.root_of(unit.code).name
    return Hall(
        hall_id=f"VN-{unit.code}-{number:02d}",
        name=name,
        unit=unit.code,
        level=level,
        seats=chosen.randint(*_SEATS[level]),
        address=f"{unit.name}, {province}" if unit.parent else province,
        contact_name=f"Kỹ thuật viên mẫu {sample + 1:05d}",
        contact_phone=f"0900 000 {sample % 1000:03d}",
        virtual=virtual,
    )
