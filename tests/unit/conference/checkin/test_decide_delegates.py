"""The rules of rosters and check-ins: what is recorded, dated how, and what is refused."""

from __future__ import annotations

import pytest

from bridges.halls import Hall
from bridges.units import Unit
from conference.checkin.enrolling import MAX_SCANS
from conference.checkin.events import (
    CheckinsRecorded,
    CodesReissued,
    DelegateBlock,
    DelegatesEnrolled,
    DelegatesMoved,
    DelegatesWithdrawn,
    Mark,
    MarksRecorded,
    Scan,
)
from conference.checkin.rows import MAX_NUMBER
from conference.commands import (
    ChangePhase,
    Command,
    CreateConference,
    EnrolDelegates,
    ImportHalls,
    ImportUnits,
    MoveDelegates,
    RecordCheckins,
    RecordMarks,
    ReissueCodes,
    WithdrawDelegates,
)
from conference.decide import decide
from conference.errors import RejectedError
from conference.events import ATTENDANCE, CONTROL, Event, stream_of
from conference.state import State, apply


def done(state: State, command: Command, now_ms: int = 1_000) -> list[Event]:
    """Decide and fold."""
    events = decide(state, command, now_ms)
    for event in events:
        apply(state, event, now_ms, "user:an")
    return events


def drafted() -> State:
    """A conference in draft; hall `a` has delegates 1 to 5, hall `b` 6 to 10."""
    state = State()
    done(state, ImportUnits(units=[Unit(code="01", name="Hà Nội", kind="city", parent="")]))
    done(state, ImportHalls(halls=[Hall(hall_id=each, name="Nhà", unit="01", level="base", seats=9) for each in "ab"]))
    done(state, CreateConference(conference_id="c", title="Hội nghị", feeds=["program"]))
    done(state, EnrolDelegates(conference_id="c", blocks=[DelegateBlock("a", 1, 5), DelegateBlock("b", 6, 5)]))
    return state


@pytest.fixture
def state() -> State:
    """The same, opened at 500 ms."""
    state = drafted()
    done(state, ChangePhase(conference_id="c", phase="open"), 500)
    return state


def checkins(*scans: Scan, hall_id: str = "a") -> RecordCheckins:
    """Scans at a hall."""
    return RecordCheckins(conference_id="c", hall_id=hall_id, scans=list(scans))


def test_a_scan_is_recorded_once(state: State) -> None:
    """And said again, changes nothing."""
    command = checkins(Scan(1, 900, 7, "qr"))
    assert done(state, command) == [
        CheckinsRecorded(conference_id="c", hall_id="a", scans=[Scan(1, 900, 7, "qr")]),
    ]
    assert done(state, command) == []
    assert done(state, checkins(Scan(1, 950, 8, "qr"))) == []


@pytest.mark.parametrize(("said_ms", "dated_ms"), [(5_000, 1_000), (3, 500), (700, 700)])
def test_a_device_with_a_wrong_clock_is_corrected(state: State, said_ms: int, dated_ms: int) -> None:
    """Nobody checks in after now, or before the conference was opened."""
    events = done(state, checkins(Scan(1, said_ms, 7, "qr")))
    assert events == [CheckinsRecorded(conference_id="c", hall_id="a", scans=[Scan(1, dated_ms, 7, "qr")])]


def test_a_repetition_is_known_by_its_nonce(state: State) -> None:
    """A device whose clock is ahead says the same later, and it is not another scan."""
    done(state, checkins(Scan(1, 5_000, 7, "qr")), 1_000)
    assert done(state, checkins(Scan(1, 5_000, 7, "qr")), 2_000) == []


def test_who_is_unknown_or_withdrawn_is_left_out(state: State) -> None:
    """And the rest of the batch is recorded."""
    done(state, WithdrawDelegates(conference_id="c", numbers=[2]))
    events = done(state, checkins(Scan(1, 900, 1, "qr"), Scan(2, 900, 2, "qr"), Scan(99, 900, 3, "qr")))
    assert events == [CheckinsRecorded(conference_id="c", hall_id="a", scans=[Scan(1, 900, 1, "qr")])]


def test_a_scan_elsewhere_is_recorded_once_for_each_hall(state: State) -> None:
    """It is a conflict, and a second one of that hall says nothing new."""
    done(state, checkins(Scan(1, 900, 1, "qr")))
    assert len(done(state, checkins(Scan(1, 950, 2, "qr"), hall_id="b"))) == 1
    assert done(state, checkins(Scan(1, 960, 3, "qr"), hall_id="b")) == []


def test_late_check_ins_are_taken(state: State) -> None:
    """What was offline comes after the end."""
    done(state, ChangePhase(conference_id="c", phase="ended"), 2_000)
    assert len(done(state, checkins(Scan(1, 900, 1, "qr")), 9_000)) == 1


def test_a_hall_marks_its_own_delegates(state: State) -> None:
    """Others are left out; what an older mark says is not recorded."""
    marks = [Mark(1, "excused", 900, 1), Mark(6, "excused", 900, 2)]
    command = RecordMarks(conference_id="c", hall_id="a", marks=marks)
    assert done(state, command) == [
        MarksRecorded(conference_id="c", hall_id="a", marks=[Mark(1, "excused", 900, 1)]),
    ]
    assert done(state, command) == []
    older = RecordMarks(conference_id="c", hall_id="a", marks=[Mark(1, "unexcused", 800, 3)])
    assert done(state, older) == []


def test_rosters_change_on_control() -> None:
    """With one writer, in order; scans and marks are on the streams that commute."""
    state = drafted()
    numbers = [1, 2, 2]
    made = [
        *done(state, WithdrawDelegates(conference_id="c", numbers=numbers)),
        *done(state, EnrolDelegates(conference_id="c", blocks=[DelegateBlock("b", 1, 1)])),
        *done(state, MoveDelegates(conference_id="c", hall_id="b", numbers=[3, 6])),
        *done(state, ReissueCodes(conference_id="c", numbers=[4])),
    ]
    assert made == [
        DelegatesWithdrawn(conference_id="c", numbers=[1, 2]),
        DelegatesEnrolled(conference_id="c", blocks=[DelegateBlock("b", 1, 1)]),
        DelegatesMoved(conference_id="c", hall_id="b", numbers=[3]),
        CodesReissued(conference_id="c", numbers=[4]),
    ]
    assert {stream_of(event) for event in made} == {CONTROL}
    assert stream_of(CheckinsRecorded(conference_id="c", hall_id="a", scans=[])) == ATTENDANCE
    assert stream_of(MarksRecorded(conference_id="c", hall_id="a", marks=[])) == ATTENDANCE
    assert done(state, WithdrawDelegates(conference_id="c", numbers=[2])) == []
    assert done(state, EnrolDelegates(conference_id="c", blocks=[DelegateBlock("a", 4, 2)])) == []


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (EnrolDelegates(conference_id="x", blocks=[]), "unknown_conference"),
        (EnrolDelegates(conference_id="c", blocks=[DelegateBlock("x", 20, 1)]), "unknown_hall"),
        (EnrolDelegates(conference_id="c", blocks=[DelegateBlock("a", 0, 1)]), "bad_number"),
        (EnrolDelegates(conference_id="c", blocks=[DelegateBlock("a", 20, 0)]), "bad_number"),
        (EnrolDelegates(conference_id="c", blocks=[DelegateBlock("a", MAX_NUMBER, 2)]), "bad_number"),
        (EnrolDelegates(conference_id="c", blocks=[DelegateBlock("b", 5, 2)]), "already_enrolled"),
        (
            EnrolDelegates(conference_id="c", blocks=[DelegateBlock("a", 20, 3), DelegateBlock("b", 22, 1)]),
            "bad_number",
        ),
        (WithdrawDelegates(conference_id="c", numbers=[11]), "unknown_delegate"),
        (MoveDelegates(conference_id="c", hall_id="x", numbers=[1]), "unknown_hall"),
        (RecordCheckins(conference_id="c", hall_id="x", scans=[]), "unknown_hall"),
        (checkins(Scan(1, 1, -1, "qr")), "bad_nonce"),
        (checkins(Scan(1, 1, 2**63, "qr")), "bad_nonce"),
        (checkins(*([Scan(1, 1, 1, "qr")] * (MAX_SCANS + 1))), "too_many"),
        (RecordMarks(conference_id="c", hall_id="a", marks=[Mark(1, "none", 1, -1)]), "bad_nonce"),
    ],
)
def test_what_breaks_a_rule_is_refused(state: State, command: Command, code: str) -> None:
    """With the rule's name, and nothing is written."""
    with pytest.raises(RejectedError) as caught:
        decide(state, command, 1_000)
    assert caught.value.code == code


def test_nobody_checks_in_before_the_conference_is_open() -> None:
    """A draft takes rosters and no scans."""
    with pytest.raises(RejectedError) as caught:
        decide(drafted(), checkins(Scan(1, 900, 1, "qr")), 1_000)
    assert caught.value.code == "wrong_phase"


def test_codes_run_out(state: State) -> None:
    """The issue is one byte of the code; after 256 codes there is no other."""
    for _ in range(255):
        done(state, ReissueCodes(conference_id="c", numbers=[1]))
    with pytest.raises(RejectedError) as caught:
        decide(state, ReissueCodes(conference_id="c", numbers=[1]), 1_000)
    assert caught.value.code == "codes_exhausted"


def test_check_ins_are_in_the_figures_of_the_country(state: State) -> None:
    """As the third source, at once."""
    done(state, checkins(Scan(1, 900, 1, "qr")))
    assert state.rollups["c"].total().real.individual.registered == 10
    done(state, checkins(Scan(2, 900, 2, "self"), Scan(9, 900, 3, "qr")))
    total = state.rollups["c"].total("organisation").real.individual
    assert (total.present, total.by_self, total.conflicts) == (3, 1, 1)
