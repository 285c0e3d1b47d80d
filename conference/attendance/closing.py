"""The closing of a conference's attendance (chốt số liệu), and what was corrected after it. Pure.

The figures of every hall at the moment of the closing are in the event itself, with the units that they were summed
over, and never change. Whatever arrives later is folded as before; a correction is where the figures of a hall now
differ from those of the closing. It is computed, and so it cannot depend on the order in which streams are read.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from bridges.attendance import Figures, HallAttendance, HallStatus, Headcount
from bridges.halls import Hall, HallLevel
from bridges.units import Unit
from conference.attendance.participants import hall_in
from conference.attendance.places import HallPlaces
from conference.attendance.rollup import COLUMNS, RollUp, figures_from
from conference.commands import CloseAttendance
from conference.errors import CorruptJournalError, RejectedError
from conference.events import AttendanceClosed
from conference.lookup import conference_of
from conference.roster import Closing
from conference.state import State

CLOSED_SCHEMA = 1
# What is compared of each source. Whether a hall is connected just now is no figure of the conference, and those that a
# headcount's hall had registered are in the registration.
_COMPARED: dict[str, tuple[str, ...]] = {
    "registration": ("halls", "seats"),
    "connection": ("connection.present_ever",),
    "headcount": tuple(
        name for name in COLUMNS if name.startswith("headcount.") and name != "headcount.seats_reported"
    ),
    "individual": tuple(name for name in COLUMNS if name.startswith("individual.")),
}
Source = Literal["registration", "connection", "headcount", "individual"]


class ClosedHall(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A hall as it was registered at the closing, but for persons."""

    hall_id: str
    name: str
    unit: str
    organisation: str
    level: HallLevel
    seats: int
    virtual: bool


class _ClosedCountry(msgspec.Struct, frozen=True, kw_only=True):
    """What an event of closing holds: halls, a row of figures for each (32-bit, little-endian), and units."""

    schema: int
    columns: list[str]
    halls: list[ClosedHall]
    rows: bytes
    units: list[Unit]


class ClosedAttendance(msgspec.Struct, frozen=True, kw_only=True):
    """The figures at the closing.

    Attributes:
        at_ms: when it was closed.
        by: who closed it.
        halls: every hall, with the fields that are kept of it.
        units: by code, as they were.
        rows: figures of each hall in the order of `halls`, as `COLUMNS`; a figure that did not exist then is 0.
        columns: names of the figures that did.
    """

    at_ms: int
    by: str
    halls: dict[str, Hall]
    units: dict[str, Unit]
    rows: npt.NDArray[np.int32]
    columns: frozenset[str]

    def figures(self, row: int) -> Figures:
        """What the hall of a row added to the figures of its kind."""
        return figures_from(self.rows[row].tolist())

    def rollup(self) -> RollUp:
        """The same at every level of both trees; some 100 ms for a whole country."""
        numbers = {hall_id: row for row, hall_id in enumerate(self.halls)}
        places = HallPlaces(self.units, self.halls)
        places.handle_time(self.at_ms)
        return RollUp(places, lambda hall_id: self.figures(numbers[hall_id]))

    def attendances(self) -> Iterator[HallAttendance]:
        """Every hall as `bridges.attendance` knows it, for reports."""
        for row, hall in enumerate(self.halls.values()):
            yield _attendance_from(hall, self.figures(row))


class FigureChange(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a hall (see `COLUMNS`) at the closing and now."""

    figure: str
    before: int
    after: int


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """What changed of one source of one hall since the closing.

    Attributes:
        hall_id: the hall; `name`, `unit`, `organisation` and `virtual` as now, or as at the closing where it is gone.
        source: whose figures these are.
        changes: the figures that differ.
        at_ms: when the figures that count now were recorded; 0 where that is not known.
        by: by whom; "" where that is not known, as of what relays saw.
        note: the technician's.
    """

    hall_id: str
    name: str
    unit: str
    organisation: str
    virtual: bool
    source: Source
    changes: list[FigureChange]
    at_ms: int = 0
    by: str = ""
    note: str = ""


def close(state: State, command: CloseAttendance) -> list[AttendanceClosed]:
    """Decide to close: only what has ended, and once.

    Raises:
        RejectedError: `unknown_conference`, or `wrong_phase` while it has not ended.
    """
    conference = conference_of(state, command.conference_id)
    if conference.phase != "ended":
        raise RejectedError(
            "wrong_phase", f"conference {conference.conference_id} is {conference.phase}; what has ended can be closed"
        )
    if conference.conference_id in state.closings:
        return []
    hall_ids, rows = state.rollups[conference.conference_id].table()
    known = [hall_in(state, conference.conference_id, hall_id) for hall_id in hall_ids]
    places = [row for row, hall in enumerate(known) if hall is not None]
    halls = [hall for hall in known if hall is not None]
    country = _ClosedCountry(
        schema=CLOSED_SCHEMA,
        columns=list(COLUMNS),
        halls=[
            ClosedHall(hall.hall_id, hall.name, hall.unit, hall.organisation, hall.level, hall.seats, hall.virtual)
            for hall in halls
        ],
        rows=rows[places].astype("<i4").tobytes(),
        units=list(state.units.values()),
    )
    # Mostly zeros and names that begin alike: a tenth of the size, and each snapshot holds it.
    figures = zlib.compress(msgspec.msgpack.encode(country), level=1)
    return [AttendanceClosed(conference_id=conference.conference_id, figures=figures)]


def read_closing(closing: Closing) -> ClosedAttendance:
    """The figures of a closing; some 100 ms for a whole country, and touches plain values only.

    Raises:
        CorruptJournalError: the journal holds figures that this program cannot read.
    """
    try:
        country = msgspec.msgpack.decode(zlib.decompress(closing.figures), type=_ClosedCountry)
        rows = np.frombuffer(country.rows, dtype="<i4").reshape(len(country.halls), len(country.columns))
    except (zlib.error, msgspec.MsgspecError, ValueError) as error:
        raise CorruptJournalError(f"the closing does not decode: {error}") from error
    known = {name: place for place, name in enumerate(country.columns)}
    aligned = np.zeros((len(country.halls), len(COLUMNS)), dtype=np.int32)
    for place, name in enumerate(COLUMNS):
        if name in known:
            aligned[:, place] = rows[:, known[name]]
    return ClosedAttendance(
        at_ms=closing.at_ms,
        by=closing.by,
        halls={
            hall.hall_id: Hall(
                hall_id=hall.hall_id,
                name=hall.name,
                unit=hall.unit,
                organisation=hall.organisation,
                level=hall.level,
                seats=hall.seats,
                virtual=hall.virtual,
            )
            for hall in country.halls
        },
        units={unit.code: unit for unit in country.units},
        rows=aligned,
        columns=frozenset(known),
    )


def corrections(state: State, conference_id: str, closed: ClosedAttendance) -> list[Correction]:
    """What changed since the closing, by hall and source; some 10 ms for a country in which little did."""
    hall_ids, rows = state.rollups[conference_id].table()
    now = {hall_id: row for row, hall_id in enumerate(hall_ids)}
    then = {hall_id: row for row, hall_id in enumerate(closed.halls)}
    everyone = sorted(now.keys() | then.keys())
    before, after = _gathered(closed.rows, then, everyone), _gathered(rows, now, everyone)
    authors = _Authors(state, conference_id)
    found: list[Correction] = []
    compared = {
        source: [COLUMNS.index(name) for name in names if name in closed.columns] for source, names in _COMPARED.items()
    }
    differs = before != after
    columns = sorted(place for places in compared.values() for place in places)
    for number in np.flatnonzero(differs[:, columns].any(axis=1)):
        hall_id = everyone[number]
        hall = hall_in(state, conference_id, hall_id) or closed.halls[hall_id]
        for source, places in compared.items():
            changes = [
                FigureChange(figure=COLUMNS[place], before=int(before[number, place]), after=int(after[number, place]))
                for place in places
                if differs[number, place]
            ]
            if changes:
                at_ms, by, note = authors.of(hall_id, source)
                found.append(
                    Correction(
                        hall_id=hall_id,
                        name=hall.name,
                        unit=hall.unit,
                        organisation=hall.organisation,
                        virtual=hall.virtual,
                        source=source,  # type: ignore[arg-type]  # the keys of _COMPARED
                        changes=changes,
                        at_ms=at_ms,
                        by=by,
                        note=note,
                    )
                )
    return found


def _gathered(rows: npt.NDArray[np.int32], numbers: dict[str, int], hall_ids: Iterable[str]) -> npt.NDArray[np.int32]:
    """The rows of these halls; zeros for one that has none."""
    padded = np.vstack([rows, np.zeros((1, len(COLUMNS)), dtype=np.int32)])
    return padded[[numbers.get(hall_id, -1) for hall_id in hall_ids]]


def _attendance_from(hall: Hall, figures: Figures) -> HallAttendance:
    """A single hall's figures as what was known of it."""
    seen, counted = figures.connection, figures.headcount
    status: HallStatus = "present" if seen.present_now else "lost" if seen.lost else "left" if seen.left else "waiting"
    return HallAttendance(
        hall=hall,
        status=status,
        headcount=Headcount(
            summoned=counted.summoned,
            present=counted.present,
            excused=counted.excused,
            unexcused=counted.unexcused,
            exempt=counted.exempt,
        )
        if counted.halls_reported
        else None,
        individual=figures.individual if figures.individual.halls_enrolled else None,
        seen=bool(seen.present_ever),
    )


class _Authors:
    """Who recorded the figures of a hall that count now, and when."""

    def __init__(self, state: State, conference_id: str) -> None:
        self._state = state
        self._conference_id = conference_id
        self._recorded = state.checkin_authors.get(conference_id, {})
        self._elsewhere: dict[str, set[str]] = {}
        checkins = state.checkins.get(conference_id)
        for conflict in () if checkins is None else checkins.conflicts():
            self._elsewhere.setdefault(conflict.hall_id, set()).update(conflict.halls)

    def of(self, hall_id: str, source: str) -> tuple[int, str, str]:
        """Time, author and note; 0 and "" where they are not known."""
        state = self._state
        if source == "headcount":
            headcount = state.headcounts.get(self._conference_id, {}).get(hall_id)
            return (0, "", "") if headcount is None else (headcount.at_ms, headcount.by, headcount.note)
        if source == "individual":
            # A delegate of this hall who was scanned at another changes the figures of this one.
            halls = {hall_id, *self._elsewhere.get(hall_id, ())}
            at_ms, by = max((self._recorded[each] for each in halls if each in self._recorded), default=(0, ""))
            return at_ms, by, ""
        if source == "registration":
            changes = state.register.changes.get(hall_id)
            return (changes[-1].at_ms, changes[-1].actor, "") if changes else (0, "", "")
        presence = state.presence.get(self._conference_id, {}).get(hall_id)
        return (0 if presence is None else presence.last_seen_ms or 0), "", ""
