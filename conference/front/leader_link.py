"""A gateway's connection to the coordinator that leads: what halls want goes there in batches, one at a time.

While one batch is decided and made durable the next fills up, so that the cost of a message is shared by all who wait.
Who leads, and where, the journal says. When the leader changes, or its connection breaks, what was not answered is sent
to the next: every request in it is idempotent. Who has waited for `wait_s` is told to come again.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable

import aiohttp
import msgspec

from conference.ending import end
from conference.errors import JournalError, RejectedError
from conference.front.messages import (
    MAX_BATCH,
    MAX_MESSAGE_BYTES,
    PATH,
    SCHEMA,
    Batch,
    BatchAnswer,
    BatchFailed,
    Forwarded,
    Hello,
    LeaderMessage,
    Welcome,
)
from conference.journal.contract import Writer
from monitoring.log_config import get_logger

CONNECT_TIMEOUT_S = 2.0
# A new leader opens its port before it takes commands, and is asked again so soon.
RETRY_S = 0.1
# Requests that may wait; with a bound on their time this is many times what a gateway takes in a second.
MAX_WAITING = 20_000


class LeaderAwayError(JournalError):
    """No coordinator leads now, or none answers; the request may have come about and is to be sent again."""

    code = "leader_unavailable"


class _Pending:
    """A request that waits for the leader."""

    __slots__ = ("done", "request")

    def __init__(self, request: Forwarded) -> None:
        self.request = request
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()


class LeaderLink:
    """At most one connection, to whoever leads.

    Args:
        session: makes connections; of the caller.
        hello: how this gateway presents itself.
        sign: makes a token with the role `gateway`.
        wait_s: a request waits so long.
        tls: trusts the leader's certificate; None for what the system trusts.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        hello: Callable[[], Hello],
        sign: Callable[[], str],
        *,
        wait_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._session = session
        self._hello = hello
        self._sign = sign
        self._wait_s = wait_s
        self._tls = tls
        self._log = get_logger("conference.front.leader_link")
        self._decoder: msgspec.json.Decoder[LeaderMessage] = msgspec.json.Decoder(LeaderMessage)
        self._waiting: deque[_Pending] = deque()
        self._wanted = asyncio.Event()
        self._leader: tuple[int, str] = (0, "")
        self._changed = asyncio.Event()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._number = 0
        self._task: asyncio.Task[None] | None = None
        self.is_connected = False

    def start(self) -> None:
        """Begin to look for the leader."""
        self._task = asyncio.create_task(self._run(), name="gateway-leader-link")

    async def stop(self) -> None:
        """End; who waits is told to come again."""
        await end(self._task)
        for pending in self._waiting:
            _fail(pending, LeaderAwayError("the gateway is stopping"))

    def handle_writer(self, writer: Writer) -> None:
        """Take what the journal says of who leads; a connection to anybody else is of no more use."""
        leader = (writer.epoch, writer.address if writer.holder else "")
        if leader != self._leader:
            self._leader = leader
            self._changed.set()

    async def ask(self, request: Forwarded) -> int:
        """Have the leader decide; returns the position of `control` that contains it, durable.

        Raises:
            RejectedError: a rule refuses it.
            LeaderAwayError: nobody answered in time.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise LeaderAwayError(f"{MAX_WAITING} requests wait for the leader already")
        pending = _Pending(request)
        self._waiting.append(pending)
        self._wanted.set()
        try:
            return await asyncio.wait_for(pending.done, self._wait_s)
        except TimeoutError as error:
            raise LeaderAwayError("no coordinator leads now, or it does not answer") from error

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            epoch, address = self._leader
            if not address:
                await self._changed.wait()
                continue
            try:
                await self._serve(epoch, address)
            except (aiohttp.ClientError, OSError, TimeoutError, msgspec.MsgspecError, ValueError) as error:
                self._log.warning("no connection to the leader", leader=address, epoch=epoch, error=str(error)[:200])
            except Exception:  # noqa: BLE001 - whatever it is: logged, and the leader is looked for again
                self._log.exception("the connection to the leader failed")
            finally:
                self.is_connected = False
            await asyncio.sleep(RETRY_S)

    async def _serve(self, epoch: int, address: str) -> None:
        """Be connected to this leader until there is another, or the connection breaks."""
        headers = {"Authorization": f"Bearer {self._sign()}"}
        connecting = self._session.ws_connect(
            f"{address}{PATH}", headers=headers, max_msg_size=MAX_MESSAGE_BYTES, ssl=self._tls or True, heartbeat=10.0
        )
        socket = await asyncio.wait_for(connecting, CONNECT_TIMEOUT_S)
        serving = asyncio.create_task(self._converse(socket))
        replaced = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait({serving, replaced}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
            else:
                self._log.info("another coordinator leads now", was=address, epoch=epoch)
        finally:
            for task in (serving, replaced):
                task.cancel()
            await asyncio.gather(serving, replaced, return_exceptions=True)
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                # A leader that stands still would be waited for until it answers.
                await asyncio.wait_for(socket.close(), RETRY_S)

    async def _converse(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.send_bytes(msgspec.json.encode(self._hello()))
        welcome = await asyncio.wait_for(self._receive(socket), CONNECT_TIMEOUT_S)
        if not isinstance(welcome, Welcome) or welcome.schema != SCHEMA:
            raise ValueError(f"the leader speaks another protocol than schema {SCHEMA}")
        self.is_connected = True
        self._log.info("connected to the leader", epoch=welcome.epoch)
        while True:
            await self._until_wanted(socket)
            batch = self._next_batch()
            if not batch:
                continue
            try:
                await self._exchange(socket, batch)
            finally:
                self._put_back(batch)

    async def _until_wanted(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Return once a request waits; the leader says nothing meanwhile, unless it goes."""
        if self._waiting:
            return
        self._wanted.clear()
        listening = asyncio.create_task(self._receive(socket))
        wanted = asyncio.create_task(self._wanted.wait())
        try:
            await asyncio.wait({listening, wanted}, return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                listening.result()
                raise ValueError("the leader answers what it was not asked")
        finally:
            for task in (listening, wanted):
                task.cancel()
            await asyncio.gather(listening, wanted, return_exceptions=True)

    def _next_batch(self) -> list[_Pending]:
        batch: list[_Pending] = []
        while self._waiting and len(batch) < MAX_BATCH:
            pending = self._waiting.popleft()
            if not pending.done.done():  # else who asked has gone
                batch.append(pending)
        return batch

    def _put_back(self, batch: list[_Pending]) -> None:
        """What was not answered is the first to be sent again."""
        self._waiting.extendleft(pending for pending in reversed(batch) if not pending.done.done())

    async def _exchange(self, socket: aiohttp.ClientWebSocketResponse, batch: list[_Pending]) -> None:
        self._number += 1
        message = Batch(number=self._number, requests=[pending.request for pending in batch])
        await socket.send_bytes(msgspec.json.encode(message))
        answer = await self._receive(socket)
        if isinstance(answer, BatchFailed) and answer.number == self._number:
            # Its journal failed and is read again, or it was overtaken: either way this is known soon.
            self._log.warning("the leader could not make a batch durable", code=answer.code, detail=answer.detail)
            await asyncio.sleep(RETRY_S)
            return
        if not isinstance(answer, BatchAnswer) or answer.number != self._number:
            raise ValueError("the leader answers what it was not asked")
        for place, pending in enumerate(batch):
            refusal = answer.refusals.get(place)
            if refusal is not None:
                _fail(
                    pending,
                    RejectedError(
                        refusal.code, refusal.detail, status=refusal.status, retry_after_s=refusal.retry_after_s
                    ),
                )
            elif not pending.done.done():
                pending.done.set_result(answer.position)

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse) -> LeaderMessage:
        frame = await socket.receive()
        if frame.type not in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
            raise ConnectionError(f"the leader closed the connection ({socket.close_code})")
        return self._decoder.decode(frame.data)


def _fail(pending: _Pending, error: Exception) -> None:
    if not pending.done.done():
        pending.done.set_exception(error)
