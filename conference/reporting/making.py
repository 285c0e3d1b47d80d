"""Has reports written in processes of their own, a few at a time, and signs them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterable

import msgspec

from conference.access import KeyRing
from conference.errors import ConferenceError
from conference.reporting.wire import DIGEST_BYTES, ReportRequest, frame
from conference.reports.sealing import REPORT_DOMAIN, FileSeal, seal_file
from monitoring.log_config import get_logger

AT_ONCE = 1  # each takes a core; halls have the other
MAX_WAITING = 8
MAX_MAKING_S = 180.0
MAX_ERROR_BYTES = 4_096


class ReportsBusyError(ConferenceError):
    """Others wait for their reports already."""

    code = "reports_busy"
    status = 503


class ReportFailedError(ConferenceError):
    """The process that was to write a report ended without one, or took too long."""

    code = "report_failed"
    status = 500


class SealedForm(msgspec.Struct, frozen=True, kw_only=True):
    """A written report and the seal of its bytes."""

    payload: bytes
    seal: FileSeal


class ReportMaker:
    """Writes reports for one coordinator.

    Args:
        keys: sign them.
    """

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    @property
    def public_key(self) -> str:
        """The key that reports are verified with, PEM."""
        return self._keys.public_keys[0]

    async def make(self, request: ReportRequest, frames: AsyncIterable[bytes]) -> SealedForm:
        """Have one report written.

        Args:
            request: what to write.
            frames: its halls and units; asked for one after the other while the process takes them.

        Raises:
            ReportsBusyError: too many wait already.
            ReportFailedError: it could not be written.
        """
        if self._waiting >= MAX_WAITING:
            raise ReportsBusyError("reports are being made for others; ask again in a minute")
        self._waiting += 1
        try:
            async with self._turns:
                return await self._make(request, frames)
        finally:
            self._waiting -= 1

    async def _make(self, request: ReportRequest, frames: AsyncIterable[bytes]) -> SealedForm:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "conference.reporting.process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(MAX_MAKING_S):
                digest, payload = await self._converse(process, request, frames)
                await process.wait()
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            raise await self._failure(process) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise await self._failure(process)
        # In a thread: the hash of a country's report takes longer than anybody who joins should wait.
        seal = await asyncio.to_thread(seal_file, payload, digest.hex(), self._keys.sign, self.public_key)
        return SealedForm(payload=payload, seal=seal)

    async def _converse(
        self, process: asyncio.subprocess.Process, request: ReportRequest, frames: AsyncIterable[bytes]
    ) -> tuple[bytes, bytes]:
        assert process.stdin is not None  # noqa: S101 - both are pipes, see above
        assert process.stdout is not None  # noqa: S101 - the same
        process.stdin.write(frame(b"R", request))
        async for part in frames:
            process.stdin.write(part)
            await process.stdin.drain()
        process.stdin.write(frame(b"E"))
        digest = await process.stdout.readexactly(DIGEST_BYTES)
        process.stdin.write(self._keys.sign(REPORT_DOMAIN + digest))
        await process.stdin.drain()
        return digest, await process.stdout.read()

    @staticmethod
    async def _failure(process: asyncio.subprocess.Process) -> ReportFailedError:
        """What is known of a process that failed, for the log; the caller is told only that."""
        if process.returncode is None:
            process.kill()
        await process.wait()
        said = b"" if process.stderr is None else await process.stderr.read(MAX_ERROR_BYTES)
        get_logger("conference.reports").error(
            "report process failed", returncode=process.returncode, said=said.decode(errors="replace")
        )
        return ReportFailedError("the report could not be written; the coordinator's log says why")
