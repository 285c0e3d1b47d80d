"""Tables on the command line: read one within a bound, send it, show what it changes or each refused row, write one."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from conference.cli.connection import ask
from conference.cli.output import print_bytes
from conference.cli.refusal import fail

if TYPE_CHECKING:
    from conference.api_client import ApiClient

MAX_TABLE_BYTES = 32 * 1024 * 1024  # the API's own bound
SHOWN_ROWS = 50  # enough to begin with; `--json` of the API has them all, and `--errors-to` writes them

DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing (chạy thử).")]
SheetName = Annotated[str, typer.Option("--sheet", help="Sheet of a workbook; the first unless given (trang tính).")]
ErrorsTo = Annotated[
    Path | None,
    typer.Option("--errors-to", help="Write every error to this .csv or .xlsx, to be sent back (danh sách lỗi)."),
]
FileFormat = Annotated[str, typer.Option("--format", help="csv or xlsx.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File to write; stdout unless given.")]


def read_table(file: Path) -> bytes:
    """Read a table (CSV or XLSX) of at most 32 MiB.

    Raises:
        CommandFailedError: it cannot be read or is larger.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_TABLE_BYTES + 1)
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror}")
    if len(data) > MAX_TABLE_BYTES:
        fail(f"{file} is larger than 32 MiB")
    return data


def import_table(
    server: str,
    token_file: Path,
    send: Callable[[ApiClient], Awaitable[dict[str, Any]]],
    errors_to: Path | None = None,
) -> dict[str, Any]:
    """Send an import; on refusal print each bad row, and write all to `errors_to`, then fail with one sentence.

    Returns:
        The API's answer.
    """
    from conference.api_client import ApiError  # noqa: PLC0415 - `--help` should not pay for HTTP

    try:
        return ask(server, token_file, send)
    except ApiError as error:
        if not error.rows:
            raise
        for row in error.rows[:SHOWN_ROWS]:
            typer.echo(describe_row(row), err=True)
        if len(error.rows) > SHOWN_ROWS:
            typer.echo(f"  … và {len(error.rows) - SHOWN_ROWS} dòng nữa (and more)", err=True)
        if errors_to is not None:
            _write_errors(errors_to, error.rows)
        fail(f"{len(error.rows)} lỗi trong tệp, không nhập gì (errors in the file, nothing was imported)")


def describe_row(row: Mapping[str, Any]) -> str:
    """Say what is wrong with one row: where, what was given, why."""
    reason = row.get("reason") or " / ".join(str(row[key]) for key in ("reason_vi", "reason_en") if row.get(key))
    return f"  dòng (row) {row.get('row')}, cột (column) {row.get('column')}: {row.get('value')!r}: {reason}"


def describe_difference(difference: Mapping[str, Any]) -> list[str]:
    """Say what a file changes: how many records in all, and the first of them field by field."""
    counts = {name: difference.get(f"{name}_count", 0) for name in ("new", "changed", "unchanged", "absent")}
    lines = [
        (
            f"  mới (new): {counts['new']}, thay đổi (changed): {counts['changed']}, giữ nguyên (unchanged): "
            f"{counts['unchanged']}, không có trong tệp (not in the file, left as they are): {counts['absent']}"
        )
    ]
    for record in difference.get("changed", [])[:SHOWN_ROWS]:
        fields = "; ".join(f"{each['field']}: {each['before']!r} -> {each['after']!r}" for each in record["changes"])
        lines.append(f"  {record['code']}: {fields}")
    if counts["changed"] > SHOWN_ROWS:
        lines.append(f"  … và {counts['changed'] - SHOWN_ROWS} thay đổi nữa (and more)")
    return lines


def check_format(form: str) -> str:
    """A form that tables have; anything else is wrong usage."""
    if form not in {"csv", "xlsx"}:
        raise typer.BadParameter("must be csv or xlsx", param_hint="--format")
    return form


def write_table(payload: bytes, form: str, output: Path | None) -> None:
    """Write a table to a file, or to stdout.

    Raises:
        CommandFailedError: it cannot be written, or a workbook would go to a terminal.
    """
    if output is not None:
        try:
            output.write_bytes(payload)
        except OSError as error:
            fail(f"cannot write {output}: {error.strerror}")
    elif form == "csv":
        print_bytes(payload)
    elif sys.stdout.isatty():
        fail("a workbook is no text: say where to write it with --output, or send it to a file")
    else:
        sys.stdout.buffer.write(payload)
        sys.stdout.buffer.flush()


def _write_errors(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    from bridges.tables import serialize_table  # noqa: PLC0415 - `--help` should not pay for it
    from bridges.xlsx_writing import Sheet, serialize_workbook  # noqa: PLC0415 - the same

    titles = ["Dòng (row)", "Cột (column)", "Giá trị (value)", "Lỗi", "Error"]
    names = ("row", "column", "value", "reason_vi", "reason_en")
    if file.suffix.lower() == ".xlsx":
        cells = [[row.get(name, "") for name in names] for row in rows]
        sheet = Sheet(name="Lỗi", headings=titles, rows=cells, widths=(10, 20, 30, 60, 60), wraps=True)
        write_table(serialize_workbook([sheet]), "xlsx", file)
    else:
        texts = ([str(row.get(name, "")) for name in names] for row in rows)
        write_table(serialize_table(titles, texts), "csv", file)
