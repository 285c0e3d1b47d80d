"""The modelled relays: `relay.virtual` over a wire of the simulation, with a feed that can fail."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator

from conference.planning.inputs import Spot
from conference.simulation.control_wire import ControlWires
from conference.simulation.feed import Feed
from conference.simulation.programs import Program
from relay.messages import Capacity, CoordinatorMessage, Notify, RelayRole, Topology
from relay.net.control import ControlLink
from relay.virtual import VirtualRelay

_REGISTER_WITHIN_S = 2.0


class _Process(VirtualRelay):
    """One start of a relay: a virtual relay that also hears its place in the tree, and tells halls on standby too."""

    def __init__(
        self,
        spot: Spot,
        *,
        instance_id: str,
        clock_ms: Callable[[], int],
        on_place: Callable[[str, list[str]], None],
        on_notified: Callable[[list[str]], None],
    ) -> None:
        super().__init__(
            spot.relay_id,
            region=spot.region,
            role=spot.role,
            capacity=spot.capacity,
            on_notified=on_notified,
            on_ended=lambda _conference: None,
            instance_id=instance_id,
            clock_ms=clock_ms,
        )
        self._on_place = on_place
        self._tell = on_notified

    def handle_message(self, message: CoordinatorMessage) -> None:
        """Pass on what the model acts upon."""
        match message:
            case Topology(parents=parents):
                self._on_place(self.relay_id, [parent.relay_id for parent in parents])
            case Notify(subjects=subjects):
                self._tell(subjects)
            case _:
                super().handle_message(message)


class ModelRelay:
    """One relay through all of its starts.

    Attributes:
        spot: where it stands and what it carries.
        instance: number of its present start; sessions of an earlier one are gone.
        runs: its process is there.
        refuses: its machine is there without its process, and says so to whoever knocks.
        playing_milliseats: what the halls take that it really sends to.
    """

    def __init__(self, spot: Spot) -> None:
        self.spot = spot
        self.instance = 0
        self.runs = False
        self.refuses = True
        self.playing_milliseats = 0
        self.process: _Process | None = None
        self.program: Program | None = None


class ModelRelays:
    """All of them.

    Args:
        spots: the relays.
        wires: their way to the coordinator.
        feed: whether they have the programme.
        rng: jitter.
        clock_ms: milliseconds since the epoch.

    Attributes:
        on_notified: called with the relay and the halls that it was asked to tell.
    """

    def __init__(
        self, spots: Iterable[Spot], wires: ControlWires, feed: Feed, rng: random.Random, clock_ms: Callable[[], int]
    ) -> None:
        self._wires = wires
        self._feed = feed
        self._rng = rng
        self._clock_ms = clock_ms
        self._relays = {spot.relay_id: ModelRelay(spot) for spot in spots}
        self.on_notified: Callable[[str, list[str]], None] = lambda _relay_id, _subjects: None
        for relay in self._relays.values():
            feed.add(relay.spot.relay_id, relay.spot.region, relay.spot.role)

    def __getitem__(self, relay_id: str) -> ModelRelay:
        return self._relays[relay_id]

    def __iter__(self) -> Iterator[ModelRelay]:
        return iter(self._relays.values())

    def start_all(self) -> None:
        """Start every relay within two seconds."""
        loop = asyncio.get_running_loop()
        for relay_id in self._relays:
            loop.call_later(self._rng.uniform(0, _REGISTER_WITHIN_S), self.start, relay_id)

    def start(self, relay_id: str) -> None:
        """Start a relay that does not run."""
        relay = self._relays[relay_id]
        if relay.runs:
            return
        relay.instance += 1
        relay.runs, relay.refuses = True, False
        process = _Process(
            relay.spot,
            instance_id=f"{relay_id}.{relay.instance}",
            clock_ms=self._clock_ms,
            on_place=self._feed.handle_place,
            on_notified=lambda subjects: self.on_notified(relay_id, subjects),
        )
        open_control = self._wires.to(relay_id, relay.spot.region)
        process.link = ControlLink(open_control, process, process.outbox, rng=self._rng)
        relay.process, relay.program = process, Program()
        relay.program.start(process.link.run())
        self._feed.start(relay_id)

    def stop(self, relay_id: str, *, unplugged: bool) -> None:
        """End a relay: its process alone, or the machine with it, of which nobody hears."""
        relay = self._relays[relay_id]
        if not relay.runs or relay.program is None:
            return
        relay.runs, relay.refuses = False, not unplugged
        if unplugged:
            self._wires.break_off(relay_id)
        relay.program.kill()
        relay.process = relay.program = None
        relay.playing_milliseats = 0
        self._feed.stop(relay_id)

    def capacity(self, relay_id: str) -> Capacity:
        """What a relay carries."""
        return self._relays[relay_id].spot.capacity

    def names(self, role: RelayRole) -> list[str]:
        """Relays of a role, ascending."""
        return sorted(relay.spot.relay_id for relay in self if relay.spot.role == role)
