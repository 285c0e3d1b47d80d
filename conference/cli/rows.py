"""Importing a CSV file: read it within a bound, send it, and show each refused row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from conference.cli.connection import ask
from conference.cli.refusal import fail

if TYPE_CHECKING:
    from conference.api_client import ApiClient

MAX_CSV_BYTES = 32 * 1024 * 1024  # the API's own bound
SHOWN_ROWS = 50  # enough to begin with; `--json` of the API has them all


def read_csv(file: Path) -> bytes:
    """Read a CSV file of at most 32 MiB.

    Raises:
        CommandFailedError: it cannot be read or is larger.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_CSV_BYTES + 1)
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror}")
    if len(data) > MAX_CSV_BYTES:
        fail(f"{file} is larger than 32 MiB")
    return data


def import_csv(server: str, token_file: Path, send: Callable[[ApiClient], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Send an import; on refusal print each bad row, then fail with one sentence.

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
        fail(f"{len(error.rows)} lỗi trong tệp, không nhập gì (errors in the file, nothing was imported)")


def describe_row(row: Mapping[str, Any]) -> str:
    """Say what is wrong with one row: where, what was given, why."""
    reason = row.get("reason") or " / ".join(str(row[key]) for key in ("reason_vi", "reason_en") if row.get(key))
    return f"  dòng (row) {row.get('row')}, cột (column) {row.get('column')}: {row.get('value')!r}: {reason}"
