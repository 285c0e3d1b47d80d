"""Programs of ours as child processes: start, watch, stop; nothing is left behind.

Owns: each child's process group, its output files, and what its end means. Refuses: restarting anything silently; a
program that ends without being asked to is a failure, reported with its last words.

Three nets catch children: SIGTERM then SIGKILL to the group at the end; the kernel's parent-death signal, which
`follow_parent` asks for in the child, when this process itself is killed; and the group, for a child's own children.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from conference.errors import ConferenceError

T = TypeVar("T")

PARENT_VARIABLE = "DIEMCAU_PARENT_PID"
LAST_WORDS_BYTES = 4096
LAST_WORDS_LINES = 8
_PR_SET_PDEATHSIG = 1  # prctl(2)


class ProgramDiedError(ConferenceError):
    """A program ended although nobody asked it to.

    Attributes:
        name: which one.
        returncode: its exit code, or minus the signal.
        last_words: the last lines that it logged.
    """

    code = "program_died"
    status = 500

    def __init__(self, name: str, returncode: int, last_words: str) -> None:
        ended = f"was killed by signal {-returncode}" if returncode < 0 else f"ended with code {returncode}"
        super().__init__(f"{name} {ended} although nobody asked it to")
        self.name = name
        self.returncode = returncode
        self.last_words = last_words


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """What to start.

    Attributes:
        name: unique name for people, and of its output files.
        arguments: arguments of the command line, as after `diemcau`.
    """

    name: str
    arguments: Sequence[str]


class Program:
    """One running child."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.name = name
        self.is_expected_to_end = False
        self._process = process
        self._folder = folder

    @property
    def pid(self) -> int:
        """Process id, which is its process group as well."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit code, minus the signal that killed it, or None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for its end and return the exit code."""
        return await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; one that has ended already is no error."""
        if number in {signal.SIGTERM, signal.SIGKILL, signal.SIGINT}:
            self.is_expected_to_end = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def last_line(self) -> str:
        """Last line that it printed on stdout, or ""."""
        lines = [line for line in _tail(self._folder / f"{self.name}.out", 1024 * 1024).splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def last_words(self) -> str:
        """Last lines that it logged on stderr."""
        return "\n".join(_tail(self._folder / f"{self.name}.err", LAST_WORDS_BYTES).splitlines()[-LAST_WORDS_LINES:])


class Supervisor:
    """All children of one parent.

    Args:
        folder: where their output goes, one `.out` and one `.err` file each.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._watchers: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[ProgramDiedError] = asyncio.get_running_loop().create_future()
        self.programs: dict[str, Program] = {}

    async def start(self, spec: ProgramSpec) -> Program:
        """Start a program of this product in its own process group.

        Returns:
            The running program.

        Raises:
            OSError: the machine has no room for another process or file.
        """
        environment = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
        # Opened and closed here: the child holds its own copies of the descriptors.
        with (
            (self._folder / f"{spec.name}.out").open("wb") as out,
            (self._folder / f"{spec.name}.err").open("wb") as err,
        ):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "conference.cli.main",
                *spec.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
                start_new_session=True,
            )
        program = Program(spec.name, process, self._folder)
        self.programs[spec.name] = program
        watcher = asyncio.create_task(self._watch(program))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        return program

    async def _watch(self, program: Program) -> None:
        returncode = await program.wait()
        if not program.is_expected_to_end and not self._failure.done():
            self._failure.set_result(ProgramDiedError(program.name, returncode, program.last_words()))

    async def guard(self, work: Coroutine[object, object, T]) -> T:
        """Do `work`, and give up as soon as a program dies unasked.

        Returns:
            What `work` returned.

        Raises:
            ProgramDiedError: a program died; `work` was cancelled.
        """
        task = asyncio.ensure_future(work)
        try:
            futures: set[asyncio.Future[T] | asyncio.Future[ProgramDiedError]] = {task, self._failure}
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done():
                raise self._failure.result()
            return await task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

    async def failure(self) -> ProgramDiedError:
        """Wait until a program dies unasked, and return which."""
        return await asyncio.shield(self._failure)

    async def stop(self, programs: Sequence[Program], *, grace_s: float) -> list[Program]:
        """Ask programs to end (SIGTERM), and kill what still runs after `grace_s`.

        Returns:
            Those that had to be killed.
        """
        for program in programs:
            program.signal(signal.SIGTERM)
        waits = [asyncio.create_task(program.wait()) for program in programs]
        if waits:
            await asyncio.wait(waits, timeout=grace_s)
        stubborn = [program for program in programs if program.returncode is None]
        for program in stubborn:
            program.signal(signal.SIGKILL)
        if waits:
            await asyncio.wait(waits)
        return stubborn

    async def stop_all(self, *, grace_s: float) -> None:
        """End everything that still runs; safe to call at any moment and more than once."""
        running = [program for program in self.programs.values() if program.returncode is None]
        await self.stop(running, grace_s=grace_s)
        if self._watchers:
            await asyncio.wait(self._watchers)
        if self._failure.done():
            self._failure.result()
        else:
            self._failure.cancel()


def follow_parent() -> None:
    """In a child that a supervisor started: be told to end (SIGTERM) when the parent dies, however it dies.

    Does nothing in a program that somebody started by hand.
    """
    parent = os.environ.get(PARENT_VARIABLE, "")
    if not parent.isdigit() or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != int(parent):  # it died before we asked
        raise SystemExit(1)


def _tail(path: Path, size: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
