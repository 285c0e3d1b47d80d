"""The coordinator as a program: puts its parts together, serves until it is told to stop, and stops in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec
import uvloop
from aiohttp import web

from conference.access import KeyRing
from conference.admission import Admission
from conference.api.finding import HallFinder
from conference.api.routing import Services
from conference.api.server import build_app
from conference.checkin.desk import CheckinDesk
from conference.config import CoordinatorConfig
from conference.coordinator import Coordinator
from conference.errors import JournalError, StaleEpochError
from conference.events import HallAssigned, HallsImported, stream_of
from conference.forwarding import ForwardingDoor
from conference.gateway import Gateway
from conference.journal.contract import Entry
from conference.journal.opening import open_journal
from conference.live import LiveBoard
from conference.partitions import PartitionFollower
from conference.people.erasing import Erasing
from conference.people.opening import open_people
from conference.people.reading import Reading
from conference.people.rostering import Rostering
from conference.readiness.payload import PrecheckPayload
from conference.relay_desk import RelayDesk
from conference.reporting.making import ReportMaker
from conference.serving import SHUTDOWN_TIMEOUT_S, listen, own_url, tell_ready, until_told, version
from conference.state_lock import hold
from conference.suspecting import Suspecting
from configs.turn import TurnCredentials
from monitoring.health import Health
from monitoring.log_config import get_logger
from monitoring.metrics import CoordinatorMetrics, Registry

# Halls and seats; what else is alive at that moment and becomes a cycle later is never freed, some 100 kB each time.
FROZEN_AT_ONCE = 5_000


class RunningCoordinator(msgspec.Struct, frozen=True, kw_only=True):
    """A coordinator that serves.

    Attributes:
        url: where it listens.
        services: its parts.
    """

    url: str
    services: Services


def run_coordinator(config: CoordinatorConfig) -> None:
    """Run a coordinator until SIGTERM or SIGINT; prints one line with its address when it is ready.

    Raises:
        ConfigError: a file that the configuration names cannot be read.
        ConferenceError: the state directory, the key or the journal cannot be used, the address is taken, or another
            coordinator took over.
    """
    uvloop.run(until_told(_serve_until_told(config)))


async def _serve_until_told(config: CoordinatorConfig) -> None:
    log = get_logger("conference.app")
    async with serve_coordinator(config) as running:
        tell_ready("coordinator", running.url)
        _spare_the_search(running.services.coordinator)
        log.info("coordinator ready", url=running.url, epoch=running.services.coordinator.epoch)
        try:
            await running.services.coordinator.deposed.wait()
        except asyncio.CancelledError:
            log.info("coordinator stops")
            return
    # Its relays and halls must turn to the successor, and it must begin anew to stand by: whoever started it does that.
    raise StaleEpochError("another coordinator took over; start this one again to stand by")


def _spare_the_search(coordinator: Coordinator) -> None:
    """Keep the collector from going through the whole state each time that it has grown by a quarter.

    A pass over 40,000 halls stops the loop for 65 ms, in the middle of their storm. What was folded stays, so it is
    taken out of the search as it comes; how often is bounded by the number of halls and of their seats.
    """
    fresh = 0

    def count(entries: Sequence[Entry]) -> None:
        nonlocal fresh
        for entry in entries:
            match entry.event:
                case HallAssigned(epoch=1):
                    fresh += 1
                case HallsImported(halls=halls):
                    fresh += len(halls)
        if fresh >= FROZEN_AT_ONCE:
            fresh = 0
            gc.collect(1)
            gc.freeze()

    coordinator.subscribe(count)


@contextlib.asynccontextmanager
async def serve_coordinator(config: CoordinatorConfig) -> AsyncIterator[RunningCoordinator]:
    """Serve a coordinator inside the block; on leaving it, everything is durable and closed.

    The port is open from the start so that `/healthz` and `/readyz` answer while the journal is folded.

    Raises:
        ConfigError: the TURN servers' secret cannot be read.
        ConferenceError: the state directory, the key or the journal cannot be used, or the address is taken.
    """
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(hold(config.state_dir))
        registry = Registry("coordinator", version())
        metrics = CoordinatorMetrics(registry)
        health = Health("coordinator", ["journal"])
        keys = KeyRing.load_or_create(config.key_path)
        turn = TurnCredentials.load(config.turn)
        admission = Admission(per_s=config.admission.per_s, burst=config.admission.burst)
        journal = open_journal(config)

        def observe_command(command: str, result: str) -> None:
            metrics.commands_total.labels(command=command, result=result).inc()

        coordinator = Coordinator(
            journal,
            config.placement.as_policy(),
            snapshot_every=config.snapshot_every,
            admission=admission,
            lease_s=config.journal.lease_s,
            observe_append=_append_observer(metrics),
            observe_failure=lambda code: metrics.journal_failures_total.labels(code=code).inc(),
            observe_command=observe_command,
        )
        count_malformed = metrics.malformed_total.labels(source="relay").inc
        desk = RelayDesk(coordinator, keys, config, monotonic_s=time.monotonic, count_malformed=count_malformed)
        gateway = Gateway(desk, ping_s=config.lease_s, count_malformed=count_malformed)
        forwarding = ForwardingDoor(
            coordinator,
            lambda: desk.avoid,
            observe_command=observe_command,
            observe_move=lambda interruption_ms: metrics.rehome_interruption_seconds.observe(interruption_ms / 1000),
            count_malformed=metrics.malformed_total.labels(source="gateway").inc,
        )
        live = LiveBoard(coordinator, desk.sessions)
        address: list[str] = []
        partitions = PartitionFollower(coordinator, journal, lambda: own_url(config.own_url, config.host, address[0]))
        people = open_people(config.journal, config.state_dir)
        stack.push_async_callback(people.close)
        checkins = CheckinDesk(coordinator, keys, lambda result: metrics.checkins_total.labels(result=result).inc())
        services = Services(
            decider=coordinator,
            people=people,
            reading=Reading(people, coordinator),
            rostering=Rostering(people, coordinator),
            erasing=Erasing(people, coordinator),
            avoid=lambda: desk.avoid,
            relay_token_s=config.tokens.relay_s,
            coordinator=coordinator,
            desk=desk,
            gateway=gateway,
            forwarding=forwarding,
            keys=keys,
            config=config,
            live=live,
            finder=HallFinder(),
            metrics=metrics,
            turn=turn,
            checkins=checkins,
            thresholds=config.readiness.as_thresholds(),
            payload=PrecheckPayload(config.readiness.downloads_per_s),
            public_url=lambda: config.public_url or address[0],
            reports=ReportMaker(keys),
        )
        health.add_check("state", lambda: None if coordinator.is_ready else "the journal is not readable or writable")
        _feed_gauges(metrics, coordinator, admission)
        _feed_orders(metrics, coordinator)
        metrics.feed(gateways=lambda: float(len(forwarding.gateways)))
        runner = web.AppRunner(
            build_app(services, health, registry), access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S
        )
        await runner.setup()
        stack.push_async_callback(checkins.stop)
        stack.push_async_callback(runner.cleanup)
        address.append(await listen(runner, config.host, config.port, config.tls))
        stack.push_async_callback(coordinator.stop)
        await coordinator.start()
        # Torn down in the reverse order: relays and viewers are sent away first, then what they said is made durable.
        stack.push_async_callback(gateway.stop)
        desk.start()
        stack.push_async_callback(desk.stop)
        suspecting = Suspecting(coordinator, lambda: desk.avoid)
        suspecting.start()
        stack.push_async_callback(suspecting.stop)
        live.start()
        stack.push_async_callback(live.stop)
        partitions.start()
        stack.push_async_callback(partitions.stop)
        stack.push_async_callback(forwarding.stop)
        health.met("journal")
        yield RunningCoordinator(url=address[0], services=services)
        health.unmet("journal", "stopping")


def _append_observer(metrics: CoordinatorMetrics) -> Callable[[float, Sequence[Entry]], None]:
    def observe(seconds: float, entries: Sequence[Entry]) -> None:
        metrics.journal_append_seconds.observe(seconds)
        for entry in entries:
            metrics.journal_events_total.labels(stream=stream_of(entry.event)).inc()
            if isinstance(entry.event, HallAssigned):
                metrics.assignments_total.labels(reason=entry.event.reason).inc()

    return observe


def _feed_gauges(metrics: CoordinatorMetrics, coordinator: Coordinator, admission: Admission) -> None:
    """Relays and halls by status, counted when they are scraped."""

    def relays() -> dict[tuple[str, ...], float]:
        found: dict[tuple[str, ...], float] = {}
        with contextlib.suppress(JournalError):
            for relay in coordinator.state.relays.values():
                key = (relay.status, str(relay.virtual).lower())
                found[key] = found.get(key, 0) + 1
        return found

    def suspected() -> float:
        with contextlib.suppress(JournalError):
            return sum(suspicion.is_active for suspicion in coordinator.state.suspicions.values())
        return 0

    def halls() -> dict[tuple[str, ...], float]:
        found: dict[tuple[str, ...], float] = {}
        with contextlib.suppress(JournalError):
            state = coordinator.state
            for conference in state.conferences.values():
                if not conference.joinable:
                    continue
                total = state.rollups[conference.conference_id].total()
                for virtual, figures in (("false", total.real), ("true", total.virtual)):
                    seen = figures.connection
                    standings = {"waiting": seen.waiting, "present": seen.present_now, "lost": seen.lost}
                    for status, count in {**standings, "left": seen.left}.items():
                        found[status, virtual] = found.get((status, virtual), 0) + count
        return found

    metrics.feed(
        relays=relays,
        relays_suspected=suspected,
        halls=halls,
        leading=lambda: float(coordinator.is_ready),
        admission_waiting=lambda: float(admission.waiting),
    )


def _feed_orders(metrics: CoordinatorMetrics, coordinator: Coordinator) -> None:
    """How relays are to serve, and halls that are still to move."""

    def modes() -> dict[tuple[str, ...], float]:
        found: dict[tuple[str, ...], float] = {}
        with contextlib.suppress(JournalError):
            for virtual, pool in coordinator.state.ledger.pools.items():
                for load in pool.loads:
                    key = (load.mode, str(virtual).lower())
                    found[key] = found.get(key, 0) + 1
        return found

    def moves() -> dict[str, float]:
        with contextlib.suppress(JournalError):
            ledger = coordinator.state.ledger
            return {"waiting": len(ledger.misplaced), "leaving": len(ledger.leaving)}
        return {}

    metrics.feed(relay_modes=modes, halls_to_move=moves)
