"""`diemcau halls …`: the registry of halls (điểm cầu)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conference.cli.connection import DEFAULT_SERVER, DEFAULT_TOKEN_FILE, AsJson, Server, TokenFile, ask
from conference.cli.output import print_bytes, print_json, print_table
from conference.cli.refusal import RefusingGroup
from conference.cli.rows import import_csv, read_csv

app = typer.Typer(cls=RefusingGroup, no_args_is_help=True, help="The registry of halls (điểm cầu).")

STATUS_WORDS = {
    "waiting": "chờ kết nối (waiting)",
    "present": "có mặt (present)",
    "lost": "mất kết nối (lost)",
    "left": "đã rời (left)",
}


@app.command("import")
def import_halls(
    file: Annotated[
        Path, typer.Argument(help="CSV; headings in Vietnamese or English: mã, tên, đơn vị, cấp, số đại biểu, …")
    ],
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing (chạy thử).")] = False,
    as_json: AsJson = False,
) -> None:
    """Add or replace halls (nhập điểm cầu) from a CSV file, all or nothing.

    Example: diemcau halls import diem-cau.csv --dry-run
    """
    csv = read_csv(file)
    answer = import_csv(server, token_file, lambda api: api.import_halls(csv, dry_run=dry_run))
    if as_json:
        print_json(answer)
        return
    done = "Chạy thử, chưa ghi gì (dry run, nothing written)" if dry_run else "Đã nhập (imported)"
    typer.echo(f"{done}: {answer.get('halls')} điểm cầu (halls), {answer.get('changed')} thay đổi (changed)")


@app.command("list")
def list_halls(
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    conference: Annotated[str, typer.Option(help="Only of this conference (hội nghị), with status.")] = "",
    status: Annotated[str, typer.Option(help="Only waiting, present or lost.")] = "",
    unit: Annotated[str, typer.Option(help="Only of this unit (đơn vị).")] = "",
    search: Annotated[
        str, typer.Option(help="Words without marks in any order (từ không dấu), a code or a telephone number.")
    ] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """List halls (danh sách điểm cầu), for example those that are lost and whom to phone.

    They stand in the order of the Vietnamese alphabet; of a search the best come first.

    Example: diemcau halls list --conference hn-2026 --status lost
    """
    if status not in {"", "waiting", "present", "lost"}:
        raise typer.BadParameter("must be waiting, present or lost", param_hint="--status")
    halls = ask(
        server,
        token_file,
        lambda api: api.halls(conference=conference, status=status, unit=unit, search=search, order="name"),
    )
    if as_json:
        print_json({"halls": halls})
        return
    rows = [
        [
            hall.get("hall_id"),
            f"{hall.get('name')}{' · ảo (virtual)' if hall.get('virtual') else ''}",
            hall.get("unit"),
            hall.get("seats"),
            STATUS_WORDS.get(str(hall.get("status")), hall.get("status")),
            hall.get("primary"),
            " ".join(str(hall[key]) for key in ("contact_name", "contact_phone") if hall.get(key)),
        ]
        for hall in halls
    ]
    columns = ["Mã\nid", "Điểm cầu\nhall", "Đơn vị\nunit", "Đại biểu\nseats", "Trạng thái\nstatus", "Trạm\nrelay"]
    print_table(f"{len(rows)} điểm cầu (halls)", [*columns, "Liên hệ\ncontact"], rows)


@app.command("export")
def export_halls(server: Server = DEFAULT_SERVER, token_file: TokenFile = DEFAULT_TOKEN_FILE) -> None:
    """Write all halls (xuất điểm cầu) as CSV to stdout; it imports again identically.

    Example: diemcau halls export > diem-cau.csv
    """
    print_bytes(ask(server, token_file, lambda api: api.export_halls()))


@app.command("link")
def hall_link(
    hall: Annotated[str, typer.Argument(help="Id of the hall (mã điểm cầu).")],
    conference: Annotated[str, typer.Option(help="Id of the conference (hội nghị).")],
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Make the links (đường dẫn) of a hall: for its screen, and for the phone that checks delegates in at its door.

    Example: diemcau halls link VN-00004-01 --conference hn-2026
    """
    answer = ask(server, token_file, lambda api: api.hall_link(hall, conference))
    screen = str(answer.get("link"))
    door = screen.replace("/hall#", "/checkin#")
    if as_json:
        print_json({**answer, "checkin_link": door})
    else:
        typer.echo(screen)
        typer.echo(f"Điểm danh (check-in): {door}", err=True)
