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
    ],
    receivers: Annotated[int, typer.Option("-n", "--receivers", min=1, max=5000, help="How many receivers.")],
    token_file: Annotated[Path | None, typer.Option(help="File that holds the bearer token for the endpoint.")] = None,
    seconds: Annotated[float, typer.Option(min=0, max=MAX_SECONDS, help="How long after the last join.")] = 10.0,
    ramp: Annotated[float, typer.Option(min=0, max=10_000, help="Joins per second; 0 for all at once.")] = 100.0,
    sample: Annotated[int, typer.Option(min=1, max=10_000, help="One packet of so many is decrypted.")] = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """Be many receivers (bên nhận thử) that count and do not decode: joins, loss, jitter, set-up times.

    Each is a real WebRTC receiver. Ends by itself, and early when no receiver is left. Exit code 1 when some could not
    connect, were lost, or got no media at the end. SSL_CERT_FILE names an authority of your own for HTTPS.

    Example: diemcau swarm http://127.0.0.1:8100/hn-2026/program/whep -n 100 --token-file play.token
    """
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
