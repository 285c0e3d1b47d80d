import msgspec

from bridges.presence import KEPT_SESSIONS, HallPresence, Interval


def test_open_then_closed_is_one_interval() -> None:
    """An opening and a closing make one interval, with its ends."""
    presence = HallPresence()
    presence.handle_opened("s1", "r1", 100)
    assert presence.intervals(150) == [Interval(100, 150)]
    presence.handle_closed("s1", "r1", 400)
    assert not presence.is_open
    assert presence.intervals(9_999) == [Interval(100, 400)]
    assert (presence.first_seen_ms, presence.last_seen_ms, presence.total_ms(9_999)) == (100, 400, 300)


def test_a_hall_never_seen_has_nothing() -> None:
    """Without reports nothing is claimed."""
    presence = HallPresence()
    assert presence.intervals(1) == []
    assert presence.first_seen_ms is None
    assert presence.last_seen_ms is None
    assert presence.longest_gap_ms == 0
    assert not presence.is_open


def test_closing_before_opening_does_not_open_it() -> None:
    """A closing that overtakes its opening still closes."""
    presence = HallPresence()
    presence.handle_closed("s1", "r1", 400)
    assert presence.intervals(500) == []
    presence.handle_opened("s1", "r1", 100)
    assert not presence.is_open
    assert presence.intervals(500) == [Interval(100, 400)]


def test_overlapping_sessions_count_once() -> None:
    """Make-before-break over two relays is one presence without a gap."""
    presence = HallPresence()
    presence.handle_opened("s1", "r1", 100)
    presence.handle_opened("s2", "r2", 300)
    presence.handle_closed("s1", "r1", 350)
    assert presence.intervals(1_000) == [Interval(100, 1_000)]
    assert presence.total_ms(1_000) == 900
    assert presence.longest_gap_ms == 0


def test_gaps_lie_between_presences() -> None:
    """A gap is an absence between two presences; the longest is found although the last session is open."""
    presence = HallPresence()
    presence.handle_opened("s1", "r1", 0)
    presence.handle_closed("s1", "r1", 100)
    presence.handle_opened("s2", "r1", 130)
    presence.handle_closed("s2", "r1", 200)
    presence.handle_opened("s3", "r1", 700)
    assert presence.gaps() == [Interval(100, 130), Interval(200, 700)]
    assert presence.longest_gap_ms == 500


def test_touching_intervals_are_one() -> None:
    """A session that begins at the millisecond at which another ended leaves no gap."""
    presence = HallPresence()
    presence.handle_opened("s1", "r1", 0)
    presence.handle_closed("s1", "r1", 100)
    presence.handle_opened("s2", "r2", 100)
    assert presence.intervals(150) == [Interval(0, 150)]


def test_a_lost_relay_ends_its_sessions_only() -> None:
    """Losing a relay ends what it delivered, not what others deliver."""
    presence = HallPresence()
    presence.handle_opened("s1", "r1", 0)
    presence.close_relay("r2", 50)
    assert presence.total_ms(60) == 60
    presence.close_relay("r1", 80)
    assert not presence.is_open
    assert presence.last_seen_ms == 80


def test_a_relay_that_returns_opens_its_sessions_again() -> None:
    """A lost relay that reports the session again had delivered all along; the presence is whole."""
    presence = HallPresence()
    presence.handle_opened("s1", "r1", 0)
    presence.close_relay("r1", 80)
    presence.handle_opened("s1", "r1", 0)
    assert presence.is_open
    assert presence.intervals(200) == [Interval(0, 200)]


def test_a_genuine_closing_is_final() -> None:
    """After a relay reported the end, neither a repeated opening nor the loss of the relay changes it."""
    presence = HallPresence()
    presence.handle_opened("s1", "r1", 0)
    presence.close_relay("r1", 80)
    presence.handle_closed("s1", "r1", 60)
    presence.handle_opened("s1", "r1", 0)
    presence.close_relay("r1", 500)
    assert not presence.is_open
    assert presence.intervals(900) == [Interval(0, 60)]


def test_memory_stays_bounded_and_merged_sessions_are_recognised() -> None:
    """A hall that flaps keeps few sessions, the same union, and a repeated report opens no phantom."""
    presence = HallPresence()
    for number in range(1_000):
        presence.handle_opened(f"s{number}", "r1", number * 10)
        presence.handle_closed(f"s{number}", "r1", number * 10 + 5)
    assert len(presence.sessions) <= KEPT_SESSIONS
    before = presence.intervals(20_000)
    assert len(before) == 1_000
    for number in range(1_000):
        presence.handle_opened(f"s{number}", "r1", number * 10)
        presence.handle_closed(f"s{number}", "r1", number * 10 + 5)
    assert not presence.is_open
    assert presence.intervals(20_000) == before
    assert presence.longest_gap_ms == 5


def test_a_snapshot_restores_it() -> None:
    """It survives encoding and goes on where it was."""
    presence = HallPresence()
    for number in range(100):
        presence.handle_opened(f"s{number}", "r1", number * 10)
        presence.handle_closed(f"s{number}", "r1", number * 10 + 5)
    presence.handle_opened("open", "r1", 5_000)
    restored = msgspec.json.decode(msgspec.json.encode(presence), type=HallPresence)
    assert restored == presence
    restored.handle_opened("s1", "r1", 10)
    assert restored.intervals(6_000) == presence.intervals(6_000)


def test_two_presences_share_nothing() -> None:
    """Each begins empty."""
    first, second = HallPresence(), HallPresence()
    first.handle_opened("s1", "r1", 0)
    assert second.sessions == {}
