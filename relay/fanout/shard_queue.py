"""Commands for one shard of a fan-out, in the order of the calls, with a bound on what waits.

A shard that is behind drops its oldest burst, for all outputs of the burst in that shard, and counts it: old video
helps nobody. Resends have a bound of their own, and a new one gives way; requests to repair must not push out what is
new. Changes of peers and outputs are never dropped.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

MAX_WAITING_BURSTS = 64  # under a second of one feed's frames and audio; older than that is of no use
MAX_WAITING_RESENDS = 4096  # packets; 6 MB, and ten subscribers at the most that each may ask in a second
_STOP_S = 5.0  # one kernel call takes milliseconds

Command = Callable[[], None]


class _Burst:
    """A burst that waits for a shard: packets over all the outputs that it was meant for, and how many those are."""

    __slots__ = ("command", "outputs", "packets")

    def __init__(self, command: Command, packets: int, outputs: int) -> None:
        self.command = command
        self.packets = packets
        self.outputs = outputs


class _Resend:
    __slots__ = ("command", "packets")

    def __init__(self, command: Command, packets: int) -> None:
        self.command = command
        self.packets = packets


class ShardQueue:
    """Executes commands in order by a thread of its own, or at once where there are no threads.

    Attributes:
        packets_dropped: packets times outputs that the thread did not come to.
        bursts_dropped: the same in bursts.
    """

    def __init__(self, *, name: str, threaded: bool) -> None:
        self.packets_dropped = 0
        self.bursts_dropped = 0
        self._waiting: deque[Command | _Burst | _Resend] = deque()
        self._bursts = 0
        self._resends = 0
        self._closed = False
        self._failure: BaseException | None = None
        self._idle: list[threading.Event] = []
        self._lock = threading.Lock()
        # One token for each command that was put, and one at the end. A condition would do, at ten times the price: it
        # is written in Python, and makes a lock for each wait.
        self._tokens: SimpleQueue[None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True) if threaded else None
        if self._thread is not None:
            self._thread.start()

    def change(self, command: Command) -> None:
        """Execute a command that must not be lost.

        Raises:
            RuntimeError: the thread died of a bug of ours.
        """
        if self._thread is None:
            command()
        else:
            with self._lock:
                self._put(command)

    def burst(self, command: Command, *, packets: int, outputs: int) -> None:
        """Execute a command that sends a burst; the oldest burst gives way when too many wait.

        Args:
            command: to execute.
            packets: how many it sends, over all outputs.
            outputs: to how many.

        Raises:
            RuntimeError: the thread died of a bug of ours.
        """
        if self._thread is None:
            command()
            return
        with self._lock:
            if self._bursts >= MAX_WAITING_BURSTS:
                self._drop_oldest_burst()
            self._bursts += 1
            self._put(_Burst(command, packets, outputs))

    def resend(self, command: Command, *, packets: int) -> None:
        """Execute a command that sends packets again; it is dropped when too many wait.

        Raises:
            RuntimeError: the thread died of a bug of ours.
        """
        if self._thread is None:
            command()
            return
        with self._lock:
            if self._resends + packets > MAX_WAITING_RESENDS:
                self.packets_dropped += packets
                self.bursts_dropped += 1
                return
            self._resends += packets
            self._put(_Resend(command, packets))

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until all commands so far are executed; for tests and measurements. False when that took too long.

        A thread that died executes nothing more, and is idle.
        """
        if self._thread is None:
            return True
        done = threading.Event()
        with self._lock:
            if self._failure is not None:
                return True
            self._idle.append(done)
            self._put(done.set)
        try:
            return done.wait(timeout_s)
        finally:
            with self._lock:
                self._idle.remove(done)

    def close(self) -> None:
        """Drop what waits to be sent, execute the changes that wait, and end the thread."""
        if self._thread is not None:
            with self._lock:
                self._closed = True
            self._tokens.put(None)
            self._thread.join(_STOP_S)
            if self._thread.is_alive():
                raise RuntimeError("a fan-out thread does not end")
            self._thread = None
        for item in self._waiting:
            if isinstance(item, _Burst):
                self._count_dropped(item)
            elif not isinstance(item, _Resend):
                item()
        self._waiting.clear()

    def _put(self, item: Command | _Burst | _Resend) -> None:
        if self._failure is not None:
            raise RuntimeError("a fan-out thread died") from self._failure
        self._waiting.append(item)
        self._tokens.put(None)

    def _drop_oldest_burst(self) -> None:
        for position, item in enumerate(self._waiting):
            if isinstance(item, _Burst):
                del self._waiting[position]  # its token stays: the thread will find nothing for it
                self._bursts -= 1
                self._count_dropped(item)
                return

    def _count_dropped(self, burst: _Burst) -> None:
        self.packets_dropped += burst.packets
        self.bursts_dropped += burst.outputs

    def _run(self) -> None:
        while True:
            self._tokens.get()
            with self._lock:
                if self._closed:
                    return
                command = self._next()
            if command is None:
                continue
            try:
                command()
            except BaseException as error:  # noqa: BLE001 (a bug of ours: it is raised on the event loop's next call)
                self._die(error)
                return

    def _die(self, error: BaseException) -> None:
        with self._lock:
            self._failure = error
            for waits in self._idle:
                waits.set()

    def _next(self) -> Command | None:
        if not self._waiting:
            return None
        item = self._waiting.popleft()
        if isinstance(item, _Burst):
            self._bursts -= 1
            return item.command
        if isinstance(item, _Resend):
            self._resends -= item.packets
            return item.command
        return item
