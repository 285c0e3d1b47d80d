"""`diemcau relays …`, `joins …`, `orders`, `operations`, and the orders among `halls …`: what operators order.

Every order says why (`--reason`); who gave it and when is in the journal.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from conference.cli.connection import DEFAULT_SERVER, DEFAULT_TOKEN_FILE, AsJson, Server, TokenFile, ask
from conference.cli.output import local_time, print_fields, print_json, print_table
from conference.cli.refusal import RefusingGroup, fail

relays = typer.Typer(
    cls=RefusingGroup, no_args_is_help=True, help="Relays (trạm chuyển tiếp): how they serve, and who is on them."
)
joins = typer.Typer(cls=RefusingGroup, no_args_is_help=True, help="Joining (vào hội nghị): pause and resume.")

MODE_WORDS = {
    "open": "đang phục vụ (open)",
    "cordoned": "ngừng nhận mới (cordoned)",
    "draining": "ngừng nhận mới và chuyển điểm cầu (draining)",
    "evacuating": "chuyển gấp mọi điểm cầu (evacuating)",
}
STATUS_WORDS = {"live": "hoạt động (live)", "lost": "mất kết nối (lost)"}
WATCH_EVERY_S = 1.0

Relay = Annotated[str, typer.Argument(help="Id of the relay (mã trạm).")]
Hall = Annotated[str, typer.Argument(help="Id of the hall (mã điểm cầu).")]
Reason = Annotated[str, typer.Option("--reason", help="Why (lý do); kept in the journal with your name and the time.")]


@relays.command("list")
def list_relays(
    server: Server = DEFAULT_SERVER, token_file: TokenFile = DEFAULT_TOKEN_FILE, *, as_json: AsJson = False
) -> None:
    """List relays (danh sách trạm) with how they serve and how full they are.

    Example: diemcau relays list
    """
    found = ask(server, token_file, lambda api: api.relays())
    if as_json:
        print_json({"relays": found})
        return
    rows = [
        [
            f"{relay.get('relay_id')}{' · ảo (virtual)' if relay.get('virtual') else ''}",
            relay.get("region"),
            relay.get("role"),
            _status(relay),
            MODE_WORDS.get(str(relay.get("mode")), relay.get("mode")),
            relay.get("halls_primary"),
            relay.get("halls_backup"),
            relay.get("children"),
            relay.get("seats_hard"),
        ]
        for relay in found
    ]
    columns = ["Trạm\nrelay", "Tỉnh\nregion", "Vai trò\nrole", "Trạng thái\nstatus", "Chế độ\nmode"]
    columns += ["Chính\nprimary", "Dự phòng\nbackup", "Trạm con\nchildren", "Sức chứa\nseats"]
    print_table(f"{len(rows)} trạm chuyển tiếp (relays)", columns, rows)


@relays.command("show")
def show_relay(
    relay: Relay,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Show one relay (một trạm), and which halls could not leave it because there is no room.

    Example: diemcau relays show relay-01-1
    """
    _show(ask(server, token_file, lambda api: api.relay(relay)), as_json=as_json)


@relays.command("cordon")
def cordon(
    relay: Relay,
    reason: Reason,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Let a relay keep what it has and take nothing new (ngừng nhận mới), also after it registers again.

    Example: diemcau relays cordon relay-01-1 --reason "sắp bảo trì"
    """
    _show(ask(server, token_file, lambda api: api.order(f"relays/{relay}/cordon", reason=reason)), as_json=as_json)


@relays.command("uncordon")
def uncordon(
    relay: Relay,
    reason: Reason,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Let a relay serve again (phục vụ lại), whatever was ordered; halls that left do not come back by themselves.

    Example: diemcau relays uncordon relay-01-1 --reason "đã bảo trì xong"
    """
    _show(ask(server, token_file, lambda api: api.order(f"relays/{relay}/uncordon", reason=reason)), as_json=as_json)


@relays.command("drain")
def drain(
    relay: Relay,
    reason: Reason,
    within: Annotated[int, typer.Option(help="Seconds until it is to be empty (thời hạn); 0 for no deadline.")] = 0,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Show what is left until it is empty (chờ đến khi trống).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Empty a relay at a pace (ngừng nhận mới và chuyển điểm cầu): nobody loses the picture; then it may be stopped.

    Example: diemcau relays drain relay-01-1 --within 600 --wait --reason "thay ổ cứng"
    """
    answer = ask(server, token_file, lambda api: api.order(f"relays/{relay}/drain", reason=reason, within_s=within))
    if wait:
        answer = _watch(relay, answer, within, server, token_file, as_json=as_json)
    _show(answer, as_json=as_json)


@relays.command("evacuate")
def evacuate(
    relay: Relay,
    reason: Reason,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Empty a relay at once (chuyển gấp), as if it were lost, while it still serves.

    Example: diemcau relays evacuate relay-01-1 --reason "máy quá nóng"
    """
    _show(ask(server, token_file, lambda api: api.order(f"relays/{relay}/evacuate", reason=reason)), as_json=as_json)


@relays.command("limits")
def limits(
    reason: Reason,
    soft: Annotated[
        float, typer.Option(help="Share of the capacity up to which a relay is preferred; 0 with --hard 0.")
    ],
    hard: Annotated[float, typer.Option(help="Share that is never passed; 0 gives back what held before.")],
    relay: Annotated[
        str, typer.Option(help="Of this relay alone; of all without limits of their own when left out.")
    ] = "",
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Change how full relays may be (ngưỡng tải); never below what is charged already.

    Example: diemcau relays limits --relay relay-01-1 --soft 0.6 --hard 0.8 --reason "đường truyền yếu"
    """
    path = f"relays/{relay}/limits" if relay else "limits"
    answer = ask(server, token_file, lambda api: api.order(path, reason=reason, soft_limit=soft, hard_limit=hard))
    if relay:
        _show(answer, as_json=as_json)
    else:
        _show_orders(answer, as_json=as_json)


def move_halls(
    reason: Reason,
    halls: Annotated[list[str] | None, typer.Argument(help="Ids of halls (mã điểm cầu).")] = None,
    unit: Annotated[str, typer.Option(help="All halls of this unit and of everything under it (đơn vị).")] = "",
    to: Annotated[str, typer.Option(help="Relay to go to (trạm đến).")] = "",
    away: Annotated[str, typer.Option(help="Relay to leave (trạm rời đi).")] = "",
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Move halls (chuyển trạm) once, make-before-break; without --to and --away take back what is not done yet.

    Example: diemcau halls move --unit 04 --away relay-04-1 --reason "tuyến cáp bảo trì"
    """
    answer = ask(
        server,
        token_file,
        lambda api: api.order("halls/move", reason=reason, hall_ids=halls or [], unit=unit, to=to, away=away),
    )
    if as_json:
        print_json(answer)
        return
    typer.echo(
        f"Đã ra lệnh chuyển (ordered): {answer.get('halls')} điểm cầu (halls); "
        f"cả nước còn chờ (waiting in all): {answer.get('halls_waiting')}"
    )


def pin_hall(
    hall: Hall,
    relay: Annotated[list[str], typer.Argument(help="Relays (trạm): the primary, and the backup if you like.")],
    reason: Reason,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Pin a hall to relays (ghim điểm cầu) and move it there.

    Example: diemcau halls pin VN-00004-01 relay-01-1 --reason "cáp riêng"
    """
    answer = ask(server, token_file, lambda api: api.order(f"halls/{hall}/pin", reason=reason, relay_ids=relay))
    _show_orders(answer, as_json=as_json)


def unpin_hall(
    hall: Hall,
    reason: Reason,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Unpin a hall (bỏ ghim); it stays where it is.

    Example: diemcau halls unpin VN-00004-01 --reason "hết dùng cáp riêng"
    """
    answer = ask(server, token_file, lambda api: api.order(f"halls/{hall}/pin", reason=reason, relay_ids=[]))
    _show_orders(answer, as_json=as_json)


def exclude_relays(
    subject: Annotated[str, typer.Argument(help="A hall, or a province (điểm cầu hoặc tỉnh).")],
    reason: Reason,
    relay: Annotated[list[str] | None, typer.Argument(help="Relays that it shall not have; none ends it.")] = None,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Keep a hall, or a province's halls, off relays (không dùng trạm); those that are there are moved.

    Example: diemcau halls exclude 04 relay-01-1 relay-01-2 --reason "tuyến cáp đứt"
    """
    answer = ask(
        server,
        token_file,
        lambda api: api.order("halls/exclude", reason=reason, subject=subject, relay_ids=relay or []),
    )
    _show_orders(answer, as_json=as_json)


@joins.command("pause")
def pause_joins(
    reason: Reason,
    conference: Annotated[str, typer.Option(help="Of this conference (hội nghị); of all when left out.")] = "",
    retry_after: Annotated[int, typer.Option(help="Seconds after which halls ask again (thử lại sau).")] = 10,
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Keep newcomers out (tạm dừng nhận điểm cầu mới); who has a seat keeps it and may join again.

    Example: diemcau joins pause --reason "đang xử lý sự cố"
    """
    answer = ask(
        server,
        token_file,
        lambda api: api.order("joins/pause", reason=reason, conference_id=conference, retry_after_s=retry_after),
    )
    _show_orders(answer, as_json=as_json)


@joins.command("resume")
def resume_joins(
    reason: Reason,
    conference: Annotated[str, typer.Option(help="Of this conference (hội nghị); of all when left out.")] = "",
    server: Server = DEFAULT_SERVER,
    token_file: TokenFile = DEFAULT_TOKEN_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Let newcomers in again (nhận lại điểm cầu mới).

    Example: diemcau joins resume --reason "đã xử lý xong"
    """
    answer = ask(server, token_file, lambda api: api.order("joins/resume", reason=reason, conference_id=conference))
    _show_orders(answer, as_json=as_json)


def operations(
    server: Server = DEFAULT_SERVER, token_file: TokenFile = DEFAULT_TOKEN_FILE, *, as_json: AsJson = False
) -> None:
    """List the latest orders (nhật ký lệnh): who, when, what and why; the newest first.

    Example: diemcau operations
    """
    found = ask(server, token_file, lambda api: api.operations())
    if as_json:
        print_json({"operations": found})
        return
    rows = [
        [
            local_time(each.get("at_ms")),
            each.get("actor"),
            each.get("action"),
            each.get("subject"),
            each.get("detail"),
            each.get("reason"),
        ]
        for each in found
    ]
    columns = ["Lúc\nat", "Ai\nwho", "Lệnh\norder", "Về\nabout", "Chi tiết\ndetail", "Lý do\nwhy"]
    print_table(f"{len(rows)} lệnh (orders)", columns, rows)


def standing_orders(
    server: Server = DEFAULT_SERVER, token_file: TokenFile = DEFAULT_TOKEN_FILE, *, as_json: AsJson = False
) -> None:
    """Show the orders that stand (lệnh đang có hiệu lực), and how many halls are still to move.

    Example: diemcau orders
    """
    _show_orders(ask(server, token_file, lambda api: api.orders()), as_json=as_json)


def _watch(
    relay: str, answer: dict[str, Any], within: int, server: str, token_file: Path, *, as_json: bool
) -> dict[str, Any]:
    """Say what is left whenever that changes, until the relay is empty or the deadline is over."""
    until = time.monotonic() + within if within else float("inf")
    shown = ""
    while not _view(answer).get("is_empty"):
        if (line := _left(answer)) != shown and not as_json:
            shown = line
            typer.echo(line)
        if time.monotonic() > until:
            fail(f"quá hạn (the deadline is over): {_left(answer)}")
        time.sleep(WATCH_EVERY_S)
        answer = ask(server, token_file, lambda api: api.relay(relay))
    return answer


def _view(answer: Mapping[str, Any]) -> dict[str, Any]:
    view = answer.get("relay")
    if not isinstance(view, dict):
        fail("the server's answer names no relay")
    return view


def _left(answer: dict[str, Any]) -> str:
    view = _view(answer)
    return (
        f"còn (left): {view.get('halls_primary')} điểm cầu chính (primary), "
        f"{view.get('halls_backup')} dự phòng (backup), "
        f"{view.get('halls_leaving')} đang rời đi (leaving), {view.get('children')} trạm con (child relays)"
    )


def _status(view: dict[str, Any]) -> str:
    words = STATUS_WORDS.get(str(view.get("status")), str(view.get("status")))
    return f"{words}, nghi không phát (suspected)" if view.get("suspected_until_ms") else words


def _show(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    view = _view(answer)
    mode = MODE_WORDS.get(str(view.get("mode")), view.get("mode"))
    typer.echo(f"{view.get('relay_id')}: {_status(view)}, {mode}")
    if view.get("is_empty"):
        typer.echo("không còn ai, có thể dừng (nobody is left, it may be stopped)")
        if view.get("role") != "origin" and view.get("sessions"):
            typer.echo(f"trạm còn báo {view['sessions']} phiên (it still tells of so many sessions; look again soon)")
    else:
        typer.echo(_left(answer))
    stuck = answer.get("halls_without_room")
    if stuck:
        names = ", ".join(str(hall) for hall in list(answer.get("halls_without_room_ids") or ())[:10])
        typer.echo(f"KHÔNG còn chỗ ở trạm khác cho {stuck} điểm cầu (no room elsewhere for these halls): {names} …")


def _show_orders(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    everything = "tất cả (all)"

    def named(key: str) -> dict[str, Any]:
        found = answer.get(key)
        return {name or everything: value for name, value in found.items()} if isinstance(found, dict) else {}

    def words(key: str, *fields: str) -> dict[str, str]:
        return {name: ", ".join(str(value.get(field)) for field in fields) for name, value in named(key).items()}

    print_fields(
        "Lệnh đang có hiệu lực (orders that stand)",
        {
            "trạm (relays)": words("relays", "mode", "reason"),
            "ghim (pins)": {name: " ".join(value) for name, value in named("pins").items()},
            "không dùng (exclusions)": {name: " ".join(value) for name, value in named("exclusions").items()},
            "ngưỡng (limits)": words("limits", "soft", "hard"),
            "tạm dừng nhận (joins paused)": words("pauses", "retry_after_s", "reason"),
            "điểm cầu chờ chuyển (halls to be moved)": answer.get("halls_waiting"),
            "điểm cầu đang chuyển (halls on their way)": answer.get("halls_leaving"),
        },
    )
