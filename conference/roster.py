"""What the coordinator knows of relays, conferences and their halls: the records that `conference.state` holds.

Mutable structs that a snapshot can hold; only `conference.state.apply` changes them, everybody else reads.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bridges.units import TreeName
from conference.events import ConferenceCreated, HallAssigned
from conference.lifecycle import JOINABLE, ConferenceKind, Phase
from conference.planner.loads import RelayLoad
from relay.messages import Capacity, RelayRole

# A line that drops every minute of a whole day; more would only repeat what these say.
KEPT_INTERRUPTIONS = 1_440


class RelayState(msgspec.Struct, kw_only=True):
    """One relay, live or lost.

    Attributes:
        epoch: epoch of its newest registration; never goes back, also while it is lost.
        live: its lease runs, as far as the journal says.
        last_seen_ms: when it registered, or when it was last heard before it was lost.
        load: parents and charged seats; charges of a lost relay are the halls that found no other.
    """

    relay_id: str
    instance_id: str
    region: str
    role: RelayRole
    virtual: bool
    base_url: str
    metrics_url: str
    capacity: Capacity
    epoch: int
    live: bool
    registered_at_ms: int
    last_seen_ms: int
    load: RelayLoad

    def is_as_before(self, load: RelayLoad) -> bool:
        """Whether it is live and `load`, of its new registration, says nothing new: no reason to change tree or seats.

        All relays come back so when a coordinator was started again. To plan the tree anew for each of 500 would hold
        the halls up for seconds.
        """
        return self.live and msgspec.structs.replace(load, links=self.load.links) == self.load

    @property
    def status(self) -> Literal["live", "lost"]:
        """The word of the API."""
        return "live" if self.live else "lost"

    @property
    def parents(self) -> list[str]:
        """Present parents, best first; empty for an origin and for a lost relay."""
        return self.load.parents


class HallSeat(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A hall's place in one conference.

    Attributes:
        epoch: epoch of its assignment, from 1.
        primary: relay that it plays from; it may be lost where no other has room.
        backup: relay of its warm standby, or "".
        assigned_at_ms: when this assignment was made.
        joined_at_ms: when it joined first.
        left: it said goodbye and has not joined again.
        moves: how often it moved by itself.
        interruptions_ms: how long its picture was gone at each move, oldest first, the last `KEPT_INTERRUPTIONS`.
        last_move: epoch followed, relay left and relay taken at the latest move, to recognise a repeated report.
        leaving: relay that it had to leave by an order and has not said yet that it left: it may hold a session there
            beside the new one, and so the seat there stays charged.
        wanted: relay that it shall be moved to, as soon as that has room.
        unwanted: relay that it shall be moved away from.
    """

    epoch: int
    primary: str
    backup: str
    assigned_at_ms: int
    joined_at_ms: int
    left: bool = False
    moves: int = 0
    interruptions_ms: list[float] = []
    last_move: tuple[int, str, str] = (0, "", "")
    leaving: str = ""
    wanted: str = ""
    unwanted: str = ""

    def ordered(self, to: str, away: str) -> tuple[str, str]:
        """What `wanted` and `unwanted` are after an order to go to one relay, or away from another."""
        return "" if to == self.primary else to, away if away in (self.primary, self.backup) else ""


def still_on(leaving: str, primary: str, event: HallAssigned) -> str:
    """The relay that a hall may still hold a session at after an assignment, beside those that it names; or "".

    Args:
        leaving: the relay of which that held before.
        primary: what it played from.
        event: the assignment. One that an order made is followed make-before-break; who joins begins anew.
    """
    if event.reason == "join":
        return ""
    relay_id = leaving or (primary if event.reason == "ordered" else "")
    return "" if relay_id in (event.primary, event.backup) else relay_id


class Headcount(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The technician's latest figures for one hall; `by` is who reported them, as the journal names them."""

    summoned: int
    present: int
    excused: int
    unexcused: int
    exempt: int
    note: str
    at_ms: int
    revision: int = 0
    by: str = ""

    def counts_over(self, other: Headcount) -> bool:
        """Whether these figures hold beside others of the same hall; see `events.HeadcountReported`."""
        return self._rank() > other._rank()

    def _rank(self) -> tuple[int | str, ...]:
        figures = (self.summoned, self.present, self.excused, self.unexcused, self.exempt)
        return (self.revision, self.at_ms, *figures, self.note, self.by)


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """That the attendance of a conference was closed: when, by whom, and `figures` for `closing.read_closing`."""

    at_ms: int
    by: str
    figures: bytes


class ConferenceState(msgspec.Struct, kw_only=True):
    """One conference and the seats of its halls.

    Attributes:
        phases: each phase that it entered and when, `draft` first.
        seats: by hall id, of every hall that ever joined.
        publishers: by feed, the origin at which its publisher was authorised last.
        backup_origins: by feed, the other origins that this publisher feeds as well.
        reporting: the tree in which its halls report.
        kind: `rehearsal` for a dress rehearsal.
        rehearsal_of: the conference that a rehearsal is of, or "".
        starts_at_ms: when it is to begin; 0 where that is not known.
    """

    conference_id: str
    title: str
    feeds: list[str]
    phase: Phase
    phases: list[tuple[Phase, int]]
    seats: dict[str, HallSeat] = {}
    publishers: dict[str, str] = {}
    backup_origins: dict[str, list[str]] = {}
    reporting: TreeName = "territory"
    kind: ConferenceKind = "conference"
    rehearsal_of: str = ""
    starts_at_ms: int = 0

    @property
    def joinable(self) -> bool:
        """Halls may join, and their seats are charged."""
        return self.phase in JOINABLE


def drafted(event: ConferenceCreated, at_ms: int) -> ConferenceState:
    """A conference at its beginning."""
    return ConferenceState(**msgspec.structs.asdict(event), phase="draft", phases=[("draft", at_ms)])
