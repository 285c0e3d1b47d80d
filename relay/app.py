"""The composition root of a relay process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import random
import secrets
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import structlog
import uvloop
from aiohttp import web

from configs.listening import http_site
from configs.loading import read_secret
from configs.tls import is_loopback
from configs.turn import TurnCredentials
from monitoring.health import Health, routes
from monitoring.log_config import configure_logging
from monitoring.metrics import Registry, RelayMetrics
from relay.config import RelayConfig
from relay.core.dtls import Certificate, DtlsContext
from relay.core.feed import FeedKey
from relay.core.presence_outbox import PresenceOutbox
from relay.core.router import Router
from relay.fanout.choose import choose_fan_out
from relay.messages import (
    CloseConference,
    CoordinatorMessage,
    FeedStatus,
    Heartbeat,
    Notify,
    Register,
    Registered,
    Topology,
)
from relay.net.control import ControlLink, websocket_to
from relay.net.door import middleware
from relay.net.endpoints import Endpoints, announce
from relay.net.sessions import Sessions
from relay.net.udp import UdpSocket
from relay.net.upstream import Upstream
from relay.wire.sdp_parser import MAX_CHARACTERS

LIVE_S = 1.0  # a feed is live when media arrived within so long
SHUTDOWN_S = 3.0
# A thread of the fan-out needs the interpreter for microseconds between bursts. A busy event loop would give it away
# after 5 ms, Python's default: too late for 400 bursts a second.
SWITCH_INTERVAL_S = 0.0005

log = structlog.get_logger(__name__)


class Relay:
    """One relay: its sessions, its parents and its coordinator. Made, started and closed inside one event loop."""

    def __init__(self, config: RelayConfig, client: aiohttp.ClientSession) -> None:
        """Compose the parts and bind the UDP port.

        Raises:
            OSError: the UDP port cannot be bound, or a key file cannot be read.
            ConfigError: the TURN servers' secret cannot be read.
        """
        self._config = config
        self._client = client
        self._rng = random.SystemRandom()
        self._own_keys = [Path(path).read_text(encoding="ascii") for path in config.public_key_files]
        self._coordinator_keys: list[str] = []
        self._instance_id = secrets.token_hex(8)
        certificate = Certificate.generate(time.time())
        self._context = DtlsContext(certificate)
        self._fingerprint = certificate.fingerprint
        # The table of sessions comes later: the fan-out below it sends on this socket.
        self.socket = UdpSocket(config.media.host, config.media.port, self._handle_datagrams)
        self._fanout = choose_fan_out(self.socket.sock, kind=config.fanout, threads=config.fanout_threads)
        self._router = Router(
            self._fanout, publisher_bitrate_bps=config.publisher_bitrate_bps, hold_s=config.hold_ms / 1000
        )
        self._outbox = PresenceOutbox()
        self.sessions = Sessions(
            self._router,
            self._fanout,
            self._outbox,
            clock=time.monotonic,
            wall_clock=time.time,
        )
        self.sessions.on_timers_changed = self._timers_changed
        self.sessions.on_handshakes_waiting = self._handshakes_waiting
        self._endpoints = Endpoints(
            self.sessions,
            self.socket,
            role=config.role,
            context=self._context,
            fingerprint=self._fingerprint,
            candidates=announce(config.media.announced(self.socket.port)),
            turn=TurnCredentials.load(config.turn),
            public_keys=lambda: [*self._coordinator_keys, *self._own_keys],
            max_sessions=config.max_sessions,
            clock=time.monotonic,
            wall_clock=time.time,
        )
        self._upstreams: dict[FeedKey, tuple[Upstream, asyncio.Task[None]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_s = 0.0
        self._control: ControlLink | None = None
        self._control_task: asyncio.Task[None] | None = None
        self._public_url = config.public_url
        self._malformed_control = 0
        self.health = Health("relay")
        self.registry = Registry("relay")
        self._feed_metrics(RelayMetrics(self.registry))

    def application(self) -> web.Application:
        """The HTTP application: WHIP, WHEP, health and metrics."""
        app = web.Application(middlewares=[middleware(self._count_malformed)], client_max_size=MAX_CHARACTERS)
        app.add_routes(self._endpoints.routes())
        app.add_routes(routes(self.health, self.registry))
        return app

    def start(self, http_port: int) -> None:
        """Begin to hear and to register; `http_port` is where the application is served."""
        loop = asyncio.get_running_loop()
        http = self._config.http
        scheme, host = "https" if http.tls else "http", f"[{http.host}]" if ":" in http.host else http.host
        self._public_url = self._public_url or f"{scheme}://{host}:{http_port}"
        self.socket.start(loop)
        self._handle_timers()
        if self._config.coordinator is not None:
            self._control = ControlLink(
                websocket_to(
                    self._client, self._config.coordinator.url, read_secret(self._config.coordinator.token_file)
                ),
                self,
                self._outbox,
                rng=self._rng,
                on_malformed=lambda: self._count_malformed("control"),
            )
            self.health.add_check(
                "keys", lambda: None if self._coordinator_keys or self._own_keys else "not registered"
            )
            self._control_task = asyncio.create_task(self._control.run())

    async def close(self) -> None:
        """Say goodbye, close every session, and let go of the port."""
        self._endpoints.drain()
        if self._control is not None:
            await self._control.say_goodbye("shutdown")
            for session in self.sessions.all():
                if session.kind == "subscriber":
                    session.tell("assignment")
        for _, task in self._upstreams.values():
            task.cancel()
        if self._control_task is not None:
            self._control_task.cancel()
        tasks = [task for _, task in self._upstreams.values()] + ([self._control_task] if self._control_task else [])
        await asyncio.gather(*tasks, return_exceptions=True)
        for session in self.sessions.all():
            self.sessions.close(session, "shutdown")
        if self._timer is not None:
            self._timer.cancel()
        self._fanout.close()
        self.socket.close()

    # --- what the control connection speaks for ---------------------------------------------------------------------

    def register_message(self) -> Register:
        """See `relay.net.control.Controlled`."""
        return Register(
            relay_id=self._config.relay_id,
            instance_id=self._instance_id,
            region=self._config.region,
            role=self._config.role,
            virtual=False,
            base_url=self._public_url,
            metrics_url=f"{self._public_url}/metrics",
            capacity=self._config.capacity.as_message(),
            sessions=self._outbox.open_sessions(),
        )

    def heartbeat_message(self) -> Heartbeat:
        """See `relay.net.control.Controlled`."""
        now = time.monotonic()
        parents = [upstream.active_parent for upstream, _ in self._upstreams.values() if upstream.active_parent]
        return Heartbeat(
            at_ms=int(time.time() * 1000),
            sessions=self.sessions.count("subscriber"),
            packets_sent=self._fanout.totals().packets_sent,
            packets_received=self._router.totals.packets_received,
            feeds=[
                FeedStatus(
                    conference=feed.key[0],
                    feed=feed.key[1],
                    live=now - feed.last_packet_s() < LIVE_S,
                    subscribers=len(feed.subscribers),
                )
                for feed in self._router.feeds()
            ],
            parent=parents[0] if parents else "",
        )

    def handle_message(self, message: CoordinatorMessage) -> None:
        """See `relay.net.control.Controlled`."""
        match message:
            case Registered(public_keys=keys):
                self._coordinator_keys = list(keys)
            case Topology():
                self._follow(message)
            case Notify(subjects=subjects):
                for session in self.sessions.of_subjects(frozenset(subjects)):
                    session.tell("assignment")
            case CloseConference(conference=conference):
                for key in [key for key in self._upstreams if key[0] == conference]:
                    self._upstreams.pop(key)[1].cancel()
                self._endpoints.close_conference(conference)
            case _:
                log.warning("message ignored", kind=type(message).__name__)

    def _follow(self, topology: Topology) -> None:
        if not topology.parents:
            # The coordinator knows no live parent, which is no reason to let go of one that delivers.
            return
        pulls = {(pull.conference, pull.feed): pull for pull in topology.pulls}
        for key in [key for key in self._upstreams if key not in pulls]:
            self._upstreams.pop(key)[1].cancel()
        for key, pull in pulls.items():
            if key not in self._upstreams:
                upstream = Upstream(
                    key,
                    self.sessions,
                    self._client,
                    context=self._context,
                    fingerprint=self._fingerprint,
                    bind_host=self._config.media.host,
                    clock=time.monotonic,
                    rng=self._rng,
                    merges=self._config.merge_parents,
                )
                self._upstreams[key] = (upstream, asyncio.create_task(upstream.run()))
            self._upstreams[key][0].follow(topology.parents, pull)

    # --- timers and counters ------------------------------------------------------------------------------------------

    def _handle_datagrams(self, socket: UdpSocket, datagrams: list[bytes], address: tuple[str, int]) -> None:
        self.sessions.handle_datagrams(socket, datagrams, address)

    def _handshakes_waiting(self) -> None:
        """They are handled after what the loop has to do in this turn."""
        asyncio.get_running_loop().call_soon(self._handle_handshakes)

    def _handle_handshakes(self) -> None:
        try:
            self.sessions.handle_handshakes()
        finally:  # a bug of ours in one handshake must not keep the others waiting for ever
            if self.sessions.waiting_handshakes:
                self._handshakes_waiting()

    def _timers_changed(self) -> None:
        """A deadline may have come nearer; the loop's timer is moved only then."""
        deadline = self.sessions.next_deadline()
        if self._timer is not None and deadline < self._timer_due_s:
            self._timer.cancel()
            self._schedule(deadline)

    def _handle_timers(self) -> None:
        self._schedule(self.sessions.handle_timers())

    def _schedule(self, deadline: float) -> None:
        self._timer_due_s = deadline
        delay_s = max(0.0, deadline - time.monotonic())
        # The loop counts in whole milliseconds: rounded down, a timer would find nothing due, again and again.
        whole_ms = max(1, math.ceil(delay_s * 1000))
        self._timer = asyncio.get_running_loop().call_later(whole_ms / 1000, self._handle_timers)

    def _count_malformed(self, protocol: str) -> None:
        self.sessions.totals.malformed[protocol] += 1

    def _feed_metrics(self, metrics: RelayMetrics) -> None:
        sessions, router, fanout = self.sessions, self._router, self._fanout
        metrics.feed(
            packets_received_total=lambda: router.totals.packets_received,
            packets_sent_total=lambda: fanout.totals().packets_sent,
            bytes_sent_total=lambda: fanout.totals().bytes_sent,
            packets_dropped_total=lambda: fanout.totals().packets_dropped,
            malformed_total=lambda: sessions.totals.malformed,
            nacks_received_total=lambda: router.totals.nacks_received,
            packets_resent_total=lambda: router.totals.packets_resent,
            plis_received_total=lambda: router.totals.plis_received,
            plis_sent_total=lambda: router.totals.plis_sent,
            merge_mismatches_total=router.packets_unlike,
            subscribers=lambda: sessions.count("subscriber"),
            subscribers_by_layer=router.subscribers_by_layer,
            layer_switches_total=lambda: router.totals.layer_switches,
            publishers=lambda: sessions.count("publisher"),
            dtls_handshakes_total=lambda: sessions.totals.handshakes,
            stun_requests_total=lambda: sessions.totals.stun_requests,
            ice_restarts_total=lambda: sessions.totals.ice_restarts,
            sessions_closed_total=lambda: sessions.totals.closed,
            upstream_failovers_total=lambda: sum(upstream.failovers for upstream, _ in self._upstreams.values()),
            control_connected=lambda: int(self._control is not None and self._control.connected),
        )


async def serve(config: RelayConfig, stop: asyncio.Event, *, on_composed: Callable[[], None] = lambda: None) -> None:
    """Serve until `stop` is set; `on_composed` is called when everything is loaded, before anything is served.

    Raises:
        OSError: a port cannot be bound, or a file cannot be read.
    """
    async with aiohttp.ClientSession() as client:
        relay = Relay(config, client)
        tls = config.http.tls.server_context() if config.http.tls is not None else None
        if tls is None and not is_loopback(config.http.host):
            log.warning("plain HTTP beyond loopback: put a TLS proxy in front", host=config.http.host)
        runner = web.AppRunner(relay.application(), access_log=None, shutdown_timeout=SHUTDOWN_S)
        try:
            await runner.setup()
            on_composed()
            await http_site(runner, config.http.host, config.http.port, tls=tls).start()
            http_port = int(runner.addresses[0][1])
            relay.start(http_port)
            log.info("relay serves", relay_id=config.relay_id, http_port=http_port, media_port=relay.socket.port)
            await stop.wait()
        finally:
            await relay.close()
            await runner.cleanup()


async def _serve_until_signalled(config: RelayConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await serve(config, stop, on_composed=_keep_what_is_loaded)


def _keep_what_is_loaded() -> None:
    """Take what is there now out of garbage collection.

    The compiler of the fan-out leaves hundreds of thousands of objects. Looking through them would cost each full
    collection a tenth of a second, in which no media moves, and a storm of joins has several of them.
    """
    gc.collect()
    gc.freeze()


def run_relay(config: RelayConfig) -> None:
    """Run one relay until SIGTERM or SIGINT.

    Raises:
        OSError: a port cannot be bound, or a file cannot be read.
    """
    configure_logging("relay")
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve_until_signalled(config))
