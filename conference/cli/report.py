"""`diemcau report …`: flash and summary report (báo cáo nhanh, báo cáo tổng hợp), and whether one is genuine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from conference.cli.connection import (
    DEFAULT_SERVER,
    DEFAULT_TOKEN_FILE,
    AsJson,
    Server,
    TokenFile,
    ask,
    ask_openly,
)
from conference.cli.output import print_bytes, print_json
from conference.cli.refusal import RefusingGroup, fail

MAKE = "make"


class ReportGroup(RefusingGroup):
    """`diemcau report CONFERENCE` is `diemcau report make CONFERENCE`: what a person wants nearly always."""

    default_command = MAKE

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command in where none is named."""
        if args and args[0] not in {*self.commands, "--help"}:
            args = [MAKE, *args]
        return super().parse_args(ctx, args)


class ReportFormat(StrEnum):
    """What `diemcau report` can write."""

    TEXT = "text"
    CSV = "csv"
    HTML = "html"
    JSON = "json"
    XLSX = "xlsx"


class ReportKind(StrEnum):
    """Which report."""

    FLASH = "flash"
    SUMMARY = "summary"


class Language(StrEnum):
    """Of all words of a report."""

    VI = "vi"
    EN = "en"


app = typer.Typer(
    cls=ReportGroup,
    no_args_is_help=True,
    help="Reports (báo cáo) of a conference: flash (báo cáo nhanh) and summary (báo cáo tổng hợp).\n\n"
    "All options: diemcau report make --help. Example: diemcau report hn-2026 --kind summary --format html",
)


@app.command(MAKE)
def make(
    conference: Annotated[str, typer.Argument(help="Id of the conference (mã hội nghị).")],
    kind: Annotated[ReportKind, typer.Option(help="flash: the moment; summary: units, halls, losses.")] = (
        ReportKind.FLASH
    ),
    report_format: Annotated[
        ReportFormat,
        typer.Option("--format", help="text for the terminal, xlsx and csv for tables, html to print, json."),
    ] = ReportFormat.TEXT,
    language: Annotated[Language, typer.Option(help="Language of the document.")] = Language.VI,
    unit: Annotated[str, typer.Option(help="Only what is below this unit (đơn vị), by its code.")] = "",
    tree: Annotated[
        str, typer.Option(help="territory or organisation; the conference's reporting tree unless given.")
    ] = "",
    section: Annotated[str, typer.Option(help="Of CSV one table alone, for example halls.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="File to write to instead of the terminal; its signature goes beside it (.sig).")
    ] = None,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Write a report of a conference, during it or after.

    Example: diemcau report make hn-2026 --kind summary --format xlsx --out bao-cao.xlsx
    """
    chosen = ReportFormat.JSON if as_json else report_format
    if chosen is ReportFormat.XLSX and out is None:
        fail("a workbook is no text: say where to write it with --out FILE.xlsx")
    query = {"kind": kind.value, "language": language.value, "unit": unit, "tree": tree, "section": section}
    payload, seal = ask(server, token_file, lambda api: api.sealed_report(conference, chosen.value, **query))
    if out is None:
        print_bytes(payload)
        return
    out.write_bytes(payload)
    typer.echo(f"Đã ghi (written): {out}")
    if chosen is not ReportFormat.JSON:  # that form carries its own
        signature = _seal_path(out)
        signature.write_bytes(seal)
        typer.echo(f"Chữ ký (signature): {signature}")


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="The report: JSON, or any other form with its .sig beside it.")],
    signature: Annotated[Path | None, typer.Option("--sig", help="The signature, where it is not FILE.sig.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="Public key (PEM) of the coordinator; asked of the server unless given.")
    ] = None,
    server: Server = DEFAULT_SERVER,
    *,
    as_json: AsJson = False,
) -> None:
    """Say whether a report is exactly what the coordinator signed (kiểm tra chữ ký báo cáo).

    Example: diemcau report verify bao-cao.xlsx --key dieu-phoi.pem
    """
    from conference.reports.sealing import (  # noqa: PLC0415 - `--help` should not pay for it
        MAX_REPORT_BYTES,
        MAX_SEAL_BYTES,
        verify_file,
        verify_report,
    )

    payload = _read(file, MAX_REPORT_BYTES)
    beside = signature or _seal_path(file)
    detached = _read(beside, MAX_SEAL_BYTES) if signature is not None or beside.exists() else None
    if detached is None and not payload.startswith(b"{"):
        fail(f"{beside} is missing: only the JSON form carries its own signature")
    keys = [_read(key, MAX_SEAL_BYTES).decode("ascii", "replace")] if key else ask_openly(server, _keys_of)
    if detached is not None:
        report_sha256 = verify_file(payload, detached, keys).report_sha256
    else:
        report_sha256 = verify_report(payload, keys)[1].sha256
    if as_json:
        print_json({"genuine": True, "file": str(file), "report_sha256": report_sha256})
    else:
        typer.echo(f"Đúng chữ ký (genuine): {file}\nSHA-256 (report): {report_sha256}")


async def _keys_of(api: Any) -> list[str]:
    keys: list[str] = await api.public_keys()
    return keys


def _seal_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sig")


def _read(path: Path, bound: int) -> bytes:
    with path.open("rb") as file:
        found = file.read(bound + 1)
    if len(found) > bound:
        fail(f"{path} is longer than {bound} bytes")
    return found
