"""How far a relay is from a hall or from another relay: the chain along which a full region overflows.

Distance 0 is the region itself; then come the regions of its chain in their order; then the centre ("", nobody's
province); then, all alike, every other region. Chains are data: the planner knows no map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from conference.planner.loads import MAX_CHAIN, RelayLoad

OverflowChains = Mapping[str, Sequence[str]]
"""Regions by region: where it overflows to, nearest first."""


def distances_from(region: str, loads: Sequence[RelayLoad], chains: OverflowChains) -> NDArray[np.float64]:
    """Distance of every relay from a region, in steps of the chain; whole numbers below 64."""
    chain = [code for code in chains.get(region, ()) if code not in (region, "")][:MAX_CHAIN]
    steps = {code: step for step, code in reversed(list(enumerate([region, *chain])))}
    centre = len(chain) + 1
    steps.setdefault("", centre)
    return np.array([steps.get(load.region, centre + 1) for load in loads], dtype=np.float64)
