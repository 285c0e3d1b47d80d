"""A simulated day in words: Vietnamese first, English second. Pure."""

from __future__ import annotations

from conference.simulation.report import SHOWN, Consequence, Report, Spread

_BROKEN = {
    "seats_over_limit": "có trạm bị giữ chỗ vượt giới hạn cứng (seats were charged beyond a hard limit)",
    "moves_beyond": "có điểm cầu bị chuyển khi trạm của nó không sao (halls were moved from relays without fault)",
    "lost_without_need": "có trạm bị coi là mất khi không sao (relays without fault were taken for lost)",
    "halls_on_lost_relays": "cuối ngày còn điểm cầu ở trạm đã mất (halls are assigned to lost relays at the end)",
    "folds_differ": "trạng thái không khớp với nhật ký (the state is not what the journal folds to)",
    "halls_astray": "cuối ngày có điểm cầu xem từ trạm khác với điều phối (halls play elsewhere than is assigned)",
    "dark_at_end": "cuối ngày còn điểm cầu không có hình (halls are without picture at the end)",
}


def sentences(report: Report) -> list[str]:
    """What the day came to, most important first."""
    size = (
        f"{report.halls:,} điểm cầu (halls), {report.relays:,} trạm (relays), trong đó {report.origins} trạm gốc "
        f"(origins); {report.duration_s:g} s, hạt giống (seed) {report.seed}."
    )
    joins = (
        f"Vào hội nghị (joins): {report.arrival_s:g} s, cao nhất (peak) {report.peak_joins_per_s:,}/s; trả lời (reply) "
        f"{_spread(report.join_reply_ms, 'ms')}."
    )
    load = (
        f"Trạm đầy nhất (fullest relay): {report.peak_utilisation:.0%} giới hạn cứng (of its hard limit); vượt giới "
        f"hạn (over the limit): {report.seats_over_limit:g} chỗ giữ (seats charged), {report.sent_over_limit:g} chỗ "
        "phát (seats sent to)."
    )
    rehomed = (
        f"Sang trạm khác (re-homed): {_spread(report.rehome_s, 's')}; mất hình quá {report.dark_s:g} s (picture gone "
        f"for longer): {report.dark:,} lần (times)."
    )
    moved = (
        f"Điều phối chuyển (moved by the coordinator): {report.moved:,}, không cần thiết (without need): "
        f"{report.moves_beyond:,}; trạm bị coi là mất (relays lost): {report.relays_lost:,}, oan (without need): "
        f"{report.lost_without_need:,}."
    )
    end = (
        f"Cuối ngày (at the end): {report.seeing:,} có hình (see the picture), {report.dark_at_end:,} mất hình (dark), "
        f"{report.halls_without_backup:,} không có dự phòng (without backup), {report.astray:,} xem lạc trạm (astray)."
    )
    journal = (
        f"Nhật ký (journal): {report.records:,} bản ghi (records) trong {report.appends:,} lần ghi (appends); gấp lại "
        f"{'khớp (folds to the same state)' if report.folds_agree else 'KHÔNG khớp (does NOT fold to the state)'}."
    )
    lines = [size, joins, load, rehomed, moved, end, journal]
    if report.refused or report.unanswered:
        refused = ", ".join(f"{code} {count:,}" for code, count in report.refused.items()) or "0"
        lines.append(
            f"Yêu cầu bị từ chối (requests refused): {refused}; không được trả lời (unanswered): {report.unanswered:,}."
        )
    if report.orders_refused:
        lines.append(f"Lệnh bị từ chối (orders refused): {', '.join(report.orders_refused[:SHOWN])}.")
    return lines


def broken(report: Report) -> list[str]:
    """The invariants that did not hold."""
    return [_BROKEN[name] for name in report.broken]


def row(consequence: Consequence) -> list[str]:
    """One happening as a row: what, halls without picture, re-homed, dark, still dark, how long."""
    return [
        consequence.cause or "0s",
        f"{consequence.halls:,}",
        f"{consequence.rehomed:,}",
        f"{consequence.dark:,}",
        f"{consequence.still_dark:,}",
        _spread(consequence.gone_s, "s"),
    ]


def _spread(spread: Spread, unit: str) -> str:
    return f"p50 {spread.p50:g} {unit}, p99 {spread.p99:g} {unit}, max {spread.max:g} {unit}"
