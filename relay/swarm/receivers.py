"""Receivers of one process with their sockets: made from answers, followed while they connect, read in batches. Shell.

Whose they are (one endpoint's swarm, halls that go from relay to relay) and when they come and go is the owner's
business.
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

from relay.core.dtls import Certificate, DtlsContext
from relay.core.ice import IceCredentials
from relay.core.peer import Peer
from relay.core.srtp import SrtpProfile
from relay.net.negotiation import new_ssrc
from relay.swarm.errors import JoinError, SwarmError
from relay.swarm.receiver import Milestones, Receiver
from relay.swarm.sockets import SwarmSocket, SwarmSockets
from relay.wire.sdp import Codec, SessionDescription

SETTLE_S = 5.0  # a joiner is watched closely for so long after it connected; a keyframe comes within seconds
BUCKETS = 100  # parts of a second over which reports are spread, so that they do not come all at once


class Receivers:
    """Any number of receivers. Made and used inside one event loop; `async with` closes what is left.

    Args:
        sample_every: one packet of so many is opened and authenticated.
        remb_bps: bitrate that each receiver reports by REMB; 0 for none.
        batch_s: time between two readings of all sockets.
        srtp_profiles: offered in DTLS, best first; the server chooses.
        clock: seconds.

    Attributes:
        fingerprint: SHA-256 of the certificate that all of them share, for offers.
        on_ended: called when receivers ended that were set up; set it to hear of that.
    """

    def __init__(
        self,
        *,
        sample_every: int = 50,
        remb_bps: int = 0,
        batch_s: float = 0.01,
        srtp_profiles: tuple[SrtpProfile, ...] = tuple(SrtpProfile),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sample_every = sample_every
        self._remb_bps = remb_bps
        self._batch_s = batch_s
        self._clock = clock
        self._rng = random.SystemRandom()
        certificate = Certificate.generate(time.time())
        self._context = DtlsContext(certificate, srtp_profiles)
        self.fingerprint = certificate.fingerprint
        self.on_ended: Callable[[], None] = lambda: None
        self._sockets = SwarmSockets(clock)
        self._members: dict[Receiver, SwarmSocket] = {}
        self._by_bucket: list[list[SwarmSocket]] = [[] for _ in range(BUCKETS)]
        self._made = 0
        self._worker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker  # a bug in there is to be seen
        for member in self._members.values():
            self._sockets.close(member)
        self._sockets.shut()

    def add(self, local: IceCredentials, description: SessionDescription, at: Milestones) -> Receiver:
        """Make a receiver for a server's answer; `settle` connects it.

        Args:
            local: ICE credentials of the offer.
            description: the answer.
            at: with what happened so far.

        Raises:
            JoinError: the answer is of no use.
            WireError: its fingerprint is of no use.
            OSError: there is no socket to be had.
        """
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
            sample_every=self._sample_every,
            remb_bps=self._remb_bps,
        )
        self._members[receiver] = SwarmSocket(receiver, family, self._made % BUCKETS)
        self._made += 1
        return receiver

    async def settle(self, receiver: Receiver, *, drops_media: bool = False, awaits_media: bool = True) -> None:
        """Follow a receiver closely until its set-up is over, so that the times of it are true; then read in batches.

        Args:
            receiver: just added.
            drops_media: the system drops its media from then on.
            awaits_media: the set-up ends with media (a keyframe, where there is video), not with DTLS.
        """
        member = self._members[receiver]
        heard = asyncio.Event()
        self._sockets.read_at_once(member, heard.set)
        while receiver.is_live and not receiver.has_settled:
            now = self._clock()
            receiver.handle_timer(now)
            member.flush(now)
            connected_s = receiver.at.connected_s
            if connected_s is not None:
                self._look_after(member)
                if not awaits_media or now - connected_s > SETTLE_S:
                    break
            deadline_s = receiver.next_deadline(now)
            delay_s = SETTLE_S if deadline_s is None else min(max(deadline_s - now, 0.001), 1.0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(heard.wait(), delay_s)
            heard.clear()
        if receiver not in self._members:
            return  # closed meanwhile
        if receiver.is_live:
            self._look_after(member)  # on a busy machine one read may bring all of it, from DTLS to the keyframe
            if drops_media:
                member.drop_media()
            self._sockets.read_in_batches(member)
        else:
            self._sockets.close(member)

    def say_goodbye(self, receiver: Receiver) -> None:
        """End a receiver's DTLS; its counts stay, and `close` or the end of the block frees the rest."""
        member = self._members[receiver]
        now = self._clock()
        receiver.close(now)
        member.flush(now)

    def close(self, receiver: Receiver) -> None:
        """Say goodbye and forget a receiver; doing so twice is harmless."""
        if receiver in self._members:
            self.say_goodbye(receiver)
            member = self._members.pop(receiver)
            self._sockets.close(member)
            if member in self._by_bucket[member.bucket]:
                self._by_bucket[member.bucket].remove(member)

    def read(self) -> None:
        """Read what waits on all sockets now, for who is about to judge by what came."""
        self._sockets.read_batch()

    def _look_after(self, member: SwarmSocket) -> None:
        """From now on it reports once a second."""
        if member.receiver.address is not None:
            member.connect(member.receiver.address)
        if member not in self._by_bucket[member.bucket]:
            self._by_bucket[member.bucket].append(member)

    async def _work(self) -> None:
        """Read in batches and let everybody report once a second, until cancelled."""
        period_s = 1 / BUCKETS
        visited = int(self._clock() / period_s)
        while True:
            await asyncio.sleep(self._batch_s)
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
            self.on_ended()


def allow_files(needed: int) -> None:
    """Raise this process's own limit of open files where the system lets it.

    Raises:
        SwarmError: the hard limit is too low.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise SwarmError(f"{needed} open files are needed and {hard} are allowed (ulimit -n)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
