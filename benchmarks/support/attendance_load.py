"""Halls' devices and delegates' phones over plain HTTP/1.1, cheap enough to share two cores with what they measure."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from benchmarks.support.delegations import Batch
from benchmarks.support.issued_codes import IssuedCodes
from conference.access import ApiClaims, KeyRing

TOKEN_S = 86_400
LIMIT_BYTES = 1024 * 1024
JobT = TypeVar("JobT")


class RefusedError(RuntimeError):
    """An answer other than 200."""


class Connection:
    """One keep-alive connection."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, token: str, body: bytes = b"") -> bytes:
        """One request and its answer's body.

        Raises:
            OSError: the connection broke.
            RefusedError: the status is not 200.
        """
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=LIMIT_BYTES)
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        try:
            found = await self._reader.readuntil(b"\r\n\r\n")
            length = int(found.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            answer = await self._reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the server closed the connection") from error
        if not found.startswith(b"HTTP/1.1 200"):
            raise RefusedError(f"{found[9:12].decode()} {answer[:200]!r}")
        return answer

    def close(self) -> None:
        """Close it."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


class Load:
    """What is sent, and what was acknowledged.

    Attributes:
        acknowledged: by number: told that it counts, or counted before.
        sent: by number: was under way at least once.
        counted: answers "counted".
        results: answers by what they said, but for "counted".
    """

    def __init__(
        self, host: str, port: int, keys: KeyRing, codes: IssuedCodes, conference_id: str, hall_ids: list[str]
    ) -> None:
        self._host = host
        self._port = port
        self._keys = keys
        self._codes = codes
        self._conference_id = conference_id
        self._hall_ids = hall_ids
        self._tokens: dict[tuple[str, int], str] = {}
        self._expiry_s = int(time.time()) + TOKEN_S
        self.acknowledged: npt.NDArray[np.bool_] = np.zeros(1, dtype=np.bool_)
        self.sent = self.acknowledged
        self.counted = 0
        self.results: dict[str, int] = {}

    def expect(self, delegates: int) -> None:
        """Make room for so many delegates."""
        self.acknowledged = np.zeros(delegates + 1, dtype=np.bool_)
        self.sent = np.zeros(delegates + 1, dtype=np.bool_)

    def connection(self) -> Connection:
        """Another connection to the server."""
        return Connection(self._host, self._port)

    def token(self, role: str, hall: int) -> str:
        """The hall's own token, or that of its poster."""
        token = self._tokens.get((role, hall))
        if token is None:
            hall_id = self._hall_ids[hall]
            claims = ApiClaims(
                sub=hall_id,
                role="hall" if role == "hall" else "poster",
                hall=hall_id,
                conference=self._conference_id,
                exp=self._expiry_s,
            )
            token = self._tokens[role, hall] = self._keys.issue_api_token(claims)
        return token

    def nonce(self, number: int) -> int:
        """The same for each repetition of a delegate's check-in."""
        return number * 2_654_435_761 % 2**53

    def body(self, batch: Batch, opened_ms: int) -> bytes:
        """The body of a batch; those of a hall come within some minutes."""
        code, nonce, start_ms = self._codes.code, self.nonce, opened_ms + batch.at_ms
        scans = b",".join(
            b'{"code":"%b","at_ms":%d,"nonce":%d,"method":"qr"}'
            % (code(number), start_ms + number % 997, nonce(number))
            for number in range(batch.first, batch.end)
        )
        return b'{"schema":1,"checkins":[' + scans + b"]}"

    async def send_batch(self, connection: Connection, batch: Batch, opened_ms: int) -> None:
        """Send one batch, and note what became of it."""
        self.sent[batch.first : batch.end] = True
        body = self.body(batch, opened_ms)
        answer = await connection.ask("POST", "/api/v1/halls/checkins", self.token("hall", batch.hall), body)
        counted = answer.count(b'"counted"')
        self.counted += counted
        if counted != batch.end - batch.first:
            self._note(answer)
        self.acknowledged[batch.first : batch.end] = True

    async def send_single(self, connection: Connection, hall: int, number: int, at_ms: int, *, is_self: bool) -> None:
        """Send one check-in, by the hall's device or by the delegate's own phone."""
        self.sent[number] = True
        body = b'{"schema":1,"code":"%b","at_ms":%d,"nonce":%d}' % (self._codes.code(number), at_ms, self.nonce(number))
        path, role = ("/api/v1/checkin", "poster") if is_self else ("/api/v1/halls/checkin", "hall")
        answer = await connection.ask("POST", path, self.token(role, hall), body)
        if b'"counted"' in answer:
            self.counted += 1
        else:
            self._note(answer)
        self.acknowledged[number] = True

    def _note(self, answer: bytes) -> None:
        for word in ("again", "elsewhere", "void", "unknown", "forged", "withdrawn", "other_conference", "limited"):
            if found := answer.count(f'"{word}"'.encode()):
                self.results[word] = self.results.get(word, 0) + found

    def save(self, path: Path) -> None:
        """Write what was sent and acknowledged, for whoever compares it with the journal."""
        np.savez(path, acknowledged=self.acknowledged, sent=self.sent)


async def in_parallel(
    jobs: Iterable[JobT], load: Load, width: int, send: Callable[[Connection, JobT], Awaitable[None]]
) -> list[int]:
    """Do jobs over `width` connections, each one after the other on its own; returns how long each took, in ns."""
    took: list[int] = []
    rest = iter(jobs)

    async def work() -> None:
        connection = load.connection()
        try:
            for job in rest:
                begun_ns = time.perf_counter_ns()
                await send(connection, job)
                took.append(time.perf_counter_ns() - begun_ns)
        finally:
            connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(width):
            group.create_task(work())
    return sorted(took)


def some_again(batches: list[Batch], share: float, seed: int) -> list[Batch]:
    """Batches that are sent once more, shuffled."""
    chance = random.Random(seed)
    return chance.sample(batches, max(1, int(len(batches) * share)))
