"""`diemcau hall --precheck`, `diemcau readiness` and the rehearsal's commands against real programs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.whole_conference import CONFERENCE, WholeConference, empty_conference

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


async def diemcau(*arguments: str, stage: WholeConference | None = None, token: Path | None = None) -> tuple[int, str]:
    """Run a command; its exit code and what it printed."""
    asked = [] if stage is None else ["--server", stage.stage.coordinator_url, "--token-file", str(token)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "conference.cli.main",
        *arguments,
        *asked,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode() or error.decode()


def document(text: str) -> Any:
    """The last line, which is JSON."""
    return msgspec.json.decode(text.strip().splitlines()[-1])


async def test_a_hall_is_checked_from_the_command_line(tmp_path: Path) -> None:
    """A good line is ready once somebody heard the sound; the staff see it; a rehearsal is drafted and compared."""
    async with empty_conference(tmp_path) as whole:
        links = await whole.open(2)
        await whole.publish()
        (first, link), (second, _) = links.items()
        token = tmp_path / "organiser.token"
        token.write_text(whole.stage.organiser_token)
        code, out = await diemcau("hall", link, "--precheck", "--json")
        verdict = document(out)
        assert (code, verdict["readiness"]["state"]) == (1, "doubtful"), out
        assert [reason["code"] for reason in verdict["readiness"]["reasons"] if reason["grade"] == "unmeasured"] == [
            "speaker"
        ]
        code, out = await diemcau("hall", link, "--precheck", "--heard")
        assert code == 0, out
        assert "Trạm chính" in out
        code, out = await diemcau("readiness", CONFERENCE, "--json", stage=whole, token=token)
        halls = {hall["hall_id"]: hall["readiness"]["state"] for hall in document(out)["halls"]}
        assert (code, halls) == (0, {first: "ready", second: "not_checked"})
        code, out = await diemcau("readiness", CONFERENCE, "--call-list", stage=whole, token=token)
        assert code == 0
        assert "Chưa kiểm tra" in out
        assert not (await whole.api.attendance(CONFERENCE))["total"]["real"]["connection"]["present_ever"]

        assert (await diemcau("conference", "rehearse", CONFERENCE, stage=whole, token=token))[0] == 0
        rehearsal = f"{CONFERENCE}-td1"
        answer = await diemcau("conference", "signoff", rehearsal, "--hall", second, stage=whole, token=token)
        assert answer[0] == 0, answer
        code, out = await diemcau("readiness", CONFERENCE, "--compare", "--json", stage=whole, token=token)
        changes = {hall["hall_id"]: hall["change"] for hall in document(out)["halls"]}
        assert changes == {first: "new", second: "missing"}
        code, out = await diemcau("conference", "rehearsal-report", rehearsal, stage=whole, token=token)
        assert (code, "đã tham gia" in out) == (0, True), out
        table = tmp_path / "calls.xlsx"
        options = ("--call-list", "--format", "xlsx", "--out", str(table))
        assert (await diemcau("readiness", CONFERENCE, *options, stage=whole, token=token))[0] == 0
        assert table.read_bytes()[:2] == b"PK"
