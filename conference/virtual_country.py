"""A virtual country as a program: virtual relays and virtual halls (ảo) in one process, over real HTTP and WebSockets.

Composes `relay.virtual` and `bridges.virtual`, which do not know each other. Everything is labelled virtual.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import Callable

import aiohttp

from bridges.program_metrics import serve_virtual
from bridges.virtual import WORKERS, VirtualHalls, VirtualSummary
from conference.errors import ConferenceError
from conference.object_file import read_object
from conference.virtual_config import VirtualConfig
from configs.loading import read_secret
from relay.virtual import VirtualRelays

# A coordinator plans the tree anew for each relay that comes: some 4 s of its processor for 500.
REGISTER_TIMEOUT_S = 60.0
REQUEST_TIMEOUT_S = 30.0


class VirtualCountryError(ConferenceError):
    """The country could not be started; the sentence says why."""

    code = "virtual_country"
    status = 422


async def run_virtual(
    config: VirtualConfig,
    stop: asyncio.Event,
    *,
    metrics_port: int | None = None,
    on_metrics: Callable[[int], None] = lambda _: None,
) -> VirtualSummary:
    """Register the relays, let the halls come, and stay until `stop` is set or the conference ends.

    Args:
        config: what to run.
        stop: set it to end in order: halls leave, relays say goodbye.
        metrics_port: serve metrics and health there, on loopback; 0 for a free port, None for not at all.
        on_metrics: told of the port.

    Returns:
        What became of the halls.

    Raises:
        ObjectFileError: a file is not what it should be.
        VirtualCountryError: the relays could not register.
        ConfigError: a token cannot be read.
    """
    begin = asyncio.Event()
    if config.wait_for_signal:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, begin.set)
    else:
        begin.set()
    links = read_object(config.links_file, str) if config.links_file is not None else {}
    seats = read_object(config.seats_file, int) if config.seats_file is not None else {}
    timeout = aiohttp.ClientTimeout(total=None, connect=REQUEST_TIMEOUT_S, sock_read=REQUEST_TIMEOUT_S)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as relays_http,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=WORKERS), timeout=timeout) as halls_http,
    ):
        rng = random.Random(config.seed)  # noqa: S311 - jitter of a simulation, nothing secret
        relays = VirtualRelays(relays_http, config.coordinator_url, rng=rng)
        try:
            for entry in config.relays:
                relays.add(
                    entry.relay_id,
                    token=read_secret(entry.token_file),
                    region=entry.region,
                    role=entry.role,
                    capacity=config.capacity.as_message(),
                )
            halls = VirtualHalls(
                halls_http,
                links,
                relays,
                arrival_s=config.arrival_s,
                curve=config.arrival_curve,
                headcount_share=config.headcount_share,
                seats=seats,
                seed=config.seed,
            )
            async with contextlib.AsyncExitStack() as stack:
                if metrics_port is not None:
                    serving = serve_virtual(halls, lambda: (relays.connected, len(relays)), metrics_port)
                    on_metrics(await stack.enter_async_context(serving))
                await _wait_registered(relays, stop)
                await _first_of(begin, stop)
                return await halls.run(stop)
        finally:
            await relays.close()


async def _wait_registered(relays: VirtualRelays, stop: asyncio.Event) -> None:
    """Wait until every relay is registered, so that the first halls find all of them.

    Raises:
        VirtualCountryError: they did not register in time.
    """
    deadline = asyncio.get_running_loop().time() + REGISTER_TIMEOUT_S
    while relays.connected < len(relays) and not stop.is_set():
        if asyncio.get_running_loop().time() > deadline:
            raise VirtualCountryError(
                f"only {relays.connected} of {len(relays)} virtual relays registered within {REGISTER_TIMEOUT_S:.0f} s"
            )
        await asyncio.sleep(0.05)


async def _first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
