"""Rosters and erasure by commands alone."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from support.coordinator_harness import CONFERENCE, Api

from bridges.xlsx_writing import Sheet, serialize_workbook
from conference.access import ApiClaims
from conference.app import RunningCoordinator

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]


class Commands:
    """`diemcau` against one coordinator."""

    def __init__(self, url: str, token_file: Path) -> None:
        place = {"DIEMCAU_SERVER": url, "DIEMCAU_TOKEN_FILE": str(token_file)}
        self._environment = {**os.environ, **place, "PYTHONPATH": str(ROOT)}

    async def run(self, *arguments: str, code: int = 0) -> str:
        """What a command that ends with `code` prints."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "conference.cli.main", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment,
        )
        output, _ = await process.communicate()
        assert process.returncode == code, output.decode()
        return output.decode()


@pytest.fixture
def commands(running: RunningCoordinator, tmp_path: Path) -> Commands:
    """As an organiser."""
    token_file = tmp_path / "token"
    claims = ApiClaims(sub="ban-to-chuc", role="organiser", exp=4_000_000_000)
    token_file.write_text(running.services.keys.issue_api_token(claims))
    return Commands(running.url, token_file)


async def test_a_roster_from_a_workbook_to_its_erasure(api: Api, commands: Commands, tmp_path: Path) -> None:
    """Import with its difference, lists, cards to print, changes, report and erasure; refusals are sentences."""
    hall, other = (await api.prepare(2, provinces_only=True))[:2]
    rows = [["Lan", hall, "CB-1"], ["Hùng", hall, "CB-2"], ["Mai", other, "CB-3"]]
    file = tmp_path / "dai-bieu.xlsx"
    file.write_bytes(
        serialize_workbook([Sheet(name="Đại biểu", headings=["họ và tên", "điểm cầu", "số thẻ"], rows=rows)])
    )
    shown = await commands.run("delegates", "import", CONFERENCE, str(file), "--dry-run")
    assert "3 thêm (added)" in shown
    assert "chưa ghi gì" in shown
    await commands.run("delegates", "import", CONFERENCE, str(file))
    listed = json.loads(await commands.run("delegates", "list", CONFERENCE, "--hall", hall, "--json"))["delegates"]
    assert [each["name"] for each in listed] == ["Hùng", "Lan"]
    bad = tmp_path / "sai.csv"
    bad.write_text("hall,name\nnowhere,Ai đó\n")
    assert "điểm cầu không tồn tại" in await commands.run("delegates", "import", CONFERENCE, str(bad), code=1)

    number = str(listed[0]["number"])
    await commands.run("delegates", "move", CONFERENCE, number, "--to", other)
    assert other in await commands.run("delegates", "show", CONFERENCE, number)
    await commands.run("delegates", "reissue", CONFERENCE, number)
    await commands.run("delegates", "withdraw", CONFERENCE, number)
    cards = tmp_path / "the"
    await commands.run("delegates", "codes", CONFERENCE, "--hall", other, "--out", str(cards))
    assert "Mai" in (cards / f"{other}.html").read_text()
    assert (cards / f"{other}.html").stat().st_mode & 0o777 == 0o600
    await commands.run("delegates", "codes", CONFERENCE, "--out", str(tmp_path / "ap-phich"), "--posters")

    report = json.loads(await commands.run("privacy", "report", CONFERENCE, "--json"))
    assert (report["people"], report["latest"][0]["actor"]) == (3, "user:ban-to-chuc")
    erasing = ("privacy", "erase-person", CONFERENCE, number, "--reason", "theo yêu cầu")
    assert "chưa xóa gì" in await commands.run(*erasing, code=1)
    assert "Đã xóa (erased): 1" in await commands.run(*erasing, "--yes")
    assert "sẽ xóa" in await commands.run("privacy", "retention")
    everybody = ("privacy", "erase-conference", CONFERENCE, "--reason", "hết hạn lưu", "--yes")
    assert "Đã xóa (erased): 2" in await commands.run(*everybody)
    assert "Dữ liệu cá nhân" in await commands.run("privacy", "report", CONFERENCE)
