"""As many coordinators killed as there are rounds, on each journal: `make chaos ROUNDS=1000 ARGS="-k deaths"`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from support.chaos_rounds import ROUNDS, SEED
from support.deaths import Figures, die
from support.redis_servers import RedisServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300 + 20 * ROUNDS)]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[Figures], None]:
    """Print one line of JSON, whatever else is captured."""

    def tell(figures: Figures) -> None:
        with capsys.disabled():
            sys.stdout.write(f"{msgspec.json.encode(figures).decode()}\n")
            sys.stdout.flush()

    return tell


async def test_deaths_on_a_file(tmp_path: Path, tell: Callable[[Figures], None]) -> None:
    """A single coordinator on SQLite: nothing acknowledged is lost, nothing is applied twice."""
    tell(await die(tmp_path, ROUNDS, SEED, tell=tell))


async def test_deaths_on_redis(tmp_path: Path, tell: Callable[[Figures], None]) -> None:
    """Three coordinators on one Redis: the same."""
    server = RedisServer(tmp_path / "redis")
    try:
        tell(await die(tmp_path, ROUNDS, SEED, server.url, tell=tell))
    finally:
        server.kill()
