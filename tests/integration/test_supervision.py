import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from conference.supervision import ProgramDiedError, ProgramSpec, Supervisor

pytestmark = pytest.mark.integration


async def test_a_program_that_dies_unasked_ends_the_work(tmp_path: Path) -> None:
    """The guard gives up at once, and names the program, its exit code and its last words."""
    supervisor = Supervisor(tmp_path)
    await supervisor.start(ProgramSpec("broken", ["relay", "--config", str(tmp_path / "none.yaml")]))
    with pytest.raises(ProgramDiedError) as caught:
        await supervisor.guard(asyncio.sleep(60))
    await supervisor.stop_all(grace_s=5)
    assert (caught.value.name, caught.value.returncode) == ("broken", 1)
    assert "none.yaml" in caught.value.last_words


async def test_an_expected_end_is_no_failure(tmp_path: Path) -> None:
    """What was asked to end does not count as dead, and its last line can be read."""
    supervisor = Supervisor(tmp_path)
    program = await supervisor.start(ProgramSpec("version", ["version", "--json"]))
    program.is_expected_to_end = True
    assert await program.wait() == 0
    assert await supervisor.guard(asyncio.sleep(0, result="done")) == "done"
    assert program.last_line().startswith("{")
    await supervisor.stop_all(grace_s=5)


def test_a_killed_parent_takes_its_children_along(tmp_path: Path) -> None:
    """After kill -9 of the supervising process no child is left."""
    pid_file = tmp_path / "child.pid"
    script = textwrap.dedent(f"""
        import asyncio, pathlib
        from conference.supervision import ProgramSpec, Supervisor

        async def main() -> None:
            folder = pathlib.Path({str(tmp_path)!r})
            (folder / "c.yaml").write_text("program: coordinator\\nport: 0\\nstate_dir: " + str(folder / "state"))
            supervisor = Supervisor(folder)
            spec = ProgramSpec("coordinator", ["coordinator", "--config", str(folder / "c.yaml")])
            child = await supervisor.start(spec)
            while "ready at" not in (folder / "coordinator.out").read_text():
                await asyncio.sleep(0.05)
            (folder / "child.new").write_text(str(child.pid))
            (folder / "child.new").rename({str(pid_file)!r})
            await supervisor.failure()

        asyncio.run(main())
    """)
    parent = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not pid_file.exists():
            assert parent.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        child = psutil.Process(int(pid_file.read_text()))
        os.kill(parent.pid, signal.SIGKILL)
        child.wait(timeout=20)
    finally:
        parent.kill()
        parent.wait()
