"""Readiness over HTTP: a hall is checked before anybody joins, staff see who is ready, a rehearsal is compared."""

from __future__ import annotations

import contextlib
from typing import Any

import jwt
import pytest
from support.coordinator_harness import CONFERENCE, Api, connect_relay, register_message

from bridges.tables import Column, Faults, parse_table
from conference.app import RunningCoordinator, serve_coordinator
from conference.config import CoordinatorConfig
from conference.readiness.payload import PAYLOAD_BYTES
from relay.messages import PresenceBatch, SessionOpened

pytestmark = pytest.mark.integration

URL = f"/api/v1/conferences/{CONFERENCE}"


def measured(plan: Any, **changed: Any) -> dict[str, Any]:
    """What a hall on a good line reports after a plan."""
    good = {"transport": "udp", "connect_ms": 90.5, "rtt_ms": 12, "loss": 0.0, "jitter_ms": 3}
    relays = [
        {"relay_id": plan[place]["relay_id"], "place": place, **good} for place in ("primary", "backup") if plan[place]
    ]
    precheck = {
        "source": "page",
        "version": "Chromium 140",
        "devices": {"camera": "ok", "microphone": "ok", "speaker": "ok"},
        "relays": relays,
        "layer_bps": plan["layer_bps"],
        "download_bps": 9e6,
    }
    return {"precheck": {**precheck, **changed}}


async def checked(api: Api, hall_id: str, **changed: Any) -> Any:
    """A hall asks for a plan and reports; the verdict."""
    plan = await api.expect(200, "POST", "/api/v1/halls/precheck/plan", hall=hall_id)
    return await api.expect(200, "POST", "/api/v1/halls/precheck", hall=hall_id, json=measured(plan, **changed))


async def test_a_hall_is_checked_without_a_seat(api: Api, running: RunningCoordinator) -> None:
    """The plan names both relays with tokens of nobody's presence; what was measured is judged; no seat is charged."""
    (hall_id,) = await api.prepare(1, provinces_only=True)
    plan = await api.expect(200, "POST", "/api/v1/halls/precheck/plan", hall=hall_id)
    assert (plan["primary"], plan["backup"]) == (None, None)
    async with connect_relay(api, register_message("edge-1")), connect_relay(api, register_message("edge-2")) as relay:
        plan = await api.expect(200, "POST", "/api/v1/halls/precheck/plan", hall=hall_id)
        assert {plan["primary"]["relay_id"], plan["backup"]["relay_id"]} == {"edge-1", "edge-2"}
        assert (plan["layer_bps"], plan["payload_bytes"]) == (2_200_000, PAYLOAD_BYTES)
        subject = jwt.decode(plan["primary"]["token"], options={"verify_signature": False})["sub"]
        assert subject == f"precheck:{hall_id}"
        opened = SessionOpened(session_id="s", subject=subject, conference=CONFERENCE, feed="program", at_ms=1_000)
        await relay.send(PresenceBatch(sequence=1, deltas=[opened]))
        verdict = await checked(api, hall_id)
        assert verdict["readiness"]["state"] == "ready"
        assert {finding["grade"] for finding in verdict["findings"]} == {"good"}
    state = running.services.coordinator.state
    assert state.seat(CONFERENCE, hall_id) is None
    assert not state.presence.get(CONFERENCE)


async def test_a_check_is_possible_from_the_draft_on(api: Api) -> None:
    """Weeks before, when the conference is not open yet."""
    (hall_id,) = await api.prepare(1, provinces_only=True)
    await api.expect(201, "POST", "/api/v1/conferences", json={"conference_id": "later", "title": "Hội nghị"})
    body = {"conference_id": "later"}
    link = (await api.expect(200, "POST", f"/api/v1/halls/{hall_id}/link", json=body))["link"]
    headers = {"Authorization": f"Bearer {link.partition('token=')[2]}"}
    async with connect_relay(api, register_message("edge-1")):
        found, plan = await api.call("POST", "/api/v1/halls/precheck/plan", None, headers=headers)
        assert (found, plan["phase"], plan["primary"]["relay_id"]) == (200, "draft", "edge-1")
        found, verdict = await api.call("POST", "/api/v1/halls/precheck", None, headers=headers, json=measured(plan))
        assert (found, verdict["readiness"]["state"]) == (200, "doubtful")
        assert [reason["code"] for reason in verdict["readiness"]["reasons"]] == ["no_backup"]


async def test_what_is_impossible_is_refused(api: Api) -> None:
    """Bounds hold at the door, and only halls may speak of themselves."""
    (hall_id,) = await api.prepare(1, provinces_only=True)
    plan = {"primary": None, "backup": None, "layer_bps": 1}
    for changed in ({"layer_bps": -1}, {"source": "guess"}, {"version": "x" * 300}, {"relays": [{"place": "primary"}]}):
        await api.expect(422, "POST", "/api/v1/halls/precheck", hall=hall_id, json=measured(plan, **changed))
    await api.expect(403, "POST", "/api/v1/halls/precheck", "organiser", json=measured(plan))


async def test_the_download_is_bounded(api: Api) -> None:
    """Three megabytes, three times at once, and then the hall waits; another one does not."""
    first, second = await api.prepare(2, provinces_only=True)
    answers = [await api.call("GET", "/api/v1/halls/precheck/payload", hall=first) for _ in range(4)]
    assert [status for status, _ in answers] == [200, 200, 200, 429]
    assert len(answers[0][1]) == PAYLOAD_BYTES
    status, _ = await api.call("GET", "/api/v1/halls/precheck/payload", hall=second)
    assert status == 200


async def test_staff_see_who_is_ready(api: Api, running: RunningCoordinator) -> None:
    """Counts of the country and of each province, filters, and the call list with numbers, also as tables."""
    hall_ids = await api.prepare(12, provinces_only=True)
    halls = running.services.coordinator.state.halls
    async with connect_relay(api, register_message("edge-1")), connect_relay(api, register_message("edge-2")):
        await checked(api, hall_ids[0])
        await checked(api, hall_ids[1], devices={"speaker": "failed"})
    view = await api.expect(200, "GET", f"{URL}/readiness")
    assert (view["total"]["halls"], view["total"]["ready"], view["total"]["failed"]) == (12, 1, 1)
    assert sum(child["halls"] for child in view["children"]) == 12
    names = [child["name"] for child in view["children"]]
    assert names.index("Thành phố Hà Nội") > names.index("Tỉnh An Giang") if "Tỉnh An Giang" in names else names
    failed = await api.expect(200, "GET", f"{URL}/readiness?state=failed&reason=speaker")
    assert [hall["hall_id"] for hall in failed["halls"]] == [hall_ids[1]]
    pages, after = [], ""
    while True:
        page = await api.expect(200, "GET", f"{URL}/readiness?limit=5&after={after}")
        pages += [hall["hall_id"] for hall in page["halls"]]
        after = page["next"]
        if not after:
            break
    assert pages == sorted(hall_ids)

    calls = (await api.expect(200, "GET", f"{URL}/readiness/calls"))["halls"]
    assert len(calls) == 11
    assert hall_ids[0] not in [hall["hall_id"] for hall in calls]
    assert calls[0]["contact_phone"] == halls[calls[0]["hall_id"]].contact_phone != ""
    headings = {"phone": "điện thoại", "hall_id": "mã điểm cầu", "missing": "còn thiếu"}
    others = ("tỉnh", "đơn vị", "tên điểm cầu", "tình trạng", "ai xử lý", "người phụ trách", "kiểm tra lúc")
    columns = [Column(name, (heading,)) for name, heading in {**headings, **{each: each for each in others}}.items()]
    for form in ("csv", "xlsx"):
        data = await api.expect(200, "GET", f"{URL}/readiness/calls?format={form}")
        rows = list(parse_table(data, columns, Faults()))
        assert [row.cells["hall_id"] for row in rows] == [hall["hall_id"] for hall in calls]
        assert all(row.cells["phone"] for row in rows)
        assert any("Loa" in row.cells["missing"] for row in rows)


async def test_a_technician_sees_and_signs_for_his_own(api: Api, running: RunningCoordinator) -> None:
    """Bound to a province: its halls alone, and a sign-off beyond it is refused."""
    hall_ids = await api.prepare(30, provinces_only=True)
    halls = running.services.coordinator.state.halls
    own = halls[hall_ids[0]].unit
    foreign = next(hall_id for hall_id in hall_ids if halls[hall_id].unit != own)
    view = await api.expect(200, "GET", f"{URL}/readiness", "technician", unit=own)
    assert {hall["unit"] for hall in view["halls"]} == {own}
    for path in ("readiness", "readiness/calls"):
        await api.expect(403, "GET", f"{URL}/{path}?unit={halls[foreign].unit}", "technician", unit=own)
    sign = f"{URL}/readiness/signoff"
    await api.expect(403, "POST", sign, "technician", unit=own, json={"hall_id": foreign})
    await api.expect(403, "POST", sign, "technician", unit=own, json={"unit": ""})
    await api.expect(403, "POST", sign, "operator", json={"unit": own})
    body = {"hall_id": hall_ids[0], "note": "đã thử"}
    answer = await api.expect(200, "POST", sign, "technician", unit=own, json=body)
    assert (answer["changed"], answer["readiness"]["state"]) == (True, "signed_off")
    assert answer["readiness"]["sign_off"]["by"] == "user:test"
    assert (await api.expect(200, "POST", sign, "technician", unit=own, json={"unit": own}))["changed"]
    total = (await api.expect(200, "GET", f"{URL}/readiness", "technician", unit=own))["total"]
    assert total["signed_off"] == total["halls"]
    taken = await api.expect(200, "POST", "/api/v1/halls/signoff", hall=hall_ids[0], json={"withdrawn": True})
    assert taken["state"] == "not_checked"


async def test_a_rehearsal_and_what_changed_after_it(api: Api) -> None:
    """A session of its own with its own presence and checks; the next one is compared with it, hall by hall."""
    hall_ids = await api.prepare(4, provinces_only=True)
    first = {"title": "Tổng duyệt", "kind": "rehearsal", "rehearsal_of": CONFERENCE}
    await api.expect(404, "GET", f"{URL}/rehearsal")
    await api.expect(404, "GET", f"{URL}/readiness/comparison")
    await api.expect(201, "POST", "/api/v1/conferences", json={**first, "conference_id": "td1"})
    await api.expect(200, "POST", "/api/v1/conferences/td1/phase", json={"phase": "open"})
    links = await api.expect(200, "POST", "/api/v1/halls/links", json={"conference_id": "td1", "hall_ids": hall_ids})
    tokens = {hall_id: link.partition("token=")[2] for hall_id, link in links["links"].items()}

    async def report(hall_id: str, **changed: Any) -> None:
        headers = {"Authorization": f"Bearer {tokens[hall_id]}"}
        status, plan = await api.call("POST", "/api/v1/halls/precheck/plan", None, headers=headers)
        assert status == 200
        status, _ = await api.call(
            "POST", "/api/v1/halls/precheck", None, headers=headers, json=measured(plan, **changed)
        )
        assert status == 200

    async with connect_relay(api, register_message("edge-1")) as relay, connect_relay(api, register_message("edge-2")):
        await report(hall_ids[0])
        await report(hall_ids[1], devices={"speaker": "failed"})
        await report(hall_ids[2])
        opened = SessionOpened(session_id="s", subject=hall_ids[0], conference="td1", feed="program", at_ms=1_000)
        await relay.send(PresenceBatch(sequence=1, deltas=[opened]))
        await checked(api, hall_ids[0], devices={"speaker": "failed"})
        await checked(api, hall_ids[1])
        await checked(api, hall_ids[3])
        rehearsal = await api.expect(200, "GET", "/api/v1/conferences/td1/rehearsal")
        while rehearsal["totals"]["took_part"] == 0:
            rehearsal = await api.expect(200, "GET", "/api/v1/conferences/td1/rehearsal")
    assert rehearsal["totals"] == {
        "halls": 4,
        "took_part": 1,
        "absent": 3,
        "signed_off": 0,
        "failed": 1,
        "interrupted": 0,
    }
    assert (rehearsal["before"], rehearsal["totals_before"], rehearsal["changes"]) == ("", None, {})
    absent = await api.expect(200, "GET", "/api/v1/conferences/td1/rehearsal?took_part=no")
    assert [hall["hall"]["hall_id"] for hall in absent["halls"]] == sorted(hall_ids[1:])

    comparison = await api.expect(200, "GET", f"{URL}/readiness/comparison")
    assert comparison["before"] == "td1"
    assert {each["hall_id"]: each["change"] for each in comparison["halls"]} == {
        hall_ids[0]: "worse",
        hall_ids[1]: "better",
        hall_ids[2]: "missing",
        hall_ids[3]: "new",
    }
    assert comparison["halls"][0]["change"] == "worse"
    assert "kém hơn".encode() in await api.expect(200, "GET", f"{URL}/readiness/comparison?format=csv")
    await api.expect(201, "POST", "/api/v1/conferences", json={**first, "conference_id": "td2"})
    second = await api.expect(200, "GET", "/api/v1/conferences/td2/rehearsal")
    assert (second["before"], second["changes"]["missing"]) == ("td1", 3)
    # What was found in a rehearsal holds for the day.
    view = await api.expect(200, "GET", f"{URL}/readiness")
    assert {hall["hall_id"]: hall["readiness"]["state"] for hall in view["halls"]}[hall_ids[2]] == "ready"


async def test_readiness_survives_a_restart(config: CoordinatorConfig) -> None:
    """It is in the journal, with its time."""
    async with (
        serve_coordinator(config) as running,
        contextlib.aclosing(Api(running.url, running.services.keys)) as api,
    ):
        (hall_id,) = await api.prepare(1, provinces_only=True)
        before = (await checked(api, hall_id))["readiness"]
    async with (
        serve_coordinator(config) as running,
        contextlib.aclosing(Api(running.url, running.services.keys)) as api,
    ):
        (hall,) = (await api.expect(200, "GET", f"{URL}/readiness"))["halls"]
        assert (hall["hall_id"], hall["readiness"]["checked_at_ms"]) == (hall_id, before["checked_at_ms"])
        assert hall["readiness"]["state"] == before["state"] == "doubtful"
