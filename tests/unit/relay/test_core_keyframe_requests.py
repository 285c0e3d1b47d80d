"""At most one keyframe request per interval."""

from __future__ import annotations

from relay.core.keyframe_requests import KeyframeRequests


def test_the_first_request_goes_out_at_once_and_a_storm_becomes_one_more() -> None:
    """A hundred requests within a second are two."""
    requests = KeyframeRequests(1.0)
    assert [requests.request(n / 100) for n in range(100)] == [True] + [False] * 99
    assert requests.next_deadline() == 1.0
    assert not requests.poll(0.99)
    assert requests.poll(1.0)
    assert requests.next_deadline() is None
    assert not requests.poll(5.0)


def test_a_keyframe_satisfies_whoever_waits() -> None:
    """The waiting request is dropped; the interval goes on."""
    requests = KeyframeRequests(1.0)
    requests.request(0.0)
    requests.request(0.5)
    requests.handle_keyframe(0.6)
    assert requests.next_deadline() is None
    assert not requests.poll(1.0)
    assert requests.request(1.0)
    assert not requests.request(1.5)
