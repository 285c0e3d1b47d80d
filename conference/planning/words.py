"""A plan in words: Vietnamese first, English second."""

from __future__ import annotations

from collections.abc import Sequence

from conference.planner.proof import Loss
from conference.planning.figures import PlanFigures, Planned

SHOWN_HALLS = 20  # enough to see who; `--out` has them all


def sentences(planned: Planned) -> list[str]:
    """What the plan says, most important first."""
    figures = planned.figures
    made_up = " Điểm cầu hoặc trạm là giả định (synthetic)." if figures.synthetic else ""
    size = (
        f"{figures.halls:,} điểm cầu (halls) trên {figures.relays:,} trạm (relays), trong đó {figures.origins} trạm "
        f"gốc (origins); cây sâu {figures.tree_depth} tầng (depth of the tree).{made_up}"
    )
    needed = (
        f"Cần khoảng {figures.relays_needed:,} trạm như thế để không vượt giới hạn mềm (relays like these are needed "
        "to stay below the soft limit)."
    )
    traffic = (
        f"{_gbits(figures.hall_bits_per_s)} tới điểm cầu (to halls), {_gbits(figures.link_bits_per_s)} giữa các trạm "
        f"(between relays); đường truyền chịu được (lines carry) {_gbits(figures.capacity_bits_per_s)}."
    )
    fullest = (
        f"Trạm đầy nhất (fullest relay): {figures.max_utilisation:.0%} đã giữ chỗ (charged); sau một sự cố (after one "
        f"loss): {figures.max_utilisation_after_loss:.0%} đang phát (playing)."
    )
    at_home = (
        f"{figures.in_region_share:.1%} điểm cầu xem từ trạm trong tỉnh mình (play from a relay of their own province)."
    )
    return [
        size,
        needed,
        traffic,
        fullest,
        at_home,
        *_shortages(planned),
        _single_losses(figures),
        _origin_pairs(figures),
        *_replans(figures),
        f"Mã kế hoạch (plan hash): {figures.plan_hash}",
    ]


def describe_loss(loss: Loss) -> str:
    """What one loss would do."""
    parts = [f"{loss.halls_moving:,} điểm cầu sang dự phòng (halls go to their backups)"]
    if loss.halls_dark:
        parts.append(f"{loss.halls_dark:,} điểm cầu MẤT HÌNH (halls go dark)")
    if loss.relays_dark:
        parts.append(f"{loss.relays_dark} trạm mất nguồn (relays without feed)")
    if loss.overfull:
        parts.append(f"quá tải (overfull): {', '.join(loss.overfull[:5])}")
    return "; ".join(parts)


def _gbits(bits_per_s: int) -> str:
    return f"{bits_per_s / 1e9:,.1f} Gbit/s"


def _single_losses(figures: PlanFigures) -> str:
    if figures.survives_any_single_loss:
        return (
            "Mất bất kỳ một trạm nào cũng không mất điểm cầu nào (no hall is lost whichever relay is): đã duyệt "
            f"{figures.single_losses_walked:,} trường hợp (losses walked)."
        )
    bad = [loss for loss in figures.worst if not loss.is_survived]
    named = ", ".join(loss.relays[0] for loss in bad[:5])
    return (
        f"KHÔNG chịu được mọi sự cố một trạm (does NOT survive every single loss): {named or 'xem trên (see above)'}."
    )


def _origin_pairs(figures: PlanFigures) -> str:
    if figures.survives_any_two_origins:
        return "Mất bất kỳ hai trạm gốc nào cũng không mất điểm cầu nào (no hall is lost with any two origins)."
    if figures.origins < 2:
        return "Không có hai trạm gốc: mất nguồn là mất tất cả (no two origins: the source lost is all lost)."
    if figures.origins < 3:
        return (
            f"Có {figures.origins} trạm gốc: mất cả hai là mất nguồn; muốn chịu được cần ba "
            f"(with {figures.origins} origins the loss of two is the loss of the source; three are needed)."
        )
    worst = max(figures.origin_pairs, key=lambda loss: loss.halls_dark)
    return (
        f"Mất hai trạm gốc {' và '.join(worst.relays)} làm mất {worst.halls_dark:,} điểm cầu cho tới khi điều phối lại "
        f"(the loss of these two origins darkens halls until they are planned anew)."
    )


def _shortages(planned: Planned) -> list[str]:
    """What was not possible, by name."""
    figures, plan = planned.figures, planned.plan
    lines = []
    if figures.halls_without_backup:
        lines.append(
            f"{figures.halls_without_backup:,} điểm cầu KHÔNG có trạm dự phòng (halls without a backup): "
            f"{_names(plan.halls_without_backup)}"
        )
    else:
        lines.append("Mọi điểm cầu đều có trạm dự phòng trên đường khác (every hall has a backup on another path).")
    if figures.halls_without_primary:
        lines.append(
            f"{figures.halls_without_primary:,} điểm cầu KHÔNG có chỗ ở trạm nào (halls without any relay): "
            f"{_names(plan.halls_without_primary)}"
        )
    if figures.halls_broken_pins:
        lines.append(
            f"{figures.halls_broken_pins:,} điểm cầu không ở trạm đã chỉ định (halls not on the relays they are pinned "
            f"to): {_names(plan.broken_pins)}"
        )
    if figures.relays_without_feed or figures.relays_with_one_parent:
        lines.append(
            f"{figures.relays_without_feed} trạm không có nguồn (relays without a feed), "
            f"{figures.relays_with_one_parent} trạm chỉ có một nguồn (with one parent only)."
        )
    return lines


def _replans(figures: PlanFigures) -> list[str]:
    if figures.replan_ms_p99 is None:
        return []
    sentence = (
        f"Điều phối lại khi mất một trạm (planning anew after a loss): p50 {figures.replan_ms_p50} ms, p99 "
        f"{figures.replan_ms_p99} ms, thử {figures.replans} trạm (tried); điểm cầu khác bị chuyển (other halls "
        f"moved): {figures.halls_moved_beyond_lost}."
    )
    return [sentence]


def _names(hall_ids: Sequence[str]) -> str:
    more = f", … và {len(hall_ids) - SHOWN_HALLS:,} nữa (more)" if len(hall_ids) > SHOWN_HALLS else ""
    return f"{', '.join(hall_ids[:SHOWN_HALLS])}{more}"
