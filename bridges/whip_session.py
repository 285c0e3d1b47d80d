"""One origin of a publication: connects by WHIP, stays, connects again, and leaves the other origins alone. Shell.

It notices the loss of its relay by whichever comes first: the peer connection fails (consent freshness, RFC 7675), the
relay's feedback (RTCP) stops, or the relay does not answer HTTP any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import aiohttp
from aiortc import RTCPeerConnection

from bridges.backoff import backoff_s
from bridges.encoding import Encoding
from bridges.errors import PublishError, ResourceError
from bridges.layers import name_layers
from bridges.messages import IceServer
from bridges.peer import close_peer, make_offer, new_peer_connection, prefer_codecs, take_answer
from bridges.rtp_sender import EncodingSender
from bridges.token_claims import expired_at_s
from bridges.whip_client import Resource, delete_resource, post_offer, relay_answers

_CHECK_EVERY_S = 1.0
_ASK_EVERY = 2  # checks between two HTTP questions
_DEAF_AFTER_S = 8.0  # receiver reports come about once a second; a relay that sent some and stopped is gone
# 4xx that time heals: the conference is not open yet, the feed still has its last publisher, too many requests.
_PASSING = frozenset({408, 409, 425, 429})
# A relay that has just started learns its signing keys when it registers, and refuses every token until then.
_KEYLESS_S = 10.0


class SessionEvents(Protocol):
    """Who hears how a session is."""

    def connecting(self, session: WhipSession) -> None:
        """It makes an offer."""

    def up(self, session: WhipSession) -> None:
        """Media flow."""

    def down(self, session: WhipSession) -> None:
        """The relay was lost, or did not take the offer; it is tried again."""

    def sent(self, packets: int, octets: int) -> None:
        """So many packets and octets of payload more have gone out, on any session."""

    def has_patience(self) -> bool:
        """False when no origin has taken the programme for too long."""


class WhipSession:
    """Keeps one origin supplied with the encodings.

    Attributes:
        whip_url: its endpoint.
        connections: how often it connected.
        is_up: a session is up.
        conference_ended: the relay takes nothing more because the conference has ended.
    """

    def __init__(
        self,
        whip_url: str,
        token: str,
        encodings: Sequence[Encoding],
        over: asyncio.Event,
        events: SessionEvents,
    ) -> None:
        """Make a session that `run` begins.

        Args:
            whip_url: WHIP endpoint of the relay.
            token: bearer token for it.
            encodings: what to send.
            over: set when there is nothing more to publish.
            events: told of everything.
        """
        self.whip_url = whip_url
        self.connections = 0
        self.is_up = False
        self.conference_ended = False
        self._token = token
        self._encodings = encodings
        self._over = over
        self._events = events
        # TURN servers that the relay named, once its media port was not reached without them.
        self._ice_servers: list[IceServer] = []
        self._rng = random.Random()  # noqa: S311 - spreads publishers in time, nothing secret

    async def run(self, http: aiohttp.ClientSession) -> None:
        """Connect, stay, connect again, until it is over or the conference has ended.

        Raises:
            PublishError: the relay refuses for good, or patience is at its end.
        """
        clock = asyncio.get_running_loop().time
        attempts, tried_since = 0, clock()
        while not self._over.is_set():
            self._events.connecting(self)
            retry_after_s = 0.0
            try:
                if await self._connect_and_stay(http):
                    return
                attempts, tried_since = 0, clock()
            except ResourceError as error:
                if error.code == "conference_ended":
                    self.conference_ended = True
                    return
                self._judge(error, keyless=clock() - tried_since < _KEYLESS_S)
                if not self._events.has_patience():
                    raise PublishError("unreachable", str(error)) from error
                retry_after_s = error.retry_after_s
            self._events.down(self)
            wait_s = max(backoff_s(attempts, self._rng), retry_after_s)
            attempts += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), wait_s)

    def _judge(self, error: ResourceError, *, keyless: bool) -> None:
        """Return if time may heal what the relay said.

        Raises:
            PublishError: it will not.
        """
        if not 400 <= error.status < 500 or error.status in _PASSING:
            return
        if error.status == 401:
            # Only the relay's word ends it: this machine's clock may be wrong.
            expired_at = expired_at_s(self._token, time.time())
            if expired_at is not None:
                at = datetime.fromtimestamp(expired_at).astimezone().isoformat(sep=" ", timespec="seconds")
                raise PublishError(
                    "token_expired",
                    f"mã của nguồn phát đã hết hạn lúc {at}; lấy mã mới bằng `diemcau conference publish` / "
                    f"the publisher's token expired at {at}; get a new one with `diemcau conference publish`",
                ) from error
            if keyless:
                return
        raise PublishError("refused", str(error)) from error

    async def _connect_and_stay(self, http: aiohttp.ClientSession) -> bool:
        """One connection: True when there is nothing more to publish, False when the relay was lost.

        Raises:
            ResourceError: the relay did not take the offer.
        """
        peer = new_peer_connection(self._ice_servers)
        senders: list[EncodingSender] = []
        resource: Resource | None = None
        try:
            for encoding in self._encodings:
                transceiver = peer.addTransceiver(encoding.kind, direction="sendonly")
                prefer_codecs(transceiver, encoding.kind, encoding.codecs(), retransmission=False)
                senders.append(EncodingSender(transceiver.sender, encoding))
            offer = await make_offer(peer, self.whip_url)
            for encoding in self._encodings:
                if encoding.lower:
                    offer = name_layers(offer, [each.stream.ssrc for each in (encoding, *encoding.lower)])
            resource = await post_offer(http, self.whip_url, self._token, offer)
            try:
                await take_answer(peer, resource.answer)
            except ResourceError as error:
                if error.code == "no_media_path":
                    self._ice_servers = resource.ice_servers
                raise
            self.connections += 1
            self.is_up = True
            self._events.up(self)
            return await self._stay(http, peer, senders)
        finally:
            self.is_up = False
            for sender in senders:
                sender.close()
            if resource is not None:
                await delete_resource(http, resource)
            await close_peer(peer)

    async def _stay(
        self, http: aiohttp.ClientSession, peer: RTCPeerConnection, senders: Sequence[EncodingSender]
    ) -> bool:
        clock = asyncio.get_running_loop().time
        heard, heard_at, unanswered, checks = 0, clock(), 0, 0
        before = 0, 0
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), _CHECK_EVERY_S)
            sent = [sender.sent for sender in senders]
            after = sum(packets for packets, _ in sent), sum(octets for _, octets in sent)
            self._events.sent(after[0] - before[0], after[1] - before[1])
            before = after
            if self._over.is_set():
                return True
            if any(sender.refused for sender in senders):
                raise ResourceError(
                    "hai trạm gốc không cùng chọn một bộ mã / the origins do not take the same codec", code="codec"
                )
            if peer.connectionState in {"failed", "closed"}:
                return False
            for sender in senders:
                await sender.report()
            now, received = clock(), await _packets_received(peer)
            if received != heard:
                heard, heard_at = received, now
            if heard and now - heard_at > _DEAF_AFTER_S:
                return False
            checks += 1
            if checks % _ASK_EVERY == 0:
                unanswered = 0 if await relay_answers(http, self.whip_url) else unanswered + 1
                if unanswered >= 2:
                    return False


async def _packets_received(peer: RTCPeerConnection) -> int:
    """Packets of any kind from the relay, which sends a publisher nothing but feedback."""
    for sender in peer.getSenders():
        for report in (await sender.getStats()).values():
            if report.type == "transport":
                return int(report.packetsReceived)
    return 0
