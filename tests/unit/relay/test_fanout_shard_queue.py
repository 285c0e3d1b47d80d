from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from relay.fanout.shard_queue import MAX_WAITING_BURSTS, MAX_WAITING_RESENDS, ShardQueue


class Busy:
    """A queue whose thread is held by a command until `release`."""

    def __init__(self) -> None:
        self.queue = ShardQueue(name="shard-of-a-test", threaded=True)
        self.done: list[str] = []
        self._released = threading.Event()
        started = threading.Event()

        def hold() -> None:
            started.set()
            self._released.wait()

        self.queue.change(hold)
        assert started.wait(10)

    def note(self, word: str) -> Callable[[], None]:
        """A command that notes a word."""
        return lambda: self.done.append(word)

    def release(self) -> None:
        """Let the thread go on, and wait until it has nothing to do."""
        self._released.set()
        assert self.queue.wait_idle(10)

    def close(self) -> None:
        """End the thread."""
        self._released.set()
        self.queue.close()


@pytest.fixture
def busy() -> Iterator[Busy]:
    """A queue whose thread is held."""
    made = Busy()
    yield made
    made.close()


def test_commands_are_executed_in_the_order_of_the_calls(busy: Busy) -> None:
    """Changes, bursts and resends share one order."""
    busy.queue.burst(busy.note("burst"), packets=1, outputs=1)
    busy.queue.change(busy.note("change"))
    busy.queue.resend(busy.note("resend"), packets=1)
    busy.queue.burst(busy.note("burst again"), packets=1, outputs=1)
    assert busy.done == []
    busy.release()
    assert busy.done == ["burst", "change", "resend", "burst again"]


def test_a_thread_that_is_behind_drops_its_oldest_bursts(busy: Busy) -> None:
    """They count once per output they were meant for; changes before and between them stay."""
    busy.queue.change(busy.note("before"))
    for number in range(MAX_WAITING_BURSTS + 2):
        busy.queue.burst(busy.note(str(number)), packets=80, outputs=10)
    busy.queue.change(busy.note("after"))
    assert (busy.queue.bursts_dropped, busy.queue.packets_dropped) == (20, 160)
    busy.release()
    assert busy.done == ["before", *map(str, range(2, MAX_WAITING_BURSTS + 2)), "after"]


def test_resends_give_way_to_bursts(busy: Busy) -> None:
    """A storm of requests to repair drops its own newest, and no burst."""
    for number in range(3):
        busy.queue.resend(busy.note(f"resend {number}"), packets=MAX_WAITING_RESENDS // 2)
    busy.queue.burst(busy.note("burst"), packets=1, outputs=1)
    assert (busy.queue.bursts_dropped, busy.queue.packets_dropped) == (1, MAX_WAITING_RESENDS // 2)
    busy.release()
    assert busy.done == ["resend 0", "resend 1", "burst"]
    busy.queue.resend(busy.note("resend 3"), packets=MAX_WAITING_RESENDS)
    assert busy.queue.wait_idle(10)
    assert busy.done[-1] == "resend 3"


def test_what_waits_at_the_end_is_not_sent_but_changes_are_made() -> None:
    """Keys that wait for their table are still wiped from it; the thread is gone."""
    busy = Busy()
    busy.queue.burst(busy.note("burst"), packets=6, outputs=3)
    busy.queue.resend(busy.note("resend"), packets=1)
    busy.queue.change(busy.note("change"))
    threading.Timer(0.05, busy.release).start()  # the end waits for the command that runs
    busy.queue.close()
    assert "change" in busy.done
    assert (busy.done == ["change"]) == (busy.queue.packets_dropped == 6)
    assert "shard-of-a-test" not in {thread.name for thread in threading.enumerate()}


def test_a_bug_in_the_thread_is_told_to_the_next_caller() -> None:
    """A shard never dies in silence."""
    queue = ShardQueue(name="shard-of-a-test", threaded=True)

    def fail() -> None:
        raise ZeroDivisionError

    queue.change(fail)
    assert queue.wait_idle(10)
    with pytest.raises(RuntimeError, match="died") as caught:
        queue.change(lambda: None)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    queue.close()


def test_without_a_thread_everything_happens_within_the_call() -> None:
    """For tests, and for a machine with one processor."""
    queue = ShardQueue(name="none", threaded=False)
    done: list[str] = []
    queue.change(lambda: done.append("change"))
    queue.burst(lambda: done.append("burst"), packets=1, outputs=1)
    queue.resend(lambda: done.append("resend"), packets=1)
    assert done == ["change", "burst", "resend"]
    assert queue.wait_idle(0)
    queue.close()
