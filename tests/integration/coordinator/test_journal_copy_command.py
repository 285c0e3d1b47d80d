"""`diemcau journal copy`: a coordinator's whole life moves from a file to a Redis and back."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.coordinator_harness import connect_relay, register_message
from support.redis_coordinators import coordinator_program
from support.redis_servers import RedisServer
from typer.testing import CliRunner

from conference.cli.main import app
from conference.config import JOURNAL_FILE

pytestmark = pytest.mark.integration


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A durable redis-server of the test's own."""
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


def copy(source: str, target: str) -> dict[str, object]:
    """Run the command; its JSON."""
    result = CliRunner().invoke(app, ["journal", "copy", source, target, "--json"])
    assert result.exit_code == 0, result.output
    report: dict[str, object] = json.loads(result.stdout)
    return report


async def test_a_journal_moves_to_redis_and_back(tmp_path: Path, redis_server: RedisServer) -> None:
    """Halls that joined on the file have their seats on Redis, and later on another file; the digests are equal."""
    import asyncio  # noqa: PLC0415 - the command has an event loop of its own, in a thread

    async with coordinator_program(tmp_path, "file") as program:
        await program.until_ready()
        halls = await program.api.prepare(20)
        async with connect_relay(program.api, register_message("edge-1")):
            before = [await program.api.join(hall_id) for hall_id in halls]
        busy = CliRunner()
        source = str(tmp_path / "file" / JOURNAL_FILE)
        refused = await asyncio.to_thread(busy.invoke, app, ["journal", "copy", source, redis_server.url])
        assert refused.exit_code == 1
        assert "in use by another coordinator" in refused.output
        program.signal(signal.SIGTERM)
        assert await program.process.wait() == 0
    first = await asyncio.to_thread(copy, source, redis_server.url)
    again = await asyncio.to_thread(CliRunner().invoke, app, ["journal", "copy", source, redis_server.url])
    assert again.exit_code == 1
    assert "holds a journal already" in again.output
    second = await asyncio.to_thread(copy, redis_server.url, str(tmp_path / "back.sqlite"))
    assert first == second
    async with coordinator_program(tmp_path, "redis", journal={"url": redis_server.url}) as program:
        await program.until_ready()
        async with connect_relay(program.api, register_message("edge-1")):
            for hall_id, assignment in zip(halls, before, strict=True):
                after = await program.api.assignment(hall_id)
                assert (after.epoch, after.primary.relay_id) == (assignment.epoch, assignment.primary.relay_id)
