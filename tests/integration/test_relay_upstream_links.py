"""Our subscription at parents that answer badly, slowly or not at all; the parents here are made of HTTP alone."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from support.pure_relay import FEED, RecordingFanOut

from relay.core.dtls import Certificate, DtlsContext
from relay.core.peer import HANDSHAKE_TIMEOUT_S
from relay.core.presence_outbox import PresenceOutbox
from relay.core.router import Router
from relay.messages import Parent, Pull
from relay.net.negotiation import negotiate_play
from relay.net.sessions import Sessions
from relay.net.udp import UdpSocket
from relay.net.upstream import MAX_ANSWER_BYTES, Upstream
from relay.wire.sdp import host_candidate, parse_session, serialize_session

pytestmark = pytest.mark.integration
FINGERPRINT = ":".join(["AB"] * 32)


class FakeParent:
    """A parent's HTTP; its UDP port hears and says nothing."""

    def __init__(self) -> None:
        self.posts: list[str] = []
        self.deleted: list[str] = []
        self.pieces = 0
        self.status = 201
        self.location = "/resource/{number}"
        self.surplus = b""
        self.base_url = ""
        self.changed = asyncio.Event()
        self.deaf = UdpSocket("127.0.0.1", 0, lambda *_: None)

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Answer an offer, in pieces if so wanted."""
        offer = parse_session(await request.text())
        self.posts.append(request.query_string)
        self.changed.set()
        if self.status != 201:
            return web.Response(status=self.status)
        candidates = [host_candidate("127.0.0.1", self.deaf.port, local_preference=1)]
        body = serialize_session(negotiate_play(offer).answer(offer, FINGERPRINT, candidates)).encode() + self.surplus
        location = self.location.format(number=len(self.posts))
        response = web.StreamResponse(status=201, headers={"Location": location, "Content-Type": "application/sdp"})
        response.content_length = len(body)
        await response.prepare(request)
        step = -(-len(body) // (self.pieces or 1))
        for start in range(0, len(body), step):
            with contextlib.suppress(ConnectionError):
                await response.write(body[start : start + step])
            await asyncio.sleep(0.01 if self.pieces else 0)
        return response

    async def delete(self, request: web.Request) -> web.Response:
        """Note a deletion."""
        self.deleted.append(request.path)
        self.changed.set()
        return web.Response()

    async def posted(self, count: int) -> None:
        """Return when so many offers came."""
        async with asyncio.timeout(10):
            while len(self.posts) < count:
                self.changed.clear()
                await self.changed.wait()


class Child:
    """An upstream and the table of its sessions, over a clock that can be put forward."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.ahead_s = 0.0
        fan_out = RecordingFanOut()
        self.sessions = Sessions(
            Router(fan_out, publisher_bitrate_bps=1_000_000),
            fan_out,
            PresenceOutbox(),
            clock=self.clock,
            wall_clock=time.time,
        )
        certificate = Certificate.generate(time.time())
        self.upstream = Upstream(
            FEED,
            self.sessions,
            http,
            context=DtlsContext(certificate),
            fingerprint=certificate.fingerprint,
            bind_host="127.0.0.1",
            clock=self.clock,
            rng=random.Random(1),
        )

    def clock(self) -> float:
        """Monotonic seconds, put forward."""
        return time.monotonic() + self.ahead_s

    def follow(self, *parents: FakeParent) -> None:
        """Take a place in the tree."""
        named = [Parent(relay_id=f"p{number}", base_url=each.base_url) for number, each in enumerate(parents)]
        self.upstream.follow(named, Pull(conference=FEED[0], feed=FEED[1], token="t"))

    async def sessions_are(self, count: int) -> None:
        """Return when the table has so many sessions."""
        async with asyncio.timeout(10):
            while len(self.sessions) != count:  # noqa: ASYNC110 (the table rings no bell)
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def fake_parent() -> AsyncIterator[FakeParent]:
    """A parent that serves."""
    parent = FakeParent()
    app = web.Application()
    app.router.add_post("/{conference}/{feed}/whep", parent.post)
    app.router.add_delete("/resource/{number}", parent.delete)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        parent.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield parent
    finally:
        await runner.cleanup()
        parent.deaf.close()


@contextlib.asynccontextmanager
async def child() -> AsyncIterator[Child]:
    """A child whose upstream runs."""
    async with aiohttp.ClientSession() as http:
        made = Child(http)
        task = asyncio.create_task(made.upstream.run())
        try:
            yield made
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_an_answer_in_many_pieces_is_read_whole() -> None:
    """An answer is longer than one TCP segment on a real line."""
    async with fake_parent() as parent, child() as made:
        parent.pieces = 12
        made.follow(parent)
        await made.sessions_are(1)
        (session,) = made.sessions.all()
        assert {stream.kind for stream in session.streams} == {"audio", "video"}
        assert len(session.streams[1].codecs) > 4
        assert parent.posts == [""]


async def test_a_link_that_never_comes_up_is_given_up_and_tried_again() -> None:
    """ICE is not answered: after the handshake's time the session is deleted at the parent and another one asked."""
    async with fake_parent() as parent, child() as made:
        made.follow(parent)
        await made.sessions_are(1)
        made.ahead_s += HANDSHAKE_TIMEOUT_S + 0.1
        made.sessions.handle_timers()
        assert len(made.sessions) == 0
        await parent.posted(2)
        await made.sessions_are(1)
        assert parent.deleted == ["/resource/1"]


async def test_a_parent_that_refuses_is_asked_again_later_and_later() -> None:
    """No storm against a full parent; the other one is taken meanwhile."""
    async with fake_parent() as full, fake_parent() as free, child() as made:
        full.status = 503
        made.follow(full, free)
        await made.sessions_are(1)
        begin = time.monotonic()
        await full.posted(4)
        assert time.monotonic() - begin > 0.5
        assert free.posts == ["standby=1"]


async def test_an_answer_without_end_or_sense_is_refused() -> None:
    """More than any answer is long; no session comes of it, and the parent is told so."""
    async with fake_parent() as parent, child() as made:
        parent.surplus = b"a" * (MAX_ANSWER_BYTES + 1)
        made.follow(parent)
        await parent.posted(2)
        assert len(made.sessions) == 0
        assert "/resource/1" in parent.deleted


async def test_a_resource_elsewhere_is_never_visited() -> None:
    """A Location on another host would be sent our token."""
    async with fake_parent() as parent, fake_parent() as elsewhere, child() as made:
        parent.location = elsewhere.base_url + "/resource/{number}"
        made.follow(parent)
        await made.sessions_are(1)
        made.ahead_s += HANDSHAKE_TIMEOUT_S + 0.1
        made.sessions.handle_timers()
        await parent.posted(2)
        assert elsewhere.deleted == []


async def test_parents_that_left_the_tree_are_left() -> None:
    """Their links are closed there and here; a parent at another address is another parent."""
    async with fake_parent() as one, fake_parent() as two, fake_parent() as three, child() as made:
        made.follow(one, two)
        await made.sessions_are(2)
        made.follow(one, three)
        await three.posted(1)
        await made.sessions_are(2)
        async with asyncio.timeout(5):
            while two.deleted != ["/resource/1"]:
                two.changed.clear()
                await two.changed.wait()
        assert one.deleted == []
