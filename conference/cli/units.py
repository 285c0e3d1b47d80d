"""`diemcau units …`: organisation units (đơn vị)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

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

app = typer.Typer(cls=RefusingGroup, no_args_is_help=True, help="Organisation units (đơn vị) of any depth.")

Tree = Annotated[str, typer.Option("--tree", help="Only of this tree: territory or organisation (cây).")]
On = Annotated[str, typer.Option("--on", help="As they stood on this day, YYYY-MM-DD (tại ngày).")]


@app.command("import")
def import_units(
    file: Annotated[Path, typer.Argument(help="CSV or XLSX with the columns code, name, kind, parent, …")],
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    sheet: SheetName = "",
    errors_to: ErrorsTo = None,
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Add or replace units (nhập đơn vị) from a table, all or nothing, and say what that changes.

    Example: diemcau units import don-vi.xlsx --dry-run
    """
    table = read_table(file)
    answer = import_table(
        server, token_file, lambda api: api.import_units(table, dry_run=dry_run, sheet=sheet), errors_to
    )
    if as_json:
        print_json(answer)
        return
    done = "Chạy thử, chưa ghi gì (dry run, nothing written)" if dry_run else "Đã nhập (imported)"
    typer.echo(f"{done}: {answer.get('units')} đơn vị (units), {answer.get('changed')} thay đổi (changed)")
    for line in describe_difference(answer.get("difference", {})):
        typer.echo(line)


@app.command("list")
def list_units(
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    search: Annotated[str, typer.Option(help="Words without marks in any order (từ không dấu), or a code.")] = "",
    tree: Tree = "",
    on: On = "",
    *,
    as_json: AsJson = False,
) -> None:
    """List the units (danh sách đơn vị), as they are or as they stood on a day.

    Example: diemcau units list --on 2025-06-30 --json
    """
    units = ask(server, token_file, lambda api: api.units(search=search, tree=tree, on=on))
    if as_json:
        print_json({"units": units})
        return
    columns = ["Mã\ncode", "Tên\nname", "Cấp\nkind", "Trực thuộc\nparent", "Từ\nfrom", "Đến\nto"]
    names = ("code", "name", "kind", "parent", "valid_from", "valid_to")
    rows = [[unit.get(name) for name in names] for unit in units]
    print_table("Đơn vị (units)", columns, rows)


@app.command("show")
def show_unit(
    code: Annotated[str, typer.Argument(help="Code of the unit (mã đơn vị).")],
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Show one unit (đơn vị): what is above and below it, what it was before, and what it became.

    Example: diemcau units show 00004
    """
    answer = ask(server, token_file, lambda api: api.unit(code))
    if as_json:
        print_json(answer)
        return
    unit, successor = answer["unit"], answer["successor"]
    typer.echo(" › ".join(f"{each['name']} ({each['code']})" for each in answer["path"]))
    typer.echo(f"  loại (kind): {unit['kind']}, cây (tree): {unit['tree']}{_days(unit)}")
    typer.echo(f"  điểm cầu (halls): {answer['halls']}, đơn vị dưới (units below): {len(answer['children'])}")
    if successor is None:
        typer.echo("  không còn và không rõ đơn vị thay thế (ended, and nothing is known to have taken its place)")
    elif successor["code"] != unit["code"]:
        typer.echo(f"  nay là (now): {successor['name']} ({successor['code']})")
    for each in unit["former"]:
        typer.echo(f"  trước đây (formerly): {each['name']}, {each['kind']}{_days(each)}")
    for each in answer["merged_from"]:
        typer.echo(f"  gồm (took over): {each['name']} ({each['code']}){_days(each)}")


@app.command("export")
def export_units(
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    tree: Tree = "",
    on: On = "",
    form: FileFormat = "csv",
    output: Output = None,
) -> None:
    """Write the units (xuất đơn vị) as a table; it imports again identically.

    Example: diemcau units export --format xlsx --output don-vi.xlsx
    """
    check_format(form)
    write_table(ask(server, token_file, lambda api: api.export_units(form, tree=tree, on=on)), form, output)


@app.command("template")
def template(
    form: FileFormat = "csv",
    output: Output = None,
    *,
    kinds: Annotated[bool, typer.Option("--kinds", help="Of kinds of units (loại đơn vị).")] = False,
) -> None:
    """Write a table to fill in (mẫu nhập), with an explained example and the allowed words.

    Example: diemcau units template --format xlsx --output mau.xlsx
    """
    from bridges.workbooks import serialize_template  # noqa: PLC0415 - `--help` should not pay for it

    xlsx = check_format(form) == "xlsx"
    write_table(serialize_template("kinds" if kinds else "units", "xlsx" if xlsx else "csv"), form, output)


def _days(unit: Mapping[str, Any]) -> str:
    days = [
        f"{word} {unit[name]}" for word, name in (("từ (from)", "valid_from"), ("đến (to)", "valid_to")) if unit[name]
    ]
    return f", {' '.join(days)}" if days else ""
