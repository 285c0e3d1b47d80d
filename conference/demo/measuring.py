"""What the demo reads off running programs: processor time, memory, counters. Nothing is computed from arguments."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families


def percentile(values: Sequence[float], share: float) -> float | None:
    """Nearest-rank percentile: the smallest value that at least `share` (0..1) of all do not exceed; None of none."""
    if not values:
        return None
    ordered = sorted(values)
    rank = max(1, -(-round(share * len(ordered) * 1000) // 1000))  # ceiling, robust to 0.99 * 100
    return ordered[min(rank, len(ordered)) - 1]


def peak_rss_mb(pid: int) -> float:
    """Largest resident memory of a process so far, in MB (10^6 bytes), from /proc; 0 when it has gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    return 0.0


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, user and system, in seconds, from /proc; 0 when it has gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces
    ticks = int(fields[11]) + int(fields[12])  # utime and stime, fields 14 and 15 of proc(5)
    return round(ticks / os.sysconf("SC_CLK_TCK"), 2)


def metric_total(exposition: str, name: str) -> float:
    """Sum of all samples of one name in a Prometheus text exposition; 0 when there are none."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
        if sample.name == name
    )
