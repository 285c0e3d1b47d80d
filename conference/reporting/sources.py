"""What a report is made of (`conference.reports.model`), copied out of the state. Pure.

What reads the state does so for the halls that it is given, so that the caller can go through a country in turns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from bridges.attendance import HallAttendance
from bridges.units import TreeName, Unit, root_of
from conference.attendance.closing import ClosedAttendance, corrections
from conference.attendance.participants import hall_ids_in, hall_in
from conference.attendance.places import parent_of, unit_in
from conference.attendance.standing import hall_attendance
from conference.lifecycle import Phase
from conference.reach import Reach
from conference.reports.model import Correction, Heading, Incident, ReportHall, ReportKind, ReportUnit
from conference.reports.words import local_time
from conference.roster import ConferenceState
from conference.state import State


def heading_of(
    state: State, conference: ConferenceState, now_ms: int, *, kind: ReportKind, tree: TreeName, unit: str
) -> Heading:
    """What a report is about.

    Args:
        state: the state.
        conference: which.
        now_ms: milliseconds since the epoch.
        kind: which report.
        tree: by which tree its units are to stand.
        unit: only what is below this unit, or "" for all.
    """
    closing = state.closings.get(conference.conference_id)
    return Heading(
        kind=kind,
        conference_id=conference.conference_id,
        title=conference.title,
        conference_kind=conference.kind,
        phase=conference.phase,
        at_ms=now_ms,
        started_at_ms=_entered(conference, "live"),
        ended_at_ms=_entered(conference, "ended"),
        closed_at_ms=None if closing is None else closing.at_ms,
        closed_by="" if closing is None else closing.by,
        tree=tree,
        unit=unit,
        unit_name=_name_of(state.units, unit),
    )


def report_halls(
    state: State,
    conference: ConferenceState,
    known: Iterable[HallAttendance],
    units: Mapping[str, Unit],
    heading: Heading,
) -> list[ReportHall]:
    """What a report says of each of these halls.

    Args:
        state: for presence and moves.
        conference: which.
        known: the halls and what is known of them, now or at the closing.
        units: all units, now or at the closing.
        heading: what the report is about.
    """
    presences = state.presence.get(conference.conference_id, {})
    until_ms = heading.at_ms if heading.ended_at_ms is None else min(heading.at_ms, heading.ended_at_ms)
    halls = []
    for each in known:
        hall = each.hall
        presence = presences.get(hall.hall_id)
        seat = conference.seats.get(hall.hall_id)
        halls.append(
            ReportHall(
                hall=hall,
                level=hall.level,
                parent=unit_in(hall, heading.tree),
                unit_name=_name_of(units, hall.unit),
                province_name=_name_of(units, root_of(units, hall.unit)),
                status=each.status,
                seen=each.seen,
                headcount=each.headcount,
                individual=each.individual,
                intervals=[] if presence is None else presence.intervals(until_ms),
                interruptions_ms=[] if seat is None else list(seat.interruptions_ms),
                said_goodbye=seat is not None and seat.left,
            )
        )
    return halls


def known_halls(state: State, conference: ConferenceState) -> Iterator[HallAttendance]:
    """What is known of every hall that counts, each at the moment at which it is asked for."""
    for hall_id in hall_ids_in(state, conference.conference_id):
        hall = hall_in(state, conference.conference_id, hall_id)
        if hall is not None:  # not withdrawn meanwhile
            yield hall_attendance(state, conference.conference_id, hall)


def report_units(units: Mapping[str, Unit], codes: Iterable[str], heading: Heading) -> list[ReportUnit]:
    """What a report says of each of these units, where they stand in its tree on the day of its figures."""
    at = local_time(heading.at_ms if heading.closed_at_ms is None else heading.closed_at_ms)
    day = "" if at is None else at.date().isoformat()
    return [
        ReportUnit(code=unit.code, name=unit.name, kind=unit.kind, parent=parent_of(unit, units, day) or "")
        for unit in (units[code] for code in codes if code in units)
        if unit.tree == heading.tree
    ]


def report_corrections(
    state: State, conference: ConferenceState, closed: ClosedAttendance, scope: Reach
) -> list[Correction]:
    """What came after the closing, of the halls in scope."""
    return [
        Correction(
            hall_id=found.hall_id,
            name=found.name,
            unit_name=_name_of(state.units, found.unit),
            virtual=found.virtual,
            source=found.source,
            figure=change.figure.rpartition(".")[2],
            closing=change.before,
            present=change.after,
            by=found.by,
            at_ms=found.at_ms,
            note=found.note,
        )
        for found in corrections(state, conference.conference_id, closed)
        if scope.has_hall(hall_in(state, conference.conference_id, found.hall_id) or closed.halls[found.hall_id])
        for change in found.changes
    ]


def incidents_of(state: State, heading: Heading, scope: Reach) -> list[Incident]:
    """What happened to relays and publishers of a conference while it was on, and what operators ordered.

    Of a report about one unit, orders about other halls and units are left out.
    """
    conference = state.conferences.get(heading.conference_id)
    if conference is None:
        return []
    from_ms = _entered(conference, "open")
    until_ms = heading.at_ms if heading.ended_at_ms is None else heading.ended_at_ms
    if from_ms is None:
        return []
    found = [
        Incident(
            at_ms=operation.at_ms,
            code="order",
            subject=operation.subject,
            detail=" ".join(part for part in (operation.action, operation.detail) if part),
            actor=operation.actor,
            reason=operation.reason,
        )
        for operation in state.orders.operations
        if _concerns(state, conference, scope, operation.subject)
    ]
    found += [incident for incident in state.orders.incidents if incident.conference_id in ("", heading.conference_id)]
    found += [Incident(at_ms=at_ms, code="phase", subject=phase) for phase, at_ms in conference.phases]
    return [incident for incident in found if from_ms <= incident.at_ms <= until_ms]


def _concerns(state: State, conference: ConferenceState, scope: Reach, subject: str) -> bool:
    """Whether an order is one about this conference and, for one unit, about what that reaches."""
    if subject in state.conferences:
        return subject == conference.conference_id
    if scope.is_whole:
        return True
    hall = state.halls.get(subject)
    return scope.has_hall(hall) if hall is not None else subject not in state.units or scope.has_unit(subject)


def _entered(conference: ConferenceState, phase: Phase) -> int | None:
    return next((at_ms for entered, at_ms in conference.phases if entered == phase), None)


def _name_of(units: Mapping[str, Unit], code: str) -> str:
    unit = units.get(code)
    return code if unit is None else unit.name
