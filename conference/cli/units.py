"""`diemcau units …`: organisation units (đơn vị)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conference.cli.connection import DEFAULT_SERVER, DEFAULT_TOKEN_FILE, AsJson, Server, TokenFile, ask
from conference.cli.output import print_json, print_table
from conference.cli.refusal import RefusingGroup
from conference.cli.rows import import_csv, read_csv

app = typer.Typer(cls=RefusingGroup, no_args_is_help=True, help="Organisation units (đơn vị) of any depth.")


@app.command("import")
def import_units(
    file: Annotated[Path, typer.Argument(help="CSV with the columns code,name,kind,parent.")],
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Add or replace units (nhập đơn vị) from a CSV file, all or nothing.

    Example: diemcau units import don-vi.csv
    """
    csv = read_csv(file)
    answer = import_csv(server, token_file, lambda api: api.import_units(csv))
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"Đã nhập {answer.get('units')} đơn vị, {answer.get('changed')} thay đổi (units imported, changed)")


@app.command("list")
def list_units(
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    search: Annotated[str, typer.Option(help="Words without marks in any order (từ không dấu), or a code.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """List the units (danh sách đơn vị).

    Example: diemcau units list --json
    """
    units = ask(server, token_file, lambda api: api.units(search=search))
    if as_json:
        print_json({"units": units})
        return
    print_table(
        "Đơn vị (units)",
        ["Mã\ncode", "Tên\nname", "Cấp\nkind", "Trực thuộc\nparent"],
        [[unit.get(key) for key in ("code", "name", "kind", "parent")] for unit in units],
    )
