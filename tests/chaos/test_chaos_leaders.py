"""Leaders killed one after the other behind Sentinels, while real halls watch a real programme."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from pathlib import Path

import msgspec
import pytest
from support.chaos_rounds import ROUNDS, SEED
from support.coordinator_fleet import fleet
from support.leader_front import leader_front
from support.picture_gaps import PictureGaps
from support.redis_groups import SentinelGroup
from support.whole_conference import conference_on

from conference.access import KeyRing
from conference.config import KEY_FILE
from conference.demo.stage import TOKEN_S, Stage
from conference.layout import free_ports
from conference.starting import write_token
from conference.supervision import Supervisor

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180 + 45 * ROUNDS)]

NAMES = ["one", "two", "three"]
HALLS = 3
RELAYS = 3
NEW_LEADER_S = 5.0
# As in the suite: halls judge the wire themselves, and move after 300 ms of silence; none may have moved.
LONGEST_PICTURE_GAP_S = 1.5


async def test_leaders_die_and_pictures_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each time another leads within five seconds, relays come to it, no hall moves, and no picture stands still."""
    chance = random.Random(SEED)
    group = await asyncio.to_thread(SentinelGroup, tmp_path)
    port = free_ports(1)[0]
    url = f"http://127.0.0.1:{port}"
    state = tmp_path / "coordinator"
    for folder in (state, tmp_path / "log"):
        folder.mkdir(mode=0o700)
    keys = KeyRing.load_or_create(state / KEY_FILE)
    stage = Stage(
        folder=tmp_path,
        supervisor=Supervisor(tmp_path / "log"),
        coordinator_url=url,
        organiser_token=write_token(keys, tmp_path / "organiser.token", "organiser", "test", TOKEN_S),
        operator_token="",
    )
    settings: dict[str, object] = {"journal": {"url": group.url}, "public_url": url}
    takeovers_s: list[float] = []
    try:
        async with (
            fleet(state, NAMES, chance, settings) as coordinators,
            leader_front(port, coordinators),
            conference_on(stage) as whole,
        ):
            await whole.prepare(HALLS)
            seats = await whole.placements()
            gaps = PictureGaps(whole)
            for _ in range(ROUNDS):
                await asyncio.sleep(chance.uniform(0, 2))
                leader = await coordinators.leader()
                leader.signal(signal.SIGKILL)
                coordinators.doubt(leader)
                died_s = time.monotonic()
                await coordinators.leader()
                takeovers_s.append(round(time.monotonic() - died_s, 2))
                await whole.until_connected(RELAYS)
                await whole.until_settled()
            await gaps.stop()
            figures = {
                "takeovers": ROUNDS,
                "mean_s": round(sum(takeovers_s) / ROUNDS, 2),
                "worst_s": max(takeovers_s),
                "longest_picture_gap_s": round(max(gaps.longest_s.values()), 2),
                "moves": sum(len(hall.summary.moves) for hall in whole.halls.values()),
            }
            with capsys.disabled():
                sys.stdout.write(f"{msgspec.json.encode(figures).decode()}\n")
            assert figures["moves"] == 0
            assert await whole.placements() == seats
            assert max(gaps.longest_s.values()) < LONGEST_PICTURE_GAP_S
            assert max(takeovers_s) <= NEW_LEADER_S, takeovers_s
    finally:
        group.close()
