"""A figure that a hall reports is on the live page, and in the totals of every level, at once."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from support.coordinator_harness import CONFERENCE, Api

pytestmark = pytest.mark.integration
VISIBLE_S = 2.0


async def test_headcounts_and_check_ins_are_seen_within_two_seconds(api: Api) -> None:
    """Both sources, each under its own name, on the page and in the unit's totals."""
    hall, *_ = await api.prepare(3)
    rows = f"hall,name,card\n{hall},Lan,1\n{hall},Mai,2"
    await api.expect(200, "POST", f"/api/v1/conferences/{CONFERENCE}/delegates/import", data=rows.encode())
    async with api.session.get("/api/v1/live", headers=api.bearer("operator")) as stream:

        async def until(present: int, checked_in: int) -> dict[str, Any]:
            async for line in stream.content:
                if line.startswith(b"data:"):
                    snapshot = msgspec.json.decode(line.removeprefix(b"data:"))
                    (shown,) = snapshot["conferences"]
                    totals = shown["totals"]
                    if (totals["headcount_present"], totals["individual_present"]) == (present, checked_in):
                        return dict(totals)
            raise AssertionError("the stream ended")

        await until(0, 0)
        begun = time.monotonic()
        status, _ = await api.call(
            "POST", "/api/v1/halls/headcount", hall=hall, json={"summoned": 80, "present": 76, "excused": 4}
        )
        assert status == 204
        await until(76, 0)
        assert time.monotonic() - begun < VISIBLE_S

        begun = time.monotonic()
        marks = [{"number": 1, "mark": "present", "at_ms": int(time.time() * 1_000), "nonce": 7}]
        status, answer = await api.call("POST", "/api/v1/halls/marks", hall=hall, json={"schema": 1, "marks": marks})
        assert status == 200, answer
        totals = await until(76, 1)
        assert time.monotonic() - begun < VISIBLE_S
    assert (totals["individual_halls"], totals["individual_registered"]) == (1, 2)
    found = await api.expect(200, "GET", f"/api/v1/conferences/{CONFERENCE}/attendance")
    sums = [child["attendance"]["real"]["individual"]["present"] for child in found["children"]]
    assert sum(sums) == found["total"]["real"]["individual"]["present"] == 1
    assert found["total"]["real"]["individual"]["by_proxy"] == 1
