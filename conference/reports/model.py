"""A report (báo cáo) as a value: what it is made of, and what it says. No words of a language, no form.

Two kinds: `flash` (báo cáo nhanh), who took part at the moment, and `summary` (báo cáo tổng hợp), with every unit,
every hall and every loss. Figures of the three sources stand side by side and are never merged, as do those of real and
virtual halls. All times are whole milliseconds since the epoch, and there are no fractions: the JSON of a report is one
sequence of bytes (`conference.reports.sealing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from bridges.attendance import (
    AttendanceRow,
    Discrepancy,
    Figures,
    HallAttendance,
    HallStatus,
    Headcount,
    IndividualTotals,
)
from bridges.halls import Hall
from bridges.presence import Interval
from bridges.units import TreeName

SCHEMA = 2

Source = Literal["registration", "connection", "headcount", "individual", "hall"]
"""Who says so: the register, the relays, the technicians, the delegates' check-ins, or the halls' agents and pages."""
ReportKind = Literal["flash", "summary"]
IncidentCode = Literal[
    "relay_lost", "relay_returned", "relay_suspected", "relay_cleared", "publisher", "order", "phase"
]

# Of a hall that flaps all day more rows say nothing more; its sums hold all.
KEPT_OUTAGES_PER_HALL = 50
# A sheet has 1,048,576 rows; nobody reads the shortest of more losses than this.
KEPT_OUTAGES = 100_000


class ReportHall(msgspec.Struct, frozen=True, kw_only=True):
    """What a report needs of one hall.

    Attributes:
        hall: as registered.
        level: usually `hall.level`; any other word (older data has districts) makes a level of its own.
        parent: code of the unit that it counts under in the tree of the report, "" where it has none there.
        unit_name: its territorial unit.
        province_name: the root above that.
        status: by connection.
        seen: it received media at some time.
        headcount: the technician's figures, or None.
        individual: of the delegates on its roster, or None.
        intervals: when it received media (connection), as `HallPresence.intervals` gives them.
        interruptions_ms: how long the picture was gone at each move, as the hall measured it.
        said_goodbye: it left by itself: what is missing after that is no loss.
    """

    hall: Hall
    level: str
    parent: str
    unit_name: str
    province_name: str
    status: HallStatus
    seen: bool = False
    headcount: Headcount | None = None
    individual: IndividualTotals | None = None
    intervals: list[Interval] = []
    interruptions_ms: list[float] = []
    said_goodbye: bool = False

    @property
    def attendance(self) -> HallAttendance:
        """The same for `bridges.attendance`."""
        return HallAttendance(
            hall=self.hall, status=self.status, headcount=self.headcount, individual=self.individual, seen=self.seen
        )


class ReportUnit(msgspec.Struct, frozen=True, kw_only=True):
    """What a report needs of a unit; `parent` is "" for a root."""

    code: str
    name: str
    kind: str = ""
    parent: str = ""


class Incident(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to relays, publishers or the conference, or was ordered.

    Attributes:
        at_ms: when.
        code: what.
        subject: relay, feed, hall or unit that it is about; of `phase` the phase.
        detail: the rest of it: how many halls left, the order's event and its values, the origins of a publisher.
        actor: who, as the journal names them.
        reason: why, in the operator's words or as `RelayLost` says.
        virtual: it is about a virtual relay.
        conference_id: the one conference that it is about, or "".
    """

    at_ms: int
    code: IncidentCode
    subject: str
    detail: str = ""
    actor: str = ""
    reason: str = ""
    virtual: bool = False
    conference_id: str = ""


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of a hall that came to differ from the closing snapshot.

    Attributes:
        figure: its name in `HeadcountTotals` or `IndividualTotals`.
        closing: in the snapshot.
        present: now.
        by: who, as the journal names them; "" where that is not known, as of what relays saw.
        at_ms: when, the latest; 0 where that is not known.
        note: the technician's.
    """

    hall_id: str
    name: str
    unit_name: str
    virtual: bool
    source: Source
    figure: str
    closing: int
    present: int
    by: str = ""
    at_ms: int = 0
    note: str = ""


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """What a report is about, and of when.

    Attributes:
        kind: which report.
        conference_kind: conference or rehearsal (tổng duyệt).
        at_ms: when it was made.
        started_at_ms: when the conference went live, or None.
        ended_at_ms: when it ended, or None.
        closed_at_ms: when attendance was closed (chốt), or None; once it is, figures are those of that moment.
        closed_by: who closed it.
        tree: by which tree its units stand.
        unit: only the halls below this unit, or "" for all.
        unit_name: its name.
    """

    kind: ReportKind
    conference_id: str
    title: str
    conference_kind: str = "conference"
    phase: str
    at_ms: int
    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    closed_at_ms: int | None = None
    closed_by: str = ""
    tree: TreeName = "territory"
    unit: str = ""
    unit_name: str = ""


class ReportInput(msgspec.Struct, frozen=True, kw_only=True):
    """A conference at a moment; the order of halls and units does not matter."""

    heading: Heading
    halls: Sequence[ReportHall]
    units: Sequence[ReportUnit] = ()
    incidents: Sequence[Incident] = ()
    corrections: Sequence[Correction] = ()


class LevelRow(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one level."""

    level: str
    real: Figures
    virtual: Figures


class UnitRow(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one unit with all below it.

    Attributes:
        depth: 0 for the topmost of the report.
    """

    code: str
    name: str
    kind: str
    parent: str
    depth: int
    real: Figures
    virtual: Figures


class HallRow(msgspec.Struct, frozen=True, kw_only=True):
    """One hall.

    Attributes:
        parent: code of the unit under which it counts.
        first_seen_ms: when media first reached it, or None.
        present_ms: how long it received media.
        outages: how often it was lost while the conference was on.
        outage_ms: for how long in all.
    """

    hall_id: str
    name: str
    parent: str
    unit_name: str
    province_name: str
    level: str
    virtual: bool
    seats: int
    status: HallStatus
    seen: bool
    headcount: Headcount | None
    individual: IndividualTotals | None
    first_seen_ms: int | None
    present_ms: int
    outages: int
    outage_ms: int


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """A hall received no media for a while between two presences, or does not since `start_ms`.

    Attributes:
        end_ms: when media came back, or the conference ended; None while it lasts.
        contact_name: whom to phone; only while it lasts.
        contact_phone: the same.
    """

    hall_id: str
    name: str
    unit_name: str
    province_name: str
    virtual: bool
    start_ms: int
    end_ms: int | None
    length_ms: int
    contact_name: str = ""
    contact_phone: str = ""


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """How many, and how long (nearest rank, whole milliseconds; None where there are none)."""

    count: int
    halls: int
    p50_ms: int | None
    p99_ms: int | None
    max_ms: int | None


class DurationsBySource(msgspec.Struct, frozen=True, kw_only=True):
    """Durations of real and of virtual halls, with who measured them."""

    source: Source
    real: Durations
    virtual: Durations


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """One total of the whole report, with its source beside it; virtual halls apart."""

    figure: str
    source: Source
    real: int
    virtual: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A report.

    Attributes:
        totals: each with its source, in the order of `figures.MEASURES`.
        by_level: central first; levels of older data before the base.
        by_unit: each unit before those below it; of a flash report only the first level below the scope.
        halls: in the order of their units, real before virtual; empty in a flash report.
        outages: of a flash report those that last; real halls first, the longest first.
        outage_count: how many there were, listed or not.
        interruptions: at moves between relays, as the halls measured them.
        absences: gaps between two presences, as the relays saw them.
        discrepancies: contradictions between sources, real halls first, by hall.
        discrepancy_counts: by code, real halls only.
        corrections: what came after closing, by hall.
        incidents: in order of time; empty in a flash report.
    """

    schema: int = SCHEMA
    heading: Heading
    total: AttendanceRow
    totals: list[Total]
    by_level: list[LevelRow]
    by_unit: list[UnitRow]
    halls: list[HallRow]
    outages: list[Outage]
    outage_count: int
    interruptions: DurationsBySource
    absences: DurationsBySource
    discrepancies: list[Discrepancy]
    discrepancy_counts: dict[str, int]
    corrections: list[Correction]
    incidents: list[Incident]

    @property
    def has_virtual(self) -> bool:
        """Virtual halls take part: forms then show a line of theirs beside each real one."""
        return self.total.virtual.halls > 0
