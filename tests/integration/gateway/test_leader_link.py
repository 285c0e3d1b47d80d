"""A gateway's connection to its leader, against leaders that misbehave: each request is answered in time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from conference.errors import RejectedError
from conference.front.leader_link import LeaderAwayError, LeaderLink
from conference.front.messages import (
    MAX_BATCH,
    PATH,
    Batch,
    BatchAnswer,
    BatchFailed,
    ForwardedLeave,
    GatewayMessage,
    Hello,
    Refusal,
    Welcome,
)
from conference.journal.contract import Writer

pytestmark = pytest.mark.integration

Answer = Callable[[web.WebSocketResponse, Batch], Awaitable[None]]


class FakeLeader:
    """A leader that welcomes, and answers batches as it was told.

    Attributes:
        batches: what it was sent.
    """

    def __init__(self, answer: Answer) -> None:
        self.batches: list[Batch] = []
        self._answer = answer
        app = web.Application()
        app.router.add_get(PATH, self._serve)
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self.server.make_url("")).rstrip("/")

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        decoder: msgspec.json.Decoder[GatewayMessage] = msgspec.json.Decoder(GatewayMessage)
        async for frame in socket:
            message = decoder.decode(frame.data)
            if isinstance(message, Hello):
                await socket.send_bytes(msgspec.json.encode(Welcome(epoch=1)))
            else:
                self.batches.append(message)
                await self._answer(socket, message)
        return socket


async def well(socket: web.WebSocketResponse, batch: Batch) -> None:
    """As a leader does; halls whose name begins with `no` are refused."""
    refusals = {
        place: Refusal(code="not_joined", detail="no", status=409, retry_after_s=3.5)
        for place, request in enumerate(batch.requests)
        if request.hall_id.startswith("no")
    }
    answer = BatchAnswer(number=batch.number, position=7, refusals=refusals)
    await socket.send_bytes(msgspec.json.encode(answer))


async def silence(_socket: web.WebSocketResponse, _batch: Batch) -> None:
    """Never."""


async def hang_up(socket: web.WebSocketResponse, _batch: Batch) -> None:
    """Close instead of answering."""
    await socket.close()


async def garbage(socket: web.WebSocketResponse, _batch: Batch) -> None:
    """Something else than JSON."""
    await socket.send_bytes(b"\xff\x00")


async def another_number(socket: web.WebSocketResponse, batch: Batch) -> None:
    """An answer to another batch."""
    await socket.send_bytes(msgspec.json.encode(BatchAnswer(number=batch.number + 1, position=1)))


async def failure(socket: web.WebSocketResponse, batch: Batch) -> None:
    """The journal did not take it."""
    failed = BatchFailed(number=batch.number, code="journal_unavailable", detail="full")
    await socket.send_bytes(msgspec.json.encode(failed))


@contextlib.asynccontextmanager
async def leading(answer: Answer) -> AsyncIterator[FakeLeader]:
    """A leader that serves."""
    leader = FakeLeader(answer)
    await leader.server.start_server()
    try:
        yield leader
    finally:
        await leader.server.close()


@contextlib.asynccontextmanager
async def linked(wait_s: float = 10.0) -> AsyncIterator[LeaderLink]:
    """A link that looks for a leader."""
    async with aiohttp.ClientSession() as session:
        link = LeaderLink(session, lambda: Hello(gateway_id="gateway-1"), lambda: "token", wait_s=wait_s)
        link.start()
        try:
            yield link
        finally:
            await link.stop()


def leave(hall_id: str) -> ForwardedLeave:
    """Some request."""
    return ForwardedLeave(actor=f"hall:{hall_id}", conference_id="c", hall_id=hall_id)


def writer(epoch: int, address: str, holder: str = "one") -> Writer:
    """What the journal says."""
    return Writer(epoch=epoch, holder=holder, pulse=1, address=address)


async def test_who_asks_while_a_batch_is_decided_goes_with_the_next() -> None:
    """A thousand at once take few batches of bounded size, each in order, and each hall gets its own answer."""
    async with leading(well) as leader, linked() as link:
        link.handle_writer(writer(1, leader.url))
        names = [f"{'no' if number % 3 == 0 else 'h'}{number}" for number in range(1_000)]
        answers = await asyncio.gather(*(link.ask(leave(name)) for name in names), return_exceptions=True)
        for name, answer in zip(names, answers, strict=True):
            if name.startswith("no"):
                assert isinstance(answer, RejectedError)
                assert (answer.code, answer.status, answer.retry_after_s) == ("not_joined", 409, 3.5)
            else:
                assert answer == 7
        assert max(len(batch.requests) for batch in leader.batches) <= MAX_BATCH
        assert len(leader.batches) <= 8
        assert [request.hall_id for batch in leader.batches for request in batch.requests] == names


@pytest.mark.parametrize("answer", [silence, hang_up, garbage, another_number, failure])
async def test_what_a_bad_leader_leaves_its_successor_answers(answer: Answer) -> None:
    """Whatever the first did with a batch, it goes to the next leader, in order."""
    async with leading(answer) as bad, leading(well) as good, linked() as link:
        link.handle_writer(writer(1, bad.url))
        asking = [asyncio.create_task(link.ask(leave(f"h{number}"))) for number in range(20)]
        async with asyncio.timeout(10):
            while not bad.batches:  # noqa: ASYNC110 - a server rings no bell
                await asyncio.sleep(0.01)
        link.handle_writer(writer(2, good.url))
        assert await asyncio.gather(*asking) == [7] * 20
        assert [request.hall_id for batch in good.batches for request in batch.requests] == [
            f"h{number}" for number in range(20)
        ]


@pytest.mark.parametrize("said", [writer(1, ""), writer(1, "http://127.0.0.1:9", holder=""), writer(1, "no url")])
async def test_without_a_leader_a_request_ends_in_time(said: Writer) -> None:
    """Nobody leads, or nothing is to be reached there: the same error, and the link goes on looking."""
    async with leading(well) as leader, linked(wait_s=0.3) as link:
        link.handle_writer(said)
        with pytest.raises(LeaderAwayError):
            await link.ask(leave("h"))
        link.handle_writer(writer(2, leader.url))
        async with asyncio.timeout(10):
            while not link.is_connected:  # noqa: ASYNC110 - it rings no bell
                await asyncio.sleep(0.01)
        assert await link.ask(leave("h")) == 7


async def test_who_has_gone_is_not_asked_for() -> None:
    """A request whose hall gave up before it was sent is not sent."""
    async with leading(well) as leader, linked() as link:
        gone = asyncio.create_task(link.ask(leave("gone")))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        link.handle_writer(writer(1, leader.url))
        assert await link.ask(leave("h")) == 7
        assert [request.hall_id for batch in leader.batches for request in batch.requests] == ["h"]
