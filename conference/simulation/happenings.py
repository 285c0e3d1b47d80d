"""What happens on the day, carried out upon the modelled world at its moment."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import assert_never

from conference.commands import OrderRelay
from conference.errors import ConferenceError
from conference.simulation.feed import Feed
from conference.simulation.halls import ModelHalls
from conference.simulation.lines import Lines
from conference.simulation.pictures import Pictures
from conference.simulation.relays import ModelRelays
from conference.simulation.scenario import (
    CoordinatorCrash,
    Drain,
    FlappingHall,
    Happening,
    RegionBack,
    RegionCut,
    RelayCrash,
    RelayHang,
    SlowStore,
    SourceSilent,
    StoreDown,
)
from conference.simulation.store import ModelStore

_RESTART_S = 2.0


class ScenarioError(ConferenceError):
    """A happening names something that this country does not have."""

    code = "scenario"
    status = 422


class Happenings:
    """Carries out the list of a scenario.

    Args:
        relays: befallen.
        feed: befallen.
        halls: befallen.
        lines: befallen.
        store: befallen.
        pictures: told what happened last.
        restart: kills the coordinator and starts it again after so many seconds.
        order: gives the coordinator an operator's order.
        clock_ms: milliseconds since the epoch.
        rng: draws who is befallen.

    Attributes:
        wrong: relays with which something is wrong, or was when their halls were last seen: halls may leave them.
        flapping: halls whose own line comes and goes.
    """

    def __init__(
        self,
        *,
        relays: ModelRelays,
        feed: Feed,
        halls: ModelHalls,
        lines: Lines,
        store: ModelStore,
        pictures: Pictures,
        restart: Callable[[float], None],
        order: Callable[[OrderRelay], None],
        clock_ms: Callable[[], int],
        rng: random.Random,
    ) -> None:
        self._relays = relays
        self._feed = feed
        self._halls = halls
        self._lines = lines
        self._store = store
        self._pictures = pictures
        self._restart = restart
        self._order = order
        self._clock_ms = clock_ms
        self._rng = rng
        self._append_s = store.append_s
        self.wrong: set[str] = set()
        self.flapping: set[str] = set()

    def plan(self, happening: Happening) -> None:
        """Have it happen at its moment.

        Raises:
            ScenarioError: it names something that is not there.
        """
        work = self._work_of(happening)
        named = f"{happening.at_s:g}s {happening.kind}"

        def happen() -> None:
            self._pictures.cause = named
            work()

        asyncio.get_running_loop().call_at(happening.at_s, happen)

    def _work_of(self, happening: Happening) -> Callable[[], None]:  # noqa: C901 one case for each kind
        match happening:
            case RelayCrash():
                return partial(self._crash, happening, self._chosen(happening))
            case RelayHang():
                return partial(self._hang, happening, self._chosen(happening))
            case Drain():
                return partial(self._drain, happening, self._chosen(happening))
            case RegionCut(region=region):
                self._check_region(region)
                return partial(self._cut, happening)
            case RegionBack(region=region):
                self._check_region(region)
                return partial(self._lines.mend, region)
            case FlappingHall():
                chosen = self._rng.sample(sorted(hall.hall_id for hall in self._halls), self._count(happening))
                return partial(self._flap, happening, chosen)
            case SlowStore():
                return partial(self._slow_down, happening)
            case StoreDown():
                return partial(self._take_store_down, happening)
            case CoordinatorCrash():
                return partial(self._restart, happening.back_after_s)
            case SourceSilent():
                return partial(self._silence, happening)
            case _:
                assert_never(happening)

    def _count(self, happening: FlappingHall) -> int:
        if happening.halls > len(self._halls):
            raise ScenarioError("flapping_hall", f"there are only {len(self._halls)} halls")
        return happening.halls

    def _chosen(self, happening: RelayCrash | RelayHang | Drain) -> list[str]:
        known = {relay.spot.relay_id: relay.spot for relay in self._relays}
        if happening.relays:
            strange = [relay_id for relay_id in happening.relays if relay_id not in known]
            if strange:
                raise ScenarioError(
                    happening.kind, f"no relay {strange[0]!r}; there are {', '.join(sorted(known)[:8])}"
                )
            return list(happening.relays)
        fitting = [
            relay_id
            for relay_id, spot in sorted(known.items())
            if spot.role == happening.role and happening.region in (None, spot.region)
        ]
        if len(fitting) < happening.count:
            raise ScenarioError(happening.kind, f"only {len(fitting)} relays of that role and region")
        return self._rng.sample(fitting, happening.count)

    def _check_region(self, region: str) -> None:
        if not region or all(hall.region != region for hall in self._halls):
            raise ScenarioError("region", f"no halls in region {region!r}")

    # ---- the happenings ----

    def _later(self, after_s: float, what: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(after_s, what)

    def _crash(self, happening: RelayCrash, relay_ids: list[str]) -> None:
        for relay_id in relay_ids:
            self.wrong.add(relay_id)
            if happening.unplugged:
                self._relays.stop(relay_id, unplugged=True)
            else:
                self._stop_process(relay_id)
            if happening.back_after_s is not None:
                self._later(happening.back_after_s, partial(self._relays.start, relay_id))

    def _hang(self, happening: RelayHang, relay_ids: list[str]) -> None:
        for relay_id in relay_ids:
            self.wrong.add(relay_id)
            self._feed.hang(relay_id, hangs=True)
            self._later(happening.for_s, partial(self._feed.hang, relay_id, hangs=False))

    def _drain(self, happening: Drain, relay_ids: list[str]) -> None:
        for number, relay_id in enumerate(relay_ids):
            self._later(number * happening.every_s, partial(self._drain_one, happening, relay_id))

    def _drain_one(self, happening: Drain, relay_id: str) -> None:
        self.wrong.add(relay_id)
        deadline_ms = 0 if happening.deadline_s is None else self._clock_ms() + int(happening.deadline_s * 1_000)
        self._order(OrderRelay(relay_id=relay_id, mode="draining", deadline_ms=deadline_ms, reason="mô phỏng"))
        if happening.restart:
            self._later(happening.for_s - _RESTART_S, partial(self._stop_process, relay_id))
            self._later(happening.for_s, partial(self._relays.start, relay_id))
        opened = OrderRelay(relay_id=relay_id, mode="open", reason="mô phỏng")
        self._later(happening.for_s + _RESTART_S, partial(self._order, opened))

    def _stop_process(self, relay_id: str) -> None:
        self._halls.handle_refusing(relay_id)
        self._relays.stop(relay_id, unplugged=False)

    def _cut(self, happening: RegionCut) -> None:
        region = happening.region
        self.wrong |= {relay.spot.relay_id for relay in self._relays if relay.spot.region == region}
        self._lines.cut(region)
        if happening.for_s is not None:
            self._later(happening.for_s, partial(self._lines.mend, region))

    def _flap(self, happening: FlappingHall, hall_ids: list[str]) -> None:
        self.flapping |= set(hall_ids)
        until_s = asyncio.get_running_loop().time() + happening.for_s
        for hall_id in hall_ids:
            self._later(self._rng.uniform(0, happening.every_s), partial(self._drop_line, hall_id, happening, until_s))

    def _drop_line(self, hall_id: str, happening: FlappingHall, until_s: float) -> None:
        if asyncio.get_running_loop().time() < until_s:
            self._halls.set_line(hall_id, is_up=False)
            self._later(happening.down_s, partial(self._halls.set_line, hall_id, is_up=True))
            self._later(happening.every_s, partial(self._drop_line, hall_id, happening, until_s))

    def _slow_down(self, happening: SlowStore) -> None:
        self._store.append_s = happening.append_ms / 1_000

        def recover() -> None:
            self._store.append_s = self._append_s

        self._later(happening.for_s, recover)

    def _take_store_down(self, happening: StoreDown) -> None:
        self._store.go_down()
        self._later(happening.for_s, self._store.come_back)

    def _silence(self, happening: SourceSilent) -> None:
        self._feed.handle_source(speaks=False)
        self._later(happening.for_s, partial(self._feed.handle_source, speaks=True))
