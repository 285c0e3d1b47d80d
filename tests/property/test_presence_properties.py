from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridges.presence import HallPresence, Interval, merge_intervals

# (session number, opened at, length); each session reports its opening and closing, perhaps more than once
sessions = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 60)), min_size=1, max_size=60)
spans = st.lists(st.builds(Interval, st.integers(0, 200), st.integers(0, 200)), max_size=20)


def fold(reports: list[tuple[str, str, int]]) -> HallPresence:
    """Handle the reports in the order given."""
    presence = HallPresence()
    for kind, session_id, at_ms in reports:
        if kind == "opened":
            presence.handle_opened(session_id, "r1", at_ms)
        else:
            presence.handle_closed(session_id, "r1", at_ms)
    return presence


@given(sessions, st.data())
def test_reports_commute_and_repeat(sessions: list[tuple[int, int]], data: st.DataObject) -> None:
    """Any order of the reports, with any of them doubled, gives the same presence, also once sessions merge."""
    reports = []
    for number, (start, length) in enumerate(sessions):
        reports.append(("opened", f"s{number}", start))
        if data.draw(st.booleans()):
            reports.append(("closed", f"s{number}", start + length))
    repeated = data.draw(st.lists(st.sampled_from(reports), max_size=20))
    shuffled = data.draw(st.permutations(reports + repeated))
    straight, mixed = fold(reports), fold(list(shuffled))
    assert mixed.is_open == straight.is_open
    assert mixed.intervals(1_000) == straight.intervals(1_000)
    assert mixed.first_seen_ms == straight.first_seen_ms
    assert mixed.last_seen_ms == straight.last_seen_ms
    assert mixed.gaps() == straight.gaps()


@given(spans)
def test_the_union_is_ascending_disjoint_and_covers_each_moment_once(spans: list[Interval]) -> None:
    """The union holds exactly the moments of its parts, with a real gap between any two intervals."""
    union = merge_intervals(spans)
    covered = {moment for span in spans for moment in range(span.start_ms, span.end_ms)}
    assert {moment for span in union for moment in range(span.start_ms, span.end_ms)} == covered
    assert sum(span.length_ms for span in union) == len(covered)
    assert all(before.end_ms < after.start_ms for before, after in pairwise(union))
