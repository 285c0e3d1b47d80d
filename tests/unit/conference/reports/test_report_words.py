"""How the report writes numbers and times."""

from __future__ import annotations

from conference.reports.flash import Durations
from conference.reports.words import durations_sentence


def test_interruptions_are_told_in_seconds() -> None:
    """With the decimal comma of Việt Nam, so that nobody reads a second as a millisecond."""
    found = Durations(count=1_200, halls=3, p50_ms=1_091.0, p99_ms=2_004.6, max_ms=61_000.0)
    sentence = durations_sentence(found)
    assert sentence == "1.200 lần (times) ở (in) 3 điểm cầu (halls): p50 1,09 s, p99 2,00 s, max 61,00 s"
