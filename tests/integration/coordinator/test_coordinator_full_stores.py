"""Stores without room: refusals with a reason and a counter, nothing acknowledged lost, work once there is room."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.coordinator_harness import connect_relay, register_message
from support.namespaces import LOCAL, Machine, needs_namespaces
from support.redis_coordinators import CoordinatorProgram, coordinator_program
from support.redis_servers import RedisServer

from conference.config import KEY_FILE

pytestmark = pytest.mark.integration

HALLS = 20
FULL_S = 10.0


async def failures(program: CoordinatorProgram) -> float:
    """How many appends the journal refused, by its counter."""
    _, text = await program.api.call("GET", "/metrics", None)
    lines = (line.rsplit(" ", 1) for line in text.decode().splitlines())
    return sum(float(value) for name, value in lines if name.startswith("diemcau_coordinator_journal_failures_total{"))


async def fill_up(program: CoordinatorProgram, halls: list[str]) -> list[str]:
    """Let halls join until one is refused; returns those that were answered."""
    for number, hall_id in enumerate(halls):
        status, answer = await program.api.call("POST", "/api/v1/halls/join", hall=hall_id, json={})
        if status != 200:
            assert (status, answer["code"]) == (503, "journal_unavailable")
            return halls[:number]
    raise AssertionError("there was room for all")


def write_for_ever(file: Path) -> None:
    """Take all the room that there is."""
    with file.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))


async def expect_refusals(program: CoordinatorProgram, reason: str) -> None:
    """It says why, counts it, is not ready, and lives."""
    assert await failures(program) >= 1
    assert await program.readiness() == 503
    assert (await program.api.call("GET", "/healthz", None))[0] == 200
    assert reason in program.log_file.read_text()


async def test_redis_without_memory(tmp_path: Path) -> None:
    """`maxmemory` is reached: joins are refused; with more memory the coordinator goes on by itself."""
    server = RedisServer(tmp_path / "redis")
    try:
        async with coordinator_program(tmp_path, "one", journal={"url": server.url}, lease_s=20.0) as program:
            await program.until_ready()
            halls = await program.api.prepare(HALLS, provinces_only=True)
            async with connect_relay(program.api, register_message("edge-1")) as relay:
                joined = [(await program.api.join(halls[0])).hall_id]
                server.ask("CONFIG", "SET", "maxmemory", "1mb")
                assert await fill_up(program, halls[1:]) == []
                await expect_refusals(program, "maxmemory")
                server.ask("CONFIG", "SET", "maxmemory", "0")
                assert await program.until_ready() < FULL_S
                for hall_id in joined:
                    await program.api.assignment(hall_id)
                await program.api.join(halls[1])
                assert relay.close_code is None
    finally:
        server.kill()


@needs_namespaces
async def test_a_full_disk_under_a_file(tmp_path: Path) -> None:
    """A small disk is filled by something else: joins are refused; with room again the coordinator goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=4m,mode=700 none {disk} && cp {tmp_path / KEY_FILE} {disk} && exec "$@"'
    machine = Machine(address=LOCAL.address, prefix=("unshare", "--mount", "sh", "-c", mount, "sh"))
    async with coordinator_program(tmp_path, "one", machine=machine, state_dir=str(disk), lease_s=20.0) as program:
        await program.until_ready()
        seen_here = Path(f"/proc/{program.process.pid}/root") / disk.relative_to("/")
        halls = await program.api.prepare(HALLS, provinces_only=True)
        async with connect_relay(program.api, register_message("edge-1")) as relay:
            joined = [(await program.api.join(halls[0])).hall_id]
            ballast = seen_here / "ballast"
            with pytest.raises(OSError, match="No space"):
                write_for_ever(ballast)
            joined += await fill_up(program, halls[1:])
            await expect_refusals(program, "full")
            ballast.unlink()
            assert await program.until_ready() < FULL_S
            for hall_id in joined:
                await program.api.assignment(hall_id)
            await program.api.join(halls[-1])
            assert relay.close_code is None
