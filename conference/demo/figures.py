"""The figures of a demo: one struct, filled from what halls, the API, /metrics and /proc said. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from conference.demo.measuring import percentile
from conference.planner.tree import tree_depth


class Move(msgspec.Struct, frozen=True, kw_only=True, rename={"from_relay": "from", "to_relay": "to"}):
    """One change of relay, as a hall's summary tells it."""

    from_relay: str
    to_relay: str
    interruption_ms: float


class HallFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the demo reads of a real hall's summary, its last line on stdout."""

    hall_id: str
    frames_decoded: int
    packets_lost: int
    glass_to_glass_ms_p95: float | None = None
    moves: list[Move] = []
    present: bool = False


class DemoFigures(msgspec.Struct, kw_only=True):
    """The result of a demo; virtual (ảo) halls and relays never enter a figure about media.

    Attributes:
        seconds: live time, from the launch to the end.
        halls_registered: halls in the registry, of the API.
        halls_real: of these, real.
        halls_virtual: of these, virtual (ảo).
        halls_present_peak: most halls present at once, as relays reported them.
        relays: live real relays before the kill.
        relays_virtual: live virtual relays before the kill.
        tree_depth: hops from the origin to the farthest real relay, before the kill.
        frames_decoded_min: pictures decoded by the real hall that decoded least.
        packets_lost: packets lost on the way to all real halls.
        glass_to_glass_ms_p95: 95th percentile from the clock in the picture; of the real hall where it was greatest.
        rehomed: real halls of the killed relay that went to another one.
        rehome_ms_p99: 99th percentile of their interruptions, last packet to first decoded frame.
        delegates_summoned: sum of the headcounts (điểm danh theo số liệu điểm cầu), virtual (ảo) halls included.
        delegates_present: the same.
        delegates_summoned_real: of these, of real halls.
        delegates_present_real: the same.
        journal_events: events that the coordinator made durable.
        coordinator_rss_mb: its peak resident memory.
        coordinator_cpu_s: its processor time.
        joins_reply_ms_p99: 99th percentile of the time in which virtual halls were answered; null without any.
        killed_relay: the relay that was killed, or "".
    """

    seconds: float = 0.0
    halls_registered: int = 0
    halls_real: int = 0
    halls_virtual: int = 0
    halls_present_peak: int = 0
    relays: int = 0
    relays_virtual: int = 0
    tree_depth: int = 0
    frames_decoded_min: int = 0
    packets_lost: int = 0
    glass_to_glass_ms_p95: float | None = None
    rehomed: int = 0
    rehome_ms_p99: float | None = None
    delegates_summoned: int = 0
    delegates_present: int = 0
    delegates_summoned_real: int = 0
    delegates_present_real: int = 0
    journal_events: int = 0
    coordinator_rss_mb: float = 0.0
    coordinator_cpu_s: float = 0.0
    joins_reply_ms_p99: float | None = None
    killed_relay: str = ""


def depth_of(relays: Sequence[dict[str, Any]]) -> int:
    """Depth of the tree of live real relays, from the API's list."""
    return tree_depth(
        {
            str(relay["relay_id"]): [str(parent) for parent in relay.get("parents", ())]
            for relay in relays
            if not relay.get("virtual") and relay.get("status") == "live"
        }
    )


def choose_victim(relays: Sequence[dict[str, Any]], halls: Sequence[dict[str, Any]]) -> str:
    """Choose the edge to kill: the one that truly serves most real halls, all of which have a live backup.

    Args:
        relays: the API's list of relays.
        halls: the API's list of halls of the conference, with `status`, `primary` and `backup`.

    Returns:
        Its relay id; "" when no edge may be killed without leaving a hall in the dark.
    """
    live = {str(r["relay_id"]): r for r in relays if r.get("status") == "live" and not r.get("virtual")}
    served: dict[str, int] = {}
    unsafe: set[str] = set()
    for hall in halls:
        if hall.get("virtual") or hall.get("status") != "present":
            continue
        primary, backup = str(hall.get("primary") or ""), str(hall.get("backup") or "")
        served[primary] = served.get(primary, 0) + 1
        if backup not in live or backup == primary:
            unsafe.add(primary)
    children: dict[str, int] = {}
    for relay in live.values():
        for parent in relay.get("parents", ()):
            children[str(parent)] = children.get(str(parent), 0) + 1
    candidates = [
        relay_id
        for relay_id, relay in live.items()
        if relay.get("role") == "edge" and served.get(relay_id) and relay_id not in unsafe
    ]
    return min(candidates, key=lambda relay_id: (-served[relay_id], children.get(relay_id, 0), relay_id), default="")


def add_hall_figures(figures: DemoFigures, halls: Sequence[HallFigures], served: Collection[str] = ()) -> None:
    """Fill the figures about media from the real halls' summaries.

    Args:
        figures: to fill.
        halls: the summaries.
        served: real halls that played from the killed relay when it was killed.
    """
    figures.frames_decoded_min = min((hall.frames_decoded for hall in halls), default=0)
    figures.packets_lost = sum(hall.packets_lost for hall in halls)
    delays = [hall.glass_to_glass_ms_p95 for hall in halls if hall.glass_to_glass_ms_p95 is not None]
    figures.glass_to_glass_ms_p95 = round(max(delays), 1) if delays else None
    if not figures.killed_relay:
        return
    # The last one: an earlier move away from it, before the kill, is none of the kill's doing.
    gone = [
        [move.interruption_ms for move in hall.moves if move.from_relay == figures.killed_relay][-1:]
        for hall in halls
        if hall.hall_id in served
    ]
    figures.rehomed = sum(1 for moves in gone if moves)
    worst = percentile([interruption for moves in gone for interruption in moves], 0.99)
    figures.rehome_ms_p99 = None if worst is None else round(worst, 1)


_LINES = (
    ("điểm cầu đăng ký", "halls registered", "halls_registered", ""),
    ("— thật", "real", "halls_real", ""),
    ("— ảo", "virtual, without media", "halls_virtual", ""),
    ("có mặt cùng lúc nhiều nhất", "most present at once", "halls_present_peak", ""),
    ("trạm chuyển tiếp thật", "real relays", "relays", ""),
    ("độ sâu của cây trạm thật", "depth of the real tree", "tree_depth", ""),
    ("trạm ảo", "virtual relays", "relays_virtual", ""),
    (
        "khung hình giải mã, ít nhất ở một điểm cầu thật",
        "frames decoded, least of real halls",
        "frames_decoded_min",
        "",
    ),
    ("gói tin mất ở các điểm cầu thật", "packets lost at real halls", "packets_lost", ""),
    ("độ trễ hình, p95, điểm cầu chậm nhất", "glass to glass, p95, slowest hall", "glass_to_glass_ms_p95", "ms"),
    ("trạm bị ngắt đột ngột", "relay killed", "killed_relay", ""),
    ("điểm cầu thật tự chuyển trạm", "real halls that moved by themselves", "rehomed", ""),
    ("gián đoạn hình khi chuyển, p99", "interruption at the move, p99", "rehome_ms_p99", "ms"),
    ("đại biểu triệu tập, cả ảo", "delegates summoned, virtual included", "delegates_summoned", ""),
    ("đại biểu có mặt, cả ảo", "delegates present, virtual included", "delegates_present", ""),
    ("sự kiện trong nhật ký bền vững", "events made durable", "journal_events", ""),
    ("bộ nhớ của máy chủ điều phối", "coordinator's peak memory", "coordinator_rss_mb", "MB"),
    ("thời gian xử lý của máy chủ điều phối", "coordinator's processor time", "coordinator_cpu_s", "s"),
    ("trả lời điểm cầu ảo vào họp, p99", "answers to joins of virtual halls, p99", "joins_reply_ms_p99", "ms"),
)


def describe(figures: DemoFigures) -> str:
    """The figures for people, Vietnamese first, one a line."""
    lines = [f"Kết quả đo được trong {figures.seconds:.0f} giây (measured in {figures.seconds:.0f} s)"]
    for vietnamese, english, name, unit in _LINES:
        value = getattr(figures, name)
        if value in (None, ""):
            shown = "–"
        else:
            shown = f"{value:,} {unit}".rstrip() if isinstance(value, int) else f"{value} {unit}".rstrip()
        lines.append(f"  {f'{vietnamese} ({english})':<88} {shown}")
    return "\n".join(lines)
