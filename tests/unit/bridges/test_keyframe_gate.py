import itertools

from bridges.keyframe_gate import MIN_INTERVAL_S, KeyframeGate


def test_a_storm_of_requests_makes_one_keyframe_in_an_interval() -> None:
    """Two origins that ask with every frame get one keyframe a second, the first at once."""
    gate = KeyframeGate()
    made = []
    for frame in range(30 * 5):
        now = frame / 30
        gate.request()
        gate.request()
        if gate.take(now):
            made.append(now)
    assert made[0] == 0.0
    assert len(made) == 5
    assert all(later - earlier >= MIN_INTERVAL_S for earlier, later in itertools.pairwise(made))


def test_a_request_that_came_too_early_is_served_later() -> None:
    """It waits for its time and is not forgotten; without a request there is no keyframe."""
    gate = KeyframeGate()
    assert not gate.take(0.0)
    gate.request()
    assert gate.take(0.1)
    gate.request()
    assert not gate.take(0.2)
    assert gate.take(0.1 + MIN_INTERVAL_S)
    assert not gate.take(9.0)
