"""Reports over HTTP: every form and both kinds, sealed, and no more than the caller may see."""

import asyncio
import base64

import pytest
from support.coordinator_harness import CONFERENCE, Api

from bridges.attendance import Headcount
from conference.api.reports import FORMATS
from conference.reports.model import Report
from conference.reports.sealing import ReportSealError, unseal, verify_file, verify_report

pytestmark = pytest.mark.integration

REPORT = f"/api/v1/conferences/{CONFERENCE}/report"


async def raw(api: Api, unit: str = "", **query: str) -> tuple[bytes, bytes]:
    """A report's bytes and the seal of them."""
    async with api.session.get(REPORT, params=query, headers=api.bearer("organiser", unit=unit)) as answer:
        payload = await answer.read()
        assert answer.status == 200, payload
        return payload, base64.urlsafe_b64decode(answer.headers["Diemcau-Seal"])


async def report_of(api: Api, unit: str = "", **query: str) -> Report:
    """A report as its JSON form has it."""
    return unseal((await raw(api, unit, **query))[0])[0]


async def keys_of(api: Api) -> list[str]:
    """The public keys, which anybody may ask for."""
    status, answer = await api.call("GET", "/api/v1/public-keys", None)
    assert status == 200
    keys: list[str] = answer["keys"]
    return keys


async def test_every_form_is_sealed_by_the_coordinator(api: Api) -> None:
    """The bytes that arrive are those that were signed, by the key that is public."""
    await api.prepare(20, provinces_only=True)
    keys = await keys_of(api)
    for kind, report_format in [("flash", "json"), *(("summary", each) for each in FORMATS)]:
        payload, seal = await raw(api, kind=kind, format=report_format, language="en")
        assert verify_file(payload, seal, keys).report_sha256
        if report_format == "json":
            assert verify_report(payload, keys)[0].heading.kind == kind
        with pytest.raises(ReportSealError):
            verify_file(payload + b" ", seal, keys)


async def test_a_headcount_stands_in_the_report_of_its_units(api: Api) -> None:
    """From the hall's figures to the sums of commune, province and country; during the conference too."""
    halls = await api.prepare(12)
    await api.call("POST", "/api/v1/halls/headcount", hall=halls[0], json={"summoned": 80, "present": 76, "excused": 4})
    report = await report_of(api, kind="summary")
    assert report.total.real.headcount.present == 76
    row = next(row for row in report.halls if row.hall_id == halls[0])
    sums = {unit.code: unit.real.headcount.present for unit in report.by_unit}
    assert sums[row.parent] == 76
    assert sum(unit.real.halls for unit in report.by_unit if unit.depth == 0) == 12
    by_organisation = await report_of(api, tree="organisation")
    assert [(unit.code, unit.real.halls) for unit in by_organisation.by_unit] == [("", 12)]
    assert by_organisation.total == report.total


async def test_who_is_bound_to_a_unit_sees_that_alone(api: Api) -> None:
    """Without a unit in the request it is the caller's own; another's is refused."""
    await api.prepare(120)
    whole = await report_of(api, kind="summary")
    ours, other = _two_roots(whole)
    seen = await report_of(api, ours, kind="summary")
    assert seen.heading.unit == ours
    assert {row.hall_id for row in seen.halls} == {
        row.hall_id for row in whole.halls if _root(whole, row.parent) == ours
    }
    status, body = await api.call("GET", REPORT, "technician", unit=ours, params={"unit": other})
    assert (status, body["code"]) == (403, "out_of_reach")
    asked = await report_of(api, kind="summary", unit=ours)
    assert asked.total == seen.total


async def test_a_closed_conference_has_the_closing_figures_and_corrections_apart(api: Api) -> None:
    """What comes after the closing changes no total; it is listed with who, when and why."""
    halls = await api.prepare(12)
    counted = {"summoned": 80, "present": 70, "excused": 10}
    await api.call("POST", "/api/v1/halls/headcount", hall=halls[0], json=counted)
    await api.expect(200, "POST", f"/api/v1/conferences/{CONFERENCE}/phase", json={"phase": "ended"})
    await api.expect(200, "POST", f"/api/v1/conferences/{CONFERENCE}/close")
    late = {"summoned": 80, "present": 72, "excused": 8, "note": "đến muộn"}
    assert (await api.call("POST", "/api/v1/halls/headcount", hall=halls[0], json=late))[0] == 204
    report = await report_of(api, kind="summary")
    assert report.heading.closed_by == "user:test"
    assert report.total.real.headcount.present == 70
    assert next(row for row in report.halls if row.hall_id == halls[0]).headcount == Headcount(
        summoned=80, present=70, excused=10
    )
    assert [(found.figure, found.closing, found.present, found.by, found.note) for found in report.corrections] == [
        ("excused", 10, 8, f"hall:{halls[0]}", "đến muộn"),
        ("present", 70, 72, f"hall:{halls[0]}", "đến muộn"),
    ]
    assert (await report_of(api)).total == report.total
    text, _ = await raw(api, format="text", kind="summary")
    assert "Điều chỉnh sau khi chốt: 2" in text.decode()


def _two_roots(report: Report) -> tuple[str, str]:
    roots = [row.code for row in report.by_unit if row.depth == 0]
    return roots[0], roots[1]


def _root(report: Report, code: str) -> str:
    parents = {row.code: row.parent for row in report.by_unit}
    while parents[code]:
        code = parents[code]
    return code


@pytest.mark.parametrize(
    "query", [{"kind": "long"}, {"format": "pdf"}, {"language": "fr"}, {"tree": "family"}, {"section": "all"}], ids=str
)
async def test_what_is_not_offered_is_refused(api: Api, query: dict[str, str]) -> None:
    """A wrong word in the query is a clear answer."""
    await api.prepare(1, provinces_only=True)
    status, body = await api.call("GET", REPORT, params=query)
    assert (status, body["code"]) == (422, "bad_parameter")


async def test_an_unknown_unit_or_conference_is_404(api: Api) -> None:
    """Nothing is written about what does not exist."""
    await api.prepare(1, provinces_only=True)
    assert (await api.call("GET", REPORT, params={"unit": "nowhere"}))[0] == 404
    assert (await api.call("GET", "/api/v1/conferences/none/report"))[0] == 404


async def test_a_caller_that_goes_away_leaves_room_for_the_next(api: Api) -> None:
    """A report that nobody waits for is given up."""
    await api.prepare(5, provinces_only=True)
    asked = [asyncio.create_task(raw(api, format="xlsx", kind="summary")) for _ in range(3)]
    await asyncio.sleep(0)
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert (await report_of(api)).total.real.halls == 5


async def test_more_than_can_wait_are_told_to_come_again(api: Api) -> None:
    """Reports never queue without end."""
    await api.prepare(5, provinces_only=True)
    answers = await asyncio.gather(*(api.call("GET", REPORT) for _ in range(10)))
    statuses = [status for status, _ in answers]
    assert set(statuses) == {200, 503}
    assert {body["code"] for status, body in answers if status == 503} == {"reports_busy"}
