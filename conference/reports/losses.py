"""Losses of halls: when each received no media while the conference was on, and for how long."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from bridges.presence import Interval, merge_intervals
from conference.reports.model import (
    KEPT_OUTAGES,
    KEPT_OUTAGES_PER_HALL,
    Durations,
    DurationsBySource,
    Heading,
    Outage,
    ReportHall,
    Source,
)


def gaps_of(found: ReportHall, heading: Heading) -> list[tuple[int, int | None]]:
    """When a hall was lost, ascending: between two presences and after the last one, while the conference was on.

    An end is None where the loss lasts. What is before its first presence is no loss, nor what is after a goodbye.
    """
    union = merge_intervals(found.intervals)
    from_ms = heading.started_at_ms if heading.started_at_ms is not None else 0
    until_ms = heading.at_ms if heading.ended_at_ms is None else heading.ended_at_ms
    gaps: list[tuple[int, int | None]] = []
    for before, after in pairwise(union):
        start_ms, end_ms = max(before.end_ms, from_ms), min(after.start_ms, until_ms)
        if start_ms < end_ms:
            gaps.append((start_ms, end_ms))
    if union and not found.said_goodbye and found.status != "present":
        last_ms = union[-1].end_ms
        if found.status == "lost":
            gaps.append((last_ms, None))
        elif heading.ended_at_ms is not None and max(last_ms, from_ms) < until_ms:
            gaps.append((max(last_ms, from_ms), until_ms))
    return gaps


def outages_of(halls: Sequence[ReportHall], heading: Heading) -> tuple[list[Outage], int]:
    """The losses to list, real halls first and the longest first, and how many there were.

    A flash report has those that last; a summary the longest `KEPT_OUTAGES_PER_HALL` of each hall, `KEPT_OUTAGES` in
    all.
    """
    listed: list[Outage] = []
    count = 0
    for found in halls:
        gaps = [gap for gap in gaps_of(found, heading) if heading.kind == "summary" or gap[1] is None]
        count += len(gaps)
        outages = [_outage(found, start_ms, end_ms, heading.at_ms) for start_ms, end_ms in gaps]
        if len(outages) > KEPT_OUTAGES_PER_HALL:
            outages = sorted(outages, key=lambda outage: -outage.length_ms)[:KEPT_OUTAGES_PER_HALL]
        listed += outages
    listed.sort(key=lambda outage: (outage.virtual, -outage.length_ms, outage.hall_id, outage.start_ms))
    return listed[:KEPT_OUTAGES], count


def _outage(found: ReportHall, start_ms: int, end_ms: int | None, at_ms: int) -> Outage:
    return Outage(
        hall_id=found.hall.hall_id,
        name=found.hall.name,
        unit_name=found.unit_name,
        province_name=found.province_name,
        virtual=found.hall.virtual,
        start_ms=start_ms,
        end_ms=end_ms,
        length_ms=max(0, (at_ms if end_ms is None else end_ms) - start_ms),
        contact_name=found.hall.contact_name if end_ms is None else "",
        contact_phone=found.hall.contact_phone if end_ms is None else "",
    )


def absences_ms(intervals: Sequence[Interval]) -> list[float]:
    """The gaps between presences, whenever they were."""
    return [float(after.start_ms - before.end_ms) for before, after in pairwise(merge_intervals(intervals))]


def durations_of(
    source: Source, halls: Sequence[ReportHall], measured: Callable[[ReportHall], Sequence[float]]
) -> DurationsBySource:
    """How many lengths there are, and how long they are; real and virtual halls apart."""

    def of(*, virtual: bool) -> Durations:
        per_hall = [measured(found) for found in halls if found.hall.virtual == virtual]
        ascending = sorted(value for values in per_hall for value in values)
        return Durations(
            count=len(ascending),
            halls=sum(bool(values) for values in per_hall),
            p50_ms=nearest_rank(ascending, 0.50),
            p99_ms=nearest_rank(ascending, 0.99),
            max_ms=nearest_rank(ascending, 1.0),
        )

    return DurationsBySource(source=source, real=of(virtual=False), virtual=of(virtual=True))


def nearest_rank(ascending: Sequence[float], share: float) -> int | None:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed, rounded; None of nothing."""
    if not ascending:
        return None
    return round(ascending[max(0, math.ceil(share * len(ascending)) - 1)])
