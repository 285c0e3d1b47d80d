"""Chromium plays over a path that loses three packets in a hundred, each way, and takes 20 ms each way."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page
from support.film import write_film
from support.lossy_path import LossyPath, free_udp_port, lossy_path
from support.pages import open_page
from support.relays import RelayProcess, Signer, control_server, parent_of, relay_process

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.alone]

LOSS, DELAY_S = 0.03, 0.020
SETTLE_S, WATCH_S = 3.0, 20.0
FREEZE_MS = 200
STUTTER_MS = 100  # without any loss on the way, a picture stands so long only when the machine has no time for it
NEAR_MS = 500  # what is shown late when the machine has no time comes within so long


class Stage:
    """An edge behind a lossy path below an origin."""

    def __init__(self, origin: RelayProcess, edge: RelayProcess, path: LossyPath, signer: Signer) -> None:
        self.origin = origin
        self.edge = edge
        self.path = path
        self.signer = signer


@pytest_asyncio.fixture(loop_scope="session")
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Both relays up; the path loses nothing yet."""
    signer = Signer()
    async with (
        lossy_path(delay_s=DELAY_S, seed=1) as path,
        control_server(signer) as control,
        relay_process(tmp_path, signer, relay_id="origin", role="origin") as origin,
    ):
        control.parents = [parent_of(origin, "origin")]
        path.relay = ("127.0.0.1", free_udp_port())
        media = {"port": path.relay[1], "announced_addresses": [f"127.0.0.1:{path.port}"]}
        async with relay_process(
            tmp_path, signer, relay_id="edge", role="edge", coordinator_url=control.url, settings={"media": media}
        ) as edge:
            yield Stage(origin, edge, path, signer)


@contextlib.asynccontextmanager
async def film(stage: Stage, directory: Path) -> AsyncIterator[None]:
    """H.264 at 2 Mbit/s that cannot make a keyframe when asked for one."""
    token_file = directory / "publisher.token"
    token_file.write_text(stage.signer.token("publisher", "publish"))
    words = [str(write_film(directory / "film.mkv", seconds=30)), "--loop"]
    words += ["--whip", stage.origin.endpoint("whip"), "--token-file", str(token_file)]
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "conference.cli.main", "publish", *words)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def camera(stage: Stage, chromium: Browser) -> AsyncIterator[None]:
    """A browser's camera in VP8."""
    page = await open_page(chromium, stage.origin.base_url)
    await page.evaluate(
        "([url, token]) => conference.publish(url, token, 'vp8')",
        [stage.origin.endpoint("whip"), stage.signer.token("publisher", "publish")],
    )
    yield


async def player(stage: Stage, relay: RelayProcess, chromium: Browser, subject: str) -> Page:
    """A page that plays from a relay."""
    page = await open_page(chromium, relay.base_url)
    await page.evaluate("window.reportsRoundTrips = true")
    await page.evaluate(
        "([url, token]) => conference.play(url, token)",
        [relay.endpoint("whep"), stage.signer.token(subject, "play")],
    )
    return page


def freezes(presented: Sequence[float], longer_than_ms: float) -> list[tuple[float, float]]:
    """When a picture stood still, from and to, in ms."""
    return [(was, came) for was, came in itertools.pairwise(presented) if came - was > longer_than_ms]


def is_of_the_machine(freeze: tuple[float, float], stutters: Sequence[tuple[float, float]]) -> bool:
    """Tell whether the machine had no time then: for the picture that nothing was lost of, or for the path."""
    return any(was < freeze[1] + NEAR_MS and came > freeze[0] - NEAR_MS for was, came in stutters)


@pytest.mark.parametrize("source", ["film", "camera"])
async def test_no_picture_stands_still(source: str, stage: Stage, chromium: Browser, tmp_path: Path) -> None:
    """After the start, losses keep no frame on the screen for longer than 200 ms; they are repaired by RTX.

    Another page plays the same from the origin, over a path that loses nothing: a machine that has no time for its
    pictures, or for the datagrams on the path, has none for these, and what it keeps standing is not counted.
    """
    async with film(stage, tmp_path) if source == "film" else camera(stage, chromium):
        whole = await player(stage, stage.origin, chromium, "hall-2")
        lossy = await player(stage, stage.edge, chromium, "hall-1")
        stage.path.loss = LOSS
        await asyncio.sleep(SETTLE_S)  # the jitter buffer learns what the path is like
        for page in (whole, lossy):
            await page.evaluate("conference.watch()")
        before = await lossy.evaluate("conference.played()")
        await asyncio.sleep(WATCH_S)
        after = await lossy.evaluate("conference.played()")
        presented = [await page.evaluate("conference.presented()") for page in (lossy, whole)]
    told = {name: after[name] - before[name] for name in ("framesDecoded", "nacks", "plis", "retransmitted")}
    stood = freezes(presented[0], FREEZE_MS)
    stutters = freezes(presented[1], STUTTER_MS) + [(late_ms, late_ms) for late_ms in stage.path.late_ms]
    assert stage.path.lost > LOSS / 2 * stage.path.passed
    assert told["retransmitted"] > 0
    assert 30 < after["roundTripMs"] < 300, "it is told its round trip"
    assert len(presented[0]) > 10 * WATCH_S
    assert not [freeze for freeze in stood if not is_of_the_machine(freeze, stutters)], (told, stood, stutters)
