from __future__ import annotations

from collections.abc import Callable

import pytest

from conference.errors import RejectedError
from conference.lookup import conference_of, hall_of, joinable_conference_of, relay_of, seat_of
from conference.roster import ConferenceState
from conference.state import State

DRAFT = ConferenceState(conference_id="c", title="", feeds=[], phase="draft", phases=[("draft", 0)])


@pytest.mark.parametrize(
    ("look", "code", "status"),
    [
        (conference_of, "unknown_conference", 404),
        (joinable_conference_of, "unknown_conference", 404),
        (lambda state, _: joinable_conference_of(state, "c"), "wrong_phase", 409),
        (hall_of, "unknown_hall", 404),
        (relay_of, "unknown_relay", 404),
        (lambda state, name: seat_of(state.conferences["c"], name), "not_joined", 409),
    ],
)
def test_what_an_id_does_not_name(look: Callable[[State, str], object], code: str, status: int) -> None:
    """Each refusal has its code and status, and repeats no more of a long id than a person can use."""
    state = State()
    state.conferences["c"] = DRAFT
    with pytest.raises(RejectedError) as caught:
        look(state, "x" * 5_000)
    assert (caught.value.code, caught.value.status) == (code, status)
    assert len(caught.value.detail) < 120
