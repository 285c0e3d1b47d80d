"""`diemcau readiness`, `diemcau hall --precheck`, and the rehearsals of `diemcau conference`: ready for the day?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from conference.cli.connection import DEFAULT_SERVER, DEFAULT_TOKEN_FILE, AsJson, Server, TokenFile, ask
from conference.cli.output import print_json, print_table
from conference.cli.refusal import FAILED, fail

if TYPE_CHECKING:
    from bridges.readiness import Finding

READY = frozenset({"ready", "signed_off"})
SHOWN = 200  # rows on a terminal; files have all of them
ConferenceId = Annotated[str, typer.Argument(help="Id of the conference (mã hội nghị), for example hn-2026.")]
Unit = Annotated[str, typer.Option("--unit", help="Only this unit (đơn vị) and everything under it, by code.")]


class TableFormat(StrEnum):
    """What a list can be written as."""

    CSV = "csv"
    XLSX = "xlsx"


def check_hall(link: str, *, heard: bool | None, as_json: bool) -> None:
    """Check a hall with the agent's parts; exit code 1 where it is not ready."""
    from bridges.precheck_run import run_precheck  # noqa: PLC0415 - the media libraries are slow to import
    from bridges.prechecks import Devices, Outcome  # noqa: PLC0415 - the same
    from bridges.readiness import STATE_WORDS  # noqa: PLC0415 - the same

    speaker: Outcome = "unmeasured" if heard is None else "ok" if heard else "failed"

    def tell(relay_id: str) -> None:
        typer.echo(f"Đang thử trạm (trying relay) {relay_id}…", err=True)

    verdict = asyncio.run(run_precheck(link, devices=Devices(speaker=speaker), tell=tell))
    state = verdict.readiness.state
    if as_json:
        print_json(verdict)
    else:
        title = f"Kiểm tra trước (pre-check): {' · '.join(STATE_WORDS[state])}"
        print_table(title, ("Đánh giá\ngrade", "Kết quả\nresult"), _finding_rows(verdict.findings))
    if state not in READY:
        raise typer.Exit(FAILED)


def _finding_rows(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    from bridges.readiness import GRADE_WORDS  # noqa: PLC0415 - `--help` should not pay for it

    return [(" · ".join(GRADE_WORDS[finding.grade]), f"{finding.vi}\n{finding.en}") for finding in findings]


def readiness(
    conference: ConferenceId,
    unit: Unit = "",
    state: Annotated[str, typer.Option(help="Only halls in this state: not_checked, failed, doubtful …")] = "",
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    call_list: Annotated[bool, typer.Option("--call-list", help="Whom to phone (gọi cho ai), by province.")] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="What changed since the last rehearsal (tổng duyệt).")
    ] = False,
    table: Annotated[
        TableFormat | None, typer.Option("--format", help="With --call-list or --compare: a table, for --out.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write the table to.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show which halls are ready for the day (sẵn sàng), whom to phone, or what changed since the last rehearsal.

    Example: diemcau readiness hn-2026 --unit 01 --call-list
    """
    if call_list and compare:
        raise typer.BadParameter("give one of --call-list and --compare", param_hint="--compare")
    what = "calls" if call_list else "comparison" if compare else ""
    if table is not None or out is not None:
        if table is None or out is None or not what:
            raise typer.BadParameter("goes with --out, and with --call-list or --compare", param_hint="--format")
        path = f"/api/v1/conferences/{conference}/readiness/{what}"
        query = {"format": table.value, **({"unit": unit} if unit else {})}
        payload = ask(server, token_file, lambda api: api.request("GET", path, query=query))
        out.write_bytes(payload)
        typer.echo(f"Đã ghi (written): {out}")
        return
    answer = ask(server, token_file, lambda api: api.readiness(conference, what, unit=unit, state=state))
    if as_json:
        print_json(answer)
    elif call_list:
        _print_halls(f"Cần gọi (to phone) · {conference}", answer["halls"])
    elif compare:
        _print_changes(conference, answer)
    else:
        _print_readiness(conference, answer, listed=bool(state))


def _print_readiness(conference: str, answer: Mapping[str, Any], *, listed: bool) -> None:
    columns = (
        "Đơn vị\nunit",
        "Điểm cầu\nhalls",
        "Chưa kiểm tra\nnot checked",
        "Không đạt\nfailed",
        "Cần xem lại\ndoubtful",
        "Sẵn sàng\nready",
        "Đã xác nhận\nsigned off",
    )
    names = ("halls", "not_checked", "failed", "doubtful", "ready", "signed_off")
    total = {**answer["total"], "name": answer["total"]["name"] or "Tổng (total)"}
    rows = [(row["name"] or row["unit"], *(row[name] for name in names)) for row in (*answer["children"], total)]
    print_table(f"Sẵn sàng (readiness) · {conference}", columns, rows)
    if listed:
        _print_halls("Điểm cầu (halls)", answer["halls"])


def _print_halls(title: str, halls: Sequence[Mapping[str, Any]]) -> None:
    from bridges.readiness import STATE_WORDS  # noqa: PLC0415 - `--help` should not pay for it

    rows = [
        (
            hall["province"],
            f"{hall['name']}\n{hall['hall_id']}",
            STATE_WORDS[hall["readiness"]["state"]][0],
            "\n".join(reason["vi"] for reason in hall["readiness"]["reasons"]),
            f"{hall['contact_name']}\n{hall['contact_phone'] or 'chưa có số (no number)'}",
        )
        for hall in halls[:SHOWN]
    ]
    headings = ("Tỉnh\nprovince", "Điểm cầu\nhall", "Tình trạng\nstate", "Còn thiếu\nmissing", "Gọi cho\nphone")
    print_table(title, headings, rows)
    if len(halls) > SHOWN:
        typer.echo(f"… và {len(halls) - SHOWN} điểm cầu nữa (and more)")


def _print_changes(conference: str, answer: Mapping[str, Any]) -> None:
    from conference.readiness.tables import CHANGE_WORDS  # noqa: PLC0415 - `--help` should not pay for it

    counts = ", ".join(f"{CHANGE_WORDS[change][0]} {count}" for change, count in answer["counts"].items())
    typer.echo(f"So với (compared with) {answer['before']}: {counts}")
    rows = [
        (
            hall["province"],
            f"{hall['name']}\n{hall['hall_id']}",
            CHANGE_WORDS[hall["change"]][0],
            hall["before"],
            hall["now"],
        )
        for hall in answer["halls"]
        if hall["change"] != "same"
    ]
    headings = ("Tỉnh\nprovince", "Điểm cầu\nhall", "Thay đổi\nchange", "Lần trước\nbefore", "Lần này\nnow")
    print_table(f"Thay đổi (changes) · {conference}", headings, rows[:SHOWN])


def draft_rehearsal(
    conference: ConferenceId,
    name: Annotated[str, typer.Option("--id", help="Id of the rehearsal; the next free one unless given.")] = "",
    title: Annotated[str, typer.Option(help="Title on the screen; made from the conference's unless given.")] = "",
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Draft a dress rehearsal (tổng duyệt) of a conference: a session of its own, with links, presence and sign-off.

    Open it, make links for it and launch it like any conference.

    Example: diemcau conference rehearse hn-2026
    """
    from conference.readiness.rehearsals import rehearsal_name  # noqa: PLC0415 - `--help` should not pay for it

    every = {each["conference_id"]: each for each in ask(server, token_file, lambda api: api.conferences())}
    if conference not in every:
        fail(f"no conference {conference!r}")
    chosen = name or rehearsal_name(every, conference)
    called = title or f"Tổng duyệt: {every[conference]['title']}"
    answer = ask(server, token_file, lambda api: api.create_rehearsal(chosen, called, conference))
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"Đã soạn (drafted): {chosen} · {called}")


def sign_off(
    conference: ConferenceId,
    hall: Annotated[str, typer.Option(help="The hall (mã điểm cầu) that you answer for.")] = "",
    unit: Annotated[str, typer.Option(help="Or the unit (mã đơn vị), with every hall under it.")] = "",
    note: Annotated[str, typer.Option(help="In your words.")] = "",
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take it back.")] = False,
    as_json: AsJson = False,
) -> None:
    """Sign off (xác nhận) that a hall, or every hall of a unit, is ready.

    Example: diemcau conference signoff hn-2026 --unit 01 --note "đã tổng duyệt"
    """
    if bool(hall) == bool(unit):
        raise typer.BadParameter("give --hall or --unit", param_hint="--hall")
    body = {"hall_id": hall, "unit": unit, "note": note, "withdrawn": withdraw}
    answer = ask(server, token_file, lambda api: api.sign_off(conference, **body))
    if as_json:
        print_json(answer)
    else:
        typer.echo("Đã ghi nhận (noted)" if answer["changed"] else "Không có gì thay đổi (nothing changed)")


def rehearsal_report(
    rehearsal: Annotated[str, typer.Argument(help="Id of the rehearsal (mã buổi tổng duyệt).")],
    unit: Unit = "",
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Tell what became of a dress rehearsal: who took part, who did not, interruptions, and what changed.

    Example: diemcau conference rehearsal-report hn-2026-td1
    """
    answer = ask(server, token_file, lambda api: api.rehearsal(rehearsal, unit=unit))
    if as_json:
        print_json(answer)
        return
    labels = {
        "halls": "điểm cầu (halls)",
        "took_part": "đã tham gia (took part)",
        "absent": "vắng (absent)",
        "signed_off": "đã xác nhận (signed off)",
        "failed": "không đạt (failed)",
        "interrupted": "bị gián đoạn (interrupted)",
    }
    past = answer["totals_before"] or {}
    rows = [(label, answer["totals"][key], past.get(key, "–")) for key, label in labels.items()]
    print_table(f"{answer['title']} · {rehearsal}", ("", "Lần này\nnow", f"Lần trước\n{answer['before'] or '–'}"), rows)
    absent = [each["hall"] for each in answer["halls"] if not each["took_part"]]
    if absent:
        _print_halls("Vắng (absent)", absent)
