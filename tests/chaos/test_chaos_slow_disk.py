"""Disks that take a third of a second for every sync: `strace` holds up the system calls of real programs."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from support.coordinator_harness import connect_relay, register_message
from support.namespaces import LOCAL, Machine
from support.redis_coordinators import CoordinatorProgram, coordinator_program
from support.redis_servers import RedisServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

SYNC_S = 0.3
HALLS = 6
SYNCS = "fsync,fdatasync"
# The tracer stands apart (-D), so that signals go to the program itself.
SLOW = ("strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={SYNCS}")
SLOW_DISK = Machine(
    address=LOCAL.address, prefix=(*SLOW, "-e", f"inject={SYNCS}:delay_enter={int(SYNC_S * 1_000_000)}")
)


async def join_slowly(program: CoordinatorProgram) -> list[str]:
    """Let halls join one after the other: each waits for the disk, and the relay is not lost meanwhile."""
    halls = await program.api.prepare(HALLS, provinces_only=True)
    async with connect_relay(program.api, register_message("edge-1")) as relay:
        for hall_id in halls:
            began = time.monotonic()
            await program.api.join(hall_id)
            assert time.monotonic() - began >= SYNC_S
        assert relay.close_code is None
    return halls


async def test_a_file_on_a_slow_disk(tmp_path: Path) -> None:
    """No answer before its sync, no relay lost, and after SIGKILL everything answered is there."""
    async with coordinator_program(tmp_path, "one", machine=SLOW_DISK, lease_s=1.0, heartbeat_s=0.2) as program:
        await program.until_ready()
        halls = await join_slowly(program)
        program.signal(signal.SIGKILL)
        await program.process.wait()
    async with coordinator_program(tmp_path, "one", lease_s=20.0) as program:
        await program.until_ready()
        async with connect_relay(program.api, register_message("edge-1")):
            for hall_id in halls:
                await program.api.assignment(hall_id)


async def test_redis_on_a_slow_disk(tmp_path: Path) -> None:
    """The same of a Redis that syncs always; nobody takes over although each sign of life waits for the disk."""
    server = RedisServer(tmp_path / "redis", machine=SLOW_DISK)
    settings: dict[str, object] = {"journal": {"url": server.url}, "lease_s": 1.0, "heartbeat_s": 0.2}
    try:
        async with coordinator_program(tmp_path, "one", machine=LOCAL, **settings) as leader:
            await leader.until_ready()
            async with coordinator_program(tmp_path, "two", machine=LOCAL, **settings) as follower:
                await follower.until_standing_by()
                halls = await join_slowly(leader)
                assert (await leader.readiness(), await follower.readiness()) == (200, 503)
                leader.signal(signal.SIGKILL)
                await follower.until_ready()
                async with connect_relay(follower.api, register_message("edge-1")):
                    for hall_id in halls:
                        await follower.api.assignment(hall_id)
    finally:
        server.kill()
