"""The events of the journal about delegates: who is on a roster, who was scanned, what a technician marked.

A delegate is a number within a conference here, and nothing else: a name would have to be erasable, and a journal is
not (docs/privacy.md). The roster is on `control`; scans and marks commute and are on the attendance streams.
"""

from __future__ import annotations

import msgspec

from bridges.checkin_messages import CheckinMethod, MarkKind


class DelegateBlock(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Delegates of one hall with consecutive numbers; written `[hall_id, first, count]`."""

    hall_id: str
    first: int
    count: int


class Scan(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One check-in of a delegate; written `[number, at_ms, nonce, method]`.

    Attributes:
        number: the delegate's.
        at_ms: when, by the device, and never after the record that holds it.
        nonce: drawn by the device for this check-in; a repetition has the same.
        method: how.
    """

    number: int
    at_ms: int
    nonce: int
    method: CheckinMethod


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a technician says of a delegate; written `[number, mark, at_ms, nonce]`."""

    number: int
    mark: MarkKind
    at_ms: int
    nonce: int


class DelegatesEnrolled(msgspec.Struct, frozen=True, kw_only=True, tag="delegates_enrolled"):
    """Delegates are on the rosters of these halls; those who were withdrawn are so no longer."""

    conference_id: str
    blocks: list[DelegateBlock]


class DelegatesWithdrawn(msgspec.Struct, frozen=True, kw_only=True, tag="delegates_withdrawn"):
    """These delegates are on no roster any more, and whatever is known of them counts for nothing."""

    conference_id: str
    numbers: list[int]


class DelegatesMoved(msgspec.Struct, frozen=True, kw_only=True, tag="delegates_moved"):
    """These delegates are on the roster of this hall from now on."""

    conference_id: str
    hall_id: str
    numbers: list[int]


class CodesReissued(msgspec.Struct, frozen=True, kw_only=True, tag="codes_reissued"):
    """These delegates get a new code and a new PIN; those before open nothing any more."""

    conference_id: str
    numbers: list[int]


class CheckinsRecorded(msgspec.Struct, frozen=True, kw_only=True, tag="checkins_recorded"):
    """Delegates were checked in at a hall. Idempotent and commutative: of each the least scan counts."""

    conference_id: str
    hall_id: str
    scans: list[Scan]


class MarksRecorded(msgspec.Struct, frozen=True, kw_only=True, tag="marks_recorded"):
    """A technician marked delegates of a hall. Idempotent and commutative: of each the latest mark counts."""

    conference_id: str
    hall_id: str
    marks: list[Mark]


RosterEvent = DelegatesEnrolled | DelegatesWithdrawn | DelegatesMoved | CodesReissued
CheckinEvent = CheckinsRecorded | MarksRecorded
