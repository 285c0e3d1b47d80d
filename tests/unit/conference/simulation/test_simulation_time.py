"""Virtual time, and programs that die at once."""

from __future__ import annotations

import asyncio
import time

import pytest

from conference.simulation.programs import Program, make_task
from conference.simulation.virtual_time import StandstillError, run_virtually


def test_a_day_passes_at_once() -> None:
    """The clock jumps from timer to timer; those of one moment come in some order, none late."""

    async def day() -> list[float]:
        loop = asyncio.get_running_loop()
        moments: list[float] = []

        async def sleeper(seconds: float) -> None:
            await asyncio.sleep(seconds)
            moments.append(loop.time())

        await asyncio.gather(*(sleeper(3_600 * hour) for hour in (24, 1, 12)))
        return moments

    began = time.monotonic()
    assert run_virtually(day()) == pytest.approx([3_600, 43_200, 86_400])
    assert time.monotonic() - began < 5


def test_time_limits_hold_in_virtual_seconds() -> None:
    """`asyncio.timeout` and `wait_for` end when the virtual clock says so."""

    async def patient() -> float:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 1_000)
        return asyncio.get_running_loop().time()

    assert run_virtually(patient()) == pytest.approx(1_000)


def test_waiting_for_nothing_is_an_error() -> None:
    """A world in which nothing can happen any more says so, instead of hanging."""

    async def stuck() -> None:
        await asyncio.Event().wait()

    with pytest.raises(StandstillError):
        run_virtually(stuck())


def test_work_for_threads_is_done_at_once_and_raises_what_it_raises() -> None:
    """No thread takes part, so that a run is repeatable."""

    async def work() -> str:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return await asyncio.to_thread(str.upper, "xong")

    assert run_virtually(work()) == "XONG"


def test_a_killed_program_takes_its_tasks_with_it_and_nobody_elses() -> None:
    """Also those that its tasks started; what others do goes on."""

    async def world() -> list[str]:
        asyncio.get_running_loop().set_task_factory(make_task)
        heard: list[str] = []

        async def speak(name: str) -> None:
            await asyncio.sleep(10)
            heard.append(name)

        async def parent() -> None:
            child = asyncio.create_task(speak("child"))
            await speak("parent")
            await child

        program = Program()
        tasks = [program.start(parent()), program.start(speak("other"))]
        bystander = asyncio.create_task(speak("bystander"))
        await asyncio.sleep(5)
        program.kill()
        await asyncio.wait([*tasks, bystander])
        assert all(task.cancelled() for task in tasks)
        assert not program.is_alive
        return heard

    assert run_virtually(world()) == ["bystander"]
