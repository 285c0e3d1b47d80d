"""`diemcau demo`: a nationwide conference on this machine in a minute."""

from __future__ import annotations

from typing import Annotated

import typer

from conference.cli.connection import AsJson
from conference.cli.output import print_json
from conference.cli.refusal import FAILED


def demo(
    relays: Annotated[int, typer.Option(min=1, max=32, help="Real relays (trạm chuyển tiếp thật).")] = 4,
    halls: Annotated[int, typer.Option(min=0, max=64, help="Real halls (điểm cầu thật) that decode the picture.")] = 6,
    virtual: Annotated[
        int, typer.Option(min=0, max=40_000, help="Virtual halls (điểm cầu ảo): they join, without media.")
    ] = 11_655,
    seconds: Annotated[
        float, typer.Option(min=0, max=86_400, help="Live time; 0 goes on until Ctrl-C and prints the page's address.")
    ] = 60.0,
    *,
    as_json: AsJson = False,
) -> None:
    """Show the whole product on this machine: real relays and halls, a country of virtual (ảo) halls, a killed relay.

    Starts the same programs that run a real conference, as processes, on free ports and in a temporary directory;
    kills one relay half-way; prints the flash report (báo cáo nhanh); leaves nothing behind. Every figure is measured.
    With --json the last line of stdout is one object.

    Example: diemcau demo --relays 3 --halls 4 --virtual 500 --seconds 20
    """
    from conference.demo.flow import run_demo  # noqa: PLC0415 - `--help` should not pay for it
    from conference.demo.options import DemoOptions  # noqa: PLC0415 - the same

    options = DemoOptions(relays=relays, halls=halls, virtual=virtual, seconds=seconds)
    figures, failures = run_demo(options, quiet=as_json)
    if as_json and figures is not None:
        print_json(figures)
    for failure in failures:
        typer.echo(f"Lỗi (error): {failure}", err=True)
    if failures:
        raise typer.Exit(FAILED)
