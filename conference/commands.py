"""The commands that `decide` understands: what somebody wants, in the imperative.

Each is decided against the state into events or a `RejectedError`; see `conference.decide`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bridges.halls import Hall
from bridges.messages import HeadcountReport, MovedReport
from bridges.prechecks import Precheck
from bridges.units import TreeName, Unit
from conference.checkin.events import DelegateBlock, Mark, Scan
from conference.lifecycle import ConferenceKind, Phase
from conference.people.privacy_events import ReadPurpose
from conference.planner.loads import RelayMode
from conference.registry.events import Verdict
from relay.messages import PresenceDelta, Register


class ImportUnits(msgspec.Struct, frozen=True, kw_only=True):
    """Add or replace units; each parent must exist before or in the same import."""

    units: list[Unit]


class ImportHalls(msgspec.Struct, frozen=True, kw_only=True):
    """Add or replace halls; each unit must exist. All or nothing.

    `reach` is the unit that the author is bound to: no hall outside of it may change. "" for the whole country.
    """

    halls: list[Hall]
    reach: str = ""


class ProposeHalls(msgspec.Struct, frozen=True, kw_only=True):
    """Ask an organiser to add or replace halls and to withdraw others, all of them under the unit `reach`."""

    halls: list[Hall] = []
    withdrawn: list[str] = []
    reach: str = ""


class DecideProposals(msgspec.Struct, frozen=True, kw_only=True):
    """Approve or reject proposals, all or nothing.

    Attributes:
        reason: why; a rejection needs one.
        reach: the unit that the author is bound to, "" for the whole country.
        despite_changes: approve also what is about halls that changed since it was proposed.
    """

    proposal_ids: list[str]
    verdict: Verdict
    reason: str = ""
    reach: str = ""
    despite_changes: bool = False


class WithdrawHalls(msgspec.Struct, frozen=True, kw_only=True):
    """Take halls out of the register, all of them under the unit `reach`; their past stays."""

    hall_ids: list[str]
    reach: str = ""


class CreateConference(msgspec.Struct, frozen=True, kw_only=True):
    """Draft a conference; the fields are those of `events.ConferenceCreated`."""

    conference_id: str
    title: str
    feeds: list[str]
    reporting: TreeName = "territory"
    kind: ConferenceKind = "conference"
    rehearsal_of: str = ""
    starts_at_ms: int = 0


class ChangePhase(msgspec.Struct, frozen=True, kw_only=True):
    """Move a conference along `lifecycle.TRANSITIONS`."""

    conference_id: str
    phase: Phase


class CloseAttendance(msgspec.Struct, frozen=True, kw_only=True):
    """Close the attendance of a conference that has ended (chốt số liệu): what comes later is a correction."""

    conference_id: str


class RegisterRelay(msgspec.Struct, frozen=True, kw_only=True):
    """Give a relay a lease, a place in the tree and an epoch.

    Attributes:
        register: what the relay said.
        last_seen_ms: when its earlier registration was last heard, as far as the caller knows; 0 where it does not.
    """

    register: Register
    last_seen_ms: int = 0


class LoseRelay(msgspec.Struct, frozen=True, kw_only=True):
    """End a relay's lease: expired, or it said goodbye. Its halls get other relays."""

    relay_id: str
    epoch: int
    goodbye: bool
    last_seen_ms: int


class NoteRelays(msgspec.Struct, frozen=True, kw_only=True):
    """Note which relays were heard within their lease."""

    relay_ids: list[str]


class SuspectRelay(msgspec.Struct, frozen=True, kw_only=True):
    """Suspect a relay that `left` of its `halls` left because nothing came; see `conference.suspicion`."""

    relay_id: str
    left: int
    halls: int


class ClearRelay(msgspec.Struct, frozen=True, kw_only=True):
    """Suspect a relay no longer."""

    relay_id: str
    reason: Literal["time", "halls", "operator"]


class JoinHall(msgspec.Struct, frozen=True, kw_only=True):
    """Give a hall a primary and a backup. A hall that already has live relays keeps them."""

    conference_id: str
    hall_id: str
    virtual: bool
    avoid: frozenset[str] = frozenset()


class ReportMove(msgspec.Struct, frozen=True, kw_only=True):
    """A hall moved by itself: what it plays from becomes its primary, and it needs a new backup.

    Attributes:
        avoid: relays whose control connection is gone although their lease still runs; not chosen as backup.
    """

    conference_id: str
    hall_id: str
    report: MovedReport
    avoid: frozenset[str] = frozenset()


class LeaveHall(msgspec.Struct, frozen=True, kw_only=True):
    """A hall leaves in order."""

    conference_id: str
    hall_id: str


class ReportHeadcount(msgspec.Struct, frozen=True, kw_only=True):
    """A technician's figures for one hall."""

    conference_id: str
    hall_id: str
    report: HeadcountReport


class ObservePresence(msgspec.Struct, frozen=True, kw_only=True):
    """A relay's batch of presence deltas."""

    relay_id: str
    deltas: list[PresenceDelta]


class AuthorisePublisher(msgspec.Struct, frozen=True, kw_only=True):
    """Choose the origins for a feed and note who may publish."""

    conference_id: str
    feed: str


class OrderRelay(msgspec.Struct, frozen=True, kw_only=True):
    """Say how a relay is to serve: `open` again, `cordoned`, `draining` until a deadline, `evacuating`.

    Attributes:
        deadline_ms: for `draining`: when it is to be empty, milliseconds since the epoch; 0 for no deadline.
        reason: why, in the operator's words.
    """

    relay_id: str
    mode: RelayMode
    deadline_ms: int = 0
    reason: str


class MoveHalls(msgspec.Struct, frozen=True, kw_only=True):
    """Move halls to a relay, or away from one, once; with neither, take back what was ordered and not done yet.

    Attributes:
        hall_ids: the halls, all of them seated.
        unit: or all seated halls of a unit and of everything under it.
        to: relay that they shall play from.
        away: relay that they shall have neither as primary nor as backup.
    """

    hall_ids: list[str] = []
    unit: str = ""
    to: str = ""
    away: str = ""
    reason: str


class PinHall(msgspec.Struct, frozen=True, kw_only=True):
    """Say which relays a hall shall have, the primary first, and move it there; without any, unpin it."""

    hall_id: str
    relay_ids: tuple[str, ...]
    reason: str


class ExcludeRelays(msgspec.Struct, frozen=True, kw_only=True):
    """Say which relays shall not have a hall, or any hall of a region; these replace those named before."""

    subject: str
    relay_ids: tuple[str, ...]
    reason: str


class PauseJoins(msgspec.Struct, frozen=True, kw_only=True):
    """Keep halls without a seat out of a conference, or of all where it is ""."""

    conference_id: str = ""
    retry_after_s: int = 10
    reason: str


class ResumeJoins(msgspec.Struct, frozen=True, kw_only=True):
    """Let halls join again that `PauseJoins` of the same conference kept out."""

    conference_id: str = ""
    reason: str


class ChangeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Change the limits of a relay, or of all that have none of their own where it is ""; both 0 take them back."""

    relay_id: str = ""
    soft_limit: float
    hard_limit: float
    reason: str


class EnrolDelegates(msgspec.Struct, frozen=True, kw_only=True):
    """Put delegates on rosters, at most 5,000 runs of consecutive numbers; those on this roster already stay on it.

    Who was withdrawn comes back; who is on another roster must be moved.
    """

    conference_id: str
    blocks: list[DelegateBlock]


class WithdrawDelegates(msgspec.Struct, frozen=True, kw_only=True):
    """Take delegates off rosters, at most 100,000."""

    conference_id: str
    numbers: list[int]


class MoveDelegates(msgspec.Struct, frozen=True, kw_only=True):
    """Put delegates on the roster of another hall, at most 100,000."""

    conference_id: str
    hall_id: str
    numbers: list[int]


class ReissueCodes(msgspec.Struct, frozen=True, kw_only=True):
    """Give delegates a new code and a new PIN, at most 100,000; those before open nothing any more."""

    conference_id: str
    numbers: list[int]


class RecordCheckins(msgspec.Struct, frozen=True, kw_only=True):
    """Check delegates in at a hall, at most 5,000; whose codes those were has been checked."""

    conference_id: str
    hall_id: str
    scans: list[Scan]


class RecordMarks(msgspec.Struct, frozen=True, kw_only=True):
    """A technician marks delegates of the hall, at most 5,000."""

    conference_id: str
    hall_id: str
    marks: list[Mark]


class NoteReading(msgspec.Struct, frozen=True, kw_only=True):
    """Note that somebody is about to be given persons; see `privacy_events.PersonsRead`."""

    conference_id: str
    scope: str
    count: int
    purpose: ReadPurpose


class NoteErasure(msgspec.Struct, frozen=True, kw_only=True):
    """Note that persons were erased from the people store; see `privacy_events.PersonsErased`."""

    conference_id: str
    numbers: list[int] = []
    count: int
    reason: str


class ReportPrecheck(msgspec.Struct, frozen=True, kw_only=True):
    """What a pre-check of a hall measured; its time is that at which it comes in."""

    conference_id: str
    hall_id: str
    precheck: Precheck


class SignOffReadiness(msgspec.Struct, frozen=True, kw_only=True):
    """Answer for a hall, or for a unit with everything under it; one of them is ""; or take that back."""

    conference_id: str
    hall_id: str = ""
    unit: str = ""
    by: str
    note: str = ""
    withdrawn: bool = False


Command = (
    ImportUnits
    | ImportHalls
    | ProposeHalls
    | DecideProposals
    | WithdrawHalls
    | CreateConference
    | ChangePhase
    | CloseAttendance
    | RegisterRelay
    | LoseRelay
    | NoteRelays
    | SuspectRelay
    | ClearRelay
    | JoinHall
    | ReportMove
    | LeaveHall
    | ReportHeadcount
    | ObservePresence
    | AuthorisePublisher
    | OrderRelay
    | MoveHalls
    | PinHall
    | ExcludeRelays
    | PauseJoins
    | ResumeJoins
    | ChangeLimits
    | EnrolDelegates
    | WithdrawDelegates
    | MoveDelegates
    | ReissueCodes
    | NoteReading
    | NoteErasure
    | RecordCheckins
    | RecordMarks
    | ReportPrecheck
    | SignOffReadiness
)
