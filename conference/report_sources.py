"""What a report is made of (`conference.reports.model`), copied out of the state. Pure.

What reads the state does so for the halls that it is given, so that the caller can go through a country in turns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bridges.halls import Hall
from bridges.units import TreeName, Unit
from conference.attendance_sources import hall_attendances
from conference.lifecycle import Phase
from conference.reach import Reach
from conference.reports.model import Heading, Incident, ReportHall, ReportKind, ReportUnit
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
    return Heading(
        kind=kind,
        conference_id=conference.conference_id,
        title=conference.title,
        conference_kind=conference.kind,
        phase=conference.phase,
        at_ms=now_ms,
        started_at_ms=_entered(conference, "live"),
        ended_at_ms=_entered(conference, "ended"),
        tree=tree,
        unit=unit,
        unit_name=_unit_name(state, unit) if unit else "",
    )


def report_halls(
    state: State, conference: ConferenceState, hall_ids: Iterable[str], now_ms: int, tree: TreeName
) -> list[ReportHall]:
    """What a report says of each of these registered halls."""
    presences = state.presence.get(conference.conference_id, {})
    ended_at_ms = _entered(conference, "ended")
    until_ms = now_ms if ended_at_ms is None else min(now_ms, ended_at_ms)
    halls = []
    for known in hall_attendances(state, conference, hall_ids):
        hall = known.hall
        presence = presences.get(hall.hall_id)
        seat = conference.seats.get(hall.hall_id)
        halls.append(
            ReportHall(
                hall=hall,
                level=hall.level,
                parent=_reporting_unit(hall, tree),
                unit_name=_unit_name(state, hall.unit),
                province_name=_unit_name(state, state.provinces.get(hall.hall_id, hall.unit)),
                status=known.status,
                seen=known.seen,
                headcount=known.headcount,
                individual=known.individual,
                intervals=[] if presence is None else presence.intervals(until_ms),
                interruptions_ms=[] if seat is None else list(seat.interruptions_ms),
                said_goodbye=seat is not None and seat.left,
            )
        )
    return halls


def report_units(units: Mapping[str, Unit], codes: Iterable[str], tree: TreeName, day: str) -> list[ReportUnit]:
    """What a report says of each of these units, where they stand in its tree.

    Args:
        units: all units.
        codes: which.
        tree: of the report.
        day: of the conference, `YYYY-MM-DD`: a unit that was merged by then stands under the one that took it over.
    """
    return [
        ReportUnit(code=unit.code, name=unit.name, kind=unit.kind, parent=_above(unit, units, day))
        for unit in (units[code] for code in codes if code in units)
        if unit.tree == tree
    ]


def day_of(heading: Heading) -> str:
    """The day of the conference by the clock of Việt Nam, `YYYY-MM-DD`; "" beyond the calendar."""
    at = local_time(heading.at_ms if heading.started_at_ms is None else heading.started_at_ms)
    return "" if at is None else at.date().isoformat()


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


def _reporting_unit(hall: Hall, tree: TreeName) -> str:
    return hall.unit if tree == "territory" else hall.organisation


def _above(unit: Unit, units: Mapping[str, Unit], day: str) -> str:
    """The unit under which another stands on a day."""
    is_merged = bool(unit.merged_into and unit.valid_to and unit.valid_to < day and unit.merged_into in units)
    return unit.merged_into if is_merged else unit.parent


def _entered(conference: ConferenceState, phase: Phase) -> int | None:
    return next((at_ms for entered, at_ms in conference.phases if entered == phase), None)


def _unit_name(state: State, code: str) -> str:
    unit = state.units.get(code)
    return code if unit is None else unit.name
