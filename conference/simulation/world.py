"""The world of one scenario, put together and gone through: the composition root of the simulation.

The coordinator and the relays' desk are the product's own, as are the relays' control links and the halls' followers.
Modelled are lines, sessions, the feed and the store. What the coordinator computes costs no virtual time unless the
scenario says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from bridges.arrivals import arrivals
from bridges.halls import Hall
from bridges.synthetic import synthetic_halls
from bridges.units import Unit
from bridges.vietnam import load_vietnam_units
from conference.access import ApiClaims, KeyRing
from conference.admission import Admission
from conference.commands import ChangePhase, CreateConference, ImportHalls, ImportUnits, OrderRelay
from conference.coordinator import Coordinator
from conference.errors import JournalError, RejectedError
from conference.planning.inputs import MadeUpRelays, Spot, regions_of
from conference.relay_desk import RelayDesk
from conference.simulation.auditor import Auditor
from conference.simulation.control_wire import ControlWires, Wire
from conference.simulation.feed import Feed
from conference.simulation.hall_door import HallDoor, Serving
from conference.simulation.halls import ModelHalls
from conference.simulation.happenings import Happenings
from conference.simulation.lines import Lines
from conference.simulation.pictures import Pictures
from conference.simulation.programs import Program, make_task
from conference.simulation.relays import ModelRelays
from conference.simulation.report import Point, Report, make_report
from conference.simulation.scenario import Scenario
from conference.simulation.store import ModelStore
from conference.snapshot import fingerprint

CONFERENCE = "mo-phong"
FEED = "program"
# Midnight of 1 January 2026 in Việt Nam: any day would do, but it must be the same one each time.
BEGINS_MS = 1_767_200_400_000
_AGAIN_S = 1.0


class World:
    """Everything that a scenario moves.

    Args:
        scenario: the day.
        units: the country.
        halls: its halls, virtual ones.
        spots: its relays.

    Raises:
        ScenarioError: a happening names something that is not there.
    """

    def __init__(self, scenario: Scenario, units: list[Unit], halls: list[Hall], spots: list[Spot]) -> None:
        self.scenario = scenario
        self.units = units
        self.halls = halls
        self.policy = scenario.placement.as_policy()
        self.config = scenario.coordinator.as_config(scenario.placement)
        self.keys = KeyRing.generate()
        rng = random.Random(scenario.seed)  # noqa: S311 - a simulation, nothing secret
        self.regions = dict(regions_of(halls, units))
        self.pictures = Pictures(self.policy)
        self.auditor = Auditor(self.policy, self._is_troubled, self._plays_from)
        self.store = ModelStore(scenario.append_ms / 1_000, rng, self.auditor.handle_records)
        self.lines = Lines(scenario.line_ms / 1_000, rng)
        self.serving: Serving | None = None
        self.crashes = 0
        self.wires = ControlWires(self.lines, self, self.config.lease_s * 1.5)
        self.feed = Feed(
            self.lines,
            rng,
            merge_parents=scenario.relays.merge_parents,
            on_change=self._handle_feed,
        )
        self.relays = ModelRelays(spots, self.wires, self.feed, rng, self.clock_ms)
        self.door = HallDoor(
            CONFERENCE, self.lines, lambda: self.serving, decision_s=scenario.coordinator.decision_us / 1e6
        )
        self.model_halls = ModelHalls(
            ((hall_id, region, self.policy.milliseats(region)) for hall_id, region in self.regions.items()),
            conference_id=CONFERENCE,
            feed_name=FEED,
            relays=self.relays,
            feed=self.feed,
            lines=self.lines,
            door=self.door,
            pictures=self.pictures,
            rng=rng,
        )
        self.happenings = Happenings(
            relays=self.relays,
            feed=self.feed,
            halls=self.model_halls,
            lines=self.lines,
            store=self.store,
            pictures=self.pictures,
            restart=self._restart,
            order=self._order,
            clock_ms=self.clock_ms,
            rng=rng,
        )
        self._rng = rng
        self._faults: list[BaseException] = []
        self.orders_refused: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @staticmethod
    def clock_ms() -> int:
        """The one clock of this world, milliseconds since the epoch."""
        return BEGINS_MS + int(asyncio.get_running_loop().time() * 1_000)

    def _handle_feed(self, relay_id: str) -> None:
        self.model_halls.handle_feed(relay_id)

    def _plays_from(self, hall_id: str) -> str:
        return self.model_halls[hall_id].relay_id

    def _is_troubled(self, relay_id: str) -> bool:
        return relay_id in self.happenings.wrong or not self.feed.delivers(relay_id)

    # ---- the coordinator ----

    async def start_coordinator(self) -> Serving:
        """Start a coordinator on the store, as its program does."""
        program = Program()
        serving = await asyncio.shield(program.start(self._serve(program)))
        self.serving = serving
        return serving

    async def _serve(self, program: Program) -> Serving:
        coordinator = Coordinator(
            self.store,
            self.policy,
            self.clock_ms,
            snapshot_every=self.config.snapshot_every,
            lease_s=self.config.journal.lease_s,
            monotonic_s=asyncio.get_running_loop().time,
            admission=Admission(per_s=self.config.admission.per_s, burst=self.config.admission.burst),
        )
        await coordinator.start()
        desk = RelayDesk(coordinator, self.keys, self.config, monotonic_s=asyncio.get_running_loop().time)
        desk.start()
        return Serving(coordinator, desk, program)

    def accept(self, relay_id: str, wire: Wire) -> bool:
        """Serve a relay's connection (`control_wire.Desk`)."""
        serving = self.serving
        if serving is None:
            return False
        claims = ApiClaims(sub=relay_id, role="relay", exp=2**40)

        async def serve() -> None:
            try:
                await serving.desk.serve(wire.at_desk, claims)
            finally:
                # Also where the coordinator died: the machine closes what the process had open.
                await wire.at_desk.close(1001, "coordinator stops")

        serving.program.start(serve())
        return True

    def _restart(self, after_s: float) -> None:
        """Kill the coordinator, and start it again."""
        if self.serving is not None:
            self.serving.program.kill()
            self.serving = None
            self.crashes += 1
            self._spawn(self._start_again(after_s))

    async def _start_again(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        while True:
            with contextlib.suppress(JournalError):  # its supervisor starts it until it stays
                await self.start_coordinator()
                return
            await asyncio.sleep(_AGAIN_S)

    def _order(self, command: OrderRelay) -> None:
        """Give an order as an operator would: again, until it is taken or refused by a rule."""
        self._spawn(self._give(command))

    async def _give(self, command: OrderRelay) -> None:
        while True:
            serving = self.serving
            if serving is not None:
                task = serving.program.start(serving.coordinator.execute(command, "user:simulation"))
                await asyncio.wait([task])
                error = None if task.cancelled() else task.exception()
                if isinstance(error, RejectedError):
                    self.orders_refused.append(f"{command.relay_id} {command.mode}: {error.code}")
                if not task.cancelled() and not isinstance(error, JournalError):
                    return
            await asyncio.sleep(_AGAIN_S)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- the day ----

    async def go_through(self) -> Report:
        """Let the day pass."""
        loop = asyncio.get_running_loop()
        loop.set_task_factory(make_task)
        loop.set_exception_handler(self._note_fault)
        scenario = self.scenario
        serving = await self.start_coordinator()
        for command in (
            ImportUnits(units=self.units),
            ImportHalls(halls=self.halls),
            CreateConference(conference_id=CONFERENCE, title=scenario.title or "Mô phỏng", feeds=[FEED]),
            ChangePhase(conference_id=CONFERENCE, phase="open"),
            ChangePhase(conference_id=CONFERENCE, phase="live"),
        ):
            await serving.coordinator.execute(command, "user:simulation")
        self.relays.start_all()
        for happening in scenario.happenings:
            self.happenings.plan(happening)
        self._plan_arrivals()
        points = [point async for point in self._sample()]
        if self._faults:
            raise self._faults[0]  # a fault of the model's own makes every figure worthless
        return await self._conclude(points)

    def _note_fault(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        fault = context.get("exception")
        self._faults.append(fault if isinstance(fault, BaseException) else RuntimeError(str(context.get("message"))))

    def _plan_arrivals(self) -> None:
        hall_ids = sorted(self.regions)
        self._rng.shuffle(hall_ids)
        moments = arrivals(len(hall_ids), self.scenario.arrival_s, self.scenario.seed)
        loop = asyncio.get_running_loop()
        for hall_id, moment_s in zip(hall_ids, moments, strict=True):
            loop.call_at(self.scenario.arrival_begins_s + moment_s, self.model_halls.arrive, hall_id)

    async def _sample(self) -> AsyncIterator[Point]:
        loop = asyncio.get_running_loop()
        at_s = 0.0
        joined = 0
        while at_s < self.scenario.duration_s:
            at_s = min(at_s + self.scenario.sample_s, self.scenario.duration_s)
            await asyncio.sleep(at_s - loop.time())
            so_far = self.auditor.joins.total()
            total = self.auditor.state.rollups[CONFERENCE].total()
            seen = total.real.connection + total.virtual.connection
            used = [load.utilisation for load in self.auditor.loads() if load.role == "edge"]
            yield Point(
                at_s=at_s,
                waiting=seen.waiting,
                present=seen.present_now,
                lost=seen.lost,
                seeing=self.pictures.seeing,
                joined=so_far - joined,
                load_max=round(max(used, default=0.0), 4),
                load_mean=round(sum(used) / len(used), 4) if used else 0.0,
            )
            joined = so_far

    async def _conclude(self, points: list[Point]) -> Report:
        """Let what is under way become durable, then look at what stands."""
        coordinator_print = ""
        serving = self.serving
        if serving is not None:
            with contextlib.suppress(JournalError):
                await serving.coordinator.settled()
                coordinator_print = fingerprint(serving.coordinator.state)
        return make_report(self, points, coordinator_print)


def make_world(scenario: Scenario) -> World:
    """The world of a scenario: Việt Nam's units, synthetic halls, and relays by the planner's rule.

    Raises:
        PlanInputError: there are no relays that could carry the halls.
    """
    units = load_vietnam_units()
    halls = synthetic_halls(units, scenario.halls, scenario.seed)
    made_up = MadeUpRelays(
        count=scenario.relays.count,
        origins=scenario.relays.origins,
        capacity=scenario.relays.capacity.as_message(),
    )
    spots = made_up.spots(regions_of(halls, units), scenario.placement.as_policy())
    return World(scenario, units, halls, spots)
