"""`diemcau config check`: read a configuration and show every mistake at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conference.cli.connection import AsJson
from conference.cli.output import print_json
from conference.cli.refusal import FAILED, RefusingGroup

app = typer.Typer(cls=RefusingGroup, no_args_is_help=True, help="Configuration files (tệp cấu hình).")


@app.callback()
def configuration() -> None:
    """Configuration files (tệp cấu hình)."""


@app.command("check")
def check(
    file: Annotated[
        Path,
        typer.Argument(help="YAML that begins with `program:` coordinator, gateway, relay, virtual, plan or simulate."),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Check a configuration file (kiểm tra cấu hình); nothing is started.

    Example: diemcau config check configs/relay-edge.yaml
    """
    from conference.program_files import load_any  # noqa: PLC0415 - pydantic is slow to import
    from configs.loading import ConfigError  # noqa: PLC0415 - the same

    try:
        found = load_any(file)
    except ConfigError as error:
        if as_json:
            mistakes = [{"path": m.path, "given": m.given, "expected": m.expected} for m in error.mistakes]
            print_json({"ok": False, "file": str(file), "errors": mistakes})
        typer.echo(f"Lỗi (error): {error}", err=True)
        raise typer.Exit(FAILED) from error
    program = str(getattr(found, "program", ""))
    if as_json:
        print_json({"ok": True, "file": str(file), "program": program})
    else:
        typer.echo(f"Đúng (valid): {file} · {program}")
