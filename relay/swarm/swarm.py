"""A swarm: joins, is held, leaves. Shell over asyncio, for one process and one endpoint.

It stops by itself: joining has a time-out, holding has a length, and when no receiver is left it ends early.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import resource
import socket
import time
from collections.abc import Callable
from typing import Self

import aiohttp
import msgspec

from relay.core.dtls import Certificate, DtlsContext
from relay.core.ice import IceCredentials
from relay.core.peer import Peer
from relay.core.srtp import SrtpProfile
from relay.errors import RelayError, WireError
from relay.net.negotiation import new_credentials, new_ssrc
from relay.swarm.errors import JoinError, SwarmError
from relay.swarm.receiver import Milestones, Outcome, Receiver
from relay.swarm.signalling import Opened, Signalling, WhepSignalling
from relay.swarm.sockets import SwarmSocket, SwarmSockets
from relay.swarm.summary import SwarmSummary, SwarmTotals, add_up, summarise
from relay.wire.sdp import Codec, SessionDescription

MAX_RECEIVERS = 5000
SETTLE_S = 5.0  # a joiner is watched closely for so long after it connected; a keyframe comes within seconds
BUCKETS = 100  # parts of a second over which reports are spread, so that they do not come all at once
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
        _allow_files(options.receivers + min(options.receivers, MAX_CONNECTIONS) + FILES_BESIDES)
        self._signalling = signalling
        self._options = options
        self._clock = clock
        self._rng = random.SystemRandom()
        certificate = Certificate.generate(time.time())
        self._context = DtlsContext(certificate, options.srtp_profiles)
        self._fingerprint = certificate.fingerprint
        self._sockets = SwarmSockets(clock)
        self._members: list[SwarmSocket] = []
        self._opened: dict[Receiver, Opened] = {}
        self._by_bucket: list[list[SwarmSocket]] = [[] for _ in range(BUCKETS)]
        self._worker: asyncio.Task[None] | None = None
        self._none_left = asyncio.Event()
        self._joined = False
        self._window_begin = (clock(), time.process_time(), SwarmTotals())
        self.receivers: list[Receiver] = []
        self.refusals: list[str] = []

    async def __aenter__(self) -> Self:
        self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker  # a bug in there is to be seen
        for member in self._members:
            self._sockets.close(member)
        self._sockets.shut()

    async def join(self) -> None:
        """Join at the pace of the ramp; returns when every receiver gets media, waited long enough, or failed."""
        begin_s = self._clock()
        ramp = self._options.ramp_per_s
        async with asyncio.TaskGroup() as group:
            for number in range(self._options.receivers):
                delay_s = begin_s + number / ramp - self._clock() if ramp else 0.0
                if delay_s > 0:
                    await asyncio.sleep(delay_s)
                group.create_task(self._join_one(number))
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
        now = self._clock()
        for member in self._members:
            member.receiver.close(now)
            member.flush(now)
        at_once = asyncio.Semaphore(LEAVING_AT_ONCE)

        async def end(opened: Opened) -> None:
            async with at_once:
                await self._signalling.close(opened)

        await asyncio.gather(*(end(opened) for opened in self._opened.values()))
        self._opened.clear()

    async def _join_one(self, number: int) -> None:
        local = new_credentials()
        at = Milestones(self._clock())
        try:
            opened = await self._signalling.open(local, self._fingerprint)
        except RelayError as error:
            self.refusals.append(error.reason if isinstance(error, JoinError | WireError) else str(error))
            return
        at.answered_s = self._clock()
        try:
            member = self._new_member(number, local, opened.description, at)
        except (RelayError, OSError) as error:
            self.refusals.append(error.reason if isinstance(error, JoinError | WireError) else type(error).__name__)
            await self._signalling.close(opened)
            return
        self._opened[member.receiver] = opened
        self._members.append(member)
        self.receivers.append(member.receiver)
        await self._settle(member)

    def _new_member(
        self, number: int, local: IceCredentials, description: SessionDescription, at: Milestones
    ) -> SwarmSocket:
        accepted = [media for media in description.media if not media.rejected]
        if not accepted or accepted[0].fingerprint is None:
            raise JoinError("nothing accepted")
        transport = accepted[0]
        if transport.setup == "active":
            raise JoinError("server wants to be the DTLS client")
        candidates = [(found.address, found.port) for found in transport.candidates if found.protocol == "udp"]
        if not candidates:
            raise JoinError("no UDP candidate")
        family = socket.AF_INET6 if all(":" in host for host, _ in candidates) else socket.AF_INET
        remote = IceCredentials(transport.ice_ufrag, transport.ice_pwd)
        codecs: dict[int, tuple[str, Codec]] = {
            codec.payload_type: (media.kind, codec) for media in accepted for codec in media.codecs
        }
        peer = Peer.connect(
            local=local,
            remote=remote,
            remote_candidates=[
                (host, port) for host, port in candidates if (":" in host) == (family == socket.AF_INET6)
            ],
            remote_fingerprint=accepted[0].fingerprint,
            context=self._context,
            rng=self._rng,
            now=self._clock(),
        )
        receiver = Receiver(
            peer,
            local=local,
            remote=remote,
            codecs=codecs,
            at=at,
            ssrc=new_ssrc(),
            sample_every=self._options.sample_every,
            remb_bps=self._options.remb_bps,
        )
        return SwarmSocket(receiver, family, number % BUCKETS)

    async def _settle(self, member: SwarmSocket) -> None:
        """Follow a receiver closely until its set-up is over, so that the times of it are true."""
        receiver = member.receiver
        heard = asyncio.Event()
        self._sockets.read_at_once(member, heard.set)
        while receiver.is_live and not receiver.has_settled:
            now = self._clock()
            receiver.handle_timer(now)
            member.flush(now)
            if receiver.at.connected_s is not None:
                if receiver.address is not None:
                    member.connect(receiver.address)
                if member not in self._by_bucket[member.bucket]:
                    self._by_bucket[member.bucket].append(member)
                if now - receiver.at.connected_s > SETTLE_S:
                    break
            deadline_s = receiver.next_deadline(now)
            delay_s = SETTLE_S if deadline_s is None else min(max(deadline_s - now, 0.001), 1.0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(heard.wait(), delay_s)
            heard.clear()
        if receiver.is_live:
            if self._options.drops_media:
                member.drop_media()
            self._sockets.read_in_batches(member)
        else:
            self._sockets.close(member)

    async def _work(self) -> None:
        """Read in batches and let everybody report once a second, until cancelled."""
        period_s = 1 / BUCKETS
        visited = int(self._clock() / period_s)
        while True:
            await asyncio.sleep(self._options.batch_s)
            self._sockets.read_batch()
            due = int(self._clock() / period_s)
            for bucket in range(max(visited, due - BUCKETS) + 1, due + 1):
                self._visit(self._by_bucket[bucket % BUCKETS])
            visited = due

    def _visit(self, members: list[SwarmSocket]) -> None:
        now = self._clock()
        ended = False
        for member in members:
            receiver = member.receiver
            receiver.handle_timer(now)
            receiver.send_reports(now)
            member.flush(now)
            ended = ended or not receiver.is_live
        if ended:
            for member in members:
                if not member.receiver.is_live:
                    self._sockets.close(member)
            members[:] = [member for member in members if member.receiver.is_live]
            self._note_ends()

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


def _allow_files(needed: int) -> None:
    """Raise this process's own limit of open files where the system lets it.

    Raises:
        SwarmError: the hard limit is too low.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise SwarmError(f"{needed} open files are needed and {hard} are allowed (ulimit -n)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
