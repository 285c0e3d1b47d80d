"""A swarm: joins, is held, leaves. Shell over asyncio, for one process and one endpoint.

It stops by itself: joining has a time-out, holding has a length, and when no receiver is left it ends early.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Self

import aiohttp
import msgspec

from relay.core.srtp import SrtpProfile
from relay.errors import RelayError, WireError
from relay.net.negotiation import new_credentials
from relay.swarm.errors import JoinError, SwarmError
from relay.swarm.receiver import Milestones, Outcome, Receiver
from relay.swarm.receivers import Receivers, allow_files
from relay.swarm.signalling import Opened, Signalling, WhepSignalling
from relay.swarm.summary import SwarmSummary, SwarmTotals, add_up, summarise

MAX_RECEIVERS = 5000
LEAVING_AT_ONCE = 64
FILES_BESIDES = 64  # the process's own file descriptors
# A receiver holds a socket, and its requests share connections of which a storm opens at most so many.
MAX_CONNECTIONS = 512


class SwarmOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a swarm behaves.

    Attributes:
        receivers: how many, 1 to 5,000.
        ramp_per_s: joins per second; 0 for all at once.
        sample_every: one packet of so many is opened and authenticated.
        remb_bps: bitrate that each receiver reports by REMB; 0 for none.
        batch_s: time between two readings of all sockets.
        srtp_profiles: offered in DTLS, best first; the server chooses.
        drops_media: the system drops the media of a receiver that is set up. It goes on as a session and costs the
            server the same, and this machine next to nothing; what it counts stands still, and it ends as silent.
    """

    receivers: int
    ramp_per_s: float = 100.0
    sample_every: int = 50
    remb_bps: int = 0
    batch_s: float = 0.01
    srtp_profiles: tuple[SrtpProfile, ...] = tuple(SrtpProfile)
    drops_media: bool = False

    def check(self) -> None:
        """Refuse sizes that make no sense.

        Raises:
            SwarmError: with what is wrong.
        """
        if not 1 <= self.receivers <= MAX_RECEIVERS:
            raise SwarmError(f"a swarm has 1 to {MAX_RECEIVERS} receivers, not {self.receivers}")
        if self.ramp_per_s < 0 or self.sample_every < 1 or self.remb_bps < 0 or not 0.001 <= self.batch_s <= 0.1:
            raise SwarmError("ramp, sample, REMB or batch out of range")


class Swarm:
    """Receivers of one endpoint. Made and used inside one event loop; `async with` closes what is left.

    Attributes:
        receivers: those that got an answer.
        refusals: reasons of those that got none.
    """

    def __init__(
        self, signalling: Signalling, options: SwarmOptions, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare a swarm that has not asked for anything yet.

        Raises:
            SwarmError: sizes out of range, or too few file descriptors for them.
        """
        options.check()
        allow_files(options.receivers + min(options.receivers, MAX_CONNECTIONS) + FILES_BESIDES)
        self._signalling = signalling
        self._options = options
        self._clock = clock
        self._pool = Receivers(
            sample_every=options.sample_every,
            remb_bps=options.remb_bps,
            batch_s=options.batch_s,
            srtp_profiles=options.srtp_profiles,
            clock=clock,
        )
        self._pool.on_ended = self._note_ends
        self._opened: dict[Receiver, Opened] = {}
        self._none_left = asyncio.Event()
        self._joined = False
        self._window_begin = (clock(), time.process_time(), SwarmTotals())
        self.receivers: list[Receiver] = []
        self.refusals: list[str] = []

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._pool.__aexit__(*details)

    async def join(self) -> None:
        """Join at the pace of the ramp; returns when every receiver gets media, waited long enough, or failed."""
        begin_s = self._clock()
        ramp = self._options.ramp_per_s
        async with asyncio.TaskGroup() as group:
            for number in range(self._options.receivers):
                delay_s = begin_s + number / ramp - self._clock() if ramp else 0.0
                if delay_s > 0:
                    await asyncio.sleep(delay_s)
                group.create_task(self._join_one())
        self._joined = True
        self._note_ends()
        self._window_begin = (self._clock(), time.process_time(), self.totals())

    async def hold(self, seconds: float) -> None:
        """Receive for so long, or until no receiver is left."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._none_left.wait(), seconds)

    @property
    def connected(self) -> int:
        """How many receivers are connected now."""
        return sum(receiver.outcome is Outcome.CONNECTED for receiver in self.receivers)

    def totals(self) -> SwarmTotals:
        """Counts up to now."""
        return add_up(self.receivers)

    def summary(self, url: str) -> SwarmSummary:
        """What there is to report, before anybody leaves; the measured window is from the end of `join` to now."""
        begin_s, cpu_begin_s, before = self._window_begin
        now = self._clock()
        return summarise(
            url,
            self.receivers,
            self.refusals,
            window=self.totals().since(before),
            held_s=now - begin_s,
            cpu_s=time.process_time() - cpu_begin_s,
            now=now,
        )

    async def leave(self) -> None:
        """End DTLS and the resources, so that the server does not wait for receivers that are gone."""
        for receiver in self.receivers:
            self._pool.say_goodbye(receiver)
        at_once = asyncio.Semaphore(LEAVING_AT_ONCE)

        async def end(opened: Opened) -> None:
            async with at_once:
                await self._signalling.close(opened)

        await asyncio.gather(*(end(opened) for opened in self._opened.values()))
        self._opened.clear()

    async def _join_one(self) -> None:
        local = new_credentials()
        at = Milestones(self._clock())
        try:
            opened = await self._signalling.open(local, self._pool.fingerprint)
        except RelayError as error:
            self.refusals.append(error.reason if isinstance(error, JoinError | WireError) else str(error))
            return
        at.answered_s = self._clock()
        try:
            receiver = self._pool.add(local, opened.description, at)
        except (RelayError, OSError) as error:
            self.refusals.append(error.reason if isinstance(error, JoinError | WireError) else type(error).__name__)
            await self._signalling.close(opened)
            return
        self._opened[receiver] = opened
        self.receivers.append(receiver)
        await self._pool.settle(receiver, drops_media=self._options.drops_media)

    def _note_ends(self) -> None:
        if self._joined and not any(receiver.is_live for receiver in self.receivers):
            self._none_left.set()


async def run_swarm(
    url: str,
    token: str,
    options: SwarmOptions,
    *,
    seconds: float,
    stop: asyncio.Event | None = None,
    on_joined: Callable[[int], None] | None = None,
) -> SwarmSummary:
    """Run one swarm against a WHEP endpoint from the first join to the last leave.

    Args:
        url: the endpoint.
        token: bearer token; "" for none.
        options: see `SwarmOptions`.
        seconds: how long to hold after the last join.
        stop: set it to leave early.
        on_joined: told how many are connected when joining is over.

    Raises:
        SwarmError: see `Swarm`.
    """
    connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS)
    async with (
        aiohttp.ClientSession(connector=connector) as client,
        Swarm(WhepSignalling(client, url, token), options) as swarm,
    ):
        tasks = [asyncio.create_task(_join_and_hold(swarm, seconds, on_joined))]
        if stop is not None:
            tasks.append(asyncio.create_task(_wait(stop)))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not tasks[0].cancelled():
            tasks[0].result()
        summary = swarm.summary(url)
        await swarm.leave()
        return summary


async def _wait(stop: asyncio.Event) -> None:
    await stop.wait()


async def _join_and_hold(swarm: Swarm, seconds: float, on_joined: Callable[[int], None] | None) -> None:
    await swarm.join()
    if on_joined is not None:
        on_joined(swarm.connected)
    await swarm.hold(seconds)
