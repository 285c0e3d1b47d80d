import random

from support import assignments
from support.assignments import access

from bridges.follower import Follower
from bridges.follower_outputs import (
    Activate,
    Close,
    Connect,
    FetchAssignment,
    Join,
    Probe,
    Report,
    SessionId,
    Standby,
)
from bridges.messages import Assignment


def assignment(primary: str, backup: str | None, epoch: int = 1) -> Assignment:
    """An assignment of two relays."""
    return assignments.assignment(access(primary), access(backup) if backup else None, epoch=epoch)


def joined(now: float = 10.0) -> Follower:
    """A follower that plays session 1 from `a`, with session 2 on standby at `b`."""
    follower = Follower(random.Random(0))
    follower.handle_start(now)
    follower.handle_assignment(assignment("a", "b"), now)
    follower.handle_connected(SessionId(1), now)
    follower.handle_connected(SessionId(2), now)
    follower.handle_packets(SessionId(1), now, now)
    follower.handle_frame(SessionId(1), now)
    follower.next_outputs()
    return follower


def test_the_first_output_is_a_join() -> None:
    """Opening the link joins at once."""
    follower = Follower(random.Random(0))
    follower.handle_start(1.0)
    assert follower.next_outputs() == [Join()]
    assert follower.next_outputs() == []


def test_an_assignment_opens_two_sessions() -> None:
    """The primary plays, the backup is on standby."""
    follower = Follower(random.Random(0))
    follower.handle_start(1.0)
    follower.next_outputs()
    follower.handle_assignment(assignment("a", "b"), 1.0)
    assert follower.next_outputs() == [
        Connect(session=SessionId(1), access=access("a"), standby=False),
        Connect(session=SessionId(2), access=access("b"), standby=True),
    ]
    assert follower.current == 1


def test_silence_is_300_milliseconds() -> None:
    """Just before 300 ms nothing happens, just after them the standby is activated."""
    follower = joined(10.0)
    follower.handle_tick(10.29)
    assert follower.next_outputs() == []
    follower.handle_tick(10.31)
    assert follower.next_outputs() == [Activate(session=SessionId(2))]


def test_a_burst_alone_moves_nobody_and_a_stream_does() -> None:
    """The backup's cached pictures come within 200 ms; only what goes on after them counts."""
    follower = joined(10.0)
    follower.handle_tick(10.31)
    follower.next_outputs()
    follower.handle_packets(SessionId(2), 10.33, 10.35)
    follower.handle_frame(SessionId(2), 10.35)
    follower.handle_tick(10.5)
    assert follower.next_outputs() == []
    follower.handle_packets(SessionId(2), 10.64, 10.7)
    closed, report = follower.next_outputs()
    assert closed == Close(session=SessionId(1))
    assert isinstance(report, Report)
    assert report.report.interruption_ms == 350.0
    assert follower.current == 2


def test_the_first_to_deliver_wins() -> None:
    """The primary comes back before the backup is confirmed: the backup goes back to standby."""
    follower = joined(10.0)
    follower.handle_tick(10.31)
    follower.handle_packets(SessionId(2), 10.33, 10.35)
    follower.next_outputs()
    follower.handle_packets(SessionId(1), 10.36, 10.4)
    assert follower.next_outputs() == [Standby(session=SessionId(2))]
    assert follower.current == 1
    assert not follower.is_active(SessionId(2))


def test_a_move_without_a_decoded_frame_is_reported_after_two_seconds() -> None:
    """The next keyframe may be far; the coordinator learns of the move all the same."""
    follower = joined(10.0)
    follower.handle_tick(10.31)
    for step in range(1, 20):
        follower.handle_packets(SessionId(2), 10.31 + 0.02 * step, 10.31 + 0.02 * step)
    assert not any(isinstance(output, Report) for output in follower.next_outputs())
    follower.handle_tick(12.9)
    assert any(isinstance(output, Report) for output in follower.next_outputs())


def test_an_older_epoch_is_ignored() -> None:
    """An answer that was overtaken changes nothing."""
    follower = joined()
    follower.handle_assignment(assignment("a", "b", epoch=5), 11.0)
    follower.handle_assignment(assignment("x", "y", epoch=4), 11.0)
    assert not any(isinstance(output, Connect) for output in follower.next_outputs())


def test_what_comes_from_an_unknown_session_is_ignored() -> None:
    """Late news of closed sessions do no harm."""
    follower = joined(10.0)
    for handle in (follower.handle_connected, follower.handle_failed, follower.handle_frame):
        handle(SessionId(99), 10.1)
    follower.handle_packets(SessionId(99), 10.1, 10.1)
    assert follower.next_outputs() == []


def test_a_failed_primary_is_replaced_at_once() -> None:
    """An error from the relay needs no 300 ms."""
    follower = joined(10.0)
    follower.handle_failed(SessionId(1), 10.02)
    assert follower.next_outputs() == [Close(session=SessionId(1)), Activate(session=SessionId(2))]
    assert follower.current == 2


def test_a_retry_after_is_honoured() -> None:
    """A coordinator that asks for ten seconds gets ten seconds, and up to one more."""
    follower = Follower(random.Random(0))
    follower.handle_start(1.0)
    follower.next_outputs()
    follower.handle_join_failed(1.0, retry_after_s=10)
    follower.handle_tick(10.9)
    assert follower.next_outputs() == []
    follower.handle_tick(12.1)
    assert follower.next_outputs() == [Join()]


def test_without_a_standby_the_backup_is_opened_when_it_is_needed() -> None:
    """The hall opens nothing beside its primary; in a silence it plays from the backup as soon as that delivers."""
    follower = Follower(random.Random(0), standby=False)
    follower.handle_start(10.0)
    follower.handle_assignment(assignment("a", "b"), 10.0)
    follower.handle_connected(SessionId(1), 10.0)
    follower.handle_packets(SessionId(1), 10.0, 10.0)
    follower.handle_frame(SessionId(1), 10.0)
    connected = [output.session for output in follower.next_outputs() if isinstance(output, Connect)]
    assert connected == [1]
    follower.handle_tick(10.31)
    probe, connect = follower.next_outputs()
    assert probe == Probe(session=SessionId(1))
    assert connect == Connect(session=SessionId(2), access=access("b"), standby=False)
    follower.handle_connected(SessionId(2), 10.4)
    follower.handle_packets(SessionId(2), 10.41, 10.41)
    follower.handle_frame(SessionId(2), 10.45, 10.42)
    follower.handle_packets(SessionId(2), 10.75, 10.75)
    closed, report = follower.next_outputs()
    assert closed == Close(session=SessionId(1))
    assert isinstance(report, Report)
    assert report.report.interruption_ms == 420.0


def test_without_another_relay_the_coordinator_is_asked_for_one() -> None:
    """A hall that has a primary alone, and hears nothing from it, asks for relays other than that."""
    follower = Follower(random.Random(0))
    follower.handle_start(10.0)
    follower.handle_assignment(assignment("a", None), 10.0)
    follower.handle_connected(SessionId(1), 10.0)
    follower.handle_packets(SessionId(1), 10.0, 10.0)
    follower.next_outputs()
    follower.handle_tick(10.31)
    assert follower.next_outputs() == [Probe(session=SessionId(1))]
    follower.handle_tick(10.9)
    assert follower.next_outputs() == [Join(avoid=("a",))]


def test_nobody_is_asked_for_before_the_source_has_begun() -> None:
    """A hall that waits for the first packet of the day does not trouble the coordinator."""
    follower = Follower(random.Random(0))
    follower.handle_start(10.0)
    follower.handle_assignment(assignment("a", None), 10.0)
    follower.handle_connected(SessionId(1), 10.0)
    follower.next_outputs()
    for tenth in range(600):
        follower.handle_tick(10.0 + tenth / 10)
    assert not any(isinstance(output, Join) for output in follower.next_outputs())


def test_relays_that_answer_no_request_are_left_with_the_coordinators_help() -> None:
    """Both relays of a hall are cut off: it asks for others, and tells of the move as one of silence."""
    follower = joined(10.0)
    for tenth in range(22):
        follower.handle_tick(10.31 + tenth / 10)
    assert not any(isinstance(output, Join) for output in follower.next_outputs())
    for tenth in range(22, 28):
        follower.handle_tick(10.31 + tenth / 10)
    assert Join(avoid=("a", "b")) in follower.next_outputs()
    follower.handle_assignment(assignment("c", "d", epoch=2), 13.1)
    follower.handle_connected(SessionId(3), 13.2)
    follower.handle_packets(SessionId(3), 13.2, 13.2)
    follower.handle_frame(SessionId(3), 13.25)
    assert follower.current == 3
    (move,) = follower.moves
    assert (move.from_relay, move.to_relay, move.reason) == ("a", "c", "silence")
    assert move.interruption_ms == 3250.0


def test_a_hall_that_lost_all_and_joined_again_tells_of_the_move() -> None:
    """Its one relay is gone: the coordinator gives another, and how long the picture was away is on record."""
    follower = Follower(random.Random(0))
    follower.handle_start(10.0)
    follower.handle_assignment(assignment("a", None), 10.0)
    follower.handle_connected(SessionId(1), 10.0)
    follower.handle_packets(SessionId(1), 10.0, 10.0)
    follower.handle_frame(SessionId(1), 10.0)
    follower.handle_failed(SessionId(1), 10.1)
    follower.handle_tick(10.7)
    assert Join(avoid=("a",)) in follower.next_outputs()
    follower.handle_assignment(assignment("c", "d", epoch=2), 10.7)
    follower.handle_connected(SessionId(2), 10.9)
    follower.handle_packets(SessionId(2), 11.0, 11.0)
    follower.handle_frame(SessionId(2), 11.0)
    (move,) = follower.moves
    assert (move.from_relay, move.to_relay, move.reason) == ("a", "c", "silence")
    assert move.interruption_ms == 1000.0


def test_a_backup_that_cannot_be_reached_is_replaced() -> None:
    """After the second attempt in vain the hall asks for a backup other than that, and goes on playing."""
    follower = joined(10.0)
    follower.handle_failed(SessionId(2), 10.0)
    for session in (3, 4):
        follower.handle_assignment(assignment("a", "b"), 10.5)
        follower.handle_failed(SessionId(session), 10.6)
    follower.next_outputs()
    follower.handle_packets(SessionId(1), 20.0, 20.0)
    follower.handle_tick(20.0)
    assert FetchAssignment(avoid=("b",)) in follower.next_outputs()
    follower.handle_assignment(assignment("a", "c", epoch=2), 20.1)
    (connect,) = follower.next_outputs()
    assert isinstance(connect, Connect)
    assert connect.access == access("c")
    assert follower.current == 1


def test_a_silent_source_troubles_no_coordinator() -> None:
    """As long as both relays answer requests, nobody asks where to go, however long the silence lasts."""
    follower = joined(10.0)
    for tenth in range(600):
        follower.handle_tick(10.31 + tenth / 10)
        for session in (1, 2):
            follower.handle_answered(SessionId(session))
    assert not any(isinstance(output, Join) for output in follower.next_outputs())


def test_an_assignment_to_the_relay_that_is_tried_already_does_not_begin_anew() -> None:
    """The primary is silent and the backup is on its way when the coordinator says the same: nothing is sent twice."""
    follower = joined(10.0)
    follower.handle_tick(10.31)
    follower.handle_packets(SessionId(2), 10.33, 10.35)
    follower.handle_frame(SessionId(2), 10.35)
    follower.next_outputs()
    follower.handle_assignment(assignment("b", "c", epoch=2), 10.36)
    connect, closed, report = follower.next_outputs()
    assert isinstance(connect, Connect)
    assert (connect.access, connect.standby) == (access("c"), True)
    assert closed == Close(session=SessionId(1))
    assert isinstance(report, Report)
    assert follower.current == 2
