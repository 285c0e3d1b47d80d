"""`diemcau delegates …`: rosters (danh sách đại biểu) of a conference."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from conference.cli.connection import DEFAULT_SERVER, DEFAULT_TOKEN_FILE, AsJson, Server, TokenFile, ask
from conference.cli.output import print_fields, print_json, print_table
from conference.cli.refusal import RefusingGroup
from conference.cli.rows import DryRun, ErrorsTo, SheetName, import_table, read_table

app = typer.Typer(cls=RefusingGroup, no_args_is_help=True, help="Rosters (danh sách đại biểu) of a conference.")

Conference = Annotated[str, typer.Argument(help="Id of the conference (hội nghị).")]
Numbers = Annotated[list[int], typer.Argument(help="Numbers of delegates (số đại biểu).")]
Hall = Annotated[str, typer.Option(help="Only this hall (điểm cầu).")]
Unit = Annotated[str, typer.Option(help="Only halls of this unit (đơn vị) and of everything under it.")]

CHANGES = {"added": "thêm (added)", "changed": "sửa (changed)", "moved": "chuyển đến (moved to)"}
STANDINGS = {
    "present": "có mặt (present)",
    "excused": "vắng có lý do (excused)",
    "unexcused": "vắng không lý do (unexcused)",
    "exempt": "miễn sinh hoạt (exempt)",
    "none": "chưa điểm danh (not yet)",
}


@app.command("import")
def import_delegates(
    conference: Conference,
    file: Annotated[Path, typer.Argument(help="CSV or XLSX; at least mã điểm cầu and họ và tên (hall, name).")],
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    sheet: SheetName = "",
    errors_to: ErrorsTo = None,
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Add or change delegates (nhập danh sách đại biểu) from a table, all or nothing.

    Whoever is in the table again keeps their number; whoever is not in it stays as they are.

    Example: diemcau delegates import hn-2026 dai-bieu.csv --dry-run
    """
    table = read_table(file)
    answer = import_table(
        server,
        token_file,
        lambda api: api.import_roster(conference, table, dry_run=dry_run, sheet=sheet),
        errors_to,
    )
    if as_json:
        print_json(answer)
        return
    changes = answer.get("changes") or []
    if changes:
        rows = [
            [CHANGES.get(str(each.get("change")), each.get("change")), *(each.get(key) for key in _CHANGE_KEYS)]
            for each in changes
        ]
        columns = ["Thay đổi\nchange", "Số\nnumber", "Họ và tên\nname", "Điểm cầu\nhall"]
        print_table("Khác biệt (difference)", columns, rows)
    done = "Chạy thử, chưa ghi gì (dry run, nothing written)" if dry_run else "Đã nhập (imported)"
    typer.echo(
        f"{done}: {answer.get('people')} người (people); {answer.get('added')} thêm (added), "
        f"{answer.get('changed')} sửa (changed), {answer.get('moved')} chuyển (moved), "
        f"{answer.get('returned')} trở lại (returned), {answer.get('unchanged')} không đổi (unchanged)"
    )


_CHANGE_KEYS = ("number", "name", "hall_id")


@app.command("list")
def list_delegates(
    conference: Conference,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    hall: Hall = "",
    unit: Unit = "",
    *,
    as_json: AsJson = False,
) -> None:
    """List delegates (danh sách đại biểu) by given name, hall by hall; the reading is noted.

    Example: diemcau delegates list hn-2026 --hall VN-00004-01
    """
    delegates = ask(server, token_file, lambda api: api.delegates(conference, hall=hall, unit=unit))
    if as_json:
        print_json({"delegates": delegates})
        return
    rows = [
        [
            *(each.get(key) for key in ("hall_id", "number", "name", "position", "organisation")),
            STANDINGS.get(str(each.get("standing")), each.get("standing")),
        ]
        for each in delegates
    ]
    columns = ["Điểm cầu\nhall", "Số\nnumber", "Họ và tên\nname", "Chức vụ\nposition", "Đơn vị\norganisation"]
    print_table(f"{len(rows)} đại biểu (delegates)", [*columns, "Điểm danh\nstanding"], rows)


@app.command("show")
def show_delegate(
    conference: Conference,
    number: Annotated[int, typer.Argument(help="Number of the delegate (số đại biểu).")],
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Show one delegate (một đại biểu), also a withdrawn one; the reading is noted.

    Example: diemcau delegates show hn-2026 17
    """
    found = ask(server, token_file, lambda api: api.delegate(conference, number))
    if as_json:
        print_json(found)
    else:
        print_fields(f"Đại biểu (delegate) {number}", found)


@app.command("withdraw")
def withdraw(
    conference: Conference,
    numbers: Numbers,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
) -> None:
    """Take delegates off their rosters (rút khỏi danh sách); a roster that names them again brings them back.

    Example: diemcau delegates withdraw hn-2026 17 18
    """
    ask(server, token_file, lambda api: api.change_delegates(conference, "withdraw", numbers=numbers))
    typer.echo(f"Đã rút (withdrawn): {len(numbers)}")


@app.command("move")
def move(
    conference: Conference,
    numbers: Numbers,
    to: Annotated[str, typer.Option(help="The hall (điểm cầu) whose roster they are to be on.")],
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
) -> None:
    """Put delegates on the roster of another hall (chuyển điểm cầu); their codes stay good.

    Example: diemcau delegates move hn-2026 17 --to VN-00008-01
    """
    ask(server, token_file, lambda api: api.change_delegates(conference, "move", numbers=numbers, hall_id=to))
    typer.echo(f"Đã chuyển (moved): {len(numbers)}")


@app.command("reissue")
def reissue(
    conference: Conference,
    numbers: Numbers,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
) -> None:
    """Give delegates new codes and PINs (cấp lại mã); those before open nothing any more.

    Example: diemcau delegates reissue hn-2026 17
    """
    ask(server, token_file, lambda api: api.change_delegates(conference, "reissue", numbers=numbers))
    typer.echo(f"Đã cấp lại mã (reissued): {len(numbers)}")


@app.command("codes")
def codes(
    conference: Conference,
    out: Annotated[Path, typer.Option(help="Folder for the pages, one HTML file a hall; made if missing.")],
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    hall: Hall = "",
    unit: Unit = "",
    *,
    posters: Annotated[bool, typer.Option("--posters", help="Posters of halls (áp phích) instead of cards.")] = False,
) -> None:
    """Write cards with QR codes (thẻ điểm danh) to print, hall by hall; each reading is noted.

    The files hold names and codes: they are readable by you alone; delete them once they are printed.

    Example: diemcau delegates codes hn-2026 --unit 01 --out the-diem-danh
    """
    from conference.secret_file import write_secret  # noqa: PLC0415 - `--help` should not pay for it

    what = "posters" if posters else "delegates/codes"

    def read(hall_id: str) -> bytes:
        return ask(server, token_file, lambda api: api.sheets(conference, what, hall=hall_id))

    found = [] if hall else ask(server, token_file, lambda api: api.halls(unit=unit))
    halls = [hall] if hall else [str(each["hall_id"]) for each in found]
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    with typer.progressbar(halls, label="Điểm cầu (halls)", file=sys.stderr) as progress:
        for hall_id in progress:
            write_secret(out / f"{hall_id}.html", read(hall_id).decode())
    typer.echo(f"Đã ghi (written): {len(halls)} × {out}")
