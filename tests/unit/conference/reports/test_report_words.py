"""How the report writes numbers and times."""

from __future__ import annotations

from conference.reports.figures import MEASURES
from conference.reports.model import Durations
from conference.reports.words import FIGURES, duration, durations_sentence, moment, number


def test_interruptions_are_told_in_seconds() -> None:
    """With the decimal comma of Việt Nam, so that nobody reads a second as a millisecond."""
    found = Durations(count=1_200, halls=3, p50_ms=1_091, p99_ms=2_005, max_ms=61_000)
    assert durations_sentence(found, "vi") == "1.200 lần ở 3 điểm cầu: p50 1,09 s; p99 2,00 s; max 61,00 s"
    assert durations_sentence(found, "en") == "1,200 times in 3 halls: p50 1.09 s; p99 2.00 s; max 61.00 s"


def test_every_figure_has_words() -> None:
    """A column without a heading would be a figure without a source."""
    assert set(FIGURES) == set(MEASURES)


def test_numbers_and_times_by_language() -> None:
    """Each language has its separators; a clock beyond the calendar is shown as it is."""
    assert (number(5_943, "vi"), number(5_943, "en")) == ("5.943", "5,943")
    assert duration(3_661_999) == "1:01:01"
    assert moment(None) == "–"
    assert moment(10**18).endswith(" ms")
