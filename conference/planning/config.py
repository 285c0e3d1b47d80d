"""The file that `diemcau plan --file` reads: relays and halls as they will stand on the day."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from conference.config import PlacementConfig
from conference.planning.inputs import Spot
from configs.loading import Section
from relay.config import CapacityLimits, Id
from relay.messages import RelayRole

MAX_RELAYS = 2_000  # four times what the largest conference needs; tables of relays by relays stay small
MAX_HALLS = 200_000

Region = Annotated[str, Field(max_length=64)]


class PlannedRelay(Section):
    """One relay that will stand.

    Attributes:
        relay_id: its name.
        role: `origin` or `edge`.
        region: unit code of its province, empty for the centre.
        capacity: what line and processor carry.
    """

    relay_id: Id
    role: RelayRole = "edge"
    region: Region = ""
    capacity: CapacityLimits = CapacityLimits()


class PlanConfig(Section):
    """A country to plan for.

    Attributes:
        relays: those that will stand; without any, as many as are needed are made up.
        halls: how many halls each region has, by unit code.
        halls_csv: the registry's CSV file in place of `halls`; its units are those of the product.
        merge_parents: relays take every feed from both parents at once.
        placement: as in the coordinator's configuration.
    """

    program: Literal["plan"] = "plan"
    relays: Annotated[tuple[PlannedRelay, ...], Field(max_length=MAX_RELAYS)] = ()
    halls: Annotated[
        dict[Region, Annotated[int, Field(ge=0, le=MAX_HALLS)]], Field(max_length=1_000, default_factory=dict)
    ]
    halls_csv: Path | None = None
    merge_parents: bool = False
    placement: PlacementConfig = PlacementConfig()

    def spots(self) -> list[Spot]:
        """The relays as the planner takes them."""
        return [
            Spot(relay_id=relay.relay_id, role=relay.role, region=relay.region, capacity=relay.capacity.as_message())
            for relay in self.relays
        ]

    @model_validator(mode="after")
    def _halls_are_given_once(self) -> Self:
        if bool(self.halls) == (self.halls_csv is not None):
            raise ValueError("give either halls (a number for each region) or halls_csv")
        if sum(self.halls.values()) > MAX_HALLS:
            raise ValueError(f"more than {MAX_HALLS} halls")
        names = [relay.relay_id for relay in self.relays]
        doubled = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if doubled:
            raise ValueError(f"relays stand twice: {', '.join(doubled[:5])}")
        return self
