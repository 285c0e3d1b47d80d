"""The rules of rosters and of individual check-in: the part of `conference.decide` that is about delegates. Pure.

A scan or a mark that would change nothing makes no event. Who is withdrawn, or unknown, is left out of a batch, and not
a reason to refuse the rest: a phone that was offline for hours brings what it has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from conference.checkin.checkins import Checkins
from conference.checkin.delegates import Delegate
from conference.checkin.events import (
    CheckinEvent,
    CheckinsRecorded,
    CodesReissued,
    DelegateBlock,
    DelegatesEnrolled,
    DelegatesMoved,
    DelegatesWithdrawn,
    Mark,
    MarksRecorded,
    RosterEvent,
    Scan,
)
from conference.checkin.rows import MAX_ISSUE, MAX_NUMBER
from conference.commands import (
    EnrolDelegates,
    MoveDelegates,
    RecordCheckins,
    RecordMarks,
    ReissueCodes,
    WithdrawDelegates,
)
from conference.errors import RejectedError
from conference.lookup import conference_of, hall_of

if TYPE_CHECKING:
    from conference.roster import ConferenceState
    from conference.state import State

MAX_NONCE = 2**63 - 1
MAX_SCANS = 5_000  # of one record: what halls brought at one moment; some 10 ms to decide and fold
MAX_NUMBERS = 100_000  # of one command about single delegates
MAX_BLOCKS = 5_000  # of one import, which is brought in several commands: some 50 ms to decide and fold

RosterCommand = EnrolDelegates | WithdrawDelegates | MoveDelegates | ReissueCodes
CheckinCommand = RecordCheckins | RecordMarks


def decide_delegates(
    state: State, command: RosterCommand | CheckinCommand, now_ms: int
) -> list[RosterEvent | CheckinEvent]:
    """Decide a command about delegates.

    Raises:
        RejectedError: a rule refuses it.
    """
    conference = conference_of(state, command.conference_id)
    checkins = state.checkins.get(conference.conference_id) or Checkins()
    event: RosterEvent | CheckinEvent | None
    match command:
        case EnrolDelegates():
            event = _enrol(state, checkins, command)
        case WithdrawDelegates():
            event = _withdraw(checkins, command)
        case MoveDelegates():
            event = _move(state, checkins, command)
        case ReissueCodes():
            event = _reissue(checkins, command)
        case RecordCheckins():
            event = _record(state, conference, checkins, command, now_ms)
        case RecordMarks():
            event = _mark(state, conference, checkins, command, now_ms)
    return [] if event is None else [event]


def earliest_ms(conference: ConferenceState) -> int:
    """Nobody can have checked in before the conference was opened, whatever a device's clock says."""
    return next((at_ms for phase, at_ms in conference.phases if phase == "open"), 0)


def _enrol(state: State, checkins: Checkins, command: EnrolDelegates) -> DelegatesEnrolled | None:
    _require_at_most(command.blocks, MAX_BLOCKS)
    fresh: list[DelegateBlock] = []
    for block in command.blocks:
        hall_of(state, block.hall_id)
        if block.count < 1 or block.first < 1 or block.first + block.count - 1 > MAX_NUMBER:
            raise RejectedError("bad_number", f"numbers of delegates are between 1 and {MAX_NUMBER}", status=422)
        places = checkins.enrolled(block.first, block.count)
        if not places <= {"", block.hall_id}:
            detail = f"numbers from {block.first} on are on the roster of another hall; they can be moved"
            raise RejectedError("already_enrolled", detail)
        if places != {block.hall_id}:
            fresh.append(block)
    _require_apart(fresh)
    return DelegatesEnrolled(conference_id=command.conference_id, blocks=fresh) if fresh else None


def _require_apart(blocks: Iterable[DelegateBlock]) -> None:
    end = 0
    for block in sorted(blocks, key=lambda each: each.first):
        if block.first < end:
            raise RejectedError("bad_number", f"number {block.first} is given twice", status=422)
        end = block.first + block.count


def _withdraw(checkins: Checkins, command: WithdrawDelegates) -> DelegatesWithdrawn | None:
    numbers = [number for number, known in _known(checkins, command.numbers) if not known.withdrawn]
    return DelegatesWithdrawn(conference_id=command.conference_id, numbers=numbers) if numbers else None


def _move(state: State, checkins: Checkins, command: MoveDelegates) -> DelegatesMoved | None:
    hall_id = hall_of(state, command.hall_id).hall_id
    numbers = [number for number, known in _known(checkins, command.numbers) if known.hall_id != hall_id]
    if not numbers:
        return None
    return DelegatesMoved(conference_id=command.conference_id, hall_id=hall_id, numbers=numbers)


def _reissue(checkins: Checkins, command: ReissueCodes) -> CodesReissued | None:
    numbers = []
    for number, known in _known(checkins, command.numbers):
        if known.issue >= MAX_ISSUE:
            raise RejectedError("codes_exhausted", f"delegate {number} has had {MAX_ISSUE + 1} codes already")
        numbers.append(number)
    return CodesReissued(conference_id=command.conference_id, numbers=numbers) if numbers else None


def _record(
    state: State, conference: ConferenceState, checkins: Checkins, command: RecordCheckins, now_ms: int
) -> CheckinsRecorded | None:
    _require_open(conference)
    hall_id = hall_of(state, command.hall_id).hall_id
    _require_at_most(command.scans, MAX_SCANS)
    from_ms = earliest_ms(conference)
    scans: list[Scan] = []
    for scan in command.scans:
        if not 0 <= scan.nonce <= MAX_NONCE:
            raise RejectedError("bad_nonce", "a nonce is a positive integer of at most 63 bits", status=422)
        at_ms = max(from_ms, min(scan.at_ms, now_ms))
        dated = scan if at_ms == scan.at_ms else Scan(scan.number, at_ms, scan.nonce, scan.method)
        if checkins.would_change(hall_id, dated):
            scans.append(dated)
    if not scans:
        return None
    return CheckinsRecorded(conference_id=conference.conference_id, hall_id=hall_id, scans=scans)


def _mark(
    state: State, conference: ConferenceState, checkins: Checkins, command: RecordMarks, now_ms: int
) -> MarksRecorded | None:
    _require_open(conference)
    hall_id = hall_of(state, command.hall_id).hall_id
    _require_at_most(command.marks, MAX_SCANS)
    from_ms = earliest_ms(conference)
    marks: list[Mark] = []
    for mark in command.marks:
        if not 0 <= mark.nonce <= MAX_NONCE:
            raise RejectedError("bad_nonce", "a nonce is a positive integer of at most 63 bits", status=422)
        at_ms = max(from_ms, min(mark.at_ms, now_ms))
        dated = Mark(mark.number, mark.mark, at_ms, mark.nonce)
        if checkins.would_mark(hall_id, dated):
            marks.append(dated)
    return MarksRecorded(conference_id=conference.conference_id, hall_id=hall_id, marks=marks) if marks else None


def _known(checkins: Checkins, numbers: Collection[int]) -> Iterable[tuple[int, Delegate]]:
    _require_at_most(numbers, MAX_NUMBERS)
    for number in dict.fromkeys(numbers):
        known = checkins.delegate(number)
        if known is None:
            raise RejectedError("unknown_delegate", f"no delegate has the number {number}", status=404)
        yield number, known


def _require_open(conference: ConferenceState) -> None:
    # After the end as well: what was offline comes late, and is recorded with its time.
    if conference.phase == "draft":
        raise RejectedError("wrong_phase", f"conference {conference.conference_id} is not open yet")


def _require_at_most(given: Collection[object], most: int) -> None:
    if len(given) > most:
        raise RejectedError("too_many", f"at most {most} at once, not {len(given)}", status=422)
