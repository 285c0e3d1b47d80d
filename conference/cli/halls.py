"""`diemcau halls …`: the registry of halls (điểm cầu)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conference.cli.connection import DEFAULT_SERVER, DEFAULT_TOKEN_FILE, AsJson, Server, TokenFile, ask
from conference.cli.output import print_json, print_table
from conference.cli.refusal import RefusingGroup
from conference.cli.rows import (
    DryRun,
    ErrorsTo,
    FileFormat,
    Output,
    SheetName,
    check_format,
    describe_difference,
    import_table,
    read_table,
    write_table,
)

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
        Path,
        typer.Argument(help="CSV or XLSX; headings in Vietnamese or English: mã, tên, đơn vị, cấp, số đại biểu, …"),
    ],
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    sheet: SheetName = "",
    errors_to: ErrorsTo = None,
    *,
    dry_run: DryRun = False,
    follow_mergers: Annotated[
        bool, typer.Option("--follow-mergers", help="Take a unit that was merged for what it became (theo sáp nhập).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add or replace halls (nhập điểm cầu) from a table, all or nothing, and say what that changes.

    Example: diemcau halls import diem-cau.xlsx --dry-run --errors-to loi.xlsx
    """
    table = read_table(file)
    answer = import_table(
        server,
        token_file,
        lambda api: api.import_halls(table, dry_run=dry_run, follow_mergers=follow_mergers, sheet=sheet),
        errors_to,
    )
    if as_json:
        print_json(answer)
        return
    done = "Chạy thử, chưa ghi gì (dry run, nothing written)" if dry_run else "Đã nhập (imported)"
    typer.echo(f"{done}: {answer.get('halls')} điểm cầu (halls), {answer.get('changed')} thay đổi (changed)")
    for line in describe_difference(answer.get("difference", {})):
        typer.echo(line)
    if answer.get("followed"):
        typer.echo(f"  theo sáp nhập (followed mergers): {answer['followed']}")


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
def export_halls(
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    form: FileFormat = "csv",
    output: Output = None,
) -> None:
    """Write all halls (xuất điểm cầu) as a table; it imports again identically.

    Example: diemcau halls export --format xlsx --output diem-cau.xlsx
    """
    check_format(form)
    write_table(ask(server, token_file, lambda api: api.export_halls(form)), form, output)


@app.command("template")
def template(form: FileFormat = "csv", output: Output = None) -> None:
    """Write a table to fill in (mẫu nhập), with an explained example and the allowed words.

    Example: diemcau halls template --format xlsx --output mau.xlsx
    """
    from bridges.workbooks import serialize_template  # noqa: PLC0415 - `--help` should not pay for it

    write_table(serialize_template("halls", "xlsx" if check_format(form) == "xlsx" else "csv"), form, output)


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
