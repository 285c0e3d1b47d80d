"""`diemcau proposals …`, and of `halls …` propose, show, history, withdraw: who wants and who changed what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from conference.cli.connection import DEFAULT_SERVER, DEFAULT_TOKEN_FILE, AsJson, Server, TokenFile, ask
from conference.cli.output import local_time, print_fields, print_json, print_table
from conference.cli.refusal import RefusingGroup
from conference.cli.rows import import_table, read_table

app = typer.Typer(
    cls=RefusingGroup, no_args_is_help=True, help="Changes of halls (đề xuất thay đổi điểm cầu) that wait or waited."
)

ACTION_WORDS = {
    "created": "thêm mới (new)",
    "changed": "thay đổi (changed)",
    "withdrawn": "rút khỏi danh sách (withdrawn)",
    None: "đã như vậy (is so already)",
}
STANDING_WORDS = {
    "waiting": "chờ duyệt (waiting)",
    "approved": "đã duyệt (approved)",
    "rejected": "không duyệt (rejected)",
}

Hall = Annotated[str, typer.Argument(help="Id of the hall (mã điểm cầu).")]
Ids = Annotated[list[str], typer.Argument(help="Numbers of the proposals (số đề xuất); all of them or none.")]


class Standing(StrEnum):
    """How a proposal stands."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"


def propose_halls(
    file: Annotated[Path, typer.Argument(help="CSV as for `halls import`.")],
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, propose nothing (chạy thử).")] = False,
    as_json: AsJson = False,
) -> None:
    """Propose halls (đề xuất điểm cầu) from a file to an organiser, who approves or rejects them.

    Example: diemcau halls propose diem-cau.csv
    """
    csv = read_table(file)
    answer = import_table(server, token_file, lambda api: api.import_halls(csv, dry_run=dry_run, propose=True))
    if as_json:
        print_json(answer)
        return
    counts = f"{answer.get('halls')} điểm cầu (halls), {answer.get('changed')} thay đổi (changed)"
    if dry_run:
        typer.echo(f"Chạy thử, chưa gửi gì (dry run, nothing proposed): {counts}")
    elif answer.get("proposal_id"):
        typer.echo(f"Đề xuất số (proposal) {answer['proposal_id']}, chờ duyệt (waits for approval): {counts}")
    else:
        typer.echo(f"Không có gì thay đổi (nothing would change): {counts}")


def show_hall(
    hall: Hall, server: Server = DEFAULT_SERVER, token_file: TokenFile = DEFAULT_TOKEN_FILE, *, as_json: AsJson = False
) -> None:
    """Show one hall (một điểm cầu) as it is registered.

    Example: diemcau halls show VN-00004-01
    """
    answer = ask(server, token_file, lambda api: api.hall(hall))
    if as_json:
        print_json(answer)
        return
    gone = " · đã rút khỏi danh sách (withdrawn)" if answer.get("withdrawn") else ""
    print_fields(f"{hall}{gone}", dict(answer.get("hall") or {}))


def hall_history(
    hall: Hall, server: Server = DEFAULT_SERVER, token_file: TokenFile = DEFAULT_TOKEN_FILE, *, as_json: AsJson = False
) -> None:
    """Say who changed what of a hall (lịch sử thay đổi), and when; the newest first.

    Example: diemcau halls history VN-00004-01
    """
    answer = ask(server, token_file, lambda api: api.hall_history(hall))
    if as_json:
        print_json(answer)
        return
    rows = [
        [
            local_time(change.get("at_ms")),
            change.get("actor"),
            ACTION_WORDS.get(change.get("action"), change.get("action")),
            _fields(change.get("fields")),
            change.get("proposal"),
        ]
        for change in answer.get("changes") or []
    ]
    columns = ["Lúc\nwhen", "Ai\nwho", "Việc\nwhat", "Nội dung\nfields", "Đề xuất\nproposal"]
    print_table(f"{hall}: {answer.get('revision')} lần thay đổi (changes)", columns, rows)


def withdraw_hall(
    hall: Hall, server: Server = DEFAULT_SERVER, token_file: TokenFile = DEFAULT_TOKEN_FILE, *, as_json: AsJson = False
) -> None:
    """Take a hall out of the register (rút điểm cầu); its past stays. Not while it sits in a conference.

    Example: diemcau halls withdraw VN-00004-01
    """
    answer = ask(server, token_file, lambda api: api.withdraw_hall(hall))
    if as_json:
        print_json(answer)
    elif answer.get("proposal_id"):
        typer.echo(f"Đề xuất số (proposal) {answer['proposal_id']}, chờ duyệt (waits for approval)")
    else:
        typer.echo("Đã rút (withdrawn)" if answer.get("changed") else "Đã rút từ trước (was withdrawn before)")


@app.command("list")
def list_proposals(
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    standing: Annotated[Standing | None, typer.Option(help="Only those that stand so.")] = None,
    unit: Annotated[str, typer.Option(help="Only those made for this unit (đơn vị).")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """List proposals (danh sách đề xuất), the newest first.

    Example: diemcau proposals list --standing waiting
    """
    wanted = "" if standing is None else standing.value
    answer = ask(server, token_file, lambda api: api.proposals(standing=wanted, unit=unit))
    if as_json:
        print_json(answer)
        return
    _print_proposals(answer.get("proposals") or [])
    if answer.get("more"):
        typer.echo(f"… và {answer['more']} đề xuất cũ hơn (older ones)")


@app.command("show")
def show_proposal(
    proposal: Annotated[str, typer.Argument(help="Number of the proposal (số đề xuất).")],
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what a proposal changes against the register of now (khác biệt so với hiện tại).

    Example: diemcau proposals show 12
    """
    answer = ask(server, token_file, lambda api: api.proposal(proposal))
    if as_json:
        print_json(answer)
        return
    _print_proposals([answer.get("proposal") or {}])
    halls = answer.get("halls") or []
    if halls:
        rows = [
            [
                dict(each.get("hall") or {}).get("hall_id"),
                dict(each.get("hall") or {}).get("name"),
                ACTION_WORDS.get(each.get("action"), each.get("action")),
                _fields(each.get("fields")),
                "đã thay đổi từ khi đề xuất (changed since)" if each.get("conflict") else "",
            ]
            for each in halls
        ]
        columns = ["Mã\nid", "Điểm cầu\nhall", "Việc\nwhat", "Khác biệt\ndifference", "Xung đột\nconflict"]
        print_table(f"{len(rows)} điểm cầu (halls), {answer.get('conflicts')} xung đột (conflicts)", columns, rows)
    if answer.get("more"):
        typer.echo(f"… và {answer['more']} điểm cầu nữa (more halls)")


@app.command("approve")
def approve(
    proposals: Ids,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    reason: Annotated[str, typer.Option(help="Why (lý do); may be left out.")] = "",
    *,
    despite_changes: Annotated[
        bool, typer.Option("--despite-changes", help="Also where a hall changed since it was proposed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Approve proposals (duyệt đề xuất): the halls are as proposed from now on.

    Example: diemcau proposals approve 12 13
    """
    answer = ask(
        server,
        token_file,
        lambda api: api.decide_proposals(proposals, "approved", reason=reason, despite_changes=despite_changes),
    )
    _print_decided(answer, as_json=as_json)


@app.command("reject")
def reject(
    proposals: Ids,
    reason: Annotated[str, typer.Option(help="Why (lý do); who proposed it reads this.")],
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Reject proposals (không duyệt đề xuất): nothing changes.

    Example: diemcau proposals reject 12 --reason "sai số đại biểu"
    """
    answer = ask(server, token_file, lambda api: api.decide_proposals(proposals, "rejected", reason=reason))
    _print_decided(answer, as_json=as_json)


def _print_decided(answer: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        _print_proposals(answer.get("proposals") or [])


def _print_proposals(proposals: Sequence[Mapping[str, Any]]) -> None:
    rows = []
    for proposal in proposals:
        decision = proposal.get("decision") or {}
        standing = STANDING_WORDS[str(decision.get("verdict") or "waiting")]
        by = f" · {decision.get('actor')} · {local_time(decision.get('at_ms'))}" if decision else ""
        reason = f" · {decision['reason']}" if decision.get("reason") else ""
        made = [proposal.get(name) for name in ("proposal_id", "unit", "actor")]
        rows.append([*made, local_time(proposal.get("at_ms")), proposal.get("count"), f"{standing}{by}{reason}"])
    columns = ["Số\nnumber", "Đơn vị\nunit", "Ai\nwho", "Lúc\nwhen", "Điểm cầu\nhalls", "Kết quả\nstanding"]
    print_table(f"{len(rows)} đề xuất (proposals)", columns, rows)


def _fields(fields: object) -> str:
    """The fields that changed; of those about a person nothing but the name is known."""
    if not isinstance(fields, list):
        return ""
    changes = [field for field in fields if isinstance(field, list) and len(field) == 3]
    return "; ".join(f"{name}: {before!r} → {after!r}" if before or after else name for name, before, after in changes)
