"""Who read persons, and what was erased."""

from __future__ import annotations

import pytest

from conference.commands import NoteErasure, NoteReading
from conference.decide import decide
from conference.errors import RejectedError
from conference.events import ATTENDANCE, CONTROL, ConferenceCreated, stream_of
from conference.people.access_log import MAX_LATEST, AccessLog, Reading, apply_privacy
from conference.people.privacy_events import PersonsErased, PersonsRead
from conference.snapshot import decode_state, encode_state, fingerprint
from conference.state import State, apply


@pytest.fixture
def state() -> State:
    """A state with one conference."""
    state = State()
    apply(state, ConferenceCreated(conference_id="c", title="Hội nghị", feeds=["program"]), 1)
    return state


def reading(scope: str = "hall:H1") -> PersonsRead:
    """One reading."""
    return PersonsRead(conference_id="c", scope=scope, count=62, purpose="roster")


def test_a_reading_is_noted_with_who_and_when(state: State) -> None:
    """The command becomes an event of an attendance stream, and the state shows it."""
    events = decide(state, NoteReading(conference_id="c", scope="hall:H1", count=62, purpose="roster"), 5)
    assert events == [reading()]
    assert stream_of(events[0]) == ATTENDANCE
    apply(state, events[0], 5, "hall:H1")
    assert state.access_log.readings == {"c": 1}
    assert state.access_log.latest == [
        Reading(at_ms=5, actor="hall:H1", conference_id="c", scope="hall:H1", count=62, purpose="roster")
    ]


def test_an_erasure_is_noted(state: State) -> None:
    """On the writer's own stream, with the numbers and the reason."""
    events = decide(state, NoteErasure(conference_id="c", numbers=[7], count=1, reason="theo yêu cầu"), 5)
    assert events == [PersonsErased(conference_id="c", numbers=[7], count=1, reason="theo yêu cầu")]
    assert stream_of(events[0]) == CONTROL
    apply(state, events[0], 5, "user:an")
    assert state.access_log.erased == {"c": 1}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (NoteReading(conference_id="d", scope="", count=1, purpose="list"), "unknown_conference"),
        (NoteReading(conference_id="c", scope="x" * 200, count=1, purpose="list"), "bad_scope"),
        (NoteErasure(conference_id="c", count=1, reason="x" * 400), "bad_reason"),
        (NoteErasure(conference_id="c", count=1, reason="", numbers=list(range(100_001))), "too_many"),
    ],
)
def test_what_is_noted_is_bounded(state: State, command: NoteReading | NoteErasure, code: str) -> None:
    """Nothing without bounds enters the journal."""
    with pytest.raises(RejectedError) as caught:
        decide(state, command, 5)
    assert caught.value.code == code


def test_what_is_kept_does_not_depend_on_the_order_of_streams() -> None:
    """Readings of two writers, folded in either order, give the same latest ones."""
    logs = AccessLog(), AccessLog()
    for log, times in zip(logs, (range(MAX_LATEST + 50), reversed(range(MAX_LATEST + 50))), strict=True):
        for at_ms in times:
            apply_privacy(log, reading(f"number:{at_ms}"), at_ms, "user:an")
    assert logs[0] == logs[1]
    assert len(logs[0].latest) == MAX_LATEST
    assert logs[0].latest[-1].at_ms == MAX_LATEST + 49


def test_a_snapshot_has_the_log(state: State) -> None:
    """What was noted is there after a restart."""
    apply(state, reading(), 5, "hall:H1")
    apply(state, PersonsErased(conference_id="c", count=3, reason="retention"), 6, "coordinator")
    restored = decode_state(encode_state(state))
    assert restored.access_log == state.access_log
    assert fingerprint(restored) == fingerprint(state)
