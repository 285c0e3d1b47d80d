"""A disk that falls under check-ins, full or read-only: a clear refusal, and nothing that was acknowledged is lost."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from support.coordinator_harness import CONFERENCE, Api
from support.namespaces import LOCAL, Machine, needs_namespaces
from support.redis_coordinators import CoordinatorProgram, coordinator_program

from bridges.halls import Hall
from bridges.units import Unit
from conference.checkin.events import DelegateBlock, DelegatesEnrolled
from conference.config import JOURNAL_FILE, KEY_FILE
from conference.events import ConferenceCreated, Event, HallsImported, PhaseChanged, UnitsImported
from conference.journal.contract import Entry
from conference.journal.sqlite import SqliteJournal

pytestmark = pytest.mark.integration

DELEGATES = 60_000
BATCH = 500
HALL = "a"


async def write_roster(path: Path) -> None:
    """A journal with an open conference and one large hall."""
    journal = SqliteJournal(path)
    events: list[Event] = [
        UnitsImported(units=[Unit(code="01", name="Hà Nội", kind="city", parent="")]),
        HallsImported(halls=[Hall(hall_id=HALL, name="Nhà thi đấu", unit="01", level="base", seats=DELEGATES)]),
        ConferenceCreated(conference_id=CONFERENCE, title="Hội nghị", feeds=["program"]),
        PhaseChanged(conference_id=CONFERENCE, phase="open"),
        DelegatesEnrolled(conference_id=CONFERENCE, blocks=[DelegateBlock(HALL, 1, DELEGATES)]),
    ]
    at_ms = int(time.time() * 1000) - 60_000
    await journal.append(await journal.open_writer(), [Entry(at_ms=at_ms, actor="user:an", event=e) for e in events])
    await journal.close()


def machine(tmp_path: Path, disk: Path, mount: str) -> Machine:
    """Where the coordinator runs: with a small disk of its own, which holds the journal and the key."""
    script = f'{mount} && cp {tmp_path / KEY_FILE} {tmp_path / JOURNAL_FILE} {disk} && sync -f {disk} && exec "$@"'
    return Machine(address=LOCAL.address, prefix=("unshare", "--mount", "sh", "-c", script, "sh"))


def make_file_system(image: Path) -> None:
    """An empty ext4 in a file."""
    with image.open("wb") as file:
        file.truncate(48 * 1024 * 1024)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", str(image)], check=True, timeout=30)


def remount(program: CoordinatorProgram, option: str, disk: Path) -> None:
    """Change the disk under a program that runs."""
    enter = ("nsenter", "-t", str(program.process.pid), "-m")
    subprocess.run([*enter, "mount", "-o", f"remount,{option}", str(disk)], check=True, timeout=10)


def batch(api: Api, first: int) -> dict[str, Any]:
    """Check-ins of the next 500 delegates, the same whenever they are made."""
    codes = [(number, api.keys.issue_code(CONFERENCE, number, 0)) for number in range(first, first + BATCH)]
    return {"schema": 1, "checkins": [{"code": code, "at_ms": number, "nonce": number} for number, code in codes]}


async def check_in_until_refused(program: CoordinatorProgram) -> list[int]:
    """The first numbers of batches that were acknowledged before one was refused."""
    acknowledged: list[int] = []
    for first in range(1, DELEGATES, BATCH):
        body = batch(program.api, first)
        status, answer = await program.api.call("POST", "/api/v1/halls/checkins", hall=HALL, json=body)
        if status != 200:
            assert (status, answer["code"]) == (503, "journal_unavailable")
            return acknowledged
        assert {each["result"] for each in answer["results"]} == {"counted"}
        acknowledged.append(first)
    raise AssertionError("the disk took everything")


async def present(program: CoordinatorProgram) -> int:
    """By the attendance of the whole country."""
    view = await program.api.expect(200, "GET", f"/api/v1/conferences/{CONFERENCE}/attendance")
    count: int = view["total"]["real"]["individual"]["present"]
    return count


async def expect_all_counted_once(program: CoordinatorProgram, acknowledged: list[int]) -> None:
    """What was acknowledged is there; it and what was refused, sent as they were, are counted once."""
    assert await present(program) >= BATCH * len(acknowledged)
    for first in (*acknowledged[-2:], BATCH * len(acknowledged) + 1):
        body = batch(program.api, first)
        answer = await program.api.expect(200, "POST", "/api/v1/halls/checkins", hall=HALL, json=body)
        assert {each["result"] for each in answer["results"]} == {"counted"}
    assert await present(program) == BATCH * (len(acknowledged) + 1)


@needs_namespaces
async def test_check_ins_on_a_full_disk(tmp_path: Path) -> None:
    """Check-ins themselves fill it; once there is room the coordinator goes on by itself."""
    disk = tmp_path / "disk"
    disk.mkdir()
    await write_roster(tmp_path / JOURNAL_FILE)
    mount = f"mount -t tmpfs -o size=1m,mode=700 none {disk}"
    place = machine(tmp_path, disk, mount)
    async with coordinator_program(tmp_path, "one", machine=place, state_dir=str(disk), lease_s=20.0) as program:
        await program.until_ready()
        acknowledged = await check_in_until_refused(program)
        assert acknowledged
        assert "full" in program.log_file.read_text()
        assert (await program.api.call("GET", "/healthz", None))[0] == 200
        remount(program, "size=64m", disk)
        await program.until_ready()
        await expect_all_counted_once(program, acknowledged)


@needs_namespaces
async def test_check_ins_on_a_disk_that_becomes_read_only(tmp_path: Path) -> None:
    """As ext4 does with a disk that fails; after a repair the coordinator is started on it again."""
    disk, image = tmp_path / "disk", tmp_path / "image"
    disk.mkdir()
    await write_roster(tmp_path / JOURNAL_FILE)
    make_file_system(image)
    mount = f"mount -o loop {image} {disk}"
    place = machine(tmp_path, disk, mount)
    async with coordinator_program(tmp_path, "one", machine=place, state_dir=str(disk), lease_s=20.0) as program:
        await program.until_ready()
        acknowledged = [1, BATCH + 1]
        for first in acknowledged:
            body = batch(program.api, first)
            await program.api.expect(200, "POST", "/api/v1/halls/checkins", hall=HALL, json=body)
        # What ext4 does to itself when its disk fails: everything that writes is refused from now on.
        remount(program, "abort", disk)
        body = batch(program.api, 2 * BATCH + 1)
        answer = await program.api.expect(503, "POST", "/api/v1/halls/checkins", hall=HALL, json=body)
        assert answer["code"] == "journal_unavailable"
        assert (await program.api.call("GET", "/healthz", None))[0] == 200
        assert await program.readiness() == 503
        assert "disk I/O error" in program.log_file.read_text()
    again = Machine(address=LOCAL.address, prefix=("unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh"))
    async with coordinator_program(tmp_path, "one", machine=again, state_dir=str(disk), lease_s=20.0) as program:
        await program.until_ready()
        await expect_all_counted_once(program, acknowledged)
