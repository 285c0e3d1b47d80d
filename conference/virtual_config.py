"""Configuration of a virtual country: virtual relays and the virtual halls that join them, without media."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bridges.arrivals import Curve
from configs.loading import Section
from relay.config import CapacityLimits, Id
from relay.messages import RelayRole


class VirtualRelayEntry(Section):
    """One virtual relay.

    Attributes:
        relay_id: stable name.
        token_file: its own token of role `relay`.
        role: `origin` or `edge`.
        region: unit code of its province, empty for the centre.
    """

    relay_id: Id
    token_file: Path
    role: RelayRole = "edge"
    region: Annotated[str, Field(max_length=64)] = ""


class VirtualConfig(Section):
    """Virtual relays and halls in one process.

    Attributes:
        coordinator_url: where they register and join.
        relays: the virtual relays.
        capacity: of each of them, as they tell the coordinator.
        links_file: JSON object of hall id to link, as `POST /api/v1/halls/links` answers; none means no halls.
        wait_for_signal: halls come only after SIGUSR1, so that the relays can be up before.
        arrival_s: halls come within so many seconds.
        arrival_curve: `s`, slow at first and at last, as people who were told an hour; or `flat`.
        headcount_share: share of halls that send a headcount.
        seats_file: JSON object of hall id to delegates summoned, for plausible headcounts.
        seed: equal seeds give equal arrivals and headcounts.
    """

    program: Literal["virtual"] = "virtual"
    coordinator_url: Annotated[str, Field(pattern=r"^https?://")]
    relays: Annotated[tuple[VirtualRelayEntry, ...], Field(max_length=1000)] = ()
    capacity: CapacityLimits = CapacityLimits(bits_per_s=100_000_000_000, packets_per_s=20_000_000)
    links_file: Path | None = None
    wait_for_signal: bool = False
    arrival_s: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    arrival_curve: Curve = "s"
    headcount_share: Annotated[float, Field(ge=0, le=1)] = 0.9
    seats_file: Path | None = None
    seed: int = 2025
