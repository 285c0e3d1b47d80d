"""The file that `diemcau simulate` reads: a country, its relays and lines, and what happens on the day."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from conference.config import AdmissionConfig, CoordinatorConfig, PlacementConfig, TokenLifetimes
from conference.planning.config import MAX_RELAYS
from configs.loading import Section
from relay.config import CapacityLimits, Id
from relay.messages import RelayRole

MAX_HALLS = 100_000
MAX_PAPER_HALLS = 2_000_000
MAX_DURATION_S = 24 * 3_600.0
MAX_HAPPENINGS = 1_000

Moment = Annotated[float, Field(ge=0, le=MAX_DURATION_S)]
Span = Annotated[float, Field(gt=0, le=MAX_DURATION_S)]
Region = Annotated[str, Field(max_length=64)]


class _Happening(Section):
    """What all happenings have.

    Attributes:
        at_s: when, in seconds from the start.
    """

    at_s: Moment


class _OfRelays(_Happening):
    """A happening that befalls relays: those that are named, or so many by lot.

    Attributes:
        relays: their names.
        count: so many by lot, where none is named.
        role: of those that are drawn.
        region: of those that are drawn; any where it is not given.
    """

    relays: Annotated[tuple[Id, ...], Field(max_length=MAX_RELAYS)] = ()
    count: int = Field(default=1, ge=1, le=MAX_RELAYS)
    role: RelayRole = "edge"
    region: Region | None = None


class RelayCrash(_OfRelays):
    """Relays die without a word.

    Attributes:
        unplugged: the whole machine is gone, and nobody is told; else the process alone, and its connections break.
        back_after_s: so long after, they start again; never where it is not given.
    """

    kind: Literal["relay_crash"]
    unplugged: bool = True
    back_after_s: Span | None = None


class RelayHang(_OfRelays):
    """Relays go on sending heartbeats and deliver nothing."""

    kind: Literal["relay_hang"]
    for_s: Span


class Drain(_OfRelays):
    """An operator empties relays, one after the other, and has them serve again: a rolling restart.

    Attributes:
        deadline_s: each is to be empty after so long; without it as the pace of moves allows.
        every_s: from one relay to the next.
        for_s: so long after its order each is opened again.
        restart: its process is killed and started just before.
    """

    kind: Literal["drain"]
    deadline_s: Span | None = None
    every_s: Span = 60.0
    for_s: Span = 50.0
    restart: bool = True


class RegionCut(_Happening):
    """A province's line to everybody else is gone, until `region_back`, or for `for_s`."""

    kind: Literal["region_cut"]
    region: Region
    for_s: Span | None = None


class RegionBack(_Happening):
    """The province's line is back."""

    kind: Literal["region_back"]
    region: Region


class FlappingHall(_Happening):
    """The own lines of some halls go and come.

    Attributes:
        halls: how many, by lot.
        every_s: from one loss to the next.
        down_s: how long each lasts.
        for_s: how long this goes on.
    """

    kind: Literal["flapping_hall"]
    halls: int = Field(default=1, ge=1, le=MAX_HALLS)
    every_s: Span = 5.0
    down_s: Span = 1.0
    for_s: Span

    @model_validator(mode="after")
    def _comes_back(self) -> Self:
        if self.down_s >= self.every_s:
            raise ValueError("down_s must be less than every_s, or the line never comes back")
        return self


class SlowStore(_Happening):
    """Each append takes longer."""

    kind: Literal["slow_store"]
    append_ms: float = Field(gt=0, le=60_000)
    for_s: Span


class StoreDown(_Happening):
    """The store is away; what was under way may have been written or not."""

    kind: Literal["store_down"]
    for_s: Span


class CoordinatorCrash(_Happening):
    """The coordinator dies as by kill -9, and is started again."""

    kind: Literal["coordinator_crash"]
    back_after_s: Span = 3.0


class SourceSilent(_Happening):
    """The publisher sends nothing: nobody's fault, and nobody should move."""

    kind: Literal["source_silent"]
    for_s: Span


Happening = Annotated[
    RelayCrash
    | RelayHang
    | Drain
    | RegionCut
    | RegionBack
    | FlappingHall
    | SlowStore
    | StoreDown
    | CoordinatorCrash
    | SourceSilent,
    Field(discriminator="kind"),
]


class ScenarioRelays(Section):
    """The relays, all alike.

    Attributes:
        count: how many; 0 for as many as the planner finds needed.
        origins: how many of them are origins; 0 for three, or fewer where there are few.
        capacity: what each carries.
        merge_parents: they take the feed from both parents at once.
    """

    count: int = Field(default=0, ge=0, le=MAX_RELAYS)
    origins: int = Field(default=0, ge=0, le=32)
    capacity: CapacityLimits = CapacityLimits(bits_per_s=1_000_000_000, packets_per_s=200_000)
    merge_parents: bool = False


class ScenarioCoordinator(Section):
    """The part of a coordinator's configuration that matters here; see `conference.config`.

    Attributes:
        admission: how fast newcomers are let in.
        decision_us: what each command costs the coordinator's processor, in microseconds of virtual time; 0 takes
            decisions as free.
    """

    lease_s: float = Field(default=3.0, ge=0.2, le=60)
    heartbeat_s: float = Field(default=1.0, ge=0.05, le=20)
    return_grace_s: float = Field(default=10.0, ge=0.2, le=300)
    snapshot_every: int = Field(default=20_000, ge=100, le=10_000_000)
    admission: AdmissionConfig = AdmissionConfig()
    decision_us: float = Field(default=0.0, ge=0, le=100_000)

    def as_config(self, placement: PlacementConfig) -> CoordinatorConfig:
        """The same as a coordinator takes it."""
        return CoordinatorConfig(
            lease_s=self.lease_s,
            heartbeat_s=self.heartbeat_s,
            return_grace_s=self.return_grace_s,
            snapshot_every=self.snapshot_every,
            admission=self.admission,
            tokens=TokenLifetimes(link_s=604_800),  # no relay of a simulation plays with them: none is made anew
            placement=placement,
        )


class Scenario(Section):
    """A day to go through.

    Attributes:
        title: one line for the report.
        seed: equal seeds give equal days.
        on_paper: plan only: servers, traffic and depth of the tree, and no day is gone through.
        halls: how many halls (điểm cầu) a synthetic country has.
        relays: what serves them.
        arrival_begins_s: when the first halls come; by then the relays are registered.
        arrival_s: they come along an S-shaped curve over so many seconds.
        duration_s: when the day ends.
        line_ms: median time of a message one way, between any two.
        append_ms: what the store takes to make a batch durable.
        dark_s: a hall whose picture is gone for longer is counted.
        sample_s: how often the curves of the report have a point.
        coordinator: its times.
        placement: as in the coordinator's configuration.
        happenings: what happens.
    """

    program: Literal["simulate"] = "simulate"
    title: str = Field(default="", max_length=200)
    seed: int = 2025
    on_paper: bool = False
    halls: int = Field(ge=1, le=MAX_PAPER_HALLS)
    relays: ScenarioRelays = ScenarioRelays()
    arrival_begins_s: Moment = 5.0
    arrival_s: Moment = 600.0
    duration_s: Span = 900.0
    line_ms: float = Field(default=15.0, ge=0.1, le=5_000)
    append_ms: float = Field(default=2.0, ge=0, le=60_000)
    dark_s: Span = 2.0
    sample_s: float = Field(default=1.0, ge=0.1, le=3_600)
    coordinator: ScenarioCoordinator = ScenarioCoordinator()
    placement: PlacementConfig = PlacementConfig()
    happenings: Annotated[tuple[Happening, ...], Field(max_length=MAX_HAPPENINGS)] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.on_paper and self.halls > MAX_HALLS:
            raise ValueError(f"more than {MAX_HALLS} halls can only be planned: set on_paper")
        if self.on_paper and self.happenings:
            raise ValueError("nothing happens on paper: leave happenings out, or on_paper")
        if self.arrival_begins_s + self.arrival_s > self.duration_s:
            raise ValueError("duration_s ends before the last hall has come")
        late = [each.kind for each in self.happenings if each.at_s >= self.duration_s]
        if late:
            raise ValueError(f"{late[0]} happens after duration_s")
        return self
