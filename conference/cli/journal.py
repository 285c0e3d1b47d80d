"""`diemcau journal …`: the journal as a thing to move (nhật ký sự kiện)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conference.cli.connection import AsJson
from conference.cli.output import print_json
from conference.cli.refusal import RefusingGroup, fail

if TYPE_CHECKING:
    from conference.journal.contract import Journal

app = typer.Typer(cls=RefusingGroup, no_args_is_help=True, help="The journal (nhật ký sự kiện) of a coordinator.")

Place = Annotated[str, typer.Argument(help="An SQLite file, or redis://…, redis+sentinel://…, redis+cluster://….")]
PasswordFile = Annotated[Path | None, typer.Option(help="File that holds the password for Redis.")]


@app.callback()
def journal() -> None:
    """The journal (nhật ký sự kiện) of a coordinator."""


@app.command("copy")
def copy(
    source: Place,
    target: Place,
    name: Annotated[str, typer.Option(help="Name of the journal in Redis (`journal.name`).")] = "diemcau",
    password_file: PasswordFile = None,
    sentinel_password_file: PasswordFile = None,
    ca_file: Annotated[Path | None, typer.Option(help="Certificates that sign those of rediss servers.")] = None,
    keep_days: Annotated[
        int,
        typer.Option(
            min=0,
            max=36_500,
            help="Leave older records out (bỏ bản ghi cũ hơn số ngày này); a snapshot stands for them. 0: copy all.",
        ),
    ] = 0,
    *,
    as_json: AsJson = False,
) -> None:
    """Copy a journal into an empty one (sao chép nhật ký), in either direction; both are compared by their hashes.

    Stop the coordinator first. Take the signing key along as well. With --keep-days the copy forgets who was whose
    contact before; delete the old journal to make that so.

    Example: diemcau journal copy var/coordinator/journal.sqlite redis://10.0.0.9:6379
    """
    import asyncio  # noqa: PLC0415 - `--help` should not pay for it
    import time  # noqa: PLC0415 - the same

    from conference.journal.copying import CopyReport, copy_journal  # noqa: PLC0415 - the same
    from monitoring.log_config import configure_logging  # noqa: PLC0415 - the same

    settings = {
        "name": name,
        "password_file": password_file,
        "sentinel_password_file": sentinel_password_file,
        "ca_file": ca_file,
    }

    without_before_ms = int((time.time() - keep_days * 86_400) * 1000) if keep_days else 0

    def say(count: int) -> None:
        typer.echo(f"\r{count:,} sự kiện (events)…", nl=False, err=True)

    async def run() -> CopyReport:
        with _alone(source), _alone(target):
            opened = [_open(place, settings, reading=place == source) for place in (source, target)]
            try:
                return await copy_journal(opened[0], opened[1], say, without_before_ms=without_before_ms)
            finally:
                typer.echo("", err=True)
                for each in opened:
                    await each.close()

    if source == target:
        fail("source and target are the same journal")
    configure_logging("journal", level="warning")
    report = asyncio.run(run())
    if as_json:
        print_json(report)
        return
    typer.echo(f"Đã sao chép {report.records:,} sự kiện, hai bên giống nhau (events copied, both are the same).")
    typer.echo(f"Sự kiện (records):  sha256 {report.records_sha256}")
    typer.echo(f"Trạng thái (state): sha256 {report.state_sha256}")


def _open(place: str, settings: Mapping[str, object], *, reading: bool) -> Journal:
    from conference.config import JournalConfig  # noqa: PLC0415 - pydantic is slow to import
    from conference.journal.opening import open_redis  # noqa: PLC0415 - the same
    from conference.journal.redis.address import is_redis_url, parse_redis_url  # noqa: PLC0415 - the same
    from conference.journal.sqlite import SqliteJournal  # noqa: PLC0415 - the same

    if not is_redis_url(place):
        if reading and not Path(place).is_file():
            fail(f"there is no journal at {place}")
        return SqliteJournal(place)
    parse_redis_url(place)  # says what is wrong in one sentence
    patient = {"timeout_s": 30.0}  # nobody waits for an answer here
    return open_redis(JournalConfig.model_validate({"url": place, "require_aof": not reading, **patient, **settings}))


@contextlib.contextmanager
def _alone(place: str) -> Iterator[None]:
    """Keep a coordinator away from a file in its state directory while it is copied."""
    from conference.journal.redis.address import is_redis_url  # noqa: PLC0415 - `--help` should not pay for it
    from conference.state_lock import LOCK_FILE, hold  # noqa: PLC0415 - the same

    folder = Path(place).parent
    if is_redis_url(place) or not (folder / LOCK_FILE).exists():
        yield
        return
    with hold(folder):
        yield
