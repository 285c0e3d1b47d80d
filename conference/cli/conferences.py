"""`diemcau conference …`: the life of a conference (hội nghị), from draft to end."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer

from bridges.units import TreeName
from conference.cli.connection import DEFAULT_SERVER, DEFAULT_TOKEN_FILE, AsJson, Server, TokenFile, ask
from conference.cli.output import print_fields, print_json, print_table, without_virtual
from conference.cli.refusal import RefusingGroup, fail
from conference.lifecycle import Phase

app = typer.Typer(
    cls=RefusingGroup,
    no_args_is_help=True,
    help="Conferences (hội nghị): draft (soạn thảo) → open (mở cổng) → rehearsal (chạy thử) → live (đang họp) → "
    "ended (đã kết thúc).",
)

PHASE_WORDS: dict[str, str] = {
    "draft": "soạn thảo (draft)",
    "open": "mở cổng (open)",
    "rehearsal": "chạy thử (trial run)",
    "live": "đang họp (live)",
    "ended": "đã kết thúc (ended)",
}
ConferenceId = Annotated[str, typer.Argument(help="Id of the conference (mã hội nghị), for example hn-2026.")]


@app.command("create")
def create(
    conference: ConferenceId,
    title: Annotated[str, typer.Option(help="Title on the screen (tên hội nghị).")],
    feed: Annotated[list[str] | None, typer.Option(help="Feeds that it carries; `program` unless given.")] = None,
    reporting: Annotated[
        str, typer.Option(help="Tree in which its halls report (cây báo cáo): territory or organisation.")
    ] = "territory",
    starts_at: Annotated[
        datetime | None, typer.Option(help="When it begins, by the clock of this machine (giờ khai mạc).")
    ] = None,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Draft a conference (soạn thảo hội nghị).

    Example: diemcau conference create hn-2026 --title "Hội nghị toàn quốc"
    """
    if reporting not in get_args(TreeName):
        raise typer.BadParameter("must be territory or organisation", param_hint="--reporting")
    tree = cast("TreeName", reporting)
    starts_at_ms = 0 if starts_at is None else round(starts_at.timestamp() * 1000)
    answer = ask(
        server,
        token_file,
        lambda api: api.create_conference(
            conference, title, feed or ["program"], reporting=tree, starts_at_ms=starts_at_ms
        ),
    )
    _show(answer, as_json=as_json)


def _change(conference: str, phase: Phase, server: str, token_file: Path, *, as_json: bool) -> None:
    _show(ask(server, token_file, lambda api: api.change_phase(conference, phase)), as_json=as_json)


@app.command("open")
def open_conference(
    conference: ConferenceId,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Open it to the halls (mở cổng), usually an hour before the start.

    Example: diemcau conference open hn-2026
    """
    _change(conference, "open", server, token_file, as_json=as_json)


@app.command("trial")
def trial(
    conference: ConferenceId,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Begin a trial run (chạy thử) of an open conference; for a dress rehearsal (tổng duyệt) see `rehearse`.

    Example: diemcau conference trial hn-2026
    """
    _change(conference, "rehearsal", server, token_file, as_json=as_json)


@app.command("launch")
def launch(
    conference: ConferenceId,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Go live (khai mạc).

    Example: diemcau conference launch hn-2026
    """
    _change(conference, "live", server, token_file, as_json=as_json)


@app.command("end")
def end(
    conference: ConferenceId,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """End it (kết thúc); the flash report (báo cáo nhanh) can be read at once.

    Example: diemcau conference end hn-2026
    """
    _change(conference, "ended", server, token_file, as_json=as_json)


@app.command("close")
def close(
    conference: ConferenceId,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Close the attendance after the end (chốt số liệu): what comes later is listed as a correction (điều chỉnh).

    Example: diemcau conference close hn-2026
    """
    answer = ask(server, token_file, lambda api: api.close_attendance(conference))
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"Đã chốt số liệu (attendance closed): {conference} · {answer.get('closed_by')}")


@app.command("publish")
def authorise_publisher(
    conference: ConferenceId,
    token_out: Annotated[Path, typer.Option(help="File to write the publisher's token to, readable by you only.")],
    feed: Annotated[str, typer.Option(help="Feed to publish.")] = "program",
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Authorise a publisher (nguồn phát): prints its WHIP addresses and writes the token to a file.

    Example: diemcau conference publish hn-2026 --token-out publisher.token
    """
    from conference.api_client import whip_urls_of  # noqa: PLC0415 - not needed for `--help`
    from conference.secret_file import write_secret  # noqa: PLC0415 - the same

    answer = ask(server, token_file, lambda api: api.authorise_publisher(conference, feed))
    write_secret(token_out, str(answer.get("token", "")))
    addresses = whip_urls_of(answer)
    if as_json:
        shown = {"whip_url": addresses[0], "whip_urls": addresses, "token_file": str(token_out)}
        print_json({**shown, "expires_at_ms": answer.get("expires_at_ms")})
    else:
        options = " ".join(f"--whip {address}" for address in addresses)
        typer.echo(f"diemcau publish SOURCE {options} --token-file {token_out}")


@app.command("status")
def status(
    conference: Annotated[str, typer.Argument(help="Id of the conference; all of them when left out.")] = "",
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Show where a conference stands (tình hình): its phase and how many halls are present or lost.

    Example: diemcau conference status hn-2026
    """
    if conference:
        _show(ask(server, token_file, lambda api: api.conference(conference)), as_json=as_json)
        return
    found = ask(server, token_file, lambda api: api.conferences())
    if as_json:
        print_json({"conferences": found})
        return
    print_table(
        "Hội nghị (conferences)",
        ["Mã\nid", "Tên\ntitle", "Giai đoạn\nphase"],
        [[item.get("conference_id"), item.get("title"), _phase(item)] for item in found],
    )


def _phase(conference: dict[str, Any]) -> str:
    phase = str(conference.get("phase"))
    return PHASE_WORDS.get(phase, phase)


def _show(conference: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(conference)
        return
    if "conference_id" not in conference:
        fail("the server's answer names no conference")
    title = f"{conference.get('title')} ({conference['conference_id']}): {_phase(conference)}"
    totals = conference.get("totals")
    print_fields(title, without_virtual(totals) if isinstance(totals, dict) else {})
