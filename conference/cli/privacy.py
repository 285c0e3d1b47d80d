"""`diemcau privacy …`: what is stored about people, who read it, and erasing it (dữ liệu cá nhân)."""

from __future__ import annotations

from typing import Annotated

import typer

from conference.cli.connection import DEFAULT_SERVER, DEFAULT_TOKEN_FILE, AsJson, Server, TokenFile, ask
from conference.cli.output import print_fields, print_json, print_table
from conference.cli.refusal import RefusingGroup, fail

app = typer.Typer(cls=RefusingGroup, no_args_is_help=True, help="Personal data (dữ liệu cá nhân): report and erase.")

Conference = Annotated[str, typer.Argument(help="Id of the conference (hội nghị).")]
Reason = Annotated[str, typer.Option(help="Why (lý do), without naming anybody: it stays in the journal.")]
Sure = Annotated[bool, typer.Option("--yes", help="Do it; without it nothing is erased (xác nhận xóa).")]
LABELS = {
    "people": "người đang lưu (people stored)",
    "last_number": "số lớn nhất đã cấp (last number)",
    "contacts": "điểm cầu có người liên hệ (halls with a contact)",
    "readings": "lượt xem tên (readings)",
    "erased": "người đã xóa (erased)",
}


@app.command("report")
def report(
    conference: Conference,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Say what is stored about the people of a conference, and who was given names (ai đã xem).

    Example: diemcau privacy report hn-2026
    """
    found = ask(server, token_file, lambda api: api.privacy(conference))
    if as_json:
        print_json(found)
        return
    title = f"Dữ liệu cá nhân của hội nghị (personal data of the conference) {conference}"
    print_fields(title, {label: found.get(key) for key, label in LABELS.items()})
    latest = [each for each in found.get("latest") or [] if isinstance(each, dict)]
    rows = [[_moment(each.get("at_ms")), *(each.get(key) for key in _READING)] for each in latest]
    columns = ["Lúc\nat", "Ai\nwho", "Phạm vi\nscope", "Số người\npeople", "Để làm gì\npurpose"]
    print_table("Lượt xem gần nhất (latest readings)", columns, rows)


_READING = ("actor", "scope", "count", "purpose")


@app.command("erase-person")
def erase_person(
    conference: Conference,
    numbers: Annotated[list[int], typer.Argument(help="Numbers of delegates (số đại biểu).")],
    reason: Reason,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    sure: Sure = False,
    as_json: AsJson = False,
) -> None:
    """Erase single persons (xóa dữ liệu của từng người) for good; their number and attendance stay, without a name.

    Example: diemcau privacy erase-person hn-2026 17 --reason "theo yêu cầu" --yes
    """
    _require(sure=sure)
    path = f"conferences/{conference}/delegates/erase"
    _tell(ask(server, token_file, lambda api: api.order(path, numbers=numbers, reason=reason)), as_json=as_json)


@app.command("erase-conference")
def erase_conference(
    conference: Conference,
    reason: Reason,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    sure: Sure = False,
    as_json: AsJson = False,
) -> None:
    """Erase everybody of a conference (xóa mọi người của hội nghị) for good; figures and reports stay.

    Example: diemcau privacy erase-conference hn-2026 --reason "hết hạn lưu" --yes
    """
    _require(sure=sure)
    path = f"conferences/{conference}/people/erase"
    _tell(ask(server, token_file, lambda api: api.order(path, reason=reason)), as_json=as_json)


@app.command("retention")
def retention(
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    days: Annotated[
        float, typer.Option(help="Days since the end; `privacy.retention_days` of the coordinator unless given.")
    ] = -1.0,
    *,
    sure: Sure = False,
    as_json: AsJson = False,
) -> None:
    """Erase the people of conferences that ended long ago (hết hạn lưu); without --yes only say whose.

    Example: diemcau privacy retention --days 90
    """
    answer = ask(server, token_file, lambda api: api.order("privacy/retention", days=days, dry_run=not sure))
    if as_json:
        print_json(answer)
        return
    rows = [
        [each.get("conference_id"), _moment(each.get("ended_at_ms")), each.get("people")]
        for each in answer.get("conferences") or []
    ]
    done = "đã xóa (erased)" if sure else "sẽ xóa khi thêm --yes (would be erased)"
    print_table(
        f"Kết thúc hơn {answer.get('days')} ngày (ended so many days ago): {done}",
        ["Hội nghị\nconference", "Kết thúc\nended", "Số người\npeople"],
        rows,
    )


def _require(*, sure: bool) -> None:
    if not sure:
        fail("nothing was erased; what is erased cannot be brought back: add --yes (chưa xóa gì, thêm --yes để xóa)")


def _tell(answer: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"Đã xóa (erased): {answer.get('erased')} người (people)")


def _moment(at_ms: object) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415 - `--help` does not need it

    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds") if isinstance(at_ms, int) else ""
