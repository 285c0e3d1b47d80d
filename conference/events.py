"""The events of the journal: what happened, in the past tense, as tagged msgspec structs.

The coordinator's state is a fold over these. A tag, once written to a journal, is never renamed or reused; a new field
needs a default. Streams: `control` (one writer) and `attendance/<partition>` (commutative events).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bridges.halls import Hall
from bridges.messages import MoveReason
from bridges.prechecks import Precheck
from bridges.units import TreeName, Unit
from conference.checkin.events import (
    CheckinEvent,
    CheckinsRecorded,
    MarksRecorded,
    RosterEvent,
)
from conference.lifecycle import ConferenceKind, Phase
from conference.people.privacy_events import PersonsErased, PersonsRead
from conference.planner.loads import RelayMode
from conference.registry.events import HallsProposed, HallsWithdrawn, ProposalsDecided
from relay.messages import PresenceDelta, RelayRole

CONTROL = "control"
ATTENDANCE = "attendance/0"
_PARTITIONS = "attendance/"


class UnitsImported(msgspec.Struct, frozen=True, kw_only=True, tag="units_imported"):
    """Units were added or replaced by code."""

    units: list[Unit]


class HallsImported(msgspec.Struct, frozen=True, kw_only=True, tag="halls_imported"):
    """Halls were added or replaced by `hall_id`; `proposal` is the id of the proposal that wanted it, or ""."""

    halls: list[Hall]
    proposal: str = ""


class ConferenceCreated(msgspec.Struct, frozen=True, kw_only=True, tag="conference_created"):
    """A conference was drafted.

    Attributes:
        feeds: what it carries, `program` first.
        reporting: the tree in which its halls report; a hall has one reporting parent, so that nobody is counted twice.
        kind: `rehearsal` for a dress rehearsal.
        rehearsal_of: the conference that a rehearsal is of, or "".
        starts_at_ms: when it is to begin, milliseconds since the epoch; 0 where that is not known.
    """

    conference_id: str
    title: str
    feeds: list[str]
    reporting: TreeName = "territory"
    kind: ConferenceKind = "conference"
    rehearsal_of: str = ""
    starts_at_ms: int = 0


class PhaseChanged(msgspec.Struct, frozen=True, kw_only=True, tag="phase_changed"):
    """The conference went to another phase of its life."""

    conference_id: str
    phase: Phase


class AttendanceClosed(msgspec.Struct, frozen=True, kw_only=True, tag="attendance_closed"):
    """The attendance of a conference was closed; `figures` are those of every hall then, for `closing.read_closing`."""

    conference_id: str
    figures: bytes


class RelayRegistered(msgspec.Struct, frozen=True, kw_only=True, tag="relay_registered"):
    """A relay took a lease; a greater `epoch` replaces an older registration of the same relay."""

    relay_id: str
    instance_id: str
    region: str
    role: RelayRole
    virtual: bool
    base_url: str
    metrics_url: str
    bits_per_s: int
    packets_per_s: int
    epoch: int


class RelayLost(msgspec.Struct, frozen=True, kw_only=True, tag="relay_lost"):
    """A relay's lease ended; its open sessions ended at `last_seen_ms`."""

    relay_id: str
    epoch: int
    reason: Literal["lease_expired", "goodbye"]
    last_seen_ms: int


class RelaysSeen(msgspec.Struct, frozen=True, kw_only=True, tag="relays_seen"):
    """These relays were heard within their lease at the record's time.

    Written now and then while a conference goes on, so that after an outage of everything presence ends near the moment
    when it truly ended, and not when the coordinator came back.
    """

    relay_ids: list[str]


class HallAssigned(msgspec.Struct, frozen=True, kw_only=True, tag="hall_assigned"):
    """A hall was given its relays; each is charged one seat. `backup` is "" where none had room."""

    conference_id: str
    hall_id: str
    epoch: int
    primary: str
    backup: str
    reason: Literal["join", "silence", "assignment", "refused", "relay_lost", "backup_wanted", "ordered"]


class HallMoved(msgspec.Struct, frozen=True, kw_only=True, tag="hall_moved"):
    """A hall reported that it went from one of its relays to another, and how long its picture was gone.

    `epoch` is that of the assignment which it followed, so that a repeated report is told from a new move;
    `from_primary`: the coordinator had it on that relay.
    """

    conference_id: str
    hall_id: str
    from_relay: str
    to_relay: str
    reason: MoveReason
    interruption_ms: float
    epoch: int = 0
    from_primary: bool = False


class RelaySuspected(msgspec.Struct, frozen=True, kw_only=True, tag="relay_suspected"):
    """So many of a relay's halls left it because nothing came: it takes none and is emptied until `until_ms`."""

    relay_id: str
    left: int
    halls: int
    until_ms: int


class RelayCleared(msgspec.Struct, frozen=True, kw_only=True, tag="relay_cleared"):
    """A relay is suspected no longer: it was long enough, halls play there again, or an operator said so."""

    relay_id: str
    reason: Literal["time", "halls", "operator"]


class HallLeft(msgspec.Struct, frozen=True, kw_only=True, tag="hall_left"):
    """A hall said goodbye; its seats are free."""

    conference_id: str
    hall_id: str


class HallReleased(msgspec.Struct, frozen=True, kw_only=True, tag="hall_released"):
    """A hall that was moved did not say in time that it left its former relay; its seat there is free all the same."""

    conference_id: str
    hall_id: str
    relay_id: str


class RelayModeChanged(msgspec.Struct, frozen=True, kw_only=True, tag="relay_mode_changed"):
    """An operator said how a relay is to serve from now on, whatever registers under its id; see `RelayMode`."""

    relay_id: str
    mode: RelayMode
    deadline_ms: int = 0
    reason: str


class HallsOrdered(msgspec.Struct, frozen=True, kw_only=True, tag="halls_ordered"):
    """An operator wants these halls on the relay `to`, or off the relay `away`; with neither, they may stay.

    `subject` is the unit or the hall that was named, for people.
    """

    hall_ids: list[str]
    subject: str
    to: str = ""
    away: str = ""
    reason: str


class HallPinned(msgspec.Struct, frozen=True, kw_only=True, tag="hall_pinned"):
    """An operator said which relays a hall shall have, the primary first; without any the pin is gone."""

    hall_id: str
    relay_ids: tuple[str, ...]
    reason: str


class HallsExcluded(msgspec.Struct, frozen=True, kw_only=True, tag="halls_excluded"):
    """An operator said which relays shall not have a hall, or the halls of a region; these replace those named before.

    `subject` is a hall's id or the code of a root unit.
    """

    subject: str
    relay_ids: list[str]
    reason: str


class JoinsPaused(msgspec.Struct, frozen=True, kw_only=True, tag="joins_paused"):
    """An operator keeps halls without a seat out of a conference, or of all where it is ""."""

    conference_id: str
    retry_after_s: int
    reason: str


class JoinsResumed(msgspec.Struct, frozen=True, kw_only=True, tag="joins_resumed"):
    """An operator lets halls join again."""

    conference_id: str
    reason: str


class LimitsChanged(msgspec.Struct, frozen=True, kw_only=True, tag="limits_changed"):
    """An operator changed the limits of a relay, or of all without limits of their own where it is "".

    Both 0: the relay's own are gone, and those of all or of the configuration hold.
    """

    relay_id: str
    soft_limit: float
    hard_limit: float
    reason: str


class PublishingAuthorised(msgspec.Struct, frozen=True, kw_only=True, tag="publishing_authorised"):
    """A publisher was given a token for a feed at an origin, and at others that take the same packets."""

    conference_id: str
    feed: str
    relay_id: str
    backup_relay_ids: list[str] = []


class PresenceObserved(msgspec.Struct, frozen=True, kw_only=True, tag="presence_observed"):
    """A relay saw halls' media begin and end. Idempotent and commutative by session id."""

    relay_id: str
    deltas: list[PresenceDelta]


class HeadcountReported(msgspec.Struct, frozen=True, kw_only=True, tag="headcount_reported"):
    """A hall's technician reported figures; of several reports that with the greatest `revision` counts.

    Each report has the revision after that which it corrects, as far as its writer knew: clocks of several writers are
    not compared for that. Where two did not know of each other the later time counts, and of equal times the greater
    figures: any rule, as long as every reader follows the same.
    """

    conference_id: str
    hall_id: str
    summoned: int
    present: int
    excused: int
    unexcused: int
    exempt: int
    note: str
    revision: int = 0


class PrecheckReported(msgspec.Struct, frozen=True, kw_only=True, tag="precheck_reported"):
    """A hall was checked before the day. The newest `precheck.at_ms` counts; the last few are kept."""

    conference_id: str
    hall_id: str
    precheck: Precheck


class RehearsalSignedOff(msgspec.Struct, frozen=True, kw_only=True, tag="rehearsal_signed_off"):
    """Somebody answers for a hall, or for a unit with everything under it; of several the newest `at_ms` counts.

    One of `hall_id` and `unit` is "". `withdrawn`: what was signed off stands no longer.
    """

    conference_id: str
    hall_id: str = ""
    unit: str = ""
    at_ms: int
    by: str
    note: str
    withdrawn: bool = False


ControlEvent = (
    UnitsImported
    | HallsImported
    | HallsProposed
    | ProposalsDecided
    | HallsWithdrawn
    | ConferenceCreated
    | PhaseChanged
    | AttendanceClosed
    | RelayRegistered
    | RelayLost
    | RelaysSeen
    | RelaySuspected
    | RelayCleared
    | HallAssigned
    | HallMoved
    | HallLeft
    | HallReleased
    | PublishingAuthorised
    | RelayModeChanged
    | HallsOrdered
    | HallPinned
    | HallsExcluded
    | JoinsPaused
    | JoinsResumed
    | LimitsChanged
    | RosterEvent
    | PersonsErased
)
OrderEvent = RelayModeChanged | HallsOrdered | HallPinned | HallsExcluded | JoinsPaused | JoinsResumed | LimitsChanged
"""What operators ordered: each carries its reason, and its record who and when."""
ReadinessEvent = PrecheckReported | RehearsalSignedOff
AttendanceEvent = PresenceObserved | HeadcountReported | CheckinEvent | PersonsRead | ReadinessEvent
Event = ControlEvent | AttendanceEvent
_COMMUTING = (
    PresenceObserved,
    HeadcountReported,
    CheckinsRecorded,
    MarksRecorded,
    PersonsRead,
    PrecheckReported,
    RehearsalSignedOff,
)


def stream_of(event: Event) -> str:
    """Name of the stream that an event belongs to."""
    return ATTENDANCE if isinstance(event, _COMMUTING) else CONTROL


def partition_of(writer: str) -> str:
    """Name of the stream of attendance that another process than the leader writes: a gateway, by its id."""
    return f"{_PARTITIONS}{writer}"


def is_partition(stream: str) -> bool:
    """Whether a stream has a writer of its own, and is not the leader's."""
    return stream.startswith(_PARTITIONS) and stream != ATTENDANCE
