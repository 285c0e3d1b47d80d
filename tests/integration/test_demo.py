import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def start_demo(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a demo whose temporary files are below `tmp_path`."""
    return subprocess.Popen(
        [sys.executable, "-m", "conference.cli.main", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        start_new_session=True,
    )


def wait_for_children(demo: subprocess.Popen[str], count: int) -> list[psutil.Process]:
    """Wait until the demo has started so many programs."""
    deadline = time.monotonic() + 60
    while True:
        children = psutil.Process(demo.pid).children(recursive=True)
        if len(children) >= count:
            return children
        assert demo.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def assert_gone(children: list[psutil.Process], tmp_path: Path) -> None:
    """No program and no file of the demo is left."""
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    assert list(tmp_path.iterdir()) == []


def test_a_short_demo_measures_a_whole_conference(tmp_path: Path) -> None:
    """Real halls decode, a killed relay's halls return, virtual halls are counted apart, nothing is left behind."""
    demo = start_demo(tmp_path, "--relays", "3", "--halls", "2", "--virtual", "60", "--seconds", "12", "--json")
    out, err = demo.communicate(timeout=150)
    assert demo.returncode == 0, err
    figures: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert figures["halls_registered"] == 62
    assert (figures["halls_real"], figures["halls_virtual"]) == (2, 60)
    assert 2 < figures["halls_present_peak"] <= 62
    assert (figures["relays"], figures["relays_virtual"], figures["tree_depth"]) == (3, 35, 1)
    assert figures["frames_decoded_min"] > 100
    assert 0 < figures["glass_to_glass_ms_p95"] < 2_000
    assert figures["killed_relay"]
    assert figures["rehomed"] == 1
    assert 0 < figures["rehome_ms_p99"] < 5_000
    assert figures["delegates_summoned"] >= figures["delegates_present"] > figures["delegates_present_real"] > 0
    assert figures["journal_events"] > 62
    assert 10 < figures["coordinator_rss_mb"] < 500
    assert figures["joins_reply_ms_p99"] > 0
    assert list(tmp_path.iterdir()) == []


def test_one_relay_is_enough(tmp_path: Path) -> None:
    """With one relay there is nobody to kill, and the origin serves the hall itself."""
    demo = start_demo(tmp_path, "--relays", "1", "--halls", "1", "--virtual", "0", "--seconds", "8", "--json")
    out, err = demo.communicate(timeout=120)
    assert demo.returncode == 0, err
    figures = json.loads(out.splitlines()[-1])
    assert (figures["relays"], figures["tree_depth"], figures["killed_relay"], figures["rehomed"]) == (1, 0, "", 0)
    assert figures["frames_decoded_min"] > 50
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_breaking_a_demo_off_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """Exit code 1, one sentence, every program ended, no file left."""
    demo = start_demo(tmp_path, "--relays", "2", "--halls", "1", "--virtual", "0", "--seconds", "60", "--json")
    children = wait_for_children(demo, 3)
    demo.send_signal(number)
    _, err = demo.communicate(timeout=30)
    assert demo.returncode == 1
    assert "interrupted" in err
    assert "Traceback" not in err
    assert_gone(children, tmp_path)


def test_a_program_that_dies_fails_the_demo(tmp_path: Path) -> None:
    """A relay that dies although the demo did not kill it is named, and everything else is ended."""
    demo = start_demo(tmp_path, "--relays", "2", "--halls", "1", "--virtual", "0", "--seconds", "60", "--json")
    children = wait_for_children(demo, 3)
    relay = next(child for child in children if "relay" in child.cmdline())
    relay.kill()
    _, err = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "was killed by signal 9 although nobody asked it to" in err
    assert_gone(children, tmp_path)
