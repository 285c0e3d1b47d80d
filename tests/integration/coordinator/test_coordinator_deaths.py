"""A few of the deaths that `make chaos` has a thousand of."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.deaths import die
from support.redis_servers import RedisServer

pytestmark = pytest.mark.integration


async def test_a_coordinator_on_a_file_dies_again_and_again(tmp_path: Path) -> None:
    """Killed in its start, its fold and its work, it loses nothing acknowledged and applies nothing twice."""
    figures = await die(tmp_path, 5, 7)
    assert sum(figures.kills.values()) == 5


async def test_leaders_on_redis_die_one_after_the_other(tmp_path: Path) -> None:
    """The same, of three coordinators on one Redis."""
    server = RedisServer(tmp_path / "redis")
    try:
        figures = await die(tmp_path, 4, 7, server.url)
    finally:
        server.kill()
    assert sum(figures.kills.values()) >= 4
