"""One `diemcau` program as a process whose metrics are asked for while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping

import aiohttp

WAIT_S = 45.0
_METRICS = re.compile(r"(http://127\.0\.0\.1:\d+)/metrics")


class MeteredProgram:
    """A program that was started with `--metrics-port 0`; made by `metered_program`."""

    def __init__(self, process: asyncio.subprocess.Process, http: aiohttp.ClientSession) -> None:
        self.process = process
        self.said = ""
        self._http = http
        self._url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._output = asyncio.create_task(self._read_output())
        self._errors = asyncio.create_task(self._read_errors())

    async def _read_output(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.read()).decode()

    async def _read_errors(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.said += line.decode()
            found = _METRICS.search(line.decode())
            if found and not self._url.done():
                self._url.set_result(found[1])
        if not self._url.done():
            self._url.set_exception(AssertionError(f"it ended before it served metrics: {self.said}"))

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of one of its routes."""
        url = await asyncio.wait_for(asyncio.shield(self._url), WAIT_S)
        async with self._http.get(f"{url}{path}") as answer:
            return answer.status, await answer.text()

    async def samples(self) -> dict[str, float]:
        """Its own families, by sample name with labels."""
        _, text = await self.get("/metrics")
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("diemcau_"))
        return {name: float(value) for name, value in lines}

    async def until(self, so: Callable[[Mapping[str, float]], bool]) -> dict[str, float]:
        """Ask until its samples say so."""
        deadline = asyncio.get_running_loop().time() + WAIT_S
        while not so(samples := await self.samples()):
            assert asyncio.get_running_loop().time() < deadline, (samples, self.said)
            await asyncio.sleep(0.05)
        return samples

    async def end(self) -> tuple[int, str]:
        """Wait for its end; returns the exit code and what it printed."""
        code = await asyncio.wait_for(self.process.wait(), WAIT_S)
        await self._errors
        return code, await self._output

    async def aclose(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        await asyncio.gather(self._errors, self._output)
        if self._url.done():
            self._url.exception()


@contextlib.asynccontextmanager
async def metered_program(*arguments: str) -> AsyncIterator[MeteredProgram]:
    """Start `diemcau` with these arguments and `--metrics-port 0`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "conference.cli.main", *arguments, "--metrics-port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with aiohttp.ClientSession() as http:
        program = MeteredProgram(process, http)
        try:
            yield program
        finally:
            await program.aclose()
