"""`diemcau live`, `attendance` and `report`: the live page, who is present, and the flash report (báo cáo nhanh)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from conference.cli.connection import DEFAULT_SERVER, DEFAULT_TOKEN_FILE, AsJson, Server, TokenFile, ask, read_token
from conference.cli.output import print_bytes, print_fields, print_json, without_virtual


class ReportFormat(StrEnum):
    """What `diemcau report` can write."""

    TEXT = "text"
    CSV = "csv"
    HTML = "html"
    JSON = "json"


def live(
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Print the link of the live page (trang trực tiếp): every hall, province and relay as it happens.

    The link holds your token: whoever has it may do what you may. For a screen on a wall make one of role operator.

    Example: diemcau live
    """
    link = f"{server.rstrip('/')}/live#token={read_token(token_file)}"
    if as_json:
        print_json({"link": link})
    else:
        typer.echo(link)


def attendance(
    conference: Annotated[str, typer.Argument(help="Id of the conference (mã hội nghị).")],
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Show the attendance (điểm danh), each source apart: by connection, by headcount.

    Example: diemcau attendance hn-2026 --json
    """
    answer = ask(server, token_file, lambda api: api.attendance(conference))
    if as_json:
        print_json(answer)
        return
    fields = {key: value for key, value in answer.items() if not isinstance(value, list) and key != "at_ms"}
    if isinstance(fields.get("total"), dict):
        fields["total"] = without_virtual({key: value for key, value in fields["total"].items() if key != "unit"})
    print_fields(f"Điểm danh (attendance) · {conference}", fields)


def report(
    conference: Annotated[str, typer.Argument(help="Id of the conference (mã hội nghị).")],
    report_format: Annotated[
        ReportFormat, typer.Option("--format", help="text for the terminal, csv for tables, html to print, json.")
    ] = ReportFormat.TEXT,
    out: Annotated[Path | None, typer.Option(help="File to write to instead of the terminal.")] = None,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Write the flash report (báo cáo nhanh) of a conference.

    Example: diemcau report hn-2026 --format html --out bao-cao.html
    """
    chosen = ReportFormat.JSON if as_json else report_format
    payload = ask(server, token_file, lambda api: api.report(conference, chosen.value))
    if out is None:
        print_bytes(payload)
    else:
        out.write_bytes(payload)
        typer.echo(f"Đã ghi (written): {out}")
