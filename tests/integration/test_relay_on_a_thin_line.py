"""A real relay and a hall behind a line of 6 Mbit/s whose buffer holds 64 kB."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from support.namespaces import needs_namespaces
from support.relays import RelayProcess, Signer, relay_process
from support.rtc_client import programme, rtc_client
from support.thin_line import ThinLine, thin_line

pytestmark = [pytest.mark.integration, pytest.mark.alone, needs_namespaces]

LIVE_S, JOIN_S, JOINS = 8, 2, 3


async def hall(line: ThinLine, relay: RelayProcess, token_file: Path, *, seconds: float) -> dict[str, Any]:
    """A hall at the end of the line, which counts and repairs nothing."""
    url = relay.endpoint("whep")
    words = ["swarm", url, "-n", "1", "--token-file", str(token_file), "--seconds", str(seconds), "--json"]
    command = line.in_hall(sys.executable, "-m", "conference.cli.main", *words)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    found: dict[str, Any] = json.loads(out)
    return found


async def test_keyframes_of_150_kb_pass_live_and_at_a_join(tmp_path: Path) -> None:
    """2 Mbit/s, a keyframe every two seconds: the line drops nothing, the hall misses nothing, nothing is repaired."""
    signer = Signer()
    token_file = tmp_path / "play.token"
    token_file.write_text(signer.token("hall", "play"))
    with thin_line() as line:
        async with (
            relay_process(tmp_path, signer, relay_id="origin", role="origin", host=line.relay_address) as relay,
            rtc_client(relay.endpoint("whip"), signer.token("encoder", "publish"), publishes=True) as publisher,
            programme(publisher) as film,
        ):
            film.video.payload_words, film.keyframe_packets, film.packets = 285, 130, 5
            film.answers_requests = False
            runs = [await hall(line, relay, token_file, seconds=LIVE_S)]
            for _ in range(JOINS):
                await asyncio.sleep(random.uniform(0, 1))  # anywhere in the group of pictures
                runs.append(await hall(line, relay, token_file, seconds=JOIN_S))
            metrics = await relay.metrics()
        drops = line.statistics()["drops"]
    assert all(run["connected"] == 1 and run["packets"] > 300 for run in runs), runs
    assert drops == 0
    assert [run["packets_lost"] for run in runs] == [0] * len(runs)
    assert metrics["diemcau_relay_nacks_received_total"] == 0
    assert metrics["diemcau_relay_packets_resent_total"] == 0


def test_the_line_is_as_thin_as_it_says() -> None:
    """Without pacing it would lose: what is sent at once beyond its buffer is dropped and counted."""
    with thin_line() as line:
        assert line.statistics()["drops"] == 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(130):
                sender.sendto(bytes(1_200), (line.hall_address, 9))
        assert line.statistics()["drops"] > 50
