"""The gateway as a program: puts its parts together, serves until it is told to stop, and stops in order."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Sequence

import aiohttp
import msgspec
import uvloop
from aiohttp import web

from conference.access import ApiClaims, KeyRing
from conference.api.routing import HallServices
from conference.api.server import build_hall_app
from conference.checkin.desk import CheckinDesk
from conference.errors import StaleEpochError
from conference.events import partition_of
from conference.front.attendance import AttendanceWriter
from conference.front.config import GatewayConfig
from conference.front.desk import FrontDesk
from conference.front.following import Following
from conference.front.leader_link import LeaderLink
from conference.front.messages import Hello
from conference.journal.contract import Entry
from conference.journal.opening import open_redis
from conference.people.opening import open_people
from conference.people.reading import Reading
from conference.readiness.payload import PrecheckPayload
from conference.serving import SHUTDOWN_TIMEOUT_S, listen, own_url, tell_ready, until_told, version
from configs.loading import ConfigError, Mistake
from configs.turn import TurnCredentials
from monitoring.health import Health
from monitoring.log_config import get_logger
from monitoring.metrics import GatewayMetrics, Registry

# The token that opens the leader's door is made for each connection and read at once.
_TOKEN_S = 60


class RunningGateway(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway that serves.

    Attributes:
        url: where it listens.
        following: has the state.
        attendance: writes its partition.
    """

    url: str
    following: Following
    attendance: AttendanceWriter


def run_gateway(config: GatewayConfig) -> None:
    """Run a gateway until SIGTERM or SIGINT; prints one line with its address when it takes requests.

    Raises:
        ConfigError: a file that the configuration names cannot be read.
        ConferenceError: the key cannot be used, the address is taken, or another process has this gateway's name.
    """
    uvloop.run(until_told(_serve_until_told(config)))


async def _serve_until_told(config: GatewayConfig) -> None:
    log = get_logger("conference.front.app")
    async with serve_gateway(config) as running:
        tell_ready("gateway", running.url)
        try:
            await running.attendance.deposed.wait()
        except asyncio.CancelledError:
            log.info("gateway stops")
            return
    raise StaleEpochError(f"another process runs as {config.gateway_id}: each gateway has a name of its own")


@contextlib.asynccontextmanager
async def serve_gateway(config: GatewayConfig) -> AsyncIterator[RunningGateway]:
    """Serve a gateway inside the block; on leaving it, everything that it acknowledged is durable.

    Raises:
        ConfigError: a secret or a certificate cannot be read.
        ConferenceError: the key cannot be used, or the address is taken.
    """
    async with contextlib.AsyncExitStack() as stack:
        registry = Registry("gateway", version())
        metrics = GatewayMetrics(registry)
        health = Health("gateway")
        keys = KeyRing.load(config.key_file)
        turn = TurnCredentials.load(config.turn)
        journal = open_redis(config.journal)
        stack.push_async_callback(journal.close)
        partition = open_redis(config.journal, partition_of(config.gateway_id))
        stack.push_async_callback(partition.close)

        def observe_append(seconds: float, entries: Sequence[Entry]) -> None:
            metrics.journal_append_seconds.observe(seconds)
            metrics.journal_events_total.inc(len(entries))

        def sign() -> str:
            expiry_s = int(time.time()) + _TOKEN_S
            return keys.issue_api_token(ApiClaims(sub=config.gateway_id, role="gateway", exp=expiry_s))

        attendance = AttendanceWriter(
            partition,
            lease_s=config.journal.lease_s,
            observe_append=observe_append,
            observe_failure=lambda code: metrics.journal_failures_total.labels(code=code).inc(),
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        address: list[str] = []

        def hello() -> Hello:
            url = own_url(config.own_url, config.host, address[0])
            return Hello(gateway_id=config.gateway_id, metrics_url=f"{url}/metrics" if url else "")

        leader = LeaderLink(session, hello, sign, wait_s=config.leader_wait_s, tls=_trust(config))
        following = Following(journal, leader.handle_writer)
        people = open_people(config.journal, config.key_file.parent)
        stack.push_async_callback(people.close)
        front_desk = FrontDesk(following, leader, attendance)
        checkins = CheckinDesk(front_desk, keys, lambda result: metrics.checkins_total.labels(result=result).inc())
        services = HallServices(
            decider=front_desk,
            reading=Reading(people, front_desk),
            checkins=checkins,
            avoid=frozenset,  # the leader knows, and decides
            keys=keys,
            relay_token_s=config.relay_token_s,
            metrics=metrics,
            turn=turn,
            thresholds=config.readiness.as_thresholds(),
            payload=PrecheckPayload(config.readiness.downloads_per_s),
        )
        health.add_check("state", lambda: None if following.is_ready else "the journal is not readable")
        health.add_check("partition", lambda: None if attendance.is_held else "another process holds the partition")
        metrics.feed(
            leader_connected=lambda: float(leader.is_connected),
            partition_held=lambda: float(attendance.is_held),
            state_ready=lambda: float(following.is_ready),
        )
        parts = (following, attendance, leader)
        for part in parts:
            stack.push_async_callback(part.stop)
        stack.push_async_callback(checkins.stop)
        runner = web.AppRunner(
            build_hall_app(services, config.rate_limits, health, registry),
            access_log=None,
            shutdown_timeout=SHUTDOWN_TIMEOUT_S,
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        address.append(await listen(runner, config.host, config.port, config.tls))
        for part in parts:
            part.start()
        yield RunningGateway(url=address[0], following=following, attendance=attendance)


def _trust(config: GatewayConfig) -> ssl.SSLContext | None:
    if config.leader_ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(config.leader_ca_file))
    except (OSError, ssl.SSLError) as error:
        mistake = Mistake("leader_ca_file", str(config.leader_ca_file), f"certificates in PEM: {error}")
        raise ConfigError("gateway", [mistake]) from error
