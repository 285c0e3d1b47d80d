from bridges.follower_outputs import SessionId
from bridges.messages import RelayAccess
from bridges.session_watch import FLAP_LIMIT, FLAP_WINDOW_S, Flapping, WatchedSession


def session(*packets: float) -> WatchedSession:
    """A connected, active session to which packets came at these moments."""
    access = RelayAccess(relay_id="a", whep_url="http://a", token="t", expires_at_ms=0)
    made = WatchedSession(session=SessionId(1), access=access, active=True, opened_at=0.0, active_since=0.0)
    made.connected_at = 0.0
    for moment in packets:
        made.note_packets(moment)
    return made


def test_silence_is_counted_from_the_last_packet() -> None:
    """300 ms after a packet, two seconds before the first."""
    assert not session(1.0).silent(1.29)
    assert session(1.0).silent(1.31)
    assert not session().silent(2.0)
    assert session().silent(2.01)


def test_a_session_that_is_not_connected_is_late_and_not_silent() -> None:
    """Its relay has not answered."""
    made = session()
    made.connected_at = None
    assert not made.silent(100.0)
    assert not made.late(1.5)
    assert made.late(1.51)


def test_a_burst_is_no_delivery() -> None:
    """A relay sends its cached pictures within 200 ms: only what goes on for 300 ms is, without sound."""
    assert not session(1.0, 1.2).delivers()
    assert session(1.0, 1.31).delivers()


def test_sound_is_proof_sooner() -> None:
    """Sound is never cached: where it is expected 100 ms of it prove a living source, and pictures prove nothing."""
    made = session()
    made.expects_sound = True
    made.note_packets(1.0)
    made.note_packets(2.0)
    assert not made.delivers()
    made.note_packets(2.1, 2.0)
    made.note_packets(2.2, 2.11)
    assert made.delivers()
    assert made.brought_sound


def test_sound_from_before_the_activation_is_no_proof() -> None:
    """What a standby brought at an earlier trial does not count at the next."""
    made = session(1.0)
    made.expects_sound = True
    made.activate(5.0)
    made.note_packets(5.1, 4.9)
    assert made.first_proof_at is None


def test_an_old_packet_is_no_news() -> None:
    """Nor is the same one again."""
    made = session(1.0)
    assert not made.note_packets(1.0)
    assert not made.note_packets(0.9)
    assert made.note_packets(1.1)


def test_an_activation_begins_anew() -> None:
    """What came before says nothing."""
    made = session(1.0, 2.0)
    made.activate(3.0)
    assert made.delivered_for() == 0.0
    assert not made.silent(5.0)
    assert made.silent(5.01)


def test_a_primary_may_return_three_times() -> None:
    """The fourth time within ten seconds is flapping; later ones are not counted together."""
    flapping, backup = Flapping(), session(0.0, 1.0)
    assert [flapping.handle_return(backup, float(i)) for i in range(FLAP_LIMIT + 1)] == [False, False, False, True]
    assert not flapping.handle_return(backup, FLAP_WINDOW_S + 1.5)
    flapping.forget()
    assert not flapping.handle_return(backup, FLAP_WINDOW_S + 1.6)


def test_a_pause_of_the_source_is_nobodys_fault() -> None:
    """A return while the backup was silent too is not counted."""
    flapping = Flapping()
    assert not any(flapping.handle_return(session(0.0), float(i) / 10) for i in range(20))
