"""As many coordinators killed as there are rounds, on each journal: `make chaos ROUNDS=1000 ARGS="-k deaths"`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest
from support.chaos_rounds import ROUNDS, SEED
from support.deaths import die
from support.redis_servers import RedisServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300 + 20 * ROUNDS)]


async def test_deaths_on_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A single coordinator on SQLite: nothing acknowledged is lost, nothing is applied twice."""
    figures = await die(tmp_path, ROUNDS, SEED)
    with capsys.disabled():
        sys.stdout.write(f"{msgspec.json.encode(figures).decode()}\n")


async def test_deaths_on_redis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three coordinators on one Redis: the same."""
    server = RedisServer(tmp_path / "redis")
    try:
        figures = await die(tmp_path, ROUNDS, SEED, server.url)
    finally:
        server.kill()
    with capsys.disabled():
        sys.stdout.write(f"{msgspec.json.encode(figures).decode()}\n")
