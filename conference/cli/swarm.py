"""`diemcau swarm`: load a WHEP endpoint with real receivers, and say what they got."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from conference.cli.connection import AsJson, read_token
from conference.cli.output import print_json, print_table
from conference.cli.programs import run_until_told
from conference.cli.refusal import FAILED

if TYPE_CHECKING:
    from conference.hall_swarm import HallSwarmSummary
    from relay.swarm.summary import Spread, SwarmSummary

MAX_SECONDS = 86_400
HINTS = {
    "HTTP 401": "thiếu mã truy cập hoặc mã sai (a token is missing or wrong): --token-file.",
    "HTTP 403": "mã này không được xem nguồn này (the token is not for playing this feed).",
    "HTTP 404": "không có địa chỉ này ở đó (there is no such endpoint).",
    "HTTP 406": "máy chủ muốn tự đưa ra lời mời (the server wants to make the offer), which the swarm does not do.",
    "HTTP 503": "trạm đã đầy hoặc đang tắt (the relay is full or shuts down).",
    "connection refused": "không ai nghe ở địa chỉ và cổng này (nobody listens at this address and port).",
    "name not found": "không tìm thấy tên máy (there is no machine of this name).",
    "TLS certificate not trusted": "đặt SSL_CERT_FILE là tệp chứng thư gốc (SSL_CERT_FILE names the authority).",
    "handshake_timeout": "UDP bị chặn, hoặc máy quá tải (UDP is blocked, or a machine is overloaded).",
}


def swarm(
    url: Annotated[
        str, typer.Argument(help="WHEP endpoint (địa chỉ WHEP), of a relay of ours or of any other server.")
    ] = "",
    receivers: Annotated[
        int,
        typer.Option("-n", "--receivers", min=0, max=5000, help="How many receivers; with --links at most so many."),
    ] = 0,
    links: Annotated[
        Path | None,
        typer.Option(
            help="Instead of an endpoint: JSON file of hall id to link. Be these halls (điểm cầu), with failover."
        ),
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="File that holds the bearer token for the endpoint.")] = None,
    seconds: Annotated[float, typer.Option(min=0, max=MAX_SECONDS, help="How long after the last join.")] = 10.0,
    ramp: Annotated[float, typer.Option(min=0, max=10_000, help="Joins per second; 0 for all at once.")] = 100.0,
    sample: Annotated[int, typer.Option(min=1, max=10_000, help="One packet of so many is decrypted.")] = 50,
    *,
    standby: Annotated[
        bool,
        typer.Option("--standby/--no-standby", help="With --links: keep a standby (dự phòng) on the backup relay."),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Be many receivers (bên nhận thử) that count and do not decode: joins, loss, jitter, set-up times.

    Each is a real WebRTC receiver. Ends by itself, and early when no receiver is left. Exit code 1 when some could not
    connect, were lost, or got no media at the end. SSL_CERT_FILE names an authority of your own for HTTPS.

    With --links they are halls (điểm cầu): each joins by its own link and survives its relay as a hall does; the
    figures are how many moved, and how long each was without a picture.

    Example: diemcau swarm http://127.0.0.1:8100/hn-2026/program/whep -n 100 --token-file play.token
    Example: diemcau swarm --links links.json --seconds 60 --json
    """
    if links is not None:
        if url or token_file is not None:
            raise typer.BadParameter("give URL or --links; links hold their tokens", param_hint="--links")
        _be_halls(links, receivers, seconds=seconds, ramp=ramp, standby=standby, as_json=as_json)
        return
    if receivers < 1:
        raise typer.BadParameter("say how many receivers", param_hint="-n")
    if not _is_address(url):
        raise typer.BadParameter("an address such as http://127.0.0.1:8100/hn-2026/program/whep", param_hint="URL")
    token = read_token(token_file) if token_file is not None else ""
    from relay.swarm.swarm import SwarmOptions, run_swarm  # noqa: PLC0415 - `--help` should not pay for it

    options = SwarmOptions(receivers=receivers, ramp_per_s=ramp, sample_every=sample)
    typer.echo(f"{receivers} bên nhận thử đang vào (receivers join); Ctrl-C để dừng (to stop).", err=True)
    summary = run_until_told(
        lambda stop: run_swarm(
            url,
            token,
            options,
            seconds=seconds,
            stop=stop,
            on_joined=lambda connected: typer.echo(f"{connected}/{receivers} đã nối (connected).", err=True),
        )
    )
    if not as_json and summary.connected:
        print_table(f"Bên nhận thử (swarm): {url}", ["Chỉ số\nFigure", "Giá trị\nValue"], _rows(summary))
    print_json(summary)
    if summary.complaint:
        typer.echo(f"Lỗi (error): {summary.complaint}", err=True)
        for reason in sorted(summary.reasons.keys() & HINTS.keys()):
            typer.echo(f"{reason}: {HINTS[reason]}", err=True)
        raise typer.Exit(FAILED)


def _be_halls(file: Path, most: int, *, seconds: float, ramp: float, standby: bool, as_json: bool) -> None:
    from conference.hall_swarm import run_hall_swarm  # noqa: PLC0415 - `--help` should not pay for it
    from conference.object_file import read_object  # noqa: PLC0415 - the same

    links = read_object(file, str)
    links = dict(list(links.items())[: most or None])
    typer.echo(f"{len(links)} điểm cầu thử đang vào (halls join); Ctrl-C để dừng (to stop).", err=True)
    summary = run_until_told(
        lambda stop: run_hall_swarm(
            links,
            stop,
            seconds=seconds,
            ramp_per_s=ramp,
            standby=standby,
            on_playing=lambda playing: typer.echo(f"{playing}/{len(links)} đang nhận (playing).", err=True),
            on_move=lambda hall_id, move: typer.echo(
                f"{hall_id} đã chuyển (moved) {move.from_relay} → {move.to_relay}: {move.reason}, "
                f"{move.interruption_ms:.0f} ms",
                err=True,
            ),
        )
    )
    if not as_json:
        print_table("Điểm cầu thử (halls)", ["Chỉ số\nFigure", "Giá trị\nValue"], _hall_rows(summary))
    print_json(summary)
    if summary.playing < summary.halls:
        lost = summary.halls - summary.playing
        typer.echo(
            f"Lỗi (error): {lost}/{summary.halls} không nhận được gì ở cuối (without media at the end)", err=True
        )
        raise typer.Exit(FAILED)


def _hall_rows(summary: HallSwarmSummary) -> list[tuple[str, str]]:
    def three(figures: Spread) -> str:
        return "–" if figures.count == 0 else f"{figures.p50:,.0f} / {figures.p99:,.0f} / {figures.max:,.0f}"

    return [
        ("Đang nhận ở cuối (playing at the end)", f"{summary.playing}/{summary.halls}"),
        ("Đã chuyển trạm / từng mất hình tiếng (moved / silent)", f"{summary.moved} / {summary.silent}"),
        ("Gián đoạn khi mất trạm (interruption), p50 / p99 / max ms", three(summary.interruption_ms)),
        ("Gián đoạn khi được chuyển (planned moves), p50 / p99 / max ms", three(summary.planned_interruption_ms)),
        ("Im lặng lâu nhất (longest silence), p50 / p99 / max ms", three(summary.silence_ms)),
        ("Gói / mất (packets / lost)", f"{summary.packets:,} / {summary.packets_lost:,}"),
    ]


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port or of an IPv6 address
        return False


def _rows(summary: SwarmSummary) -> list[tuple[str, str]]:
    steps = {
        "answered": "Được trả lời (answered)",
        "connected": "Đã nối, ICE và DTLS (connected)",
        "first_packet": "Gói đầu tiên (first packet)",
        "first_keyframe": "Ảnh khóa đầu tiên (first keyframe)",
    }
    rows = [
        ("Bên nhận (receivers)", f"{summary.connected}/{summary.receivers}"),
        ("Mất kết nối / im lặng (lost / silent)", f"{summary.lost} / {summary.silent}"),
    ]
    rows += [(f"{label}, p50 / p95 ms", _pair(summary.setup_ms[step])) for step, label in steps.items()]
    rows += [
        ("Gói (packets)", f"{summary.packets:,}, {summary.packets_per_s:,.0f}/s"),
        ("Tốc độ (bitrate)", f"{summary.bits_per_s / 1e6:,.1f} Mbit/s"),
        ("Mất gói (loss)", f"{summary.packets_lost:,} = {summary.loss:.4%}"),
        ("Trùng / trễ thứ tự (duplicates / reordered)", f"{summary.duplicates:,} / {summary.reordered:,}"),
        (
            "Đã giải mã kiểm tra / sai (opened / unauthentic)",
            f"{summary.packets_opened} / {summary.packets_unauthentic}",
        ),
        ("Dao động tiếng (audio jitter), p50 / p95 ms", _pair(summary.jitter_ms["audio"])),
        ("Dao động hình (video jitter), p50 / p95 ms", _pair(summary.jitter_ms["video"])),
        ("CPU của bên thử (of the swarm)", _share(summary)),
    ]
    return rows


def _pair(figures: Spread) -> str:
    return "–" if figures.count == 0 else f"{figures.p50:,.1f} / {figures.p95:,.1f}"


def _share(summary: SwarmSummary) -> str:
    share = summary.cpu_s / summary.held_s if summary.held_s > 0 else 0.0
    each = "" if summary.us_per_packet is None else f", {summary.us_per_packet} µs/gói (per packet)"
    return f"{share:.0%}{each}"
