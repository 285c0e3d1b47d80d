import logging

import pytest

from bridges.errors import HallApiError, ResourceError
from bridges.hall_counts import HallCounts


def test_what_repeats_is_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """An hour without a coordinator is one word with a number, and one line in the log."""
    counts = HallCounts()
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            counts.note(HallApiError("unreachable", "no answer from the coordinator: connection refused"))
        counts.note(ResourceError("full", code="full", status=503))
    assert counts.errors == {"unreachable": 50, "full": 1}
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
        "unreachable: no answer from the coordinator: connection refused",
        "full: full",
    ]


def test_joins_are_counted_by_their_answer() -> None:
    """`ok`, or the code of the refusal."""
    counts = HallCounts()
    counts.handle_join(HallApiError("no_relay", "full", status=503))
    counts.handle_join(None)
    assert counts.joins == {"no_relay": 1, "ok": 1}


def test_answers_that_do_not_parse_are_counted_by_who_gave_them() -> None:
    """Coordinator and relay apart."""
    counts = HallCounts()
    counts.note(HallApiError("malformed", "no assignment"))
    counts.note(ResourceError("no answer", code="malformed"))
    counts.note(ResourceError("no answer", code="malformed"))
    assert counts.malformed == {"coordinator": 1, "relay": 2}


def test_words_from_the_network_do_not_fill_the_memory() -> None:
    """After twenty different codes the others are one."""
    counts = HallCounts()
    for number in range(100):
        counts.note(ResourceError("no", code=f"code_{number}"))
    assert len(counts.errors) == 21
    assert counts.errors["other"] == 80


def test_a_bug_is_counted_under_its_name_and_logged_whole(caplog: pytest.LogCaptureFixture) -> None:
    """What is no typed error keeps its traceback."""
    counts = HallCounts()
    with caplog.at_level(logging.WARNING):
        counts.note(KeyError("x"))
    assert counts.errors == {"KeyError": 1}
    assert caplog.records[0].exc_info is not None
