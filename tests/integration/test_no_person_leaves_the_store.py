"""A whole day with marked names, cards and telephones: they are in the people store and nowhere else, then nowhere."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from support.coordinator_harness import CONFERENCE, Api
from support.gateways import gateway_program
from support.redis_coordinators import coordinator_program
from support.redis_servers import RedisServer

from conference.people.opening import PEOPLE_FILE

pytestmark = pytest.mark.integration

# Of every name, card and telephone; in whatever way text is written down, this part of it stays as it is.
MARKS = (b"Zqxten", b"ZQXTHE", b"77889900")
DELEGATES = f"/api/v1/conferences/{CONFERENCE}/delegates"
PEOPLE = 24
FORMATS = ("json", "csv", "html", "text", "xlsx")


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A redis-server of the test's own."""
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


def marked(data: bytes) -> list[str]:
    """The marks that stand in some bytes."""
    return [mark.decode() for mark in MARKS if mark in data]


def marked_files(*folders: Path) -> dict[str, list[str]]:
    """Files below folders that hold a mark, with the marks."""
    found = {path.name: marked(path.read_bytes()) for folder in folders for path in folder.rglob("*") if path.is_file()}
    return {name: marks for name, marks in found.items() if marks}


def marked_keys(server: RedisServer) -> set[str]:
    """Keys of a Redis whose values hold a mark."""
    client = redis.Redis.from_url(server.url)
    found: set[str] = set()
    for key in cast("list[bytes]", client.keys("*")):
        kind = cast("bytes", client.type(key)).decode()
        read: Mapping[str, Any] = {"hash": client.hgetall, "stream": client.xrange, "string": client.get}
        value = client.lrange(key, 0, -1) if kind == "list" else read[kind](key)
        if marked(repr(value).encode()) or marked(key):
            found.add(key.decode())
    client.close()
    return found


def roster(halls: list[str], *bad: str) -> bytes:
    """A roster of marked people, and rows with a mistake."""
    rows = [
        f"{halls[n % len(halls)]},Zqxten Thị {n},ZQXTHE-{n:03},Zqxten trưởng {n},Zqxten đoàn,,77889900{n:02}"
        for n in range(PEOPLE)
    ]
    return "\n".join(["hall,name,card,position,organisation,kind,phone", *rows, *bad]).encode()


async def prepare(api: Api, halls: list[str]) -> None:
    """Import rosters, wrong ones first; read, print, correct, withdraw, move and reissue."""
    path = f"{DELEGATES}/import"
    bad = ("nowhere,Zqxten Lạc,ZQXTHE-9,,,,77889900", f"{halls[0]},Zqxten,,,,vua,", f"{halls[0]},,ZQXTHE,,,,")
    await api.expect(422, "POST", path, data=roster(halls, *bad))
    await api.expect(422, "POST", path, data=roster(halls)[:-40] + b'"Zqxten\xff')
    await api.expect(422, "POST", path, data=b"PK\x03\x04Zqxten")
    await api.expect(200, "POST", f"{path}?dry_run=1", data=roster(halls))
    await api.expect(200, "POST", path, data=roster(halls))
    corrected = roster(halls).replace("Zqxten Thị 3".encode(), b"Zqxten Van 3")
    await api.expect(200, "POST", path, data=corrected)
    page = await api.expect(200, "GET", f"{DELEGATES}/codes")
    assert b"Zqxten" in page
    await api.expect(200, "GET", f"/api/v1/conferences/{CONFERENCE}/posters")
    assert "Zqxten" in str(await api.expect(200, "GET", DELEGATES))
    await api.expect(204, "POST", f"{DELEGATES}/withdraw", json={"numbers": [PEOPLE]})
    await api.expect(204, "POST", f"{DELEGATES}/move", json={"numbers": [1], "hall_id": halls[-1]})
    await api.expect(204, "POST", f"{DELEGATES}/reissue", json={"numbers": [2]})
    # Names where none belong.
    for method, wrong in (
        ("GET", f"{DELEGATES}/Zqxten"),
        ("GET", f"{DELEGATES}?hall=Zqxten"),
        ("GET", f"{DELEGATES}?after=Zqxten&limit=77889900"),
        ("GET", "/api/v1/Zqxten"),
    ):
        assert (await api.call(method, wrong))[0] in {404, 422}
    await api.expect(422, "POST", f"{DELEGATES}/withdraw", json={"numbers": ["Zqxten"]})
    await api.expect(400, "POST", f"{DELEGATES}/withdraw", data=b'{"Zqxten')


async def check_in(doors: list[Api], halls: list[str]) -> None:
    """Every hall reads its list, checks some in by code, by PIN and by mark, and sends nonsense."""
    nonces = count(1)
    for place, hall in enumerate(halls):
        api, keys = doors[place % len(doors)], doors[0].keys
        status, found = await api.call("GET", "/api/v1/halls/roster", hall=hall)
        assert status == 200, found
        numbers = [each["number"] for each in found["delegates"]]
        assert all("Zqxten" in each["name"] for each in found["delegates"])
        at_ms = int(time.time() * 1000)
        checkins: list[dict[str, object]] = [
            {"code": keys.issue_code(CONFERENCE, number, int(number == 2)), "at_ms": at_ms, "nonce": next(nonces)}
            for number in numbers[::2]
        ]
        pin = keys.pin(CONFERENCE, numbers[1], int(numbers[1] == 2))
        checkins.append({"number": numbers[1], "pin": pin, "at_ms": at_ms, "nonce": next(nonces), "method": "typed"})
        checkins.append({"code": "Zqxten", "at_ms": at_ms, "nonce": next(nonces)})
        status, answer = await api.call(
            "POST", "/api/v1/halls/checkins", hall=hall, json={"schema": 1, "checkins": checkins}
        )
        assert status == 200, answer
        assert [each["result"] for each in answer["results"]] == [*["counted"] * (len(checkins) - 1), "forged"]
        marks = [{"number": number, "mark": "excused", "at_ms": at_ms, "nonce": next(nonces)} for number in numbers[3:]]
        status, answer = await api.call("POST", "/api/v1/halls/marks", hall=hall, json={"schema": 1, "marks": marks})
        assert status == 200, answer
        await api.call("POST", "/api/v1/halls/marks", hall=hall, json={"schema": 1, "marks": [{"number": "Zqxten"}]})


async def close(api: Api) -> None:
    """End the conference and ask for everything that tells how it was; none of it names anybody."""
    await api.expect(200, "POST", f"/api/v1/conferences/{CONFERENCE}/phase", json={"phase": "ended"})
    wanted = [f"report?format={each}" for each in FORMATS] + ["attendance", "discrepancies", "privacy"]
    told = [await api.call("GET", f"/api/v1/conferences/{CONFERENCE}/{each}") for each in wanted]
    assert all(status == 200 for status, _ in told)
    assert not marked(str(told).encode())


async def metrics(api: Api) -> bytes:
    """What a program tells Prometheus."""
    status, body = await api.call("GET", "/metrics", None)
    assert status == 200
    return cast("bytes", body)


@pytest.mark.timeout(180)
async def test_on_one_machine_people_are_in_their_file_alone(tmp_path: Path) -> None:
    """Log, metrics, journal and snapshot name nobody, through a restart; after the erasure no file does."""
    async with coordinator_program(tmp_path, "only") as program:
        await program.until_ready()
        api = program.api
        halls = await api.prepare(4, provinces_only=True)
        await prepare(api, halls)
        await check_in([api], halls)
        await close(api)
        assert not marked(await metrics(api))
        assert set(marked_files(tmp_path)) <= {PEOPLE_FILE, f"{PEOPLE_FILE}-wal"}
        program.signal(signal.SIGTERM)
        await asyncio.wait_for(program.process.wait(), 30)
    assert set(marked_files(tmp_path)) == {PEOPLE_FILE}
    async with coordinator_program(tmp_path, "only") as program:
        await program.until_ready()
        assert "Zqxten" in str(await program.api.expect(200, "GET", DELEGATES))
        path = f"/api/v1/conferences/{CONFERENCE}/people/erase"
        assert (await program.api.expect(200, "POST", path, json={"reason": "hết hạn lưu"}))["erased"] == PEOPLE
        assert marked_files(tmp_path) == {}
        report = await program.api.expect(200, "GET", f"/api/v1/conferences/{CONFERENCE}/privacy")
        assert (report["people"], report["erased"]) == (0, PEOPLE)


@pytest.mark.timeout(180)
async def test_on_many_machines_people_are_in_their_keys_alone(tmp_path: Path, redis_server: RedisServer) -> None:
    """The same with Redis and a gateway that halls ask: only the people's keys name anybody, and at the end none."""
    async with coordinator_program(tmp_path, "leader", journal={"url": redis_server.url}) as program:
        await program.until_ready()
        async with gateway_program(tmp_path, "front", redis_server.url) as gateway:
            await gateway.until_ready()
            api = program.api
            halls = await api.prepare(4, provinces_only=True)
            await prepare(api, halls)
            await check_in([gateway.api, api], halls)
            await close(api)
            assert not marked(await metrics(api))
            assert not marked(await metrics(gateway.api))
            gateway.signal(signal.SIGTERM)
            await asyncio.wait_for(gateway.process.wait(), 30)
        tag = "{diemcau}:people"
        assert marked_keys(redis_server) == {f"{tag}:{CONFERENCE}"}
        path = f"/api/v1/conferences/{CONFERENCE}/people/erase"
        assert (await program.api.expect(200, "POST", path, json={"reason": "hết hạn lưu"}))["erased"] == PEOPLE
        assert marked_keys(redis_server) == set()
        program.signal(signal.SIGTERM)
        await asyncio.wait_for(program.process.wait(), 30)
    assert marked_files(tmp_path / "leader", tmp_path / "front") == {}
