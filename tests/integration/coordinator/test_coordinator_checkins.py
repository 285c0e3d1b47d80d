"""Delegates check in over real HTTP: by hall's devices, by the poster at the door, once each whatever happens."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any

import pytest
from support.coordinator_harness import CONFERENCE, Api

from conference.access import Role
from conference.app import RunningCoordinator
from conference.checkin.events import CheckinsRecorded, DelegateBlock
from conference.commands import EnrolDelegates, ReissueCodes, WithdrawDelegates
from conference.journal.contract import Entry

pytestmark = pytest.mark.integration

DELEGATES = 2_000


class Door:
    """The door of one hall with 2,000 delegates; the hall beside it has the next ten."""

    def __init__(self, running: RunningCoordinator, api: Api, halls: list[str]) -> None:
        self.coordinator = running.services.coordinator
        self.api = api
        self.hall, self.other = halls
        self.records: list[CheckinsRecorded] = []
        self.coordinator.subscribe(self._note)

    def _note(self, entries: Sequence[Entry]) -> None:
        self.records += [entry.event for entry in entries if isinstance(entry.event, CheckinsRecorded)]

    def scan(self, of: int, nonce: int | None = None, **fields: Any) -> dict[str, Any]:
        """A code that was scanned now."""
        return {
            "code": self.api.keys.issue_code(CONFERENCE, of, 0),
            "at_ms": int(time.time() * 1000),
            "nonce": random.getrandbits(53) if nonce is None else nonce,
            **fields,
        }

    async def batch(self, scans: list[dict[str, Any]], hall: str = "") -> list[dict[str, Any]]:
        """What the hall's phone brings, and what became of it."""
        body = {"schema": 1, "checkins": scans}
        status, answer = await self.api.call("POST", "/api/v1/halls/checkins", hall=hall or self.hall, json=body)
        assert status == 200, answer
        results: list[dict[str, Any]] = answer["results"]
        return results

    async def single(self, scan: dict[str, Any], role: Role = "hall") -> tuple[int, str]:
        """One scan, by the hall's device or by a phone that read the poster: status, and result or code."""
        path = "/api/v1/halls/checkin" if role == "hall" else "/api/v1/checkin"
        headers = self.api.bearer(role, hall=self.hall)
        async with self.api.session.post(path, json={"schema": 1, **scan}, headers=headers) as answer:
            body = await answer.json()
            return answer.status, body["result"] if answer.status == 200 else body["code"]

    def present(self, hall: str = "") -> int:
        """As the attendance says."""
        totals = self.coordinator.state.checkins[CONFERENCE].totals(hall or self.hall)
        assert totals is not None
        return totals.present


@pytest.fixture
async def door(running: RunningCoordinator, api: Api) -> Door:
    """An open conference with two halls and their rosters."""
    halls = await api.prepare(2)
    blocks = [DelegateBlock(halls[0], 1, DELEGATES), DelegateBlock(halls[1], DELEGATES + 1, 10)]
    await running.services.coordinator.execute(EnrolDelegates(conference_id=CONFERENCE, blocks=blocks), "user:an")
    return Door(running, api, halls)


async def test_each_scan_is_told_what_became_of_it(door: Door) -> None:
    """Counted, again, elsewhere, forged, unknown, withdrawn, replaced, of another conference; in their order."""
    execute = door.coordinator.execute
    await execute(WithdrawDelegates(conference_id=CONFERENCE, numbers=[3]), "user:an")
    await execute(ReissueCodes(conference_id=CONFERENCE, numbers=[4]), "user:an")
    good = door.scan(1, 11)
    assert await door.batch([good]) == [{"result": "counted", "number": 1}]
    found = await door.batch(
        [
            good,
            door.scan(1),
            door.scan(3),
            door.scan(4),
            door.scan(DELEGATES + 500),
            door.scan(2, code="12345"),
            door.scan(2, code=str(int(door.scan(2)["code"]) + 1)),
            door.scan(2, code=door.api.keys.issue_code("hn-2027", 2, 0)),
            door.scan(4, code=door.api.keys.issue_code(CONFERENCE, 4, 1)),
            door.scan(DELEGATES + 1),
        ]
    )
    assert [each["result"] for each in found] == [
        "counted",
        "again",
        "withdrawn",
        "replaced",
        "unknown",
        "forged",
        "forged",
        "other_conference",
        "counted",
        "counted",
    ]
    assert await door.batch([door.scan(1)], door.other) == [
        {"result": "elsewhere", "number": 1, "hall_id": door.hall},
    ]
    assert (door.present(), door.present(door.other)) == (2, 1)
    metrics = (await (await door.api.session.get("/metrics")).text()).splitlines()
    assert 'diemcau_coordinator_checkins_total{result="forged"} 2.0' in metrics


async def test_a_hundred_scans_of_one_code_at_once_count_once(door: Door) -> None:
    """Exactly one is told that it counts, and the delegate is present once."""
    at_ms = int(time.time() * 1000)
    scans = [door.scan(7, nonce, at_ms=at_ms - nonce % 3) for nonce in range(100)]
    random.Random(1).shuffle(scans)
    found = await asyncio.gather(*(door.single(scan) for scan in scans))
    assert sorted({result for _, result in found}) == ["again", "counted"]
    assert [result for _, result in found].count("counted") == 1
    assert door.present() == 1


async def test_offline_scans_of_four_hours_count_once_in_any_order(door: Door) -> None:
    """Two phones bring the same hall's scans of four hours, shuffled, in batches, some of them twice."""
    chance, now_ms = random.Random(2), int(time.time() * 1000)
    scans = [door.scan(number, at_ms=now_ms - chance.randrange(4 * 3_600_000)) for number in range(1, 401)]
    scans += chance.sample(scans, 100) + [door.scan(number) for number in range(1, 101)]
    chance.shuffle(scans)
    batches = [scans[start : start + 60] for start in range(0, len(scans), 60)]
    answers = await asyncio.gather(*(door.batch(batch) for batch in batches))
    assert {each["result"] for answer in answers for each in answer} == {"counted", "again"}
    assert door.present() == 400
    again = await door.batch(scans[:300])
    assert {each["result"] for each in again} <= {"counted", "again"}
    assert door.present() == 400


async def test_a_whole_hall_of_phones_checks_itself_in(door: Door) -> None:
    """Two thousand phones behind one address with the hall's poster: none is told to wait, and records are shared."""
    door.records.clear()
    scans = [
        door.scan(number, number=number, code="", pin=door.api.keys.pin(CONFERENCE, number, 0))
        for number in range(1, DELEGATES + 1)
    ]
    found = await asyncio.gather(*(door.single(scan, "poster") for scan in scans))
    assert set(found) == {(200, "counted")}
    totals = door.coordinator.state.checkins[CONFERENCE].totals(door.hall)
    assert totals is not None
    assert (totals.present, totals.by_self) == (DELEGATES, DELEGATES)
    assert len(door.records) < DELEGATES / 5


async def test_one_phone_scans_a_hall_through(door: Door) -> None:
    """Two thousand delegates by the hall's one device: what it kept goes in two batches, and hundreds one by one."""
    kept = [door.scan(number) for number in range(1, 1_601)]
    for start in (0, 800):
        assert {each["result"] for each in await door.batch(kept[start : start + 800])} == {"counted"}
    found = await asyncio.gather(*(door.single(door.scan(number)) for number in range(1_601, DELEGATES + 1)))
    assert set(found) == {(200, "counted")}
    assert door.present() == DELEGATES


async def test_pins_cannot_be_guessed(door: Door) -> None:
    """After five wrong ones a number is not tried again at that door, the right PIN included; others are, and codes."""
    pin = door.api.keys.pin(CONFERENCE, 5, 0)
    wrong = f"{(int(pin) + 1) % 1_000_000:06}"
    typed = [door.scan(5, code="", number=5, pin=wrong) for _ in range(5)]
    assert [await door.single(each, "poster") for each in typed] == [(200, "forged")] * 5
    right = door.scan(5, code="", number=5, pin=pin)
    assert await door.single(right, "poster") == (200, "limited")
    assert await door.single(right, "hall") == (200, "counted")
    other = door.scan(6, code="", number=6, pin=door.api.keys.pin(CONFERENCE, 6, 0))
    assert await door.single(other, "poster") == (200, "counted")
    guesses = [door.scan(1, code="", number=7 + each % 190, pin="no") for each in range(195)]
    found = [await door.single(each, "poster") for each in guesses]
    assert set(found) == {(200, "forged")}
    assert await door.single(door.scan(1, code="", number=900, pin="no"), "poster") == (200, "limited")
    assert await door.single(door.scan(901), "poster") == (200, "counted")


async def test_marks_are_taken_of_the_halls_own_delegates(door: Door) -> None:
    """Present by proxy, excused, a scan taken back; the rest is told apart."""
    await door.batch([door.scan(1), door.scan(2)])
    now_ms = int(time.time() * 1000)
    said = [(3, "present"), (4, "excused"), (2, "void"), (DELEGATES + 1, "present"), (9_000, "present")]
    marks = [{"number": number, "mark": mark, "at_ms": now_ms, "nonce": 1} for number, mark in said]
    answer = await door.api.expect(
        200, "POST", "/api/v1/halls/marks", hall=door.hall, json={"schema": 1, "marks": marks}
    )
    results = [each["result"] for each in answer["results"]]
    assert results == ["recorded", "recorded", "recorded", "other_hall", "unknown"]
    assert door.present() == 2
    assert (await door.batch([door.scan(2)]))[0]["result"] == "void"


async def test_conflicts_are_listed_for_who_has_to_settle_them(door: Door, api: Api) -> None:
    """Scans in two halls, in another hall alone, present and marked absent; page by page."""
    await door.batch([door.scan(1), door.scan(2), door.scan(3)])
    await door.batch([door.scan(1), door.scan(4)], door.other)
    mark = {"number": 3, "mark": "excused", "at_ms": int(time.time() * 1000), "nonce": 1}
    await api.expect(200, "POST", "/api/v1/halls/marks", hall=door.hall, json={"schema": 1, "marks": [mark]})
    path = f"/api/v1/conferences/{CONFERENCE}/checkins/conflicts"
    found = (await api.expect(200, "GET", path))["conflicts"]
    both = sorted([door.hall, door.other])
    assert [(each["number"], each["halls"], each["marked"]) for each in found] == [
        (1, both, "none"),
        (3, [door.hall], "excused"),
        (4, [door.other], "none"),
    ]
    assert found[2]["hall_id"] == door.hall
    first = await api.expect(200, "GET", f"{path}?limit=2")
    rest = await api.expect(200, "GET", f"{path}?limit=2&after={first['next']}")
    assert [*first["conflicts"], *rest["conflicts"]] == found
    assert "next" not in rest or rest["next"] == ""
    await api.expect(422, "GET", f"{path}?after=x")


async def test_a_poster_opens_self_check_in_alone(door: Door, api: Api) -> None:
    """Nothing else of the hall, and staff make it for halls that they reach."""
    answer = await api.expect(200, "POST", f"/api/v1/halls/{door.hall}/poster", json={"conference_id": CONFERENCE})
    token = answer["link"].partition("/checkin#hall=")[2]
    headers = {"Authorization": f"Bearer {token}"}
    for path in ("/api/v1/halls/checkins", "/api/v1/halls/join", "/api/v1/halls/marks"):
        async with api.session.post(path, json={}, headers=headers) as refused:
            assert refused.status == 403
    async with api.session.post("/api/v1/checkin", json={"schema": 1, **door.scan(8)}, headers=headers) as taken:
        assert (taken.status, await taken.json()) == (200, {"result": "counted", "number": 8})
    assert (await api.call("POST", f"/api/v1/halls/{door.hall}/poster", hall=door.hall, json={}))[0] == 403


async def test_a_request_out_of_bounds_is_refused_as_a_whole(door: Door) -> None:
    """Too many, a nonce beyond 63 bits, another schema, a draft."""
    api, hall = door.api, door.hall
    for fields, code in (
        ({"checkins": [door.scan(1, code="1")] * 1_001}, "too_many"),
        ({"checkins": [door.scan(1, nonce=2**63)]}, "bad_nonce"),
        ({"checkins": [], "schema": 2}, "schema"),
    ):
        body = {"schema": 1, **fields}
        assert (await api.expect(422, "POST", "/api/v1/halls/checkins", hall=hall, json=body))["code"] == code
    assert door.coordinator.state.checkins[CONFERENCE].totals(hall)
    assert door.present() == 0
