"""What commands print: one JSON document, or tables and sentences for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import typer


def print_json(document: object) -> None:
    """Print one JSON document on one line of stdout."""
    import msgspec  # noqa: PLC0415 - `--help` should not pay for it

    typer.echo(msgspec.json.encode(document).decode())


def print_bytes(payload: bytes) -> None:
    """Write a document to stdout as it is, ended by a newline."""
    text = payload.decode("utf-8", errors="replace")
    typer.echo(text, nl=not text.endswith("\n"))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; `columns` hold the Vietnamese heading and the English one, parted by a newline."""
    from rich.console import Console  # noqa: PLC0415 - `--help` should not pay for it
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    for row in rows:
        # Text, so that a `[` in a hall's name is no markup.
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    Console().print(table)


def print_fields(title: str, fields: Mapping[str, object]) -> None:
    """Print named values, one a line; a nested mapping is indented below its name."""
    typer.echo(title)
    _print_fields(fields, indent=2)


def _print_fields(fields: Mapping[str, object], indent: int) -> None:
    width = max((len(name) for name in fields), default=0)
    for name, value in fields.items():
        if isinstance(value, Mapping):
            typer.echo(f"{' ' * indent}{name}:")
            _print_fields(value, indent + 2)
        else:
            typer.echo(f"{' ' * indent}{name.ljust(width)}  {value}")
