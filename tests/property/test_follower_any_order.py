import random
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from support import assignments
from support.assignments import access

from bridges.follower import Follower
from bridges.follower_outputs import Close, Connect, SessionId
from bridges.messages import Assignment

EVENTS = st.tuples(
    st.sampled_from(
        ["assign", "join_failed", "fetch_failed", "report_failed", "event", "connected", "failed", "packets", "frame"]
    ),
    st.integers(1, 12),
    st.floats(0, 1.5, allow_nan=False),
)


def tell(follower: Follower, name: str, number: int, now: float) -> None:
    """Let one thing happen."""
    session = SessionId(number)
    handlers: dict[str, Callable[[], None]] = {
        "assign": lambda: follower.handle_assignment(assignment(number), now),
        "join_failed": lambda: follower.handle_join_failed(now, refused=bool(number % 2)),
        "fetch_failed": lambda: follower.handle_fetch_failed(now),
        "report_failed": lambda: follower.handle_report_failed(now),
        "event": lambda: follower.handle_assignment_event(now),
        "connected": lambda: follower.handle_connected(session, now),
        "failed": lambda: follower.handle_failed(session, now),
        "packets": lambda: follower.handle_packets(session, now, now),
        "frame": lambda: follower.handle_frame(session, now),
    }
    handlers[name]()


def assignment(number: int) -> Assignment:
    """One of some assignments over four relays; every third has no backup."""
    primary, backup = (access(f"r{(number + i) % 4}") for i in range(2))
    return assignments.assignment(primary, backup if number % 3 else None, epoch=number)


@given(events=st.lists(EVENTS, max_size=120), seed=st.integers(0, 1000))
def test_any_order_of_events_keeps_the_books(events: list[tuple[str, int, float]], seed: int) -> None:
    """Every session is opened and closed once, few are open at a time, and the current one is open."""
    follower = Follower(random.Random(seed))
    now = 1.0
    follower.handle_start(now)
    opened: set[SessionId] = set()
    closed: set[SessionId] = set()
    for name, number, pause_s in events:
        now += pause_s
        tell(follower, name, number, now)
        follower.handle_tick(now)
        for output in follower.next_outputs():
            if isinstance(output, Connect):
                assert output.session not in opened
                opened.add(output.session)
            elif isinstance(output, Close):
                assert output.session in opened - closed
                closed.add(output.session)
            elif hasattr(output, "session"):
                assert output.session in opened
        assert len(opened - closed) <= 4
        assert follower.current is None or follower.current in opened - closed
    follower.handle_ended(now)
    closed |= {output.session for output in follower.next_outputs() if isinstance(output, Close)}
    assert opened == closed
